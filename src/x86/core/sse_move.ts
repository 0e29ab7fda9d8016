// Moves between XMM registers, memory and general registers; insertions and extractions.

import { CPU_CODE64, CPU_GPR, REC_FLAGS, REC_IMM, REC_SEG, RF_ADDR32, RF_REXW } from './layout'
import { cpu, ea, FAULT, raise, readPtr, writable, writeEnd, writePtr } from './mem'
import {
	isMemory,
	setGpr32,
	source,
	source16,
	sourceGpr,
	storeGpr,
	storeMemory32,
	storeMemory64,
	storeMemory128,
	xmmReg,
	xmmRm,
} from './sse_common'
import * as op from './generated/ops'


export function executeSseMove(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_MOVU_V_W: {
			const s = source(rec, 16)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), v128.load(s))
			return 0
		}
		case op.OP_MOVA_V_W: {
			const s = source16(rec)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), v128.load(s))
			return 0
		}
		case op.OP_MOVU_W_V:
			return storeVector(rec, false)
		case op.OP_MOVA_W_V:
			return storeVector(rec, true)
		case op.OP_MOVSS_V_W: {
			if (!isMemory(rec)) {
				store<u32>(xmmReg(rec), load<u32>(xmmRm(rec)))
				return 0
			}
			const s = readPtr(ea(rec), 4)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), v128.load32_zero(s))
			return 0
		}
		case op.OP_MOVSS_W_V: {
			const value = load<u32>(xmmReg(rec))
			if (isMemory(rec)) return storeMemory32(rec, value)
			store<u32>(xmmRm(rec), value)
			return 0
		}
		case op.OP_MOVSD_V_W: {
			if (!isMemory(rec)) {
				store<u64>(xmmReg(rec), load<u64>(xmmRm(rec)))
				return 0
			}
			const s = readPtr(ea(rec), 8)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), v128.load64_zero(s))
			return 0
		}
		case op.OP_MOVSD_W_V: {
			const value = load<u64>(xmmReg(rec))
			if (isMemory(rec)) return storeMemory64(rec, value)
			store<u64>(xmmRm(rec), value)
			return 0
		}
		case op.OP_MOVD_V_E: {
			const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
			const s = sourceGpr(rec, wide ? 8 : 4)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), wide ? v128.load64_zero(s) : v128.load32_zero(s))
			return 0
		}
		case op.OP_MOVD_E_V: {
			const d = xmmReg(rec)
			if (load<u8>(rec, REC_FLAGS) & RF_REXW) return storeGpr(rec, 8, load<u64>(d))
			return storeGpr(rec, 4, <u64>load<u32>(d))
		}
		case op.OP_MOVQ_V_W: {
			const s = source(rec, 8)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), v128.load64_zero(s))
			return 0
		}
		case op.OP_MOVQ_W_V: {
			const d = xmmReg(rec)
			if (isMemory(rec)) return storeMemory64(rec, load<u64>(d))
			v128.store(xmmRm(rec), v128.load64_zero(d))
			return 0
		}
		case op.OP_MOVLPS_V_M: {
			const s = readPtr(ea(rec), 8)
			if (s == FAULT) return 1
			store<u64>(xmmReg(rec), load<u64>(s))
			return 0
		}
		case op.OP_MOVHLPS:
			store<u64>(xmmReg(rec), load<u64>(xmmRm(rec), 8))
			return 0
		case op.OP_MOVLPS_M_V:
			return storeMemory64(rec, load<u64>(xmmReg(rec)))
		case op.OP_MOVHPS_V_M: {
			const s = readPtr(ea(rec), 8)
			if (s == FAULT) return 1
			store<u64>(xmmReg(rec), load<u64>(s), 8)
			return 0
		}
		case op.OP_MOVLHPS:
			store<u64>(xmmReg(rec), load<u64>(xmmRm(rec)), 8)
			return 0
		case op.OP_MOVHPS_M_V:
			return storeMemory64(rec, load<u64>(xmmReg(rec), 8))
		case op.OP_MOVSLDUP: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const v = v128.load(s)
			v128.store(xmmReg(rec), v128.shuffle<i32>(v, v, 0, 0, 2, 2))
			return 0
		}
		case op.OP_MOVSHDUP: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const v = v128.load(s)
			v128.store(xmmReg(rec), v128.shuffle<i32>(v, v, 1, 1, 3, 3))
			return 0
		}
		case op.OP_MOVDDUP: {
			const s = source(rec, 8)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), i64x2.splat(load<u64>(s)))
			return 0
		}
		case op.OP_MOVMSKPS:
			setGpr32(rec, i32x4.bitmask(v128.load(xmmRm(rec))))
			return 0
		case op.OP_MOVMSKPD:
			setGpr32(rec, i64x2.bitmask(v128.load(xmmRm(rec))))
			return 0
		case op.OP_PMOVMSKB:
			setGpr32(rec, i8x16.bitmask(v128.load(xmmRm(rec))))
			return 0
		case op.OP_MASKMOVDQU:
			return storeMasked(rec, xmmReg(rec), xmmRm(rec), 16)
		case op.OP_PEXTRW_G:
			setGpr32(rec, <u32>load<u16>(xmmRm(rec) + ((load<u8>(rec, REC_IMM) & 7) << 1)))
			return 0
		case op.OP_PEXTRB:
			return storeGpr(rec, 1, <u64>load<u8>(xmmReg(rec) + (load<u8>(rec, REC_IMM) & 15)))
		case op.OP_PEXTRW_E:
			return storeGpr(rec, 2, <u64>load<u16>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 7) << 1)))
		case op.OP_PEXTRD:
			if (load<u8>(rec, REC_FLAGS) & RF_REXW) return storeGpr(rec, 8, load<u64>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 1) << 3)))
			return storeGpr(rec, 4, <u64>load<u32>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 3) << 2)))
		case op.OP_EXTRACTPS:
			return storeGpr(rec, 4, <u64>load<u32>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 3) << 2)))
		case op.OP_PINSRW: {
			const s = sourceGpr(rec, 2)
			if (s == FAULT) return 1
			store<u16>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 7) << 1), load<u16>(s))
			return 0
		}
		case op.OP_PINSRB: {
			const s = sourceGpr(rec, 1)
			if (s == FAULT) return 1
			store<u8>(xmmReg(rec) + (load<u8>(rec, REC_IMM) & 15), load<u8>(s))
			return 0
		}
		case op.OP_PINSRD: {
			const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
			const s = sourceGpr(rec, wide ? 8 : 4)
			if (s == FAULT) return 1
			if (wide) store<u64>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 1) << 3), load<u64>(s))
			else store<u32>(xmmReg(rec) + ((load<u8>(rec, REC_IMM) & 3) << 2), load<u32>(s))
			return 0
		}
		case op.OP_INSERTPS:
			return insertPs(rec)
		default:
			return raise(6, 0)
	}
}

