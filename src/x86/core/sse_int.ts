// Packed integer arithmetic. packedOperation() also serves the MMX forms, whose numbers follow in the same order (opcodes/packed.ts):
// every operation in the shared list acts on lanes of 64 bits or less, so the low half of an XMM result is the MMX result, except for
// those that mmx.ts treats first (packs, high unpacks, horizontal operations, PSHUFB).

import { CPU_SCRATCH, CPU_XMM, REC_IMM } from './layout'
import { cpu, FAULT } from './mem'
import { setFlags } from './flags'
import { source, source16, xmmReg, xmmRm } from './sse_common'
import { executeStringCompare } from './sse42'
import * as op from './generated/ops'

const FLAG_CF = 1
const FLAG_ZF = 0x40

/** Vx,Wx(,Ib) with aligned memory. */
export function executeSsePacked(rec: usize, operation: i32): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	v128.store(d, packedOperation(operation, v128.load(d), v128.load(s), load<u8>(rec, REC_IMM)))
	return 0
}

export function packedOperation(operation: i32, a: v128, b: v128, imm: u32): v128 {
	switch (operation) {
		case op.OP_PUNPCKLBW:
			return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
		case op.OP_PUNPCKLWD:
			return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
		case op.OP_PUNPCKLDQ:
			return v128.shuffle<i32>(a, b, 0, 4, 1, 5)
		case op.OP_PACKSSWB:
			return i8x16.narrow_i16x8_s(a, b)
		case op.OP_PCMPGTB:
			return i8x16.gt_s(a, b)
		case op.OP_PCMPGTW:
			return i16x8.gt_s(a, b)
		case op.OP_PCMPGTD:
			return i32x4.gt_s(a, b)
		case op.OP_PACKUSWB:
			return i8x16.narrow_i16x8_u(a, b)
		case op.OP_PUNPCKHBW:
			return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
		case op.OP_PUNPCKHWD:
			return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
		case op.OP_PUNPCKHDQ:
			return v128.shuffle<i32>(a, b, 2, 6, 3, 7)
		case op.OP_PACKSSDW:
			return i16x8.narrow_i32x4_s(a, b)
		case op.OP_PCMPEQB:
			return i8x16.eq(a, b)
		case op.OP_PCMPEQW:
			return i16x8.eq(a, b)
		case op.OP_PCMPEQD:
			return i32x4.eq(a, b)
		case op.OP_PSRLW:
			return shiftRight16(a, i64x2.extract_lane(b, 0))
		case op.OP_PSRLD:
			return shiftRight32(a, i64x2.extract_lane(b, 0))
		case op.OP_PSRLQ:
			return shiftRight64(a, i64x2.extract_lane(b, 0))
		case op.OP_PADDQ:
			return i64x2.add(a, b)
		case op.OP_PMULLW:
			return i16x8.mul(a, b)
		case op.OP_PSUBUSB:
			return i8x16.sub_sat_u(a, b)
		case op.OP_PSUBUSW:
			return i16x8.sub_sat_u(a, b)
		case op.OP_PMINUB:
			return i8x16.min_u(a, b)
		case op.OP_PAND:
			return v128.and(a, b)
		case op.OP_PADDUSB:
			return i8x16.add_sat_u(a, b)
		case op.OP_PADDUSW:
			return i16x8.add_sat_u(a, b)
		case op.OP_PMAXUB:
			return i8x16.max_u(a, b)
		case op.OP_PANDN:
			return v128.andnot(b, a)
		case op.OP_PAVGB:
			return i8x16.avgr_u(a, b)
		case op.OP_PSRAW:
			return i16x8.shr_s(a, clampShift(i64x2.extract_lane(b, 0), 15))
		case op.OP_PSRAD:
			return i32x4.shr_s(a, clampShift(i64x2.extract_lane(b, 0), 31))
		case op.OP_PAVGW:
			return i16x8.avgr_u(a, b)
		case op.OP_PMULHUW:
			return v128.shuffle<i16>(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), 1, 3, 5, 7, 9, 11, 13, 15)
		case op.OP_PMULHW:
			return v128.shuffle<i16>(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), 1, 3, 5, 7, 9, 11, 13, 15)
		case op.OP_PSUBSB:
			return i8x16.sub_sat_s(a, b)
		case op.OP_PSUBSW:
			return i16x8.sub_sat_s(a, b)
		case op.OP_PMINSW:
			return i16x8.min_s(a, b)
		case op.OP_POR:
			return v128.or(a, b)
		case op.OP_PADDSB:
			return i8x16.add_sat_s(a, b)
		case op.OP_PADDSW:
			return i16x8.add_sat_s(a, b)
		case op.OP_PMAXSW:
			return i16x8.max_s(a, b)
		case op.OP_PXOR:
			return v128.xor(a, b)
		case op.OP_PSLLW:
			return shiftLeft16(a, i64x2.extract_lane(b, 0))
		case op.OP_PSLLD:
			return shiftLeft32(a, i64x2.extract_lane(b, 0))
		case op.OP_PSLLQ:
			return shiftLeft64(a, i64x2.extract_lane(b, 0))
		case op.OP_PMULUDQ: {
			const low = i64x2.splat(0xffffffff)
			return i64x2.mul(v128.and(a, low), v128.and(b, low))
		}
		case op.OP_PMADDWD:
			return i32x4.dot_i16x8_s(a, b)
		case op.OP_PSADBW: {
			const difference = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a))
			const quads = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference))
			return i64x2.add(i64x2.shr_u(quads, 32), v128.and(quads, i64x2.splat(0xffffffff)))
		}
		case op.OP_PSUBB:
			return i8x16.sub(a, b)
		case op.OP_PSUBW:
			return i16x8.sub(a, b)
		case op.OP_PSUBD:
			return i32x4.sub(a, b)
		case op.OP_PSUBQ:
			return i64x2.sub(a, b)
		case op.OP_PADDB:
			return i8x16.add(a, b)
		case op.OP_PADDW:
			return i16x8.add(a, b)
		case op.OP_PADDD:
			return i32x4.add(a, b)
		case op.OP_PSHUFB:
			// swizzle() gives zero for every index above 15: keep bit 7, drop bits 4..6.
			return i8x16.swizzle(a, v128.and(b, i8x16.splat(-113)))
		case op.OP_PHADDW:
			return i16x8.add(evenWords(a, b), oddWords(a, b))
		case op.OP_PHADDD:
			return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7))
		case op.OP_PHADDSW:
			return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b))
		case op.OP_PMADDUBSW: {
			const low = i16x8.mul(i16x8.extend_low_i8x16_u(a), i16x8.extend_low_i8x16_s(b))
			const high = i16x8.mul(i16x8.extend_high_i8x16_u(a), i16x8.extend_high_i8x16_s(b))
			return i16x8.add_sat_s(evenWords(low, high), oddWords(low, high))
		}
		case op.OP_PHSUBW:
			return i16x8.sub(evenWords(a, b), oddWords(a, b))
		case op.OP_PHSUBD:
			return i32x4.sub(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7))
		case op.OP_PHSUBSW:
			return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b))
		case op.OP_PSIGNB: {
			const negative = i8x16.shr_s(b, 7)
			return v128.andnot(i8x16.sub(v128.xor(a, negative), negative), i8x16.eq(b, i8x16.splat(0)))
		}
		case op.OP_PSIGNW: {
			const negative = i16x8.shr_s(b, 15)
			return v128.andnot(i16x8.sub(v128.xor(a, negative), negative), i16x8.eq(b, i16x8.splat(0)))
		}
		case op.OP_PSIGND: {
			const negative = i32x4.shr_s(b, 31)
			return v128.andnot(i32x4.sub(v128.xor(a, negative), negative), i32x4.eq(b, i32x4.splat(0)))
		}
		case op.OP_PMULHRSW: {
			// q15mulr saturates the one case -1 * -1 that PMULHRSW wraps.
			const minimum = i16x8.splat(-32768)
			const wraps = v128.and(i16x8.eq(a, minimum), i16x8.eq(b, minimum))
			return v128.xor(i16x8.q15mulr_sat_s(a, b), wraps)
		}
		case op.OP_PABSB:
			return i8x16.abs(b)
		case op.OP_PABSW:
			return i16x8.abs(b)
		case op.OP_PABSD:
			return i32x4.abs(b)
		// XMM only from here.
		case op.OP_PUNPCKLQDQ:
			return v128.shuffle<i64>(a, b, 0, 2)
		case op.OP_PUNPCKHQDQ:
			return v128.shuffle<i64>(a, b, 1, 3)
		case op.OP_PBLENDVB:
			return v128.bitselect(b, a, i8x16.shr_s(mask0(), 7))
		case op.OP_BLENDVPS:
			return v128.bitselect(b, a, i32x4.shr_s(mask0(), 31))
		case op.OP_BLENDVPD:
			return v128.bitselect(b, a, i64x2.shr_s(mask0(), 63))
		case op.OP_PMULDQ:
			return i64x2.extmul_low_i32x4_s(v128.shuffle<i32>(a, a, 0, 2, 0, 2), v128.shuffle<i32>(b, b, 0, 2, 0, 2))
		case op.OP_PCMPEQQ:
			return i64x2.eq(a, b)
		case op.OP_PACKUSDW:
			return i16x8.narrow_i32x4_u(a, b)
		case op.OP_PCMPGTQ:
			return i64x2.gt_s(a, b)
		case op.OP_PMINSB:
			return i8x16.min_s(a, b)
		case op.OP_PMINSD:
			return i32x4.min_s(a, b)
		case op.OP_PMINUW:
			return i16x8.min_u(a, b)
		case op.OP_PMINUD:
			return i32x4.min_u(a, b)
		case op.OP_PMAXSB:
			return i8x16.max_s(a, b)
		case op.OP_PMAXSD:
			return i32x4.max_s(a, b)
		case op.OP_PMAXUW:
			return i16x8.max_u(a, b)
		case op.OP_PMAXUD:
			return i32x4.max_u(a, b)
		case op.OP_PMULLD:
			return i32x4.mul(a, b)
		case op.OP_PHMINPOSUW:
			return minimumWord(b)
		case op.OP_PSHUFD:
			return shuffleDwords(b, b, imm)
		case op.OP_PSHUFHW:
			return shuffleWords(b, imm, 8)
		case op.OP_PSHUFLW:
			return shuffleWords(b, imm, 0)
		case op.OP_SHUFPS:
			return shuffleDwords(a, b, imm)
		case op.OP_SHUFPD: {
			const p = cpu + CPU_SCRATCH
			v128.store(p, a)
			v128.store(p, b, 16)
			return i64x2.replace_lane(i64x2.splat(load<u64>(p + ((imm & 1) << 3))), 1, load<u64>(p + ((imm & 2) << 2), 16))
		}
		case op.OP_BLENDPS:
			return v128.bitselect(b, a, laneMask32(imm))
		case op.OP_BLENDPD:
			return v128.bitselect(b, a, laneMask32((imm & 1) * 3 + ((imm >> 1) & 1) * 12))
		case op.OP_PBLENDW: {
			const bits = i16x8(1, 2, 4, 8, 16, 32, 64, 128)
			return v128.bitselect(b, a, i16x8.eq(v128.and(i16x8.splat(<i16>imm), bits), bits))
		}
		case op.OP_PALIGNR:
			return alignRight(a, b, imm)
		case op.OP_MPSADBW:
			return sumsOfDifferences(a, b, imm)
		default:
			return a
	}
}

