// Instructions of SSE's floating-point arithmetic. Packed operations test all lanes at once and go lane by lane (sse_float_values.ts) when
// one lane needs more.

import { CPU_SCRATCH, REC_IMM } from './layout'
import { cpu, FAULT, raise } from './mem'
import { setFlags } from './flags'
import {
	add,
	compare,
	compareValues,
	extremum,
	KIND_MAX,
	KIND_MIN,
	lane,
	maxNormal,
	minNormal,
	mul,
	mxcsr,
	PE,
	PM,
	RC,
	signal,
	sub,
} from './sse_float_values'
import { source, source16, xmmReg } from './sse_common'
import * as soft from './sse_soft'
import * as op from './generated/ops'

function scalar<T>(rec: usize, kind: i32): i32 {
	const s = source(rec, <u32>sizeof<T>())
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const r = lane<T>(kind, load<T>(d), load<T>(s))
	if (signal()) return 1
	store<T>(d, r)
	return 0
}

function packed<T>(rec: usize, kind: i32): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const a = v128.load(d)
	const b = v128.load(s)
	if ((mxcsr() & (RC | PE | PM)) == (PE | PM)) {
		const r = direct<T>(kind, a, b)
		if (directIsExact<T>(kind, a, b, r)) {
			v128.store(d, r)
			return 0
		}
	}
	const r = byLane<T>(kind, a, b)
	if (signal()) return 1
	v128.store(d, r)
	return 0
}

/** KIND_* of two vectors. */
export function byLane<T>(kind: i32, a: v128, b: v128): v128 {
	const p = cpu + CPU_SCRATCH
	v128.store(p, a)
	v128.store(p, b, 16)
	for (let i: usize = 0; i < 16; i += sizeof<T>()) store<T>(p + i, lane<T>(kind, load<T>(p + i), load<T>(p + i, 16)), 32)
	return v128.load(p, 32)
}

function direct<T>(kind: i32, a: v128, b: v128): v128 {
	switch (kind) {
		case soft.KIND_ADD:
			return v128.add<T>(a, b)
		case soft.KIND_SUB:
			return v128.sub<T>(a, b)
		case soft.KIND_MUL:
			return v128.mul<T>(a, b)
		case soft.KIND_DIV:
			return v128.div<T>(a, b)
		case soft.KIND_SQRT:
			return v128.sqrt<T>(b)
		case KIND_MIN:
			return v128.pmin<T>(b, a)
		default:
			return v128.pmax<T>(b, a)
	}
}

/** Lanes that are zero or at least the smallest normal number in magnitude. */
// @ts-ignore: decorator
@inline
function ordinaryLanes<T>(v: v128): v128 {
	return v128.or(v128.ge<T>(v128.abs<T>(v), v128.splat<T>(minNormal<T>())), v128.eq<T>(v, v128.splat<T>(<T>0)))
}

/** The packed form of the tests in add() .. extremum(). */
function directIsExact<T>(kind: i32, a: v128, b: v128, r: v128): bool {
	const zero = v128.splat<T>(<T>0)
	let good = ordinaryLanes<T>(b)
	if (kind == soft.KIND_SQRT) {
		good = v128.and(good, v128.gt<T>(b, zero))
		return i32x4.all_true(v128.and(good, v128.le<T>(b, v128.splat<T>(maxNormal<T>())))) != 0
	}
	good = v128.and(good, ordinaryLanes<T>(a))
	if (kind >= KIND_MIN) return i32x4.all_true(good) != 0
	const x = v128.abs<T>(r)
	let least = minNormal<T>()
	let zeros = v128.eq<T>(r, zero)
	if (kind >= soft.KIND_MUL) {
		least = <T>(least * <T>2)
		const operands = v128.eq<T>(a, zero)
		zeros = v128.and(zeros, kind == soft.KIND_MUL ? v128.or(operands, v128.eq<T>(b, zero)) : operands)
	}
	const normal = v128.and(v128.ge<T>(x, v128.splat<T>(least)), v128.le<T>(x, v128.splat<T>(maxNormal<T>())))
	return i32x4.all_true(v128.and(good, v128.or(normal, zeros))) != 0
}

