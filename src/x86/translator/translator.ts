import { InternalError } from '../../base/errors.ts'
import * as L from '../core/layout.ts'
import type { Cpu, RegionExports } from '../cpu.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import { discover } from './discover.ts'
import { type Instruction, readInstruction } from './instruction.ts'
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
const REGION_RECORDS_BYTES = 600 * 2 * L.REC_SIZE

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
	/** The bytes that were translated: [offset in the page, bytes]. */
	readonly code: readonly (readonly [from: number, bytes: Uint8Array])[]
}

/**
 * Finds hot code by sampling and has it run as WebAssembly. One for a vCPU, on its thread.
 *
 * Whoever runs the vCPU calls sample() when run() has spent its budget: RIP is then the target of a taken branch, a loop's head more often than not. What is met
 * HOT times is translated as a region (discover.ts) and its entry point made to call it.
 *
 * Rules:
 * - A region is found through a record of its frame; dropping the frame's code drops the way in. The lines of all its instructions are protected like decoded code.
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
		return physical !== 0xffffffff && core.enterHere() !== 0 && (core.regionAt(physical) !== 0 || this.translateAt(physical))
	}

	/** Translates the code at a physical address now, whatever its heat. True when its entry point runs translated code afterwards. */
	translateAt(physical: number): boolean {
		const mfn = Math.floor(physical / PAGE_SIZE)
		if ((this.drops.get(mfn) ?? 0) > this.maxDrops) return false
		if (this.reuse(physical, mfn)) return true
		const { cpu, statistics } = this
		if (
			this.nextIndex - this.firstIndex >= MAX_REGIONS ||
			this.nextRecord + REGION_RECORDS_BYTES > (this.core.regionArena.value >>> 0) + ARENA_BYTES
		)
			this.evict()
		const started = performance.now()
		const found = discover(
			physical % PAGE_SIZE,
			(offset) => this.decode(mfn, offset),
			(offset) => this.core.isEntry(mfn * PAGE_SIZE + offset) !== 0,
		)
		if (found === undefined) {
			statistics.refused++
			return false
		}
		const bytes = translate(found, this.target)
		const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), this.imports)
		const index = this.nextIndex
		this.core.table.set(index, instance.exports.region)
		const code: [number, Uint8Array][] = []
		for (const block of found.blocks.values()) {
			const last = block.instructions.at(-1)
			if (last === undefined) continue
			const end = last.off + last.length
			const at = cpu.machine.frameAddress(mfn)
			code.push([block.start, cpu.machine.u8.slice(at + block.start, at + end)])
		}
		if (!this.install(physical, mfn, { index, code })) return false
		this.nextIndex++
		for (const offset of found.indirect) this.inside.add(mfn * PAGE_SIZE + offset)
		const list = this.translated.get(physical)
		if (list === undefined) this.translated.set(physical, [{ index, code }])
		else {
			list.push({ index, code })
			this.drops.set(mfn, (this.drops.get(mfn) ?? 0) + 1)
		}
		statistics.regions++
		statistics.instructions += found.instructions
		statistics.bytes += bytes.length
		statistics.time_ms += performance.now() - started
		return true
	}

	private install(physical: number, mfn: number, { index, code }: Translated): boolean {
		const { core } = this
		if (core.installRegion(physical, index) === 0) return false
		for (const [from, bytes] of code) core.protectLines(mfn, from, from + bytes.length)
		return true
	}

	private reuse(physical: number, mfn: number): boolean {
		const { machine } = this.cpu
		const base = machine.frameAddress(mfn)
		const same = (t: Translated) => t.code.every(([from, bytes]) => bytes.every((byte, n) => machine.u8[base + from + n] === byte))
		const found = this.translated.get(physical)?.find(same)
		if (found === undefined || !this.install(physical, mfn, found)) return false
		this.statistics.reused++
		return true
	}

	private decode(mfn: number, offset: number): Instruction | undefined {
		const { core } = this
		const { machine } = this.cpu
		const record = this.nextRecord
		const used = core.decodeRecord(machine.frameAddress(mfn) + offset, PAGE_SIZE - offset, record, offset, 1) & 0xff
		if (used === 0) return undefined
		const last = record + (used - 1) * L.REC_SIZE
		const instruction = readInstruction(machine.memory.buffer, last, used === 2 ? record : 0)
		if (instruction.op === 'INVALID') return undefined
		this.nextRecord = last + L.REC_SIZE
		return instruction
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
