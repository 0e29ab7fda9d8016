import type { CodeSnapshot } from './code_snapshot.ts'
import { regionModule } from './core_imports.ts'
import { type BuildingRoom, type BuiltRegion, buildRegion } from './region_builder.ts'
import type { KnownRegion } from './region_key.ts'
import type { Target } from './translate.ts'

/** A region that can be instantiated. */
export interface CompiledRegion extends Omit<BuiltRegion, 'body'> {
	/** Of this region and others. */
	readonly module: WebAssembly.Module
	/** Its place among them. */
	readonly place: number
	/** Bytes of its function. */
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

/** To a request. Undefined: it is not translated. */
export interface RegionReply {
	readonly type: 'region'
	readonly id: number
	readonly region: CompiledRegion | undefined
}

export type CompileReply =
	| RegionReply
	/** Of regions that share modules. */
	| { readonly type: 'regions'; readonly replies: readonly RegionReply[] }
	/** A module of regions that were not, made anew; their requests in the order of their places. */
	| { readonly type: 'optimised'; readonly ids: readonly number[]; readonly module: WebAssembly.Module; readonly time_ms: number }

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
	build(snapshot: CodeSnapshot, target: Target): BuiltRegion | undefined {
		return buildRegion(snapshot, target, this.room)
	}

	compile(snapshot: CodeSnapshot, target: Target): CompiledRegion | undefined {
		const started = performance.now()
		const built = this.build(snapshot, target)
		if (built === undefined) return undefined
		const { body, ...rest } = built
		const module = new WebAssembly.Module(regionModule([body], target.memoryPages) as BufferSource)
		const time_ms = performance.now() - started
		return { ...rest, module, place: 0, wasmBytes: body.bytes.length, isOptimised: true, isCached: false, time_ms }
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
