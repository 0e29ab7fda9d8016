// Scalar SSE arithmetic for the cases beside the fast path: NaNs, infinities, denormals, overflow, underflow, directed rounding.
//
// NaN rule: the first operand that is a NaN, quieted, is the result; IE if either is signalling. An invalid operation on numbers gives the
// default NaN (negative, quiet, zero payload). DE is raised for a denormal operand unless a NaN or an invalid operation or a division by
// zero takes precedence; with DAZ a denormal operand is a zero of its sign and raises nothing.

import { CPU_MXCSR } from './layout'
import { cpu } from './mem'
import * as soft from './softfloat'

export const KIND_ADD: i32 = 0
export const KIND_SUB: i32 = 1
export const KIND_MUL: i32 = 2
export const KIND_DIV: i32 = 3
export const KIND_SQRT: i32 = 4

export const MXCSR_DAZ: u32 = 0x40
export const MXCSR_FTZ: u32 = 0x8000

const DEFAULT_NAN_32: u64 = 0xffc00000
const DEFAULT_NAN_64: u64 = 0xfff8000000000000

let sign: u32 = 0
let exp: i32 = 0
let sig: u64 = 0

// Field widths of the two formats; `wide` is binary64.
// @ts-ignore: decorator
@inline
function fractionBits(wide: bool): i32 {
	return wide ? 52 : 23
}
// @ts-ignore: decorator
@inline
function exponentMax(wide: bool): i32 {
	return wide ? 0x7ff : 0xff
}
// @ts-ignore: decorator
@inline
function bias(wide: bool): i32 {
	return wide ? 1023 : 127
}
function signOf(x: u64, wide: bool): u32 {
	return <u32>(x >> (wide ? 63 : 31)) & 1
}
function exponentOf(x: u64, wide: bool): i32 {
	return <i32>(x >> fractionBits(wide)) & exponentMax(wide)
}
function fractionOf(x: u64, wide: bool): u64 {
	return x & ((<u64>1 << fractionBits(wide)) - 1)
}
function quietBit(wide: bool): u64 {
	return <u64>1 << (fractionBits(wide) - 1)
}
export function isNan(x: u64, wide: bool): bool {
	return exponentOf(x, wide) == exponentMax(wide) && fractionOf(x, wide) != 0
}
export function isSignalling(x: u64, wide: bool): bool {
	return isNan(x, wide) && !(x & quietBit(wide))
}
function isInfinite(x: u64, wide: bool): bool {
	return exponentOf(x, wide) == exponentMax(wide) && fractionOf(x, wide) == 0
}
export function isDenormal(x: u64, wide: bool): bool {
	return exponentOf(x, wide) == 0 && fractionOf(x, wide) != 0
}
function isZero(x: u64, wide: bool): bool {
	return x << (wide ? 1 : 33) == 0
}
function infinity(negative: u32, wide: bool): u64 {
	return (<u64>negative << (wide ? 63 : 31)) | (<u64>exponentMax(wide) << fractionBits(wide))
}
export function signedZero(negative: u32, wide: bool): u64 {
	return <u64>negative << (wide ? 63 : 31)
}
export function defaultNan(wide: bool): u64 {
	return wide ? DEFAULT_NAN_64 : DEFAULT_NAN_32
}
function invalid(wide: bool): u64 {
	soft.raiseFlags(soft.FE_INVALID)
	return defaultNan(wide)
}

/** Quiets a NaN, raising IE if it was signalling. */
export function quiet(x: u64, wide: bool): u64 {
	if (!(x & quietBit(wide))) soft.raiseFlags(soft.FE_INVALID)
	return x | quietBit(wide)
}

/** The result of a two-operand operation of which at least one operand is a NaN. */
export function propagate(a: u64, b: u64, wide: bool): u64 {
	if (isSignalling(a, wide) || isSignalling(b, wide)) soft.raiseFlags(soft.FE_INVALID)
	return (isNan(a, wide) ? a : b) | quietBit(wide)
}

/** An operand as DAZ makes it. */
export function denormalsAreZeros(x: u64, wide: bool): u64 {
	if (load<u32>(cpu, CPU_MXCSR) & MXCSR_DAZ && isDenormal(x, wide)) return signedZero(signOf(x, wide), wide)
	return x
}

/** Finite x into sign, exp, sig; denormals are normalised. */
function unpack(x: u64, wide: bool): void {
	const e = exponentOf(x, wide)
	const f = fractionOf(x, wide)
	const n = fractionBits(wide)
	soft.setNormalized(signOf(x, wide), (e ? e : 1) - bias(wide) - n, e ? f | (<u64>1 << n) : f)
	sign = soft.uSign
	exp = soft.uExp
	sig = soft.uSig
}

/** Loads rounding, masks and FTZ from MXCSR. */
export function loadEnvironment(): void {
	const mxcsr = load<u32>(cpu, CPU_MXCSR)
	soft.setEnvironment((mxcsr >> 13) & 3, ~(mxcsr >> 7) & 0x3f, (mxcsr & MXCSR_FTZ) != 0)
}

