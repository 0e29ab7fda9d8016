import { InternalError } from '../../base/errors.ts'
import * as L from '../core/layout.ts'
import type { Cpu, RegionExports } from '../cpu.ts'
import { PAGE_SIZE, VCPU_AREA_SIZE } from '../machine_memory.ts'
import { CodeReader } from './code_reader.ts'
import { type CompileReply, LocalCompiler, type RegionCompiler, type RegionReply } from './compiler.ts'
import { type DiscoverOptions, discover } from './discover.ts'
import { Economy, Heat, worthImproving } from './heat.ts'
import { type Addition, type Arrival, InstalledRegions, type RegionLimits, type SeenRegion } from './installed_regions.ts'
import { pageOf } from './instruction.ts'
import { LiveCode } from './live_code.ts'
import { type CodeAt, Recognition } from './recognition.ts'
import { type BuildingRoom, ROOM_BYTES } from './region_builder.ts'
import type { RegionTrace } from './region_trace.ts'
import type { Target } from './translate.ts'

/** Samples at an address that has been refused before it is looked at again. */
const HOT_REFUSED = 1000
/** Regions of one frame that writes may drop before the frame is left to the interpreter, where code that is met HOT_REFUSED times has another try. */
const MAX_DROPS = 16
/** Requests that the compiler has not answered yet. */
const MAX_PENDING = 64
/** The same of requests to a cache alone. */
const MAX_RECOGNISING = 400
/** Pages that a sample has compared with what a cache knows. */
const RECOGNISED_BY_A_SAMPLE = 4
/**
 * Times that regions were left between two samples because accesses were refused that they make together, for the one refused last to be blamed; and blames for it
 * to be made anew without.
 */
const REFUSED_OFTEN = 8
const MAX_BLAMES = 8
/** Addresses that are remembered for being dispatched to, or for such regions. */
const MAX_ADDRESSES = 1 << 16
/**
 * Instructions between samples: at first and as a rule, where an optimised region runs, of which samples tell nothing new, and where there is still code to be found and the
 * compiler has time for it.
 */
export const BUDGET = 20_000
const LONG_BUDGET = 80_000
const SHORT_BUDGET = 6000
/** Samples at an address, and requests without an answer, up to which budgets are short. */
const FEW_SAMPLES = 64
const FEW_PENDING = 4
const OPTIONS: DiscoverOptions = {}
const LIMITS: RegionLimits = { regions: 12_000, wasmBytes: 48 << 20 }

export interface TranslatorStatistics {
	/** Regions taken in, their guest instructions and their bytes of WebAssembly. */
	regions: number
	instructions: number
	bytes: number
	/** Regions put back where their bytes were found again. */
	reused: number
	/** Regions given up for want of room. */
	evictions: number
	/** Requests that there was nothing to translate for. */
	refused: number
	/** Regions thrown away because the code had changed meanwhile. */
	stale: number
	/** Regions that were compiled once more, better. */
	optimised: number
	/** Regions that came from a cache, and requests to it alone that it could not answer. */
	cacheHits: number
	cacheMisses: number
	/** Requests made, and those that wait for an answer. */
	requests: number
	pending: number
	/** Building and compiling, on whatever thread. */
	time_ms: number
	/** What translation took of the vCPU's thread. */
	blocked_ms: number
}

interface Pending {
	readonly physical: number
	/** The frames that its snapshot was taken of. */
	readonly code: LiveCode
	readonly cachedOnly: boolean
	heat: number
}

/** What translated code must know of the processor that runs it; the same for every domain. */
function translationTarget(cpu: Cpu): Target {
	if (cpu.regions === undefined) throw new InternalError('a processor without a core cannot translate')
	return { memoryPages: (cpu.state + VCPU_AREA_SIZE) / 65536, state: cpu.state, tlbEntries: cpu.regions.tlbEntries(), separate: false }
}

