import * as L from '../core/layout.ts'
import { decoderTables } from '../opcodes/operations.ts'

/** A decoded instruction, read from its record. */
export interface Instruction {
	/** Host address of its (last) record: what the core executes when the translator leaves the instruction to it. */
	readonly record: number
	/** Host address of an EA record that runs first, or 0. */
	readonly addressRecord: number
	/** Operation name, as in src/x86/opcodes. */
	readonly op: string
	/** Offset of its first byte in its page, and its length, in bytes. */
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
	readonly disp: number
	/** Signed 64-bit. */
	readonly imm: bigint
	/** Operand size in bytes. */
	readonly size: number
	readonly opcode: number
	readonly modrm: number
	/** Condition code of JCC, SETCC, CMOVCC. */
	readonly cc: number
}

/** Reads the instruction whose last record is at host address `record`. */
export function readInstruction(memory: ArrayBufferLike, record: number, addressRecord: number): Instruction {
	const view = new DataView(memory, record, L.REC_SIZE)
	const flags = view.getUint8(L.REC_FLAGS)
	return {
		record,
		addressRecord,
		op: decoderTables.operations[view.getUint16(L.REC_OP, true)]!,
		off: view.getUint16(L.REC_OFF, true),
		length: view.getUint8(L.REC_LEN),
		flags,
		memory: (flags & L.RF_MEM) !== 0,
		reg: view.getUint8(L.REC_REG),
		rm: view.getUint8(L.REC_RM),
		base: view.getUint8(L.REC_BASE),
		index: view.getUint8(L.REC_INDEX),
		seg: view.getUint8(L.REC_SEG),
		scale: view.getUint8(L.REC_SCALE),
		disp: view.getInt32(L.REC_DISP, true),
		imm: view.getBigInt64(L.REC_IMM, true),
		size: view.getUint8(L.REC_OPSIZE),
		opcode: view.getUint8(L.REC_OPCODE),
		modrm: view.getUint8(L.REC_MODRM),
		cc: view.getUint8(L.REC_CC),
	}
}