export function executeSseFloat(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_ADDSD:
			return scalar<f64>(rec, soft.KIND_ADD)
		case op.OP_SUBSD:
			return scalar<f64>(rec, soft.KIND_SUB)
		case op.OP_MULSD:
			return scalar<f64>(rec, soft.KIND_MUL)
		case op.OP_DIVSD:
			return scalar<f64>(rec, soft.KIND_DIV)
		case op.OP_SQRTSD:
			return scalar<f64>(rec, soft.KIND_SQRT)
		case op.OP_MINSD:
			return scalar<f64>(rec, KIND_MIN)
		case op.OP_MAXSD:
			return scalar<f64>(rec, KIND_MAX)
		case op.OP_ADDSS:
			return scalar<f32>(rec, soft.KIND_ADD)
		case op.OP_SUBSS:
			return scalar<f32>(rec, soft.KIND_SUB)
		case op.OP_MULSS:
			return scalar<f32>(rec, soft.KIND_MUL)
		case op.OP_DIVSS:
			return scalar<f32>(rec, soft.KIND_DIV)
		case op.OP_SQRTSS:
			return scalar<f32>(rec, soft.KIND_SQRT)
		case op.OP_MINSS:
			return scalar<f32>(rec, KIND_MIN)
		case op.OP_MAXSS:
			return scalar<f32>(rec, KIND_MAX)
		case op.OP_ADDPD:
			return packed<f64>(rec, soft.KIND_ADD)
		case op.OP_SUBPD:
			return packed<f64>(rec, soft.KIND_SUB)
		case op.OP_MULPD:
			return packed<f64>(rec, soft.KIND_MUL)
		case op.OP_DIVPD:
			return packed<f64>(rec, soft.KIND_DIV)
		case op.OP_SQRTPD:
			return packed<f64>(rec, soft.KIND_SQRT)
		case op.OP_MINPD:
			return packed<f64>(rec, KIND_MIN)
		case op.OP_MAXPD:
			return packed<f64>(rec, KIND_MAX)
		case op.OP_ADDPS:
			return packed<f32>(rec, soft.KIND_ADD)
		case op.OP_SUBPS:
			return packed<f32>(rec, soft.KIND_SUB)
		case op.OP_MULPS:
			return packed<f32>(rec, soft.KIND_MUL)
		case op.OP_DIVPS:
			return packed<f32>(rec, soft.KIND_DIV)
		case op.OP_SQRTPS:
			return packed<f32>(rec, soft.KIND_SQRT)
		case op.OP_MINPS:
			return packed<f32>(rec, KIND_MIN)
		case op.OP_MAXPS:
			return packed<f32>(rec, KIND_MAX)
		case op.OP_CMPPS:
			return comparePacked<f32, u32>(rec)
		case op.OP_CMPPD:
			return comparePacked<f64, u64>(rec)
		case op.OP_CMPSS:
			return compareScalar<f32, u32>(rec)
		case op.OP_CMPSD_X:
			return compareScalar<f64, u64>(rec)
		case op.OP_UCOMISS:
			return compareToFlags<f32>(rec, false)
		case op.OP_UCOMISD:
			return compareToFlags<f64>(rec, false)
		case op.OP_COMISS:
			return compareToFlags<f32>(rec, true)
		case op.OP_COMISD:
			return compareToFlags<f64>(rec, true)
		case op.OP_RSQRTPS:
		case op.OP_RCPPS:
			return approximatePacked(rec, operation == op.OP_RSQRTPS)
		case op.OP_RSQRTSS:
		case op.OP_RCPSS: {
			const s = source(rec, 4)
			if (s == FAULT) return 1
			store<u32>(xmmReg(rec), approximate(load<u32>(s), operation == op.OP_RSQRTSS))
			return 0
		}
		case op.OP_ADDSUBPS:
		case op.OP_HADDPS:
		case op.OP_HSUBPS:
			return crosswise<f32>(rec, operation == op.OP_ADDSUBPS, operation == op.OP_HADDPS)
		case op.OP_ADDSUBPD:
		case op.OP_HADDPD:
		case op.OP_HSUBPD:
			return crosswise<f64>(rec, operation == op.OP_ADDSUBPD, operation == op.OP_HADDPD)
		case op.OP_DPPS:
			return dotProductSingle(rec)
		case op.OP_DPPD:
			return dotProductDouble(rec)
		default:
			return raise(6, 0)
	}
}

