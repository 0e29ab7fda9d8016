import * as L from '../core/layout.ts'
import type { RegionExports } from '../cpu.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import type { CodeSource } from './discover.ts'
import { type Glance, type Instruction, pageOf, type RecordMemory, readGlance, readInstruction } from './instruction.ts'

/** Bytes of an instruction at most. */
const MAX_LENGTH = 15
/** Where the records start in a region's data. */
export const RECORDS_OFFSET = L.REGION_SIZE
/** Bytes of a region's data at most. */
export const MAX_DATA_BYTES = 0x1_0000
/** Bytes that are needed for a region's data, and behind it for an instruction that lies in two pages. */
export const READER_BYTES = MAX_DATA_BYTES + PAGE_SIZE + MAX_LENGTH

/** Pages of code by their number, counted from the entry's. */
export interface CodePages {
	/** Host address of a page, undefined when it is not there. */
	addressOf(page: number): number | undefined
	/** Whether code has been entered at an offset of a page. */
	isEntry(page: number, at: number): boolean
}

/** Decodes a region's code, and keeps the records as the region's data. */
export class CodeReader implements CodeSource, RecordMemory {
	private readonly core: Pick<RegionExports, 'decodeRecord'>
	readonly u8: Uint8Array
	readonly view: DataView
	private readonly pages: CodePages
	/** Host address of READER_BYTES bytes. */
	private readonly data: number
	/** Offset of the next record in the data. */
	private next = RECORDS_OFFSET

	/** `data` is a host address in `memory`, which the core's decoder reads and writes: READER_BYTES bytes that nothing else uses. */
	constructor(core: Pick<RegionExports, 'decodeRecord'>, memory: WebAssembly.Memory, data: number, pages: CodePages) {
		this.core = core
		this.u8 = new Uint8Array(memory.buffer)
		this.view = new DataView(memory.buffer)
		this.data = data
		this.pages = pages
	}

	/** A copy of the data: room for the REGION_* fields, zero, and all records. */
	take(): Uint8Array {
		const data = this.u8.slice(this.data, this.data + this.next)
		return data.fill(0, 0, RECORDS_OFFSET)
	}

	isEntry(offset: number): boolean {
		return this.pages.isEntry(pageOf(offset), offset & (PAGE_SIZE - 1))
	}

	decode(offset: number): Instruction | undefined {
		const page = pageOf(offset)
		const used = this.decodeNext(offset, page)
		if (used === 0) return undefined
		const last = this.next + (used - 1) * L.REC_SIZE
		const instruction = readInstruction(this, this.data, last, used === 2 ? this.next : 0, page)
		if (instruction.op === 'INVALID') return undefined
		for (let record = this.next; record <= last; record += L.REC_SIZE) this.view.setInt32(this.data + record + L.REC_LINK, page, true)
		this.next = last + L.REC_SIZE
		return instruction
	}

	look(offset: number): Glance | undefined {
		const page = pageOf(offset)
		const used = this.decodeNext(offset, page)
		if (used === 0) return undefined
		const instruction = readGlance(this, this.data + this.next + (used - 1) * L.REC_SIZE, page)
		return instruction.op === 'INVALID' ? undefined : instruction
	}

	/** Decodes into the next records: how many, or 0. */
	private decodeNext(offset: number, page: number): number {
		const address = this.pages.addressOf(page)
		if (address === undefined || this.next + 2 * L.REC_SIZE > MAX_DATA_BYTES) return 0
		const at = offset & (PAGE_SIZE - 1)
		return this.decodeAt(address + at, PAGE_SIZE - at, at) || this.decodeAcross(address, page, at)
	}

	private decodeAt(host: number, available: number, at: number): number {
		return this.core.decodeRecord(host, available, this.data + this.next, at, 1) & 0xff
	}

	/** The instruction runs into the next page: its bytes are gathered behind the data. */
	private decodeAcross(address: number, page: number, at: number): number {
		const further = this.pages.addressOf(page + 1)
		if (further === undefined) return 0
		const gather = this.data + MAX_DATA_BYTES
		this.u8.copyWithin(gather, address + at, address + PAGE_SIZE)
		this.u8.copyWithin(gather + PAGE_SIZE - at, further, further + MAX_LENGTH)
		return this.decodeAt(gather, PAGE_SIZE - at + MAX_LENGTH, at)
	}
}