/**
 * Finds hot code by sampling and has it run as WebAssembly. One for a vCPU, on its thread.
 *
 * Whoever runs the vCPU calls sample() when run() has spent its budget: RIP is then the target of a taken branch, a loop's head more often than not. What is met
 * often enough (heat.ts) is given to a compiler as a snapshot (code_snapshot.ts), which may take its time; its entry point is made to call the region when that has come.
 *
 * Rules:
 * - A region is found through a record of its frame; dropping the frame's code drops the way in. The lines of all its instructions are protected like decoded code.
 * - A region is installed only where the bytes that it was made from are, compared on this thread when their lines are protected (installed_regions.ts).
 * - A frame whose regions are dropped again and again is left to the interpreter, until code in it has been met very often.
 * - The compiler owns nothing of the domain: what comes too late is thrown away.
 */
export class Translator {
	private readonly counts = {
		regions: 0,
		instructions: 0,
		bytes: 0,
		reused: 0,
		refused: 0,
		stale: 0,
		optimised: 0,
		cacheHits: 0,
		cacheMisses: 0,
		requests: 0,
		time_ms: 0,
		blocked_ms: 0,
	}
	private readonly cpu: Cpu
	private readonly core: RegionExports
	private readonly target: Target
	private readonly room: BuildingRoom
	private readonly local: LocalCompiler
	private readonly compiler: RegionCompiler
	private readonly installed: InstalledRegions
	private readonly recognition: Recognition
	private readonly cold = new Heat()
	private readonly economy = new Economy()
	private readonly pending = new Map<number, Pending>()
	private readonly pendingAt = new Map<number, number>()
	private readonly drops = new Map<number, number>()
	/** Entry points whose regions are to look up each access for itself (spans.ts), and how often those that don't were blamed, by physical address. */
	private readonly separate = new Set<number>()
	private readonly blames = new Map<number, number>()
	private refused = 0
	/** Physical addresses that dispatchers go to. */
	private readonly inside = new Set<number>()
	private readonly maxDrops: number
	private readonly trace: RegionTrace | undefined
	private nextId = 1
	/** What the present sample has ended. */
	private budget = BUDGET
	/** Of `pending`, those to a cache alone. */
	private recognising = 0

	/** Without a compiler regions are compiled here and now. */
	constructor(cpu: Cpu, { maxDrops = MAX_DROPS, limits = LIMITS, compiler, trace }: TranslatorOptions = {}) {
		this.target = translationTarget(cpu)
		this.cpu = cpu
		this.core = cpu.regions!
		this.maxDrops = maxDrops
		this.trace = trace
		const at = this.core.regionArena.value >>> 0
		this.room = { core: this.core, memory: cpu.machine.memory, at }
		this.local = new LocalCompiler(this.room)
		this.compiler = compiler ?? this.local
		this.recognition = new Recognition(this.core)
		this.installed = new InstalledRegions(cpu, this.core, at + ROOM_BYTES, limits)
	}

	get statistics(): TranslatorStatistics {
		return { ...this.counts, pending: this.pending.size, evictions: this.installed.evictions }
	}

	/** Requests without an answer for which something may have to be built. */
	private get building(): number {
		return this.pending.size - this.recognising
	}

	/** The vCPU has spent a budget at its present RIP. The next one, in instructions. */
	sample(): number {
		this.budget = this.sampleHere()
		return this.budget
	}

	private sampleHere(): number {
		this.economy.sample(this.budget / BUDGET, performance.now())
		for (let reply = this.compiler.receive(); reply !== undefined; reply = this.compiler.receive()) this.accept(reply)
		// A budget ends inside a region more often than at its entry point.
		const last = this.installed.seeLast()
		if (last !== undefined && !last.isOptimised) this.improve(last)
		this.blame()
		const physical = this.core.codeAddressPhysical() >>> 0
		if (physical === 0xffffffff) return BUDGET
		if (this.compiler.hasCache) this.recognise(physical)
		const region = this.installed.at(physical)
		if (region !== undefined) return region.isOptimised ? LONG_BUDGET : BUDGET
		const id = this.pendingAt.get(physical)
		if (id !== undefined) this.heat(id)
		else if (this.sampleCold(physical) <= FEW_SAMPLES && this.building <= FEW_PENDING && this.economy.isBusy) return SHORT_BUDGET
		return BUDGET
	}