// @ts-ignore: decorator
@inline
function evenWords(a: v128, b: v128): v128 {
	return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
}

// @ts-ignore: decorator
@inline
function oddWords(a: v128, b: v128): v128 {
	return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
}

/** XMM0, the implicit operand of the variable blends. */
// @ts-ignore: decorator
@inline
function mask0(): v128 {
	return v128.load(cpu, CPU_XMM)
}

// @ts-ignore: decorator
@inline
function clampShift(count: u64, limit: u32): i32 {
	return count > <u64>limit ? limit : <i32>count
}

// A count of the lane's width or more gives zero; WebAssembly takes it modulo the width.
export function shiftRight16(a: v128, count: u64): v128 {
	return count > 15 ? i64x2.splat(0) : i16x8.shr_u(a, <i32>count)
}
export function shiftRight32(a: v128, count: u64): v128 {
	return count > 31 ? i64x2.splat(0) : i32x4.shr_u(a, <i32>count)
}
export function shiftRight64(a: v128, count: u64): v128 {
	return count > 63 ? i64x2.splat(0) : i64x2.shr_u(a, <i32>count)
}
export function shiftLeft16(a: v128, count: u64): v128 {
	return count > 15 ? i64x2.splat(0) : i16x8.shl(a, <i32>count)
}
export function shiftLeft32(a: v128, count: u64): v128 {
	return count > 31 ? i64x2.splat(0) : i32x4.shl(a, <i32>count)
}
export function shiftLeft64(a: v128, count: u64): v128 {
	return count > 63 ? i64x2.splat(0) : i64x2.shl(a, <i32>count)
}

