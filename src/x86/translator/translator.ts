import { InternalError } from '../../base/errors.ts'
import * as L from '../core/layout.ts'
import type { Cpu, RegionExports } from '../cpu.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import { type DiscoverOptions, discover, type Region } from './discover.ts'
import { pageOf } from './instruction.ts'
import { LiveCode } from './live_code.ts'
import { type Target, translate } from './translate.ts'

/** Samples at one entry point before it is translated. */
const HOT = 2
/** The same where a dispatcher of the frame goes already: the way back into its region is short. */
const HOT_INSIDE = 64
/** Regions at most; beyond, all are dropped and the hot ones come again. */
const MAX_REGIONS = 6000
/** Regions of one frame that writes may drop before the frame is left to the interpreter. */
const MAX_DROPS = 16
const ARENA_BYTES = 0x0080_0000
/** Room that one region's records may take. */
const REGION_RECORDS_BYTES = L.REGION_SIZE + 2000 * L.REC_SIZE

export interface TranslatorStatistics {
	regions: number
	instructions: number
	bytes: number
	reused: number
	evictions: number
	refused: number
	time_ms: number
}

interface Translated {
	readonly index: number
	/** Its REGION_* fields. */
	readonly descriptor: number
	/** The bytes that were translated: where, [offset from the entry's page, bytes], none of them in two pages. */
	readonly code: readonly (readonly [from: number, bytes: Uint8Array])[]
}

/**
 * Finds hot code by sampling and has it run as WebAssembly. One for a vCPU, on its thread.
 *
 * Whoever runs the vCPU calls sample() when run() has spent its budget: RIP is then the target of a taken branch, a loop's head more often than not. What is met
 * HOT times is translated as a region (discover.ts) and its entry point made to call it.
 *
 * Rules:
 * - A region is found through a record of its frame; dropping the frame's code drops the way in. It may go on in other pages (core/regions.ts). The lines of all its
 *   instructions are protected like decoded code.
 * - A region that was dropped is used again when the bytes that it was made from are still there.
 * - A frame whose regions are dropped again and again is left to the interpreter.
 */
export class Translator {
	readonly statistics: TranslatorStatistics = { regions: 0, instructions: 0, bytes: 0, reused: 0, evictions: 0, refused: 0, time_ms: 0 }
	private readonly cpu: Cpu
	private readonly core: RegionExports
	private readonly target: Target
	private readonly imports: WebAssembly.Imports
	private readonly samples = new Map<number, number>()
	private readonly translated = new Map<number, Translated[]>()
	private readonly drops = new Map<number, number>()
	/** Physical addresses that dispatchers go to. */
	private readonly inside = new Set<number>()
	private readonly firstIndex: number
	private nextIndex: number
	private nextRecord: number

	private readonly maxDrops: number

	constructor(cpu: Cpu, { maxDrops = MAX_DROPS } = {}) {
		if (cpu.regions === undefined) throw new InternalError('a processor without a core cannot translate')
		this.cpu = cpu
		this.core = cpu.regions
		this.maxDrops = maxDrops
		const { core } = this
		const { machine } = cpu
		this.target = { memoryPages: machine.memory.buffer.byteLength / 65536, state: cpu.state, tlbEntries: core.tlbEntries() }
		this.imports = { env: { memory: machine.memory }, core: core as unknown as WebAssembly.ModuleImports }
		this.firstIndex = core.table.length
		this.nextIndex = this.firstIndex
		core.table.grow(MAX_REGIONS)
		this.nextRecord = core.regionArena.value >>> 0
	}