	/** Code that is not translated. How often it has been met. */
	private sampleCold(physical: number): number {
		const count = this.cold.add(physical, this.inside.has(physical))
		if (!this.cold.isDue(physical) || !this.economy.mayLook || this.building >= MAX_PENDING) return count
		if (this.isWrittenOften(physical) && !this.mayTryAgain(physical, count)) return count
		const code = this.codeHere(physical)
		if (!this.reinstall(physical, code)) this.request(physical, code, count)
		return count
	}

	/** Of code that is due in a frame that is left to the interpreter: whether it is not any more. The next region that a write drops there is one too many again. */
	private mayTryAgain(physical: number, count: number): boolean {
		if (count < HOT_REFUSED) {
			this.cold.postpone(physical, HOT_REFUSED)
			return false
		}
		this.drops.set(Math.floor(physical / PAGE_SIZE), this.maxDrops)
		return true
	}

	/** Translates the code at the vCPU's RIP now, whatever its heat. True when it will run translated. */
	translateHere(): boolean {
		const { core } = this
		const physical = core.codeAddressPhysical() >>> 0
		return (
			physical !== 0xffffffff &&
			core.enterHere() !== 0 &&
			(core.regionAt(physical) !== 0 || this.translateAt(physical, { everything: true }))
		)
	}

	/** The same; RIP is at the physical address. */
	private translateAt(physical: number, options: DiscoverOptions): boolean {
		if (this.isWrittenOften(physical)) return false
		const code = this.codeHere(physical)
		if (this.reinstall(physical, code)) return true
		const found = this.look(physical, code, options)
		const region =
			found !== undefined ? this.local.compile(code.snapshot(physical % PAGE_SIZE, options), this.targetAt(physical)) : undefined
		if (region === undefined) this.counts.refused++
		return region !== undefined && this.take([{ physical, code, id: this.nextId++, region }]) > 0
	}

	/** A region that is left again and again because its accesses are not where it makes them together is given up, to be made without. */
	private blame(): void {
		const { cpu, installed, blames, separate } = this
		const before = this.refused
		this.refused = cpu.field(L.CNT_SPANS_REFUSED)
		if (this.refused - before < REFUSED_OFTEN) return
		const physical = installed.physicalOf(cpu.field(L.CPU_REGION_REFUSED))
		if (physical === undefined) return
		const count = (blames.get(physical) ?? 0) + 1
		if (blames.size > MAX_ADDRESSES) blames.clear()
		blames.set(physical, count)
		if (count < MAX_BLAMES) return
		if (separate.size > MAX_ADDRESSES) separate.clear()
		separate.add(physical)
		blames.delete(physical)
		installed.remove(cpu.field(L.CPU_REGION_REFUSED))
	}

	private targetAt(physical: number): Target {
		return this.separate.has(physical) ? { ...this.target, separate: true } : this.target
	}

	/** The code around RIP, which is at the physical address. */
	private codeHere(physical: number): LiveCode {
		const { cpu, core } = this
		return new LiveCode(cpu.machine, core, cpu.rip - (physical % PAGE_SIZE))
	}

	/** Has the code looked at all that a region at the physical address needs. Its instructions; undefined when nothing there can be translated. */
	private look(physical: number, code: LiveCode, options: DiscoverOptions): number | undefined {
		const { core, memory, at } = this.room
		return discover(physical % PAGE_SIZE, new CodeReader(core, memory, at, code), options)?.instructions
	}

	private isWrittenOften(physical: number): boolean {
		return (this.drops.get(Math.floor(physical / PAGE_SIZE)) ?? 0) > this.maxDrops
	}