function compareScalar<T, U>(rec: usize): i32 {
	const s = source(rec, <u32>sizeof<T>())
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const hit = compare<T>(load<T>(d), load<T>(s), <u32>load<u8>(rec, REC_IMM))
	if (signal()) return 1
	store<U>(d, hit ? <U>-1 : <U>0)
	return 0
}

function comparePacked<T, U>(rec: usize): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const p = cpu + CPU_SCRATCH
	const predicate = <u32>load<u8>(rec, REC_IMM)
	for (let i: usize = 0; i < 16; i += sizeof<T>()) {
		store<U>(p + i, compare<T>(load<T>(d + i), load<T>(s + i), predicate) ? <U>-1 : <U>0)
	}
	if (signal()) return 1
	v128.store(d, v128.load(p))
	return 0
}

function compareToFlags<T>(rec: usize, quietIsInvalid: bool): i32 {
	const s = source(rec, <u32>sizeof<T>())
	if (s == FAULT) return 1
	const flags = compareValues<T>(load<T>(xmmReg(rec)), load<T>(s), quietIsInvalid)
	if (signal()) return 1
	setFlags(flags)
	return 0
}

/**
 * RCPxx and RSQRTxx: the processors' tables give 12 bits; here the exact result rounded. No exceptions; denormals count as zeros and
 * tiny results become zero, whatever MXCSR says.
 */
function approximate(x: u32, root: bool): u32 {
	const s = x & 0x80000000
	const magnitude = x & 0x7fffffff
	if (magnitude > 0x7f800000) return x | 0x400000
	if (magnitude < 0x800000) return s | 0x7f800000
	if (root && s) return 0xffc00000
	if (magnitude == 0x7f800000) return s
	const value = <f64>reinterpret<f32>(x)
	const r = reinterpret<u32>(<f32>(1.0 / (root ? sqrt<f64>(value) : value)))
	return (r & 0x7fffffff) < 0x800000 ? s : r
}

function approximatePacked(rec: usize, root: bool): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	for (let i: usize = 0; i < 16; i += 4) store<u32>(d + i, approximate(load<u32>(s + i), root))
	return 0
}

/** ADDSUB (alternate: subtract even lanes, add odd ones), HADD and HSUB (neighbours of a, then of b). */
function crosswise<T>(rec: usize, alternate: bool, adds: bool): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const p = cpu + CPU_SCRATCH
	const size = sizeof<T>()
	v128.store(p, v128.load(d))
	v128.store(p, v128.load(s), 16)
	for (let i: usize = 0; i < 16; i += size) {
		const first = alternate ? p + i : p + (i << 1)
		const second = alternate ? p + i + 16 : first + size
		const plus = alternate ? (i & size) != 0 : adds
		store<T>(p + i, plus ? add<T>(load<T>(first), load<T>(second)) : sub<T>(load<T>(first), load<T>(second)), 32)
	}
	if (signal()) return 1
	v128.store(d, v128.load(p, 32))
	return 0
}

function dotProductSingle(rec: usize): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const p = cpu + CPU_SCRATCH
	const imm = <u32>load<u8>(rec, REC_IMM)
	for (let i: u32 = 0; i < 4; i++) {
		store<f32>(p + (i << 2), imm & (16 << i) ? mul<f32>(load<f32>(d + (i << 2)), load<f32>(s + (i << 2))) : <f32>0)
	}
	if (signal()) return 1
	const low = add<f32>(load<f32>(p), load<f32>(p, 4))
	const high = add<f32>(load<f32>(p, 8), load<f32>(p, 12))
	if (signal()) return 1
	const sum = add<f32>(low, high)
	if (signal()) return 1
	for (let i: u32 = 0; i < 4; i++) store<f32>(d + (i << 2), imm & (1 << i) ? sum : <f32>0)
	return 0
}

function dotProductDouble(rec: usize): i32 {
	const s = source16(rec)
	if (s == FAULT) return 1
	const d = xmmReg(rec)
	const imm = <u32>load<u8>(rec, REC_IMM)
	const low = imm & 16 ? mul<f64>(load<f64>(d), load<f64>(s)) : <f64>0
	const high = imm & 32 ? mul<f64>(load<f64>(d, 8), load<f64>(s, 8)) : <f64>0
	if (signal()) return 1
	const sum = add<f64>(low, high)
	if (signal()) return 1
	store<f64>(d, imm & 1 ? sum : <f64>0)
	store<f64>(d, imm & 2 ? sum : <f64>0, 8)
	return 0
}