	/** The vCPU has spent a budget at its present RIP. */
	sample(): void {
		const { core } = this
		const physical = core.codeAddressPhysical() >>> 0
		if (physical === 0xffffffff) return
		const count = (this.samples.get(physical) ?? 0) + 1
		this.samples.set(physical, count)
		if (count < (this.inside.has(physical) ? HOT_INSIDE : HOT) || core.regionAt(physical) !== 0) return
		this.samples.delete(physical)
		this.translateAt(physical)
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

	/** Translates the code at the vCPU's RIP, which is at a physical address, whatever its heat. True when its entry point runs translated code afterwards. */
	private translateAt(physical: number, options: DiscoverOptions = {}): boolean {
		const { cpu, core, statistics } = this
		const mfn = Math.floor(physical / PAGE_SIZE)
		if ((this.drops.get(mfn) ?? 0) > this.maxDrops) return false
		const page = cpu.rip - (physical % PAGE_SIZE)
		if (this.reuse(physical, page)) return true
		if (
			this.nextIndex - this.firstIndex >= MAX_REGIONS ||
			this.nextRecord + REGION_RECORDS_BYTES > (core.regionArena.value >>> 0) + ARENA_BYTES
		)
			this.evict()
		const started = performance.now()
		const descriptor = this.nextRecord
		const live = new LiveCode(cpu, core, page, descriptor + L.REGION_SIZE)
		const found = discover(physical % PAGE_SIZE, live, options)
		if (found === undefined) {
			statistics.refused++
			return false
		}
		const bytes = translate(found, this.target, descriptor)
		const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), this.imports)
		const index = this.nextIndex
		core.table.set(index, instance.exports.region)
		const u32 = cpu.machine.u32
		u32[(descriptor + L.REGION_PAGES) >> 2] = found.pages.length
		for (const [n, page] of found.pages.entries()) u32[(descriptor + L.REGION_FRAMES + n * L.REGION_FRAME_SIZE) >> 2] = page
		const made = { index, descriptor, code: this.codeOf(found, live) }
		if (!this.install(physical, page, made)) return false
		this.nextIndex++
		this.nextRecord = live.next
		for (const offset of found.indirect) this.inside.add(live.frameOf(pageOf(offset))!.mfn * PAGE_SIZE + (offset & (PAGE_SIZE - 1)))
		const list = this.translated.get(physical)
		if (list === undefined) this.translated.set(physical, [made])
		else {
			list.push(made)
			this.drops.set(mfn, (this.drops.get(mfn) ?? 0) + 1)
		}
		statistics.regions++
		statistics.instructions += found.instructions
		statistics.bytes += bytes.length
		statistics.time_ms += performance.now() - started
		return true
	}

	private codeOf(region: Region, live: LiveCode): [number, Uint8Array][] {
		const { machine } = this.cpu
		const code: [number, Uint8Array][] = []
		const add = (from: number, to: number) => {
			const at = machine.frameAddress(live.frameOf(pageOf(from))!.mfn) + (from & (PAGE_SIZE - 1))
			code.push([from, machine.u8.slice(at, at + to - from)])
		}
		for (const { start, instructions } of region.blocks.values()) {
			const last = instructions.at(-1)
			if (last === undefined) continue
			const end = last.off + last.length
			const boundary = (pageOf(start) + 1) * PAGE_SIZE
			add(start, Math.min(end, boundary))
			if (end > boundary) add(boundary, end)
		}
		return code
	}

	/** Makes the entry point run the region, whose bytes are those in the frames that its pages are mapped to now. */
	private install(physical: number, page: number, { index, descriptor, code }: Translated): boolean {
		const { core } = this
		const { u32 } = this.cpu.machine
		const frameAt = (distance: number) => core.codeFrameAt(page + distance * PAGE_SIZE)
		for (let n = 0; n < u32[(descriptor + L.REGION_PAGES) >> 2]!; n++) {
			const at = (descriptor + L.REGION_FRAMES + n * L.REGION_FRAME_SIZE) >> 2
			const mfn = frameAt(u32[at]! | 0)
			u32[at + 1] = mfn
			u32[at + 2] = core.frameVersion(mfn)
		}
		if (core.installRegion(physical, index, descriptor) === 0) return false
		for (const [from, bytes] of code) {
			const offset = from & (PAGE_SIZE - 1)
			core.protectLines(frameAt(pageOf(from)), offset, offset + bytes.length)
		}
		return true
	}

	private reuse(physical: number, page: number): boolean {
		const { core } = this
		const { machine } = this.cpu
		const same = ({ code }: Translated) =>
			code.every(([from, bytes]) => {
				const mfn = core.codeFrameAt(page + pageOf(from) * PAGE_SIZE)
				if (mfn < 0) return false
				const base = machine.frameAddress(mfn) + (from & (PAGE_SIZE - 1))
				return bytes.every((byte, n) => machine.u8[base + n] === byte)
			})
		const found = this.translated.get(physical)?.find(same)
		if (found === undefined || !this.install(physical, page, found)) return false
		this.statistics.reused++
		return true
	}

	/** Drops every region. */
	private evict(): void {
		const { core } = this
		core.dropAllCode()
		for (let n = this.firstIndex; n < this.nextIndex; n++) core.table.set(n, null)
		this.nextIndex = this.firstIndex
		this.nextRecord = core.regionArena.value >>> 0
		this.translated.clear()
		this.samples.clear()
		this.inside.clear()
		this.statistics.evictions++
	}
}
