import * as L from '../core/layout.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import { decoderTables } from '../opcodes/operations.ts'

/** A decoded instruction, read from its record. */
export interface Instruction {
	/** Host address of its (last) record: what the core executes when the translator leaves the instruction to it. */
	readonly record: number
	/** Host address of an EA record that runs first, or 0. */
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

/** Operations whose immediate is a target. */
const RELATIVE: ReadonlySet<string> = new Set(['JMP', 'JCC', 'CALL', 'LOOP', 'LOOPE', 'LOOPNE', 'JCXZ'])

/** Reads the instruction whose last record is at host address `record`; it was decoded at an offset of page `page`, counted from the entry's. */
export function readInstruction(memory: ArrayBufferLike, record: number, addressRecord: number, page = 0): Instruction {
	const view = new DataView(memory, record, L.REC_SIZE)
	const flags = view.getUint8(L.REC_FLAGS)
	const op = decoderTables.operations[view.getUint16(L.REC_OP, true)]!
	const distance = page * PAGE_SIZE
	const base = view.getUint8(L.REC_BASE)
	const imm = view.getBigInt64(L.REC_IMM, true)
	return {
		record,
		addressRecord,
		op,
		off: view.getUint16(L.REC_OFF, true) + distance,
		length: view.getUint8(L.REC_LEN),
		flags,
		memory: (flags & L.RF_MEM) !== 0,
		reg: view.getUint8(L.REC_REG),
		rm: view.getUint8(L.REC_RM),
		base,
		index: view.getUint8(L.REC_INDEX),
		seg: view.getUint8(L.REC_SEG),
		scale: view.getUint8(L.REC_SCALE),
		disp: view.getInt32(L.REC_DISP, true) + (base === L.SLOT_PAGE ? distance : 0),
		imm: RELATIVE.has(op) ? imm + BigInt(distance) : imm,
		size: view.getUint8(L.REC_OPSIZE),
		opcode: view.getUint8(L.REC_OPCODE),
		modrm: view.getUint8(L.REC_MODRM),
		cc: view.getUint8(L.REC_CC),
	}
}

/** Relative page of an offset from the entry's page. */
export function pageOf(offset: number): number {
	return Math.floor(offset / PAGE_SIZE)
}