/** Two dwords selected from `a`, then two from `b`. */
function shuffleDwords(a: v128, b: v128, imm: u32): v128 {
	const p = cpu + CPU_SCRATCH
	v128.store(p, a)
	v128.store(p, b, 16)
	const low = <u64>load<u32>(p + ((imm & 3) << 2)) | ((<u64>load<u32>(p + (((imm >> 2) & 3) << 2))) << 32)
	const high = <u64>load<u32>(p + (((imm >> 4) & 3) << 2), 16) | ((<u64>load<u32>(p + ((imm >> 6) << 2), 16)) << 32)
	return i64x2.replace_lane(i64x2.splat(low), 1, high)
}

/** Four words selected within the half at byte `half`. */
export function shuffleWords(a: v128, imm: u32, half: usize): v128 {
	const p = cpu + CPU_SCRATCH
	v128.store(p, a)
	v128.store(p, a, 16)
	for (let i: u32 = 0; i < 4; i++) {
		store<u16>(p + half + (i << 1), load<u16>(p + half + (((imm >> (i << 1)) & 3) << 1), 16), 0)
	}
	return v128.load(p)
}

function laneMask32(imm: u32): v128 {
	const bits = i32x4(1, 2, 4, 8)
	return i32x4.eq(v128.and(i32x4.splat(imm), bits), bits)
}

