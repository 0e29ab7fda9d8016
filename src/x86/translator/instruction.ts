import * as L from '../core/layout.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import { decoderTables } from '../opcodes/operations.ts'

/** A decoded instruction, read from its record. */
export interface Instruction {
	/** Its (last) record: what the core executes when the translator leaves the instruction to it. An offset in the region's data. */
	readonly record: number
	/** The same of an EA record that runs first, or 0. */
	readonly addressRecord: number
	/** Operation name, as in src/x86/opcodes. */
	readonly op: string
	/** Offset of its first byte from the entry's page, perhaps in another one, and its length, in bytes. */
	readonly off: number
	readonly length: number
	/** RF_* */
	readonly flags: number
	readonly memory: boolean
	/** Register operands: slots for general registers, indices for others (REC_REG, REC_RM). */
	readonly reg: number
	readonly rm: number
	readonly base: number
	readonly index: number
	readonly seg: number
	readonly scale: number
	/** From the entry's page where `base` is SLOT_PAGE. */
	readonly disp: number
	/** Signed 64-bit. The target of a near branch is relative to the entry's page. */
	readonly imm: bigint
	/** Operand size in bytes. */
	readonly size: number
	readonly opcode: number
	readonly modrm: number
	/** Condition code of JCC, SETCC, CMOVCC. */
	readonly cc: number
}

/** What is asked of an instruction that is not made part of a region. */
export type Glance = Pick<Instruction, 'op' | 'length' | 'imm'>

/** Operations whose immediate is a target. */
const RELATIVE: ReadonlySet<string> = new Set(['JMP', 'JCC', 'CALL', 'LOOP', 'LOOPE', 'LOOPNE', 'JCXZ'])

/** The memory that records are in. */
export interface RecordMemory {
	readonly u8: Uint8Array
	readonly view: DataView
}

/** Reads of the record at a host address what a Glance has. The instruction was decoded at an offset of page `page`, counted from the entry's. */
export function readGlance({ view, u8 }: RecordMemory, at: number, page: number): Glance {
	const op = operationAt(view, at)
	return { op, length: u8[at + L.REC_LEN]!, imm: immediateAt(view, at, op, page) }
}

function operationAt(view: DataView, at: number): string {
	return decoderTables.operations[view.getUint16(at + L.REC_OP, true)]!
}

function immediateAt(view: DataView, at: number, op: string, page: number): bigint {
	const imm = view.getBigInt64(at + L.REC_IMM, true)
	return page !== 0 && RELATIVE.has(op) ? imm + BigInt(page * PAGE_SIZE) : imm
}

/** Reads the instruction whose last record is at offset `record` of the region's data, which is at host address `data`; `page` as above. */
export function readInstruction(memory: RecordMemory, data: number, record: number, addressRecord: number, page: number): Instruction {
	const { u8, view } = memory
	const at = data + record
	const op = operationAt(view, at)
	const flags = u8[at + L.REC_FLAGS]!
	const base = u8[at + L.REC_BASE]!
	const distance = page * PAGE_SIZE
	return {
		record,
		addressRecord,
		op,
		off: view.getUint16(at + L.REC_OFF, true) + distance,
		length: u8[at + L.REC_LEN]!,
		flags,
		memory: (flags & L.RF_MEM) !== 0,
		reg: u8[at + L.REC_REG]!,
		rm: u8[at + L.REC_RM]!,
		base,
		index: u8[at + L.REC_INDEX]!,
		seg: u8[at + L.REC_SEG]!,
		scale: u8[at + L.REC_SCALE]!,
		disp: view.getInt32(at + L.REC_DISP, true) + (base === L.SLOT_PAGE ? distance : 0),
		imm: immediateAt(view, at, op, page),
		size: u8[at + L.REC_OPSIZE]!,
		opcode: u8[at + L.REC_OPCODE]!,
		modrm: u8[at + L.REC_MODRM]!,
		cc: u8[at + L.REC_CC]!,
	}
}

/** Relative page of an offset from the entry's page. */
export function pageOf(offset: number): number {
	return Math.floor(offset / PAGE_SIZE)
}
