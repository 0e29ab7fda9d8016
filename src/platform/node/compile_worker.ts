// The worker thread that makes regions for all vCPUs of the process.
import { readlinkSync } from 'node:fs'
import { availableParallelism, setPriority } from 'node:os'
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { RegionExports } from '../../x86/cpu.ts'
import { CompileQueue } from '../../x86/translator/compile_queue.ts'
import type { CompiledRegion, CompileRequest } from '../../x86/translator/compiler.ts'
import { MAX_REGIONS_A_MODULE, regionModule } from '../../x86/translator/core_imports.ts'
import { buildRegion, ROOM_BYTES } from '../../x86/translator/region_builder.ts'
import { type RegionKey, regionKey } from '../../x86/translator/region_key.ts'
import { collectGarbageSoon } from './collect_garbage.ts'
import { type CachedRegion, RegionCache, type RegionToKeep } from './region_cache.ts'
import type { CompilerAnswer, CompilerMessage } from './region_compiler.ts'
import type { PackedRegion } from './region_pack.ts'
import { regionVersion } from './region_version.ts'
import { compileBaseline, compileOptimised, limitCompilers, machineCodeOf, moduleOf } from './v8_wasm.ts'

/** What the worker is made with. */
export interface CompileWorkerData {
	readonly core: WebAssembly.Module
	/** Where regions are kept on disk; undefined: nowhere. */
	readonly cacheDirectory: string | undefined
}

/** What is posted to it. */
export type CompileWorkerMessage =
	/** A vCPU that will ask for regions. */
	| { readonly type: 'client'; readonly port: MessagePort; readonly posted: Int32Array<SharedArrayBuffer>; readonly isCached: boolean }
	/** There is no vCPU any more. The worker ends when it has written what is to be kept. */
	| { readonly type: 'end' }

/** A region that was compiled quickly, and can be compiled better. */
interface Draft {
	readonly id: number
	/** What compiling it better is worth (heat.ts), and when the vCPU said so. */
	heat: number
	asked_ms: number
	readonly key: RegionKey
	/** Undefined when it is to be read from the cache again. */
	readonly region: CachedRegion | undefined
	/** Where it is in the cache, if it is there. */
	readonly kept?: PackedRegion | undefined
}

/** What is to be kept on disk: a region, or those of a module. */
interface Unwritten {
	readonly cache: RegionCache
	readonly regions: readonly RegionToKeep[]
	readonly module?: { readonly wasm: Uint8Array; readonly machineCode: Uint8Array }
}

/** A region that a request waits for: it has no loops, and is compiled well at once. */
interface Awaited {
	readonly id: number
	readonly heat: number
	readonly key: RegionKey
	readonly region: CachedRegion
	/** What building it took. */
	readonly time_ms: number
}

/** Of a draft that nobody has asked for. */
const COLD = { heat: 0, asked_ms: 0 }

class Client {
	/** Undefined: nothing of it is taken from disk or kept there. */
	readonly cache: RegionCache | undefined
	/** By request, the one that was met last at the end. */
	readonly drafts = new Map<number, Draft>()
	/** Of those in memory. */
	draftBytes = 0
	private readonly port: MessagePort
	private readonly posted: Int32Array<SharedArrayBuffer>

	constructor(port: MessagePort, posted: Int32Array<SharedArrayBuffer>, cache: RegionCache | undefined) {
		this.cache = cache
		this.port = port
		this.posted = posted
	}

	post(answer: CompilerAnswer): void {
		this.port.postMessage(answer)
		Atomics.add(this.posted, 0, 1)
	}

	close(): void {
		this.port.close()
	}

	keepDraft(draft: Draft): void {
		this.dropDraft(draft.id)
		if (this.drafts.size >= MAX_DRAFTS) this.dropDraft(this.drafts.keys().next().value!)
		this.drafts.set(draft.id, draft)
		this.draftBytes += bytesOf(draft)
	}

	dropDraft(id: number): Draft | undefined {
		const draft = this.drafts.get(id)
		if (draft === undefined || !this.drafts.delete(id)) return undefined
		this.draftBytes -= bytesOf(draft)
		return draft
	}

	/** Those in memory that were met longest ago, until the rest is few. */
	takeSurplus(): Draft | undefined {
		if (this.draftBytes <= MAX_DRAFT_BYTES) return undefined
		for (const draft of this.drafts.values()) if (draft.region !== undefined) return this.dropDraft(draft.id)
		return undefined
	}
}

