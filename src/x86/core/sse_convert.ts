// Conversions between binary32, binary64 and integers, and ROUNDxx. toInteger() and fromInteger64() serve the MMX forms too.
//
// To an integer: an unrepresentable value gives the integer indefinite (only the sign bit set) and IE alone; denormals raise no DE.

import { CPU_MXCSR, CPU_SCRATCH, REC_FLAGS, REC_IMM, REC_REG, RF_REXW } from './layout'
import { cpu, FAULT, raise } from './mem'
import { FE_INEXACT, FE_INVALID, raiseFlags } from './softfloat'
import { source, source16, sourceGpr, xmmReg } from './sse_common'
import { signal } from './sse_float_values'
import * as soft from './sse_soft'
import * as op from './generated/ops'

const ROUND_TRUNCATE: u32 = 3

/** MXCSR's rounding mode. */
// @ts-ignore: decorator
@inline
export function currentRounding(): u32 {
	return (load<u32>(cpu, CPU_MXCSR) >> 13) & 3
}

/** x rounded to an integer in ROUND_* mode; signed zeros and infinities stay. Not for NaNs. */
function roundToIntegral(x: f64, mode: u32): f64 {
	switch (mode) {
		case 0:
			return nearest<f64>(x)
		case 1:
			return floor<f64>(x)
		case 2:
			return ceil<f64>(x)
		default:
			return trunc<f64>(x)
	}
}

/** binary32 bits as the same value in binary64, raising nothing. Not for signalling NaNs. */
// @ts-ignore: decorator
@inline
function widen(x: u32): f64 {
	return <f64>reinterpret<f32>(x)
}

// @ts-ignore: decorator
@inline
function daz32(x: u32): u32 {
	return x & 0x7f800000 ? x : <u32>soft.denormalsAreZeros(<u64>x, false)
}
// @ts-ignore: decorator
@inline
function daz64(x: u64): u64 {
	return x & 0x7ff0000000000000 ? x : soft.denormalsAreZeros(x, true)
}

/** Rounds to a 32-bit or 64-bit integer; the indefinite value and IE when it does not fit. */
export function toInteger(x: f64, mode: u32, wide: bool): i64 {
	const r = roundToIntegral(x, mode)
	const limit: f64 = wide ? 9223372036854775808.0 : 2147483648.0
	if (!(r >= -limit && r < limit)) {
		raiseFlags(FE_INVALID)
		return wide ? i64.MIN_VALUE : <i64>i32.MIN_VALUE
	}
	if (r != x) raiseFlags(FE_INEXACT)
	return <i64>r
}
export function toInteger32(bits: u32, mode: u32): i32 {
	return <i32>toInteger(widen(daz32(bits)), mode, false)
}
export function toInteger64(bits: u64, mode: u32): i32 {
	return <i32>toInteger(reinterpret<f64>(daz64(bits)), mode, false)
}

/** Signed integer to binary32 bits. */
export function singleFromInteger(value: i64): u32 {
	const x = value < 0 ? -value : value
	// Up to 24 significant bits convert exactly, in every rounding mode.
	if (<u64>x >> 24 == 0) return reinterpret<u32>(<f32>value)
	return <u32>soft.softFromInteger(value, false)
}

export function doubleFromInteger(value: i64): u64 {
	const x = value < 0 ? -value : value
	if (<u64>x >> 53 == 0) return reinterpret<u64>(<f64>value)
	return soft.softFromInteger(value, true)
}

export function doubleFromSingle(x: u32): u64 {
	const e = x & 0x7f800000
	if ((e && e != 0x7f800000) || !(x & 0x7fffffff)) return reinterpret<u64>(widen(x))
	return soft.softConvert(<u64>x, false)
}

export function singleFromDouble(x: u64): u32 {
	const value = reinterpret<f64>(x)
	const magnitude = abs<f64>(value)
	// Safely inside the normal range of binary32 after rounding.
	if (!(load<u32>(cpu, CPU_MXCSR) & 0x6000) && magnitude >= 2.4e-38 && magnitude <= 3.4e38) {
		const r = <f32>value
		if (<f64>r != value) raiseFlags(FE_INEXACT)
		return reinterpret<u32>(r)
	}
	return <u32>soft.softConvert(x, true)
}