function alignRight(a: v128, b: v128, imm: u32): v128 {
	if (imm >= 32) return i64x2.splat(0)
	const p = cpu + CPU_SCRATCH
	v128.store(p, b)
	v128.store(p, a, 16)
	v128.store(p, i64x2.splat(0), 32)
	return v128.load(p + imm)
}

/** PHMINPOSUW: the smallest word and the index of its first occurrence. */
function minimumWord(b: v128): v128 {
	const p = cpu + CPU_SCRATCH
	v128.store(p, b)
	let least: u32 = load<u16>(p)
	let index: u32 = 0
	for (let i: u32 = 1; i < 8; i++) {
		const w = <u32>load<u16>(p + (i << 1))
		if (w < least) {
			least = w
			index = i
		}
	}
	return i64x2.replace_lane(i64x2.splat(0), 0, <u64>(least | (index << 16)))
}

function sumsOfDifferences(a: v128, b: v128, imm: u32): v128 {
	const p = cpu + CPU_SCRATCH
	v128.store(p, a)
	v128.store(p, b, 16)
	const first = p + (imm & 4)
	const block = p + 16 + ((imm & 3) << 2)
	for (let i: usize = 0; i < 8; i++) {
		let sum: u32 = 0
		for (let k: usize = 0; k < 4; k++) {
			const difference = <i32>load<u8>(first + i + k) - <i32>load<u8>(block + k)
			sum += difference < 0 ? -difference : difference
		}
		store<u16>(p + 32 + (i << 1), <u16>sum)
	}
	return v128.load(p, 32)
}