/** Rounds the unpacked result to the format and packs it. */
export function pack(wide: bool): u64 {
	loadEnvironment()
	soft.finish(wide ? 53 : 24, 1 - bias(wide), bias(wide), 0)
	if (soft.uInfinite) return infinity(soft.uSign, wide)
	const fraction = (soft.uSig << 1) >> (wide ? 12 : 41)
	const e: u64 = soft.uSig >> 63 ? <u64>(soft.uExp + bias(wide)) & exponentMax(wide) : 0
	return signedZero(soft.uSign, wide) | (e << fractionBits(wide)) | fraction
}

/** a + b and so on, as bits. KIND_SQRT takes its operand in `b` and ignores `a`. */
export function softArithmetic(kind: i32, wide: bool, a: u64, b: u64): u64 {
	b = denormalsAreZeros(b, wide)
	if (kind == KIND_SQRT) return squareRoot(b, wide)
	a = denormalsAreZeros(a, wide)
	if (isNan(a, wide) || isNan(b, wide)) return propagate(a, b, wide)
	const signs = signOf(a, wide) ^ signOf(b, wide)
	if (kind == KIND_DIV && isZero(b, wide) && !isInfinite(a, wide)) {
		if (isZero(a, wide)) return invalid(wide)
		soft.raiseFlags(soft.FE_ZERO_DIVIDE)
		return infinity(signs, wide)
	}
	const denormal: u32 = isDenormal(a, wide) || isDenormal(b, wide) ? soft.FE_DENORMAL : 0
	if (isInfinite(a, wide) || isInfinite(b, wide)) return withInfinity(kind, a, b, wide, denormal)
	soft.raiseFlags(denormal)
	unpack(a, wide)
	const signA = sign
	const expA = exp
	const sigA = sig
	unpack(b, wide)
	if (kind <= KIND_SUB) {
		const signB = sign ^ <u32>(kind == KIND_SUB)
		if (!sigA && !sig) return signedZero(signA == signB ? signA : roundsDown(), wide)
		soft.addUnpacked(signA, expA, sigA, signB, exp, sig)
		if (!soft.uSig) return signedZero(roundsDown(), wide)
	} else {
		if (!sigA || !sig) return signedZero(signs, wide)
		if (kind == KIND_MUL) soft.multiplyUnpacked(signA, expA, sigA, sign, exp, sig)
		else soft.divideUnpacked(signA, expA, sigA, sign, exp, sig)
	}
	return pack(wide)
}

/** Sign of an exact zero difference. */
function roundsDown(): u32 {
	return <u32>(((load<u32>(cpu, CPU_MXCSR) >> 13) & 3) == soft.ROUND_DOWN)
}

function withInfinity(kind: i32, a: u64, b: u64, wide: bool, denormal: u32): u64 {
	const both = isInfinite(a, wide) && isInfinite(b, wide)
	const signs = signOf(a, wide) ^ signOf(b, wide)
	if (kind <= KIND_SUB) {
		if (both && signs == <u32>(kind == KIND_ADD)) return invalid(wide)
		soft.raiseFlags(denormal)
		return isInfinite(a, wide) ? a : infinity(signOf(b, wide) ^ <u32>(kind == KIND_SUB), wide)
	}
	if (kind == KIND_MUL) {
		if (isZero(a, wide) || isZero(b, wide)) return invalid(wide)
		soft.raiseFlags(denormal)
		return infinity(signs, wide)
	}
	if (both) return invalid(wide)
	soft.raiseFlags(denormal)
	return isInfinite(a, wide) ? infinity(signs, wide) : signedZero(signs, wide)
}

function squareRoot(x: u64, wide: bool): u64 {
	if (isNan(x, wide)) return quiet(x, wide)
	if (isZero(x, wide)) return x
	if (signOf(x, wide)) return invalid(wide)
	if (isInfinite(x, wide)) return x
	if (isDenormal(x, wide)) soft.raiseFlags(soft.FE_DENORMAL)
	unpack(x, wide)
	soft.squareRootUnpacked(exp, sig)
	return pack(wide)
}

/** binary32 to binary64 or back: `wide` is the source's format. */
export function softConvert(x: u64, wide: bool): u64 {
	x = denormalsAreZeros(x, wide)
	const s = signOf(x, wide)
	if (isNan(x, wide)) {
		const q = quiet(x, wide)
		const f = fractionOf(q, wide)
		return infinity(s, !wide) | (wide ? f >> 29 : f << 29)
	}
	if (isInfinite(x, wide)) return infinity(s, !wide)
	if (isZero(x, wide)) return signedZero(s, !wide)
	if (isDenormal(x, wide)) soft.raiseFlags(soft.FE_DENORMAL)
	unpack(x, wide)
	return pack(!wide)
}

/** A signed integer to binary32 or binary64 in the current rounding mode. */
export function softFromInteger(value: i64, wide: bool): u64 {
	if (!value) return 0
	soft.setNormalized(<u32>(value < 0), 0, <u64>(value < 0 ? -value : value))
	return pack(wide)
}
