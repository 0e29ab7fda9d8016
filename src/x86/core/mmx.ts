// MMX. A register is the significand of the x87's physical register of the same number. Every instruction sets TOP to 0 and all tags
// to valid (EMMS: to empty); a write also sets the register's sign and exponent bits. A memory operand's fault comes before that, and #XM
// after it, but leaves the registers. Only CVTPI2PS and CVTPI2PD of memory have nothing to do with the x87: neither #MF nor a change of TOP.

import { CPU_FSW, CPU_FTW, CPU_X87, REC_FLAGS, REC_IMM, REC_REG, REC_RM, RF_REXW } from './layout'
import { cpu, ea, FAULT, raise, readPtr } from './mem'
import { isMemory, setGpr32, simdUnavailable, source, source16, sourceGpr, storeGpr, storeMemory64, xmmReg, xmmRm } from './sse_common'
import { currentRounding, singleFromInteger, toInteger32, toInteger64 } from './sse_convert'
import { signal } from './sse_float_values'
import { packedOperation, shiftImmediate, shuffleWords } from './sse_int'
import { storeMasked } from './sse_move'
import * as op from './generated/ops'

const FSW_ES: u32 = 0x80
const FSW_TOP: u32 = 0x3800
const ROUND_TRUNCATE: u32 = 3

export function executeMmx(rec: usize, operation: i32): i32 {
	if (simdUnavailable()) return 1
	if (load<u16>(cpu, CPU_FSW) & FSW_ES && !leavesX87(rec, operation)) return raise(16, 0)
	if (operation <= op.OP_MMX_PABSD) return executePacked(rec, operation)
	if (operation <= op.OP_MMX_PSLLQ_I) {
		enterMmx()
		const r = mmxRm(rec)
		const same = operation - op.OP_MMX_PSRLW_I + op.OP_PSRLW_I
		set(r, shiftImmediate(same, v128.load64_zero(r), <u64>load<u8>(rec, REC_IMM)))
		return 0
	}
	return executeOther(rec, operation)
}

/** CVTPI2PS and CVTPI2PD of memory, as AMD's processors execute them. */
function leavesX87(rec: usize, operation: i32): bool {
	return isMemory(rec) && (operation == op.OP_MMX_CVTPI2PS || operation == op.OP_MMX_CVTPI2PD)
}

/** The XMM form of an MMX operation has this number (both lists are opcodes/packed.ts). */
// @ts-ignore: decorator
@inline
function xmmForm(operation: i32): i32 {
	return operation - op.OP_MMX_PUNPCKLBW + op.OP_PUNPCKLBW
}

function enterMmx(): void {
	store<u16>(cpu, load<u16>(cpu, CPU_FSW) & ~FSW_TOP, CPU_FSW)
	store<u8>(cpu, 0xff, CPU_FTW)
}

// @ts-ignore: decorator
@inline
function mmxReg(rec: usize): usize {
	return cpu + CPU_X87 + ((<usize>load<u8>(rec, REC_REG) & 7) << 4)
}
// @ts-ignore: decorator
@inline
function mmxRm(rec: usize): usize {
	return cpu + CPU_X87 + ((<usize>load<u8>(rec, REC_RM) & 7) << 4)
}
function mmxSource(rec: usize, size: u32): usize {
	return isMemory(rec) ? readPtr(ea(rec), size) : mmxRm(rec)
}
function set64(r: usize, value: u64): void {
	store<u64>(r, value)
	store<u16>(r, 0xffff, 8)
}
function set(r: usize, value: v128): void {
	set64(r, i64x2.extract_lane(value, 0))
}

function executePacked(rec: usize, operation: i32): i32 {
	const narrow = isMemory(rec) && operation >= op.OP_MMX_PUNPCKLBW && operation <= op.OP_MMX_PUNPCKLDQ
	const s = mmxSource(rec, narrow ? 4 : 8)
	if (s == FAULT) return 1
	enterMmx()
	const d = mmxReg(rec)
	set(d, combine(operation, v128.load64_zero(d), narrow ? v128.load32_zero(s) : v128.load64_zero(s)))
	return 0
}

function combine(operation: i32, a: v128, b: v128): v128 {
	switch (operation) {
		case op.OP_MMX_PACKSSWB:
		case op.OP_MMX_PACKUSWB:
		case op.OP_MMX_PACKSSDW:
		case op.OP_MMX_PHADDW:
		case op.OP_MMX_PHADDD:
		case op.OP_MMX_PHADDSW:
		case op.OP_MMX_PHSUBW:
		case op.OP_MMX_PHSUBD:
		case op.OP_MMX_PHSUBSW: {
			const both = v128.shuffle<i64>(a, b, 0, 2)
			return packedOperation(xmmForm(operation), both, both, 0)
		}
		case op.OP_MMX_PUNPCKHBW:
		case op.OP_MMX_PUNPCKHWD:
		case op.OP_MMX_PUNPCKHDQ: {
			// The upper halves interleave into the upper half of what the low unpack gives.
			const low = operation - op.OP_MMX_PUNPCKHBW + op.OP_PUNPCKLBW
			const r = packedOperation(low, a, b, 0)
			return v128.shuffle<i64>(r, r, 1, 1)
		}
		case op.OP_MMX_PSHUFB:
			return packedOperation(op.OP_PSHUFB, a, v128.and(b, i8x16.splat(-121)), 0)
		default:
			return packedOperation(xmmForm(operation), a, b, 0)
	}
}