	/** Code at RIP runs: what a cache has for its page is asked for, and for pages that regions of such pages lie in. */
	private recognise(physical: number): void {
		this.recognition.meet(Math.floor(physical / PAGE_SIZE), this.cpu.rip - (physical % PAGE_SIZE))
		for (let n = 0; n < RECOGNISED_BY_A_SAMPLE && this.recognising < MAX_RECOGNISING && this.installed.hasRoom; n++) {
			const page = this.recognition.take()
			if (page === undefined) return
			this.recognisePage(page)
		}
	}

	private recognisePage({ mfn, linear }: CodeAt): void {
		const { machine } = this.cpu
		for (const { offset, pages } of this.compiler.cachedIn(machine.framePage(mfn))) {
			const physical = mfn * PAGE_SIZE + offset
			if (this.pendingAt.has(physical) || this.installed.at(physical) !== undefined || this.isWrittenOften(physical)) continue
			const code = new LiveCode(machine, this.core, linear)
			this.core.enterAt(physical)
			if (this.reinstall(physical, code)) continue
			for (const page of pages) code.addressOf(page)
			this.post(physical, code, 1, true)
		}
	}

	private reinstall(physical: number, code: LiveCode): boolean {
		if (!this.installed.reinstall(physical, (page) => code.frameOf(page))) return false
		this.cold.forget(physical)
		this.counts.reused++
		this.trace?.({ type: 'reused', physical })
		return true
	}

	private request(physical: number, code: LiveCode, heat: number): void {
		const started = performance.now()
		if (this.isWorthIt(physical, code, heat)) this.post(physical, code, heat, false)
		this.counts.blocked_ms += performance.now() - started
		// A compiler on this thread has the answer already.
		for (let reply = this.compiler.receive(); reply !== undefined; reply = this.compiler.receive()) this.accept(reply)
	}

	private post(physical: number, code: LiveCode, heat: number, cachedOnly: boolean): void {
		const id = this.nextId++
		this.pending.set(id, { physical, code, heat, cachedOnly })
		this.pendingAt.set(physical, id)
		if (cachedOnly) this.recognising++
		this.counts.requests++
		this.compiler.request({ id, snapshot: code.snapshot(physical % PAGE_SIZE, OPTIONS), target: this.targetAt(physical), heat, cachedOnly })
	}

	/** Has the code looked at, unless it was too large for this heat before. What is too large waits. */
	private isWorthIt(physical: number, code: LiveCode, heat: number): boolean {
		if (!this.isHotEnough(physical, heat, this.cold.instructionsAt(physical))) return false
		const started = performance.now()
		const instructions = this.look(physical, code, OPTIONS)
		this.economy.looked(performance.now() - started)
		if (instructions === undefined) {
			this.refuse(physical)
			return false
		}
		this.cold.found(physical, instructions)
		return this.isHotEnough(physical, heat, instructions)
	}

	private isHotEnough(physical: number, heat: number, instructions: number): boolean {
		const worth = this.economy.worthBuilding(instructions, this.building)
		if (heat < worth) this.cold.postpone(physical, worth)
		return heat >= worth
	}

	/** What waits has been met again; the compiler is told at every doubling. */
	private heat(id: number): void {
		const { heat } = this.pending.get(id)!
		this.pending.get(id)!.heat = heat + 1
		if (isPowerOfTwo(heat + 1)) this.compiler.hotter(id, heat + 1)
	}

	/**
	 * What runs has been met again: the compiler is told when that may make it worth compiling better, and at every doubling from there. A vCPU that mostly rests asks for
	 * what pays only.
	 */
	private improve({ id, heat, instructions }: SeenRegion): void {
		const worth = worthImproving(heat, instructions)
		if (isPowerOfTwo(worth * 4) && (worth >= 1 || this.economy.isBusy)) this.compiler.improve(id, worth)
	}

	private accept(reply: CompileReply): void {
		const started = performance.now()
		if (reply.type === 'optimised') this.replace(reply.ids, reply.module, reply.time_ms)
		else this.acceptRegions(reply.type === 'regions' ? reply.replies : [reply])
		this.counts.blocked_ms += performance.now() - started
	}

