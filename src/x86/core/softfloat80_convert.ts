// The double extended format (softfloat80.ts) from and to integers, the narrower formats, packed decimals, and its own parts.

import * as soft from './softfloat'
import {
	classify,
	setResult,
	setInfinity,
	setZero,
	unpack,
	unaryNan,
	raiseDenormal,
	BIAS,
	INTEGER_BIT,
	QUIET_BIT,
	CLASS_ZERO,
	CLASS_DENORMAL,
	CLASS_INFINITE,
	CLASS_NAN,
	CLASS_UNSUPPORTED,
	rSe,
	rSig,
} from './softfloat80'

/** Rounds to an integer in the current mode, or towards zero. */
export function roundToInteger80(se: u32, sig: u64): void {
	if (unaryNan(se, sig)) return
	const exp = <i32>(se & 0x7fff) - BIAS
	const kind = classify(se, sig)
	if (kind == CLASS_ZERO || kind == CLASS_INFINITE || exp >= 63) return setResult(se, sig)
	if (kind == CLASS_DENORMAL && raiseDenormal()) return
	const magnitude = integerMagnitude(se, sig, soft.fpRounding)
	if (integerLost) soft.raiseFlags(soft.FE_INEXACT)
	soft.setNormalized(se >> 15, 0, magnitude)
	if (!magnitude) return setZero(se >> 15)
	setResult((se & 0x8000) | <u32>(soft.uExp + BIAS), soft.uSig)
}

let integerLost: bool = false

/** |x| rounded to an integer, for x below 2^64 in magnitude. Sets integerLost, and fpRoundedUp when the magnitude grew. */
function integerMagnitude(se: u32, sig: u64, rounding: u32): u64 {
	const exp = <i32>(se & 0x7fff) - BIAS
	let whole: u64
	let rest: u64
	// `rest` is the fraction in 2^-64, its last bit sticky.
	if (exp >= 63) {
		whole = sig
		rest = 0
	} else if (exp >= 0) {
		whole = sig >> (63 - exp)
		rest = sig << (exp + 1)
	} else {
		whole = 0
		rest = exp == -1 ? sig : <u64>(sig != 0)
	}
	integerLost = rest != 0
	let up = false
	if (rounding == soft.ROUND_NEAREST) up = rest > INTEGER_BIT || (rest == INTEGER_BIT && (whole & 1) != 0)
	else if (rounding != soft.ROUND_ZERO) up = integerLost && rounding == (se >> 15 ? soft.ROUND_DOWN : soft.ROUND_UP)
	soft.setRoundedUp(up)
	return whole + <u64>up
}

/** To a signed integer of 16, 32 or 64 bits; the indefinite value and IE when it does not fit. */
export function toInteger80(se: u32, sig: u64, bits: i32, rounding: u32): i64 {
	const kind = classify(se, sig)
	const indefinite = <i64>((<u64>-1) << (bits - 1))
	const exp = <i32>(se & 0x7fff) - BIAS
	if (kind < CLASS_INFINITE && exp < 64) {
		const magnitude = integerMagnitude(se, sig, rounding)
		const limit: u64 = (<u64>1) << (bits - 1)
		// A carry out of 64 bits leaves zero with bits lost.
		const carried = magnitude == 0 && exp >= 0
		if (!carried && (magnitude < limit || (magnitude == limit && se >> 15))) {
			if (integerLost) soft.raiseFlags(soft.FE_INEXACT)
			return se >> 15 ? -(<i64>magnitude) : <i64>magnitude
		}
	}
	soft.raiseFlags(soft.FE_INVALID)
	soft.setRoundedUp(false)
	return indefinite
}

export function fromInteger80(value: i64): void {
	if (!value) return setZero(0)
	const sign = <u32>(value < 0)
	soft.setNormalized(sign, 0, <u64>(value < 0 ? -value : value))
	setResult((sign << 15) | <u32>(soft.uExp + BIAS), soft.uSig)
}

/** Set by widen32() and widen64(): the operand was denormal in its own format. */
export let widenedDenormal: bool = false

