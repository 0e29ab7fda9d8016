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

/** Operations whose immediate is a target. */
const RELATIVE: ReadonlySet<string> = new Set(['JMP', 'JCC', 'CALL', 'LOOP', 'LOOPE', 'LOOPNE', 'JCXZ'])

/**
 * Reads the instruction whose last record is at offset `record` of the region's data, which is at host address `data`. It was decoded at an offset of page
 * `page`, counted from the entry's.
 */
export function readInstruction(memory: DataView, data: number, record: number, addressRecord: number, page: number): Instruction {
	const at = data + record
	const flags = memory.getUint8(at + L.REC_FLAGS)
	const op = decoderTables.operations[memory.getUint16(at + L.REC_OP, true)]!
	const distance = page * PAGE_SIZE
	const base = memory.getUint8(at + L.REC_BASE)
	const imm = memory.getBigInt64(at + L.REC_IMM, true)
	return {
		record,
		addressRecord,
		op,
		off: memory.getUint16(at + L.REC_OFF, true) + distance,
		length: memory.getUint8(at + L.REC_LEN),
		flags,
		memory: (flags & L.RF_MEM) !== 0,
		reg: memory.getUint8(at + L.REC_REG),
		rm: memory.getUint8(at + L.REC_RM),
		base,
		index: memory.getUint8(at + L.REC_INDEX),
		seg: memory.getUint8(at + L.REC_SEG),
		scale: memory.getUint8(at + L.REC_SCALE),
		disp: memory.getInt32(at + L.REC_DISP, true) + (base === L.SLOT_PAGE ? distance : 0),
		imm: RELATIVE.has(op) ? imm + BigInt(distance) : imm,
		size: memory.getUint8(at + L.REC_OPSIZE),
		opcode: memory.getUint8(at + L.REC_OPCODE),
		modrm: memory.getUint8(at + L.REC_MODRM),
		cc: memory.getUint8(at + L.REC_CC),
	}
}

/** Relative page of an offset from the entry's page. */
export function pageOf(offset: number): number {
	return Math.floor(offset / PAGE_SIZE)
}
