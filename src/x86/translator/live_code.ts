import * as L from '../core/layout.ts'
import type { Cpu, RegionExports } from '../cpu.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import type { CodeSource } from './discover.ts'
import { type Instruction, pageOf, readInstruction } from './instruction.ts'

/** Bytes of an instruction at most. */
const MAX_LENGTH = 15

/** The frame of a page of code, and the version of its code when it was first looked at. */
export interface CodeFrame {
	readonly mfn: number
	readonly version: number
}

/**
 * The code around the vCPU's RIP as it is now, on the vCPU's thread: pages are found through its page tables, without setting off a fault. Records of decoded
 * instructions go to host address `next` and up.
 */
export class LiveCode implements CodeSource {
	/** By number, counted from the entry's page. */
	readonly frames = new Map<number, CodeFrame | undefined>()
	/** Host address behind the last record. */
	next: number
	private readonly cpu: Cpu
	private readonly core: RegionExports
	/** Linear address of the entry's page. */
	private readonly page: number

	constructor(cpu: Cpu, core: RegionExports, page: number, next: number) {
		this.cpu = cpu
		this.core = core
		this.page = page
		this.next = next
	}

	frameOf(page: number): CodeFrame | undefined {
		if (this.frames.has(page)) return this.frames.get(page)
		const mfn = this.core.codeFrameAt(this.page + page * PAGE_SIZE)
		const frame = mfn < 0 ? undefined : { mfn, version: this.core.frameVersion(mfn) }
		this.frames.set(page, frame)
		return frame
	}

	isEntry(offset: number): boolean {
		const frame = this.frameOf(pageOf(offset))
		return frame !== undefined && this.core.isEntry(frame.mfn * PAGE_SIZE + (offset & (PAGE_SIZE - 1))) !== 0
	}

	decode(offset: number): Instruction | undefined {
		const { machine } = this.cpu
		const page = pageOf(offset)
		const frame = this.frameOf(page)
		if (frame === undefined) return undefined
		const at = offset & (PAGE_SIZE - 1)
		const used = this.decodeAt(machine.frameAddress(frame.mfn) + at, PAGE_SIZE - at, at) || this.decodeAcross(frame, page, at)
		if (used === 0) return undefined
		const last = this.next + (used - 1) * L.REC_SIZE
		for (let record = this.next; record <= last; record += L.REC_SIZE) machine.i32[(record + L.REC_LINK) >> 2] = page
		const instruction = readInstruction(machine.memory.buffer, last, used === 2 ? this.next : 0, page)
		if (instruction.op === 'INVALID') return undefined
		this.next = last + L.REC_SIZE
		return instruction
	}

	private decodeAt(host: number, available: number, off: number): number {
		return this.core.decodeRecord(host, available, this.next, off, 1) & 0xff
	}

	/** The instruction runs into the next page: its bytes are gathered behind the records. */
	private decodeAcross(frame: CodeFrame, page: number, at: number): number {
		const { machine } = this.cpu
		const further = this.frameOf(page + 1)
		if (further === undefined) return 0
		const gather = this.next + 2 * L.REC_SIZE
		machine.u8.set(machine.framePage(frame.mfn).subarray(at), gather)
		machine.u8.set(machine.framePage(further.mfn).subarray(0, MAX_LENGTH), gather + PAGE_SIZE - at)
		return this.decodeAt(gather, PAGE_SIZE - at + MAX_LENGTH, at)
	}
}