/** binary32 or binary64 to extended, exactly: NaNs keep their payload and stay signalling. Raises nothing. */
export function widen32(x: u32): void {
	widenFields(x >> 31, <i32>((x >> 23) & 0xff), <u64>(x & 0x7fffff) << 40, 0xff, 127)
}
export function widen64(x: u64): void {
	widenFields(<u32>(x >> 63), <i32>((x >> 52) & 0x7ff), (x & 0xfffffffffffff) << 11, 0x7ff, 1023)
}
function widenFields(sign: u32, exp: i32, fraction: u64, maxExp: i32, bias: i32): void {
	widenedDenormal = exp == 0 && fraction != 0
	if (exp == maxExp) return setResult((sign << 15) | 0x7fff, fraction | INTEGER_BIT)
	if (exp) return setResult((sign << 15) | <u32>(exp - bias + BIAS), fraction | INTEGER_BIT)
	if (!fraction) return setZero(sign)
	soft.setNormalized(sign, 1 - bias - 63, fraction)
	setResult((sign << 15) | <u32>(soft.uExp + BIAS), soft.uSig)
}

/** To binary32 bits (wide false) or binary64 bits. */
export function narrow80(se: u32, sig: u64, wide: bool): u64 {
	const fractionBits = wide ? 52 : 23
	const sign = <u64>(se >> 15) << (wide ? 63 : 31)
	const bias = wide ? 1023 : 127
	const infinity = sign | (<u64>(bias * 2 + 1) << fractionBits)
	const kind = classify(se, sig)
	if (kind == CLASS_UNSUPPORTED) {
		soft.raiseFlags(soft.FE_INVALID)
		return wide ? 0xfff8000000000000 : 0xffc00000
	}
	if (kind == CLASS_NAN) {
		if (!(sig & QUIET_BIT)) soft.raiseFlags(soft.FE_INVALID)
		return infinity | (((sig | QUIET_BIT) << 1) >> (64 - fractionBits))
	}
	if (kind == CLASS_INFINITE) return infinity
	if (kind == CLASS_ZERO) return sign
	// A store raises no DE.
	unpack(se, sig)
	soft.finish(fractionBits + 1, 1 - bias, bias, 0)
	if (soft.uInfinite) return infinity
	const exp: u64 = soft.uSig & INTEGER_BIT ? <u64>(soft.uExp + bias) & <u64>(bias * 2 + 1) : 0
	return sign | (exp << fractionBits) | ((soft.uSig << 1) >> (64 - fractionBits))
}

/** FXTRACT's parts: the exponent is left as the result, the significand in extractedSe and extractedSig. */
export let extractedSe: u32 = 0
export let extractedSig: u64 = 0

export function extract80(se: u32, sig: u64): void {
	const kind = classify(se, sig)
	if (unaryNan(se, sig)) {
		extractedSe = rSe
		extractedSig = rSig
		return
	}
	extractedSe = se
	extractedSig = sig
	if (kind == CLASS_INFINITE) return setInfinity(0)
	if (kind == CLASS_ZERO) {
		soft.raiseFlags(soft.FE_ZERO_DIVIDE)
		return setInfinity(1)
	}
	if (kind == CLASS_DENORMAL && raiseDenormal()) return
	unpack(se, sig)
	extractedSe = (se & 0x8000) | <u32>BIAS
	extractedSig = soft.uSig
	fromInteger80(<i64>soft.uExp)
}

/** 18-digit packed BCD: nine bytes of two digits (`low` holds eight of them), then the sign byte. */
export function fromBcd80(low: u64, high: u32): void {
	let value: u64 = digit(<u64>(high & 0xff), 4) * 10 + digit(<u64>(high & 0xff), 0)
	for (let shift = 60; shift >= 0; shift -= 4) value = value * 10 + digit(low, shift)
	fromInteger80(<i64>value)
	setResult(rSe | (high & 0x8000), rSig)
}
function digit(x: u64, shift: u32): u64 {
	return (x >> shift) & 15
}

/** Digits of toBcd80(): `bcdLow` the eight low bytes, `bcdHigh` the two high ones. */
export let bcdLow: u64 = 0
export let bcdHigh: u32 = 0

export function toBcd80(se: u32, sig: u64): void {
	const flags = soft.fpFlags
	let value = toInteger80(se, sig, 64, soft.fpRounding)
	const sign = se & 0x8000
	if (sign) value = -value
	if (<u64>value > 999999999999999999) {
		soft.clearFlags()
		soft.raiseFlags(flags | soft.FE_INVALID)
		bcdLow = 0xc000000000000000
		bcdHigh = 0xffff
		return
	}
	bcdLow = 0
	for (let shift: u64 = 0; shift < 64; shift += 4) {
		bcdLow |= <u64>(value % 10) << shift
		value /= 10
	}
	bcdHigh = <u32>((value / 10) << 4) | <u32>(value % 10) | sign
}