	private replace(ids: readonly number[], module: WebAssembly.Module, time_ms: number): void {
		this.installed.replace(ids, module)
		this.counts.optimised += ids.length
		this.counts.time_ms += time_ms
		for (const id of ids) this.trace?.({ type: 'optimised', id, time_ms: time_ms / ids.length })
	}

	private acceptRegions(replies: readonly RegionReply[]): void {
		const arrivals: Arrival[] = []
		for (const { id, region } of replies) {
			const pending = this.pending.get(id)
			if (pending === undefined) continue
			const { physical, code, cachedOnly } = pending
			this.pending.delete(id)
			this.pendingAt.delete(physical)
			if (cachedOnly) this.recognising--
			if (region !== undefined) {
				arrivals.push({ physical, code, id, region })
				this.cold.forget(physical)
			} else if (cachedOnly) this.counts.cacheMisses++
			else this.refuse(physical)
		}
		this.take(arrivals)
	}

	/** A dispatcher goes there now: what was asked for meanwhile would be the same region again, with another entry point. */
	private addInside(physical: number): void {
		this.inside.add(physical)
		this.cold.postponeInside(physical)
		const id = this.pendingAt.get(physical)
		if (id === undefined || this.pending.get(id)!.cachedOnly) return
		this.pending.delete(id)
		this.pendingAt.delete(physical)
		this.compiler.cancel(id)
	}

	private refuse(physical: number): void {
		this.counts.refused++
		this.trace?.({ type: 'refused', physical })
		this.cold.postpone(physical, HOT_REFUSED)
	}

	/** Takes regions in. How many of them their entry points run now. */
	private take(arrivals: readonly Arrival[]): number {
		const others = arrivals.map(({ physical }) => this.installed.count(physical))
		for (const { physical, code, region } of arrivals) {
			if (!region.isCached) continue
			this.core.enterAt(physical)
			for (const page of region.pages) this.recognition.meet(code.frameOf(page), code.linear + page * PAGE_SIZE)
		}
		const { evictions } = this.installed
		const additions = this.installed.add(arrivals)
		if (this.installed.evictions !== evictions) this.economy.evicted()
		for (const [n, arrival] of arrivals.entries()) this.taken(arrival, additions[n]!, others[n]! > 0)
		return additions.filter((addition) => addition === 'installed').length
	}

	/** `again`: its entry point has had others. */
	private taken({ physical, code, id, region }: Arrival, addition: Addition, again: boolean): void {
		const { counts, inside } = this
		if (addition === 'stale') counts.stale++
		if (addition === 'installed' || addition === 'kept') {
			const mfn = Math.floor(physical / PAGE_SIZE)
			if (again) this.drops.set(mfn, (this.drops.get(mfn) ?? 0) + 1)
			if (inside.size > MAX_ADDRESSES) inside.clear()
			for (const offset of region.indirect) this.addInside(code.frameOf(pageOf(offset)) * PAGE_SIZE + (offset & (PAGE_SIZE - 1)))
			counts.regions++
			counts.instructions += region.instructions
			counts.bytes += region.wasmBytes
		}
		const { instructions, wasmBytes, isOptimised, isCached, time_ms } = region
		const pages = region.pages.length
		this.trace?.({ type: 'region', id, physical, outcome: addition, instructions, pages, wasmBytes, isOptimised, isCached, time_ms })
		if (region.isCached) counts.cacheHits++
		counts.time_ms += region.time_ms
	}
}

/** Of a whole number of at least 1; no other number is one. */
function isPowerOfTwo(n: number): boolean {
	return Number.isInteger(n) && (n & (n - 1)) === 0 && n > 0
}

export interface TranslatorOptions {
	readonly trace?: RegionTrace | undefined
	readonly maxDrops?: number
	readonly limits?: RegionLimits
	readonly compiler?: RegionCompiler | undefined
}