/** Drafts of a vCPU, and what of them is kept in memory. */
const MAX_DRAFTS = 4000
const MAX_DRAFT_BYTES = 4 << 20
/** Requests to the cache alone that are answered before anything else is looked at. */
const RECOGNISED_AT_ONCE = 8
/** Of regions that are compiled together: what comes meanwhile waits for so long. */
const MAX_MODULE_BYTES = 48 << 10
/**
 * When there has been nothing to do for so long, garbage is collected, if there is enough of it: after so many pieces of work. Long, because guests do a little
 * again and again, and a collection costs as much as ten regions.
 */
const REST_MS = 5000
const WORTH_COLLECTING = 32
/** From there on a region is made better before others are made at all, every other time. */
const URGENT = 8
/** A region that is worth making better only when nothing else is to be done isn't after that time: it may not run any more. */
const SPARE_MS = 100
/** Of this thread, where threads have one of their own: it gives way to vCPUs when host CPUs are few. */
const NICENESS = 5
/** Where the core's own data ends: MachineMemory's CORE_STATIC_END. */
const ROOM_AT = 0x0010_0000
const PAGE = 0x1_0000

class Compiler {
	private readonly room: { readonly core: RegionExports; readonly memory: WebAssembly.Memory; readonly at: number }
	private readonly cache: RegionCache | undefined
	/** To be answered from the cache or not at all, which is quickly done: they go first. */
	private readonly recognised = new CompileQueue<Client, CompileRequest>()
	private readonly requests = new CompileQueue<Client, CompileRequest>()
	private readonly awaited = new CompileQueue<Client, Awaited>()
	/** Regions to be made better: before new ones, after them, and when there is nothing else to do. */
	private readonly urgent = new CompileQueue<Client, Draft>()
	private readonly improvements = new CompileQueue<Client, Draft>()
	private readonly spare = new CompileQueue<Client, Draft>()
	private isUrgentsTurn = false
	/** To be written to the cache when there is nothing else to do. */
	private readonly unwritten: Unwritten[] = []
	/** Modules from the cache that are in use, by name. */
	private readonly modules = new Map<string, WeakRef<WebAssembly.Module>>()
	private rest: NodeJS.Timeout | undefined
	/** Pieces of work since garbage was collected. */
	private uncollected = 0
	private readonly clients = new Set<Client>()
	private isBusy = false
	private isEnding = false

	constructor({ core, cacheDirectory }: CompileWorkerData) {
		const pages = Math.ceil((ROOM_AT + ROOM_BYTES) / PAGE)
		const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
		const unused = () => {
			throw new Error('the decoder calls nobody')
		}
		const host = { readTsc: unused, random32: unused, protectedWrite: unused, undefinedInstruction: unused }
		const { exports } = new WebAssembly.Instance(core, { env: { memory, abort: unused }, host })
		this.room = { core: exports as unknown as RegionExports, memory, at: ROOM_AT }
		this.cache = cacheDirectory === undefined ? undefined : RegionCache.open({ directory: cacheDirectory, version: regionVersion() })
	}

	connect(port: MessagePort, posted: Int32Array<SharedArrayBuffer>, isCached: boolean): void {
		const client = new Client(port, posted, isCached ? this.cache : undefined)
		if (client.cache !== undefined) client.post({ type: 'cached', regions: client.cache.known() })
		port.on('message', (message: CompilerMessage) => {
			this.receive(client, message)
			this.wake()
		})
		port.on('close', () => this.disconnect(client))
		this.clients.add(client)
	}

	private receive(client: Client, message: CompilerMessage): void {
		switch (message.type) {
			case 'request':
				return (message.request.cachedOnly ? this.recognised : this.requests).push(client, message.request)
			case 'hotter':
				for (const queue of [this.requests, this.awaited]) queue.hotter(client, message.id, message.heat)
				return
			case 'cancel':
				for (const queue of [this.requests, this.awaited]) queue.cancel(client, message.id)
				return
			case 'improve':
				return this.heat(client, message.id, message.worth)
		}
	}

	end(): void {
		this.isEnding = true
		for (const client of this.clients) this.disconnect(client)
		this.wake()
	}

	private disconnect(client: Client): void {
		if (!this.clients.delete(client)) return
		client.close()
		for (const queue of [this.recognised, this.requests, this.awaited]) queue.drop(client)
		for (const queue of [this.urgent, this.improvements, this.spare]) queue.drop(client)
		// Not hot, but met again when the same guest boots again.
		for (const draft of client.drafts.values()) if (draft.kept === undefined) this.keep(client, draft)
		client.drafts.clear()
		this.wake()
	}