function storeVector(rec: usize, aligned: bool): i32 {
	const value = v128.load(xmmReg(rec))
	if (!isMemory(rec)) {
		v128.store(xmmRm(rec), value)
		return 0
	}
	const va = ea(rec)
	if (aligned && va & 15) return raise(13, 0)
	return storeMemory128(va, value)
}

function insertPs(rec: usize): i32 {
	const imm = <u32>load<u8>(rec, REC_IMM)
	let value: u32
	if (isMemory(rec)) {
		const s = readPtr(ea(rec), 4)
		if (s == FAULT) return 1
		value = load<u32>(s)
	} else value = load<u32>(xmmRm(rec) + ((imm >> 6) << 2))
	const d = xmmReg(rec)
	store<u32>(d + (((imm >> 4) & 3) << 2), value)
	for (let i: u32 = 0; i < 4; i++) if (imm & (1 << i)) store<u32>(d + (i << 2), 0)
	return 0
}

/** Linear address of seg:rDI, DS unless overridden, in the address size. */
function storeStringAddress(rec: usize): u64 {
	const narrow = (load<u8>(rec, REC_FLAGS) & RF_ADDR32) != 0
	const offset = load<u64>(cpu, CPU_GPR + 7 * 8)
	const segment = load<u64>(cpu + <usize>load<u8>(rec, REC_SEG))
	if (load<u32>(cpu, CPU_CODE64)) return segment + (narrow ? offset & 0xffffffff : offset)
	return (segment + (offset & (narrow ? 0xffff : 0xffffffff))) & 0xffffffff
}

/**
 * MASKMOVDQU and MASKMOVQ: stores the bytes of `value` selected by bit 7 of the bytes of `mask` at seg:rDI. Bytes not selected are
 * not touched, but the whole operand must be writable, an empty mask's too, as AMD's processors have it.
 */
export function storeMasked(rec: usize, value: usize, mask: usize, size: u32): i32 {
	const base = storeStringAddress(rec)
	if (!writable(base, size)) return 1
	for (let i: u32 = 0; i < size; i++) {
		if (load<i8>(mask + i) >= 0) continue
		const p = writePtr(base + i, 1)
		if (p == FAULT) return 1
		store<u8>(p, load<u8>(value + i))
		if (!writeEnd()) return 1
	}
	return 0
}