/** Shifts by an immediate, extensions, PTEST and string comparison. */
export function executeSseShaped(rec: usize, operation: i32): i32 {
	if (operation <= op.OP_PSLLDQ_I) {
		const d = xmmRm(rec)
		v128.store(d, shiftImmediate(operation, v128.load(d), <u64>load<u8>(rec, REC_IMM)))
		return 0
	}
	if (operation == op.OP_PTEST) {
		const s = source16(rec)
		if (s == FAULT) return 1
		const a = v128.load(xmmReg(rec))
		const b = v128.load(s)
		setFlags((v128.any_true(v128.and(a, b)) ? 0 : FLAG_ZF) | (v128.any_true(v128.andnot(b, a)) ? 0 : FLAG_CF))
		return 0
	}
	if (operation >= op.OP_PCMPESTRM) return executeStringCompare(rec, operation)
	return extend(rec, operation)
}

export function shiftImmediate(operation: i32, a: v128, count: u64): v128 {
	switch (operation) {
		case op.OP_PSRLW_I:
			return shiftRight16(a, count)
		case op.OP_PSRAW_I:
			return i16x8.shr_s(a, clampShift(count, 15))
		case op.OP_PSLLW_I:
			return shiftLeft16(a, count)
		case op.OP_PSRLD_I:
			return shiftRight32(a, count)
		case op.OP_PSRAD_I:
			return i32x4.shr_s(a, clampShift(count, 31))
		case op.OP_PSLLD_I:
			return shiftLeft32(a, count)
		case op.OP_PSRLQ_I:
			return shiftRight64(a, count)
		case op.OP_PSLLQ_I:
			return shiftLeft64(a, count)
		case op.OP_PSRLDQ_I:
			return alignRight(i64x2.splat(0), a, <u32>count)
		default: {
			// PSLLDQ: the 16 bytes that end `count` bytes before the end of {a, 0}.
			if (count > 15) return i64x2.splat(0)
			const p = cpu + CPU_SCRATCH
			v128.store(p, i64x2.splat(0))
			v128.store(p, a, 16)
			return v128.load(p + 16 - <usize>count)
		}
	}
}

function extend(rec: usize, operation: i32): i32 {
	let size: u32
	switch (operation) {
		case op.OP_PMOVSXBQ:
		case op.OP_PMOVZXBQ:
			size = 2
			break
		case op.OP_PMOVSXBD:
		case op.OP_PMOVZXBD:
		case op.OP_PMOVSXWQ:
		case op.OP_PMOVZXWQ:
			size = 4
			break
		default:
			size = 8
	}
	const s = source(rec, size)
	if (s == FAULT) return 1
	const v = size == 8 ? v128.load64_zero(s) : size == 4 ? v128.load32_zero(s) : i16x8.replace_lane(i64x2.splat(0), 0, load<u16>(s))
	let r: v128
	switch (operation) {
		case op.OP_PMOVSXBW:
			r = i16x8.extend_low_i8x16_s(v)
			break
		case op.OP_PMOVSXBD:
			r = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v))
			break
		case op.OP_PMOVSXBQ:
			r = i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v)))
			break
		case op.OP_PMOVSXWD:
			r = i32x4.extend_low_i16x8_s(v)
			break
		case op.OP_PMOVSXWQ:
			r = i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(v))
			break
		case op.OP_PMOVSXDQ:
			r = i64x2.extend_low_i32x4_s(v)
			break
		case op.OP_PMOVZXBW:
			r = i16x8.extend_low_i8x16_u(v)
			break
		case op.OP_PMOVZXBD:
			r = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v))
			break
		case op.OP_PMOVZXBQ:
			r = i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v)))
			break
		case op.OP_PMOVZXWD:
			r = i32x4.extend_low_i16x8_u(v)
			break
		case op.OP_PMOVZXWQ:
			r = i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(v))
			break
		default:
			r = i64x2.extend_low_i32x4_u(v)
	}
	v128.store(xmmReg(rec), r)
	return 0
}