	private heat(client: Client, id: number, worth: number): void {
		const draft = client.drafts.get(id)
		if (draft === undefined) return
		draft.heat = worth
		draft.asked_ms = performance.now()
		client.keepDraft(draft)
		const queue = worth >= URGENT ? this.urgent : worth >= 1 ? this.improvements : this.spare
		queue.push(client, draft)
	}

	private wake(): void {
		clearTimeout(this.rest)
		if (this.isBusy) return
		this.isBusy = true
		setImmediate(() => this.work())
	}

	/** One piece of work, then whatever has arrived meanwhile, then the next. */
	private work(): void {
		this.isUrgentsTurn = !this.isUrgentsTurn
		this.isBusy =
			this.recognise() ||
			(this.isUrgentsTurn && this.improve(this.urgent)) ||
			this.answer() ||
			this.improve(this.urgent) ||
			this.finish() ||
			this.improve(this.improvements) ||
			this.improveInSpareTime() ||
			this.spill() ||
			this.write()
		if (this.isBusy) {
			this.uncollected++
			setImmediate(() => this.work())
		} else if (this.isEnding) this.close()
		else if (this.uncollected >= WORTH_COLLECTING) this.rest = setTimeout(() => this.collect(), REST_MS).unref()
	}

	private close(): void {
		this.cache?.close()
		parentPort?.close()
	}

	private collect(): void {
		this.uncollected = 0
		collectGarbageSoon()
	}

	/** A few at a time. */
	private recognise(): boolean {
		const next = this.recognised.takeSome(upTo(RECOGNISED_AT_ONCE))
		if (next === undefined) return false
		const { client, requests } = next
		const replies = requests.map((request) => ({ type: 'region', id: request.id, region: this.find(client, request) }) as const)
		client.post({ type: 'regions', replies })
		return true
	}

	private answer(): boolean {
		const next = this.requests.take()
		if (next === undefined) return false
		const { client, request } = next
		const found = this.find(client, request) ?? this.build(client, request)
		if (found !== undefined && 'key' in found) this.awaited.push(client, found)
		else client.post({ type: 'region', id: request.id, region: found })
		return true
	}

	private find(client: Client, { id, snapshot, target }: CompileRequest): CompiledRegion | undefined {
		const started = performance.now()
		const found = client.cache?.find(snapshot, target)
		if (found === undefined) return undefined
		const { kept, region } = found
		const { body, ...rest } = region.built
		const { module, place } = this.keptModule(client.cache!, region) ?? { module: compileBaseline(moduleOfOne(region)), place: undefined }
		if (place === undefined) client.keepDraft({ ...COLD, id, key: keyOf(snapshot), region, kept })
		const time_ms = performance.now() - started
		return { ...rest, module, place: place ?? 0, wasmBytes: body.bytes.length, isOptimised: place !== undefined, isCached: true, time_ms }
	}

	/** Where the cache has the region compiled well. */
	private keptModule(cache: RegionCache, { optimised }: CachedRegion): { module: WebAssembly.Module; place: number } | undefined {
		if (optimised === undefined) return undefined
		const { module: name, place } = optimised
		let module = this.modules.get(name)?.deref()
		if (module === undefined) {
			const kept = cache.module(name)
			module = kept && moduleOf(kept.machineCode, kept.wasm)
			if (module === undefined) return undefined
			this.modules.set(name, new WeakRef(module))
		}
		return { module, place }
	}

	/** What has no loops is the interpreter's until it is compiled well: Liftoff's code is slower than the interpreter where it has to be fetched anew at every run. */
	private build(client: Client, { id, snapshot, target, heat, cachedOnly }: CompileRequest): CompiledRegion | Awaited | undefined {
		if (cachedOnly) return undefined
		const started = performance.now()
		const built = buildRegion(snapshot, target, this.room)
		if (built === undefined) return undefined
		const draft = { id, key: keyOf(snapshot), region: { entry: snapshot.entry, built, target } }
		if (!built.repeats) return { ...draft, heat, time_ms: performance.now() - started }
		const { body, ...rest } = built
		const module = compileBaseline(moduleOfOne(draft.region))
		client.keepDraft({ ...COLD, ...draft })
		const time_ms = performance.now() - started
		return { ...rest, module, place: 0, wasmBytes: body.bytes.length, isOptimised: false, isCached: false, time_ms }
	}

