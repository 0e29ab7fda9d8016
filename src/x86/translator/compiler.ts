import type { CodeSnapshot } from './code_snapshot.ts'
import { type BuildingRoom, type BuiltRegion, buildRegion } from './region_builder.ts'
import type { KnownRegion } from './region_key.ts'
import type { Target } from './translate.ts'

/** A region that can be instantiated. */
export interface CompiledRegion extends Omit<BuiltRegion, 'wasm'> {
	readonly module: WebAssembly.Module
	/** Bytes of the module. */
	readonly wasmBytes: number
	/** Compiled as well as can be; if not, it can be had again, compiled better, for its request's id. */
	readonly isOptimised: boolean
	/** Not built: found in a cache. */
	readonly isCached: boolean
	/** What building and compiling it took. */
	readonly time_ms: number
}

export interface CompileRequest {
	/** Names the request in what follows; the caller's. */
	readonly id: number
	readonly snapshot: CodeSnapshot
	readonly target: Target
	/** Samples so far: hotter requests are served first. */
	readonly heat: number
	/** Answer from a cache, or not at all. */
	readonly cachedOnly: boolean
}

export type CompileReply =
	/** To a request. Undefined: it is not translated. */
	| { readonly type: 'region'; readonly id: number; readonly region: CompiledRegion | undefined }
	/** The module of a region that was not, made anew. */
	| { readonly type: 'optimised'; readonly id: number; readonly module: WebAssembly.Module; readonly time_ms: number }

/** Makes regions out of snapshots, for one vCPU: on its own thread (LocalCompiler) or elsewhere. No method blocks on another thread. */
export interface RegionCompiler {
	request(request: CompileRequest): void
	/** The code of a request without an answer has been met again: a reason to make it sooner. */
	hotter(id: number, heat: number): void
	/** A request without an answer is not wanted any more; it may be answered all the same. */
	cancel(id: number): void
	/** The region of a request, not optimised yet, is seen to run; `worth` as worthImproving() says. Below 1 it is compiled better only by a compiler that has nothing else to do. */
	improve(id: number, worth: number): void
	/** Whether there is a cache, and it is known what is in it. */
	readonly hasCache: boolean
	/** Regions that requests for code of the page may be answered with from the cache. May be wrong either way. */
	cachedIn(page: Uint8Array): readonly KnownRegion[]
	/** A reply that has arrived; each is returned once. Costs next to nothing while there is none. */
	receive(): CompileReply | undefined
}

/** Compiles in request(). What is hot is optimised by the engine, when it likes. */
export class LocalCompiler implements RegionCompiler {
	private readonly room: BuildingRoom
	readonly hasCache = false
	private readonly replies: CompileReply[] = []

	constructor(room: BuildingRoom) {
		this.room = room
	}

	request({ id, snapshot, target, cachedOnly }: CompileRequest): void {
		this.replies.push({ type: 'region', id, region: cachedOnly ? undefined : this.compile(snapshot, target) })
	}

	/** Undefined when the code is not translated. */
	compile(snapshot: CodeSnapshot, target: Target): CompiledRegion | undefined {
		const started = performance.now()
		const built = buildRegion(snapshot, target, this.room)
		if (built === undefined) return undefined
		const { wasm, ...rest } = built
		const module = new WebAssembly.Module(wasm as BufferSource)
		return { ...rest, module, wasmBytes: wasm.length, isOptimised: true, isCached: false, time_ms: performance.now() - started }
	}

	hotter(): void {}

	cancel(): void {}

	improve(): void {}

	cachedIn(): [] {
		return []
	}

	receive(): CompileReply | undefined {
		return this.replies.shift()
	}
}