function executeOther(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_MMX_EMMS:
			enterMmx()
			store<u8>(cpu, 0, CPU_FTW)
			return 0
		case op.OP_MMX_PALIGNR: {
			const s = mmxSource(rec, 8)
			if (s == FAULT) return 1
			enterMmx()
			const d = mmxReg(rec)
			set64(d, alignRight(load<u64>(d), load<u64>(s), (<u32>load<u8>(rec, REC_IMM)) << 3))
			return 0
		}
		case op.OP_MMX_PSHUFW: {
			const s = mmxSource(rec, 8)
			if (s == FAULT) return 1
			enterMmx()
			set(mmxReg(rec), shuffleWords(v128.load64_zero(s), load<u8>(rec, REC_IMM), 0))
			return 0
		}
		case op.OP_MMX_MOVD_P_E: {
			const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
			const s = sourceGpr(rec, wide ? 8 : 4)
			if (s == FAULT) return 1
			enterMmx()
			set64(mmxReg(rec), wide ? load<u64>(s) : <u64>load<u32>(s))
			return 0
		}
		case op.OP_MMX_MOVD_E_P: {
			const value = load<u64>(mmxReg(rec))
			if (load<u8>(rec, REC_FLAGS) & RF_REXW ? storeGpr(rec, 8, value) : storeGpr(rec, 4, value & 0xffffffff)) return 1
			enterMmx()
			return 0
		}
		case op.OP_MMX_MOVQ_P_Q: {
			const s = mmxSource(rec, 8)
			if (s == FAULT) return 1
			enterMmx()
			set64(mmxReg(rec), load<u64>(s))
			return 0
		}
		case op.OP_MMX_MOVQ_Q_P: {
			const value = load<u64>(mmxReg(rec))
			if (isMemory(rec)) {
				if (storeMemory64(rec, value)) return 1
			} else set64(mmxRm(rec), value)
			enterMmx()
			return 0
		}
		case op.OP_MMX_PINSRW: {
			const s = sourceGpr(rec, 2)
			if (s == FAULT) return 1
			enterMmx()
			const d = mmxReg(rec)
			store<u16>(d + ((load<u8>(rec, REC_IMM) & 3) << 1), load<u16>(s))
			store<u16>(d, 0xffff, 8)
			return 0
		}
		case op.OP_MMX_PEXTRW:
			enterMmx()
			setGpr32(rec, <u32>load<u16>(mmxRm(rec) + ((load<u8>(rec, REC_IMM) & 3) << 1)))
			return 0
		case op.OP_MMX_PMOVMSKB:
			enterMmx()
			setGpr32(rec, i8x16.bitmask(v128.load64_zero(mmxRm(rec))))
			return 0
		case op.OP_MMX_MASKMOVQ:
			if (storeMasked(rec, mmxReg(rec), mmxRm(rec), 8)) return 1
			enterMmx()
			return 0
		case op.OP_MMX_MOVQ2DQ:
			enterMmx()
			v128.store(xmmReg(rec), v128.load64_zero(mmxRm(rec)))
			return 0
		case op.OP_MMX_MOVDQ2Q:
			enterMmx()
			set64(mmxReg(rec), load<u64>(xmmRm(rec)))
			return 0
		default:
			return executeConversion(rec, operation)
	}
}

function alignRight(a: u64, b: u64, bits: u32): u64 {
	if (bits >= 128) return 0
	if (bits >= 64) return a >> (bits - 64)
	return bits ? (b >> bits) | (a << (64 - bits)) : b
}

function executeConversion(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_MMX_CVTPI2PS: {
			const s = mmxSource(rec, 8)
			if (s == FAULT) return 1
			const r = <u64>singleFromInteger(<i64>load<i32>(s)) | (<u64>singleFromInteger(<i64>load<i32>(s, 4)) << 32)
			if (!isMemory(rec)) enterMmx()
			if (signal()) return 1
			store<u64>(xmmReg(rec), r)
			return 0
		}
		case op.OP_MMX_CVTPI2PD: {
			const s = mmxSource(rec, 8)
			if (s == FAULT) return 1
			if (!isMemory(rec)) enterMmx()
			v128.store(xmmReg(rec), f64x2.convert_low_i32x4_s(v128.load64_zero(s)))
			return 0
		}
		case op.OP_MMX_CVTTPS2PI:
		case op.OP_MMX_CVTPS2PI: {
			const s = source(rec, 8)
			if (s == FAULT) return 1
			const mode = operation == op.OP_MMX_CVTTPS2PI ? ROUND_TRUNCATE : currentRounding()
			return setPair(rec, toInteger32(load<u32>(s), mode), toInteger32(load<u32>(s, 4), mode))
		}
		case op.OP_MMX_CVTTPD2PI:
		case op.OP_MMX_CVTPD2PI: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const mode = operation == op.OP_MMX_CVTTPD2PI ? ROUND_TRUNCATE : currentRounding()
			return setPair(rec, toInteger64(load<u64>(s), mode), toInteger64(load<u64>(s, 8), mode))
		}
		default:
			return raise(6, 0)
	}
}

function setPair(rec: usize, low: i32, high: i32): i32 {
	enterMmx()
	if (signal()) return 1
	set64(mmxReg(rec), <u64>(<u32>low) | (<u64>high << 32))
	return 0
}