	private finish(): boolean {
		const next = this.awaited.takeSome(oneModule(({ region }) => region))
		if (next === undefined) return false
		const { client, requests } = next
		const started = performance.now()
		const module = this.compile(client, requests)
		const each_ms = (performance.now() - started) / requests.length
		const replies = requests.map(({ id, region, time_ms }, place) => {
			const { body, ...rest } = region.built
			const made = { ...rest, module, place, wasmBytes: body.bytes.length, isOptimised: true, isCached: false, time_ms: time_ms + each_ms }
			return { type: 'region', id, region: made } as const
		})
		client.post({ type: 'regions', replies })
		return true
	}

	/** Compiles regions well, and has them kept. */
	private compile(client: Client, regions: readonly (RegionToKeep & { readonly region: CachedRegion })[]): WebAssembly.Module {
		const memoryPages = Math.max(...regions.map(({ region }) => region.target.memoryPages))
		const wasm = regionModule(
			regions.map(({ region }) => region.built.body),
			memoryPages,
		)
		const module = compileOptimised(wasm)
		const { cache } = client
		if (cache === undefined) return module
		const machineCode = machineCodeOf(module)
		this.unwritten.push(machineCode === undefined ? { cache, regions } : { cache, regions, module: { wasm, machineCode } })
		return module
	}

	private improve(queue: CompileQueue<Client, Draft>): boolean {
		const next = queue.takeSome(oneModule(({ region }) => region))
		if (next === undefined) return false
		this.makeBetter(next.client, next.requests)
		return true
	}

	private improveInSpareTime(): boolean {
		for (let next = this.spare.take(); next !== undefined; next = this.spare.take()) {
			if (performance.now() - next.request.asked_ms > SPARE_MS) continue
			this.makeBetter(next.client, [next.request])
			return true
		}
		return false
	}

	/** Nothing is done for what has been made better, or was given up, meanwhile. */
	private makeBetter(client: Client, requests: readonly Draft[]): void {
		const regions = requests.flatMap(({ id }) => {
			const draft = client.dropDraft(id)
			const region = draft?.region ?? (draft?.kept === undefined ? undefined : client.cache?.get(draft.kept))
			return draft === undefined || region === undefined ? [] : [{ id, key: draft.key, region, instead: draft.kept }]
		})
		if (regions.length === 0) return
		const started = performance.now()
		const module = this.compile(client, regions)
		client.post({ type: 'optimised', ids: regions.map(({ id }) => id), module, time_ms: performance.now() - started })
	}

	/** Moves what is too much in memory to the cache. Without a cache it is given up: those regions stay as they are. */
	private spill(): boolean {
		for (const client of this.clients) {
			const draft = client.takeSurplus()
			if (draft === undefined) continue
			const kept = draft.kept ?? client.cache?.add({ key: draft.key, region: draft.region! })
			if (kept !== undefined) client.keepDraft({ ...draft, region: undefined, kept })
			return true
		}
		return false
	}

	private keep({ cache }: Client, { key, region }: Draft): void {
		if (cache !== undefined && region !== undefined) this.unwritten.push({ cache, regions: [{ key, region }] })
	}

	private write(): boolean {
		const next = this.unwritten.shift()
		if (next === undefined) return false
		const { cache, regions, module } = next
		if (module !== undefined) cache.addModule(regions, module)
		else for (const region of regions) cache.add(region)
		return true
	}
}

/** For CompileQueue.takeSome(): so many requests. */
function upTo(count: number): () => boolean {
	let taken = 1
	return () => ++taken <= count
}

/** The same: what goes into one module. */
function oneModule<Request>(regionOf: (request: Request) => CachedRegion | undefined): (request: Request) => boolean {
	let taken = 1
	let bytes = 0
	return (request) => {
		bytes += regionOf(request)?.built.body.bytes.length ?? 0
		return ++taken <= MAX_REGIONS_A_MODULE && bytes <= MAX_MODULE_BYTES
	}
}

function moduleOfOne({ built, target }: CachedRegion): Uint8Array {
	return regionModule([built.body], target.memoryPages)
}

function bytesOf({ region }: Draft): number {
	return region === undefined ? 0 : region.built.body.bytes.length + region.built.data.length
}

function keyOf({ pages, entry }: CompileRequest['snapshot']): RegionKey {
	return regionKey(pages.get(0)!.bytes, entry)
}

// On the main thread it is only imported (daemon/start_over.ts).
if (!isMainThread) {
	if (process.platform === 'linux') setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICENESS)
	limitCompilers(Math.max(1, availableParallelism() - 1))
	const compiler = new Compiler(workerData as CompileWorkerData)
	parentPort?.on('message', (message: CompileWorkerMessage) => {
		if (message.type === 'end') compiler.end()
		else compiler.connect(message.port, message.posted, message.isCached)
	})
}