export function executeSseConvert(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_CVTSS2SD: {
			const s = source(rec, 4)
			if (s == FAULT) return 1
			const r = doubleFromSingle(load<u32>(s))
			if (signal()) return 1
			store<u64>(xmmReg(rec), r)
			return 0
		}
		case op.OP_CVTSD2SS: {
			const s = source(rec, 8)
			if (s == FAULT) return 1
			const r = singleFromDouble(load<u64>(s))
			if (signal()) return 1
			store<u32>(xmmReg(rec), r)
			return 0
		}
		case op.OP_CVTPS2PD: {
			const s = source(rec, 8)
			if (s == FAULT) return 1
			const low = doubleFromSingle(load<u32>(s))
			const high = doubleFromSingle(load<u32>(s, 4))
			return finishPair(rec, low, high)
		}
		case op.OP_CVTPD2PS: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const low = singleFromDouble(load<u64>(s))
			const high = singleFromDouble(load<u64>(s, 8))
			return finishPair(rec, <u64>low | (<u64>high << 32), 0)
		}
		case op.OP_CVTDQ2PS: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const p = cpu + CPU_SCRATCH
			for (let i: usize = 0; i < 16; i += 4) store<u32>(p + i, singleFromInteger(<i64>load<i32>(s + i)))
			return finishPair(rec, load<u64>(p), load<u64>(p, 8))
		}
		case op.OP_CVTPS2DQ:
		case op.OP_CVTTPS2DQ: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const mode = operation == op.OP_CVTTPS2DQ ? ROUND_TRUNCATE : currentRounding()
			const p = cpu + CPU_SCRATCH
			for (let i: usize = 0; i < 16; i += 4) store<i32>(p + i, toInteger32(load<u32>(s + i), mode))
			return finishPair(rec, load<u64>(p), load<u64>(p, 8))
		}
		case op.OP_CVTDQ2PD: {
			const s = source(rec, 8)
			if (s == FAULT) return 1
			v128.store(xmmReg(rec), f64x2.convert_low_i32x4_s(v128.load64_zero(s)))
			return 0
		}
		case op.OP_CVTPD2DQ:
		case op.OP_CVTTPD2DQ: {
			const s = source16(rec)
			if (s == FAULT) return 1
			const mode = operation == op.OP_CVTTPD2DQ ? ROUND_TRUNCATE : currentRounding()
			const low = toInteger64(load<u64>(s), mode)
			const high = toInteger64(load<u64>(s, 8), mode)
			return finishPair(rec, <u64>(<u32>low) | (<u64>high << 32), 0)
		}
		case op.OP_CVTSI2SS:
		case op.OP_CVTSI2SD:
			return fromGpr(rec, operation == op.OP_CVTSI2SD)
		case op.OP_CVTTSS2SI:
			return toGpr(rec, false, ROUND_TRUNCATE)
		case op.OP_CVTTSD2SI:
			return toGpr(rec, true, ROUND_TRUNCATE)
		case op.OP_CVTSS2SI:
			return toGpr(rec, false, currentRounding())
		case op.OP_CVTSD2SI:
			return toGpr(rec, true, currentRounding())
		default:
			return executeRound(rec, operation)
	}
}

function finishPair(rec: usize, low: u64, high: u64): i32 {
	if (signal()) return 1
	const d = xmmReg(rec)
	store<u64>(d, low)
	store<u64>(d, high, 8)
	return 0
}

function fromGpr(rec: usize, double: bool): i32 {
	const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
	const s = sourceGpr(rec, wide ? 8 : 4)
	if (s == FAULT) return 1
	const value = wide ? load<i64>(s) : <i64>load<i32>(s)
	const d = xmmReg(rec)
	if (double) {
		const r = doubleFromInteger(value)
		if (signal()) return 1
		store<u64>(d, r)
	} else {
		const r = singleFromInteger(value)
		if (signal()) return 1
		store<u32>(d, r)
	}
	return 0
}

function toGpr(rec: usize, double: bool, mode: u32): i32 {
	const s = source(rec, double ? 8 : 4)
	if (s == FAULT) return 1
	const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
	const x = double ? reinterpret<f64>(daz64(load<u64>(s))) : widen(daz32(load<u32>(s)))
	const r = toInteger(x, mode, wide)
	if (signal()) return 1
	store<u64>(cpu + <usize>load<u8>(rec, REC_REG), wide ? <u64>r : <u64>(<u32>r))
	return 0
}

/** ROUNDxx: imm bit 2 takes MXCSR's mode, else bits 0..1 are the mode; bit 3 keeps PE from being raised. */
function executeRound(rec: usize, operation: i32): i32 {
	const double = operation == op.OP_ROUNDPD || operation == op.OP_ROUNDSD
	const scalar = operation == op.OP_ROUNDSS || operation == op.OP_ROUNDSD
	if (operation < op.OP_ROUNDPS) return raise(6, 0)
	const size: u32 = double ? 8 : 4
	const s = scalar ? source(rec, size) : source16(rec)
	if (s == FAULT) return 1
	const imm = <u32>load<u8>(rec, REC_IMM)
	const mode = imm & 4 ? currentRounding() : imm & 3
	const p = cpu + CPU_SCRATCH
	const d = xmmReg(rec)
	v128.store(p, v128.load(d))
	const end: u32 = scalar ? size : 16
	for (let i: u32 = 0; i < end; i += size) {
		if (double) store<u64>(p + i, roundDouble(load<u64>(s + i), mode, (imm & 8) != 0))
		else store<u32>(p + i, roundSingle(load<u32>(s + i), mode, (imm & 8) != 0))
	}
	if (signal()) return 1
	v128.store(d, v128.load(p))
	return 0
}

function roundDouble(x: u64, mode: u32, silent: bool): u64 {
	if (soft.isNan(x, true)) return soft.quiet(x, true)
	const value = reinterpret<f64>(daz64(x))
	const r = roundToIntegral(value, mode)
	if (!silent && r != value) raiseFlags(FE_INEXACT)
	return reinterpret<u64>(r)
}

function roundSingle(x: u32, mode: u32, silent: bool): u32 {
	if (soft.isNan(<u64>x, false)) return <u32>soft.quiet(<u64>x, false)
	const value = widen(daz32(x))
	const r = roundToIntegral(value, mode)
	if (!silent && r != value) raiseFlags(FE_INEXACT)
	return reinterpret<u32>(<f32>r)
}
