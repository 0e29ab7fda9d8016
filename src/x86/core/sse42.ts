// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM.

import { CPU_GPR, CPU_SCRATCH, CPU_XMM, REC_FLAGS, REC_IMM, RF_REXW } from './layout'
import { cpu, FAULT } from './mem'
import { setFlags } from './flags'
import { source, xmmReg } from './sse_common'
import * as op from './generated/ops'

const AGGREGATE_ANY = 0
const AGGREGATE_RANGES = 1
const AGGREGATE_EACH = 2

export function executeStringCompare(rec: usize, operation: i32): i32 {
	const s = source(rec, 16)
	if (s == FAULT) return 1
	const imm = <u32>load<u8>(rec, REC_IMM)
	const a = cpu + CPU_SCRATCH
	const b = a + 16
	v128.store(a, v128.load(xmmReg(rec)))
	v128.store(b, v128.load(s))
	const count: u32 = imm & 1 ? 8 : 16
	let lengthA: u32
	let lengthB: u32
	if (operation == op.OP_PCMPESTRI || operation == op.OP_PCMPESTRM) {
		const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
		lengthA = explicitLength(CPU_GPR, wide, count)
		lengthB = explicitLength(CPU_GPR + 16, wide, count)
	} else {
		lengthA = implicitLength(a, imm, count)
		lengthB = implicitLength(b, imm, count)
	}
	const all: u32 = (1 << count) - 1
	let result = aggregate(a, b, lengthA, lengthB, imm, count)
	if ((imm & 0x30) == 0x10) result ^= all
	else if ((imm & 0x30) == 0x30) result ^= (1 << lengthB) - 1
	if (operation == op.OP_PCMPESTRI || operation == op.OP_PCMPISTRI) {
		const index: u32 = !result ? count : imm & 0x40 ? 31 - clz(result) : ctz(result)
		store<u64>(cpu, <u64>index, CPU_GPR + 8)
	} else storeMask(result, imm, count)
	setFlags((result ? 1 : 0) | (lengthB < count ? 0x40 : 0) | (lengthA < count ? 0x80 : 0) | (result & 1 ? 0x800 : 0))
	return 0
}

function explicitLength(slot: usize, wide: bool, count: u32): u32 {
	const value = wide ? load<i64>(cpu + slot) : <i64>load<i32>(cpu + slot)
	// |-2^63| stays negative as i64 and is large as u64.
	const magnitude = <u64>(value < 0 ? -value : value)
	return magnitude > <u64>count ? count : <u32>magnitude
}

function implicitLength(p: usize, imm: u32, count: u32): u32 {
	const zero = i64x2.splat(0)
	const v = v128.load(p)
	const zeros = imm & 1 ? i16x8.bitmask(i16x8.eq(v, zero)) : i8x16.bitmask(i8x16.eq(v, zero))
	return zeros ? ctz(zeros) : count
}

// @ts-ignore: decorator
@inline
function element(p: usize, i: u32, imm: u32): i32 {
	switch (imm & 3) {
		case 0:
			return <i32>load<u8>(p + i)
		case 1:
			return <i32>load<u16>(p + (i << 1))
		case 2:
			return <i32>load<i8>(p + i)
		default:
			return <i32>load<i16>(p + (i << 1))
	}
}

/** IntRes1: bit j tells of element j of `b`. */
function aggregate(a: usize, b: usize, lengthA: u32, lengthB: u32, imm: u32, count: u32): u32 {
	const mode = (imm >> 2) & 3
	let result: u32 = 0
	for (let j: u32 = 0; j < count; j++) {
		let hit: bool
		if (mode == AGGREGATE_ANY) {
			hit = false
			if (j < lengthB) {
				const x = element(b, j, imm)
				for (let i: u32 = 0; i < lengthA && !hit; i++) hit = element(a, i, imm) == x
			}
		} else if (mode == AGGREGATE_RANGES) {
			hit = false
			if (j < lengthB) {
				const x = element(b, j, imm)
				for (let i: u32 = 0; i + 1 < lengthA && !hit; i += 2) hit = element(a, i, imm) <= x && x <= element(a, i + 1, imm)
			}
		} else if (mode == AGGREGATE_EACH) {
			hit = j < lengthA && j < lengthB ? element(a, j, imm) == element(b, j, imm) : j >= lengthA && j >= lengthB
		} else {
			hit = true
			for (let i: u32 = 0; i < lengthA && i + j < count && hit; i++) {
				hit = i + j < lengthB && element(a, i, imm) == element(b, i + j, imm)
			}
		}
		if (hit) result |= 1 << j
	}
	return result
}

function storeMask(result: u32, imm: u32, count: u32): void {
	const d = cpu + CPU_XMM
	if (!(imm & 0x40)) {
		v128.store(d, i64x2.replace_lane(i64x2.splat(0), 0, <u64>result))
		return
	}
	for (let i: u32 = 0; i < count; i++) {
		const all = result & (1 << i) ? -1 : 0
		if (imm & 1) store<u16>(d + (i << 1), <u16>all)
		else store<u8>(d + i, <u8>all)
	}
}
