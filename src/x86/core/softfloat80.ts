// The x87's double extended format: sign and exponent in a u16 (`se`), significand with an explicit integer bit in a u64 (`sig`).
// Results are left in rSe and rSig; exceptions are added to softfloat's fpFlags.
//
// NaN rule of the x87: a quiet NaN wins over a signalling one; of two alike the one with the larger significand wins, then the positive
// one; the result is quieted. Encodings with a non-zero exponent and a clear integer bit are unsupported: invalid operation. A
// pseudo-denormal (exponent zero, integer bit set) counts as denormal and has the value it would have with exponent one.

import * as soft from './softfloat'

export let rSe: u32 = 0
export let rSig: u64 = 0

/** Significant bits results are rounded to, 24, 53 or 64 (the control word's PC). */
let precision: i32 = 64
export function setPrecision(bits: i32): void {
	precision = bits
}

export const BIAS: i32 = 16383
const MIN_EXP: i32 = -16382
const MAX_EXP: i32 = 16383
/** Exponent adjustment of an unmasked overflow or underflow. */
const WRAP: i32 = 24576
export const INTEGER_BIT: u64 = 0x8000000000000000
export const QUIET_BIT: u64 = 0x4000000000000000

export const CLASS_ZERO: i32 = 0
export const CLASS_DENORMAL: i32 = 1
export const CLASS_NORMAL: i32 = 2
export const CLASS_INFINITE: i32 = 3
export const CLASS_NAN: i32 = 4
export const CLASS_UNSUPPORTED: i32 = 5

export function classify(se: u32, sig: u64): i32 {
	const exp = se & 0x7fff
	if (exp == 0) return sig ? CLASS_DENORMAL : CLASS_ZERO
	if (!(sig & INTEGER_BIT)) return CLASS_UNSUPPORTED
	if (exp < 0x7fff) return CLASS_NORMAL
	return sig << 1 ? CLASS_NAN : CLASS_INFINITE
}

export function setResult(se: u32, sig: u64): void {
	rSe = se
	rSig = sig
}
export function setDefaultNan(): void {
	setResult(0xffff, 0xc000000000000000)
}
export function setInfinity(sign: u32): void {
	setResult((sign << 15) | 0x7fff, INTEGER_BIT)
}
export function setZero(sign: u32): void {
	setResult(sign << 15, 0)
}
export function extendedOne(sign: u32): void {
	setResult((sign << 15) | <u32>BIAS, INTEGER_BIT)
}
export function setInvalid(): void {
	soft.raiseFlags(soft.FE_INVALID)
	setDefaultNan()
}
export function isSignalling(se: u32, sig: u64): bool {
	return classify(se, sig) == CLASS_NAN && !(sig & QUIET_BIT)
}

/** A finite number into softfloat's u. */
export function unpack(se: u32, sig: u64): void {
	const exp = <i32>(se & 0x7fff)
	soft.setNormalized(se >> 15, (exp ? exp : 1) - BIAS - 63, sig)
}

/** Rounds u to `bits` and stores it as the result. */
export function pack(bits: i32): void {
	soft.finish(bits, MIN_EXP, MAX_EXP, WRAP)
	if (soft.uInfinite) return setInfinity(soft.uSign)
	if (!soft.uSig) return setZero(soft.uSign)
	// Out of range although wrapped for an unmasked exception (FSCALE).
	if (soft.uExp < MIN_EXP) {
		soft.raiseFlags(soft.FE_INEXACT)
		return setZero(soft.uSign)
	}
	if (soft.uExp > MAX_EXP) {
		soft.raiseFlags(soft.FE_INEXACT)
		soft.setRoundedUp(true)
		return setInfinity(soft.uSign)
	}
	setResult((soft.uSign << 15) | (soft.uSig & INTEGER_BIT ? <u32>(soft.uExp + BIAS) & 0x7fff : 0), soft.uSig)
}

/** Deals with a NaN or unsupported single operand; true when the result is set. */
export function unaryNan(se: u32, sig: u64): bool {
	const kind = classify(se, sig)
	if (kind < CLASS_NAN) return false
	if (kind == CLASS_UNSUPPORTED) setInvalid()
	else {
		if (!(sig & QUIET_BIT)) soft.raiseFlags(soft.FE_INVALID)
		setResult(se, sig | QUIET_BIT)
	}
	return true
}

/** Deals with NaN or unsupported operands of a pair; true when the result is set. */
export function binaryNan(seA: u32, sigA: u64, seB: u32, sigB: u64): bool {
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	if (a < CLASS_NAN && b < CLASS_NAN) return false
	if (a == CLASS_UNSUPPORTED || b == CLASS_UNSUPPORTED) {
		setInvalid()
		return true
	}
	const signallingA = a == CLASS_NAN && !(sigA & QUIET_BIT)
	const signallingB = b == CLASS_NAN && !(sigB & QUIET_BIT)
	if (signallingA || signallingB) soft.raiseFlags(soft.FE_INVALID)
	let first: bool
	if (a != CLASS_NAN) first = false
	else if (b != CLASS_NAN) first = true
	else if (signallingA != signallingB) first = signallingB
	else {
		const x = sigA | QUIET_BIT
		const y = sigB | QUIET_BIT
		first = x > y || (x == y && seA < seB)
	}
	setResult(first ? seA : seB, (first ? sigA : sigB) | QUIET_BIT)
	return true
}

function isDenormal(se: u32, sig: u64): bool {
	return !(se & 0x7fff) && sig != 0
}

/** The instruction's memory operand was a denormal of its own narrower format (its extended form is normal). */
let narrowDenormal: bool = false
export function setNarrowDenormal(denormal: bool): void {
	narrowDenormal = denormal
}

/** DE for denormal operands; true when it is unmasked, so that nothing more is computed. */
function denormalStops(seA: u32, sigA: u64, seB: u32, sigB: u64): bool {
	if (!narrowDenormal && !isDenormal(seA, sigA) && !isDenormal(seB, sigB)) return false
	return raiseDenormal()
}
export function raiseDenormal(): bool {
	soft.raiseFlags(soft.FE_DENORMAL)
	return (soft.fpUnmasked & soft.FE_DENORMAL) != 0
}

/** a + b, or a - b with `negate` 1. */
export function add80(seA: u32, sigA: u64, seB: u32, sigB: u64, negate: u32): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const signA = seA >> 15
	const signB = (seB >> 15) ^ negate
	if (a == CLASS_INFINITE && b == CLASS_INFINITE && signA != signB) return setInvalid()
	if (denormalStops(seA, sigA, seB, sigB)) return
	if (a == CLASS_INFINITE) return setInfinity(signA)
	if (b == CLASS_INFINITE) return setInfinity(signB)
	const down = <u32>(soft.fpRounding == soft.ROUND_DOWN)
	if (a == CLASS_ZERO && b == CLASS_ZERO) return setZero(signA == signB ? signA : down)
	unpack(seA, sigA)
	const exp = soft.uExp
	const sig = soft.uSig
	unpack(seB, sigB)
	soft.addUnpacked(signA, exp, sig, signB, soft.uExp, soft.uSig)
	if (!soft.uSig) return setZero(down)
	pack(precision)
}

export function multiply80(seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const sign = (seA ^ seB) >> 15
	if ((a == CLASS_INFINITE && b == CLASS_ZERO) || (a == CLASS_ZERO && b == CLASS_INFINITE)) return setInvalid()
	if (denormalStops(seA, sigA, seB, sigB)) return
	if (a == CLASS_INFINITE || b == CLASS_INFINITE) return setInfinity(sign)
	if (a == CLASS_ZERO || b == CLASS_ZERO) return setZero(sign)
	unpack(seA, sigA)
	const exp = soft.uExp
	const sig = soft.uSig
	unpack(seB, sigB)
	soft.multiplyUnpacked(seA >> 15, exp, sig, seB >> 15, soft.uExp, soft.uSig)
	pack(precision)
}

export function divide80(seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const sign = (seA ^ seB) >> 15
	if (a == b && (a == CLASS_INFINITE || a == CLASS_ZERO)) return setInvalid()
	if (b == CLASS_ZERO && a != CLASS_INFINITE) {
		soft.raiseFlags(soft.FE_ZERO_DIVIDE)
		return setInfinity(sign)
	}
	if (denormalStops(seA, sigA, seB, sigB)) return
	if (a == CLASS_INFINITE) return setInfinity(sign)
	if (a == CLASS_ZERO || b == CLASS_INFINITE) return setZero(sign)
	unpack(seA, sigA)
	const exp = soft.uExp
	const sig = soft.uSig
	unpack(seB, sigB)
	soft.divideUnpacked(seA >> 15, exp, sig, seB >> 15, soft.uExp, soft.uSig)
	pack(precision)
}

export function squareRoot80(se: u32, sig: u64): void {
	if (unaryNan(se, sig)) return
	const kind = classify(se, sig)
	if (kind == CLASS_ZERO) return setResult(se, sig)
	if (se >> 15) return setInvalid()
	if (kind == CLASS_INFINITE) return setResult(se, sig)
	if (kind == CLASS_DENORMAL && raiseDenormal()) return
	unpack(se, sig)
	soft.squareRootUnpacked(soft.uExp, soft.uSig)
	pack(precision)
}

export const LESS: i32 = -1
export const EQUAL: i32 = 0
export const GREATER: i32 = 1
export const UNORDERED: i32 = 2

/** Compares; IE for a signalling NaN or an unsupported operand, and for any NaN unless `quiet`. */
export function compare80(seA: u32, sigA: u64, seB: u32, sigB: u64, quiet: bool): i32 {
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	if (a >= CLASS_NAN || b >= CLASS_NAN) {
		const bad = a == CLASS_UNSUPPORTED || b == CLASS_UNSUPPORTED || isSignalling(seA, sigA) || isSignalling(seB, sigB)
		if (!quiet || bad) soft.raiseFlags(soft.FE_INVALID)
		return UNORDERED
	}
	if (narrowDenormal || isDenormal(seA, sigA) || isDenormal(seB, sigB)) soft.raiseFlags(soft.FE_DENORMAL)
	if (a == CLASS_ZERO && b == CLASS_ZERO) return EQUAL
	const signA = seA >> 15
	const signB = seB >> 15
	if (a == CLASS_ZERO) return signB ? GREATER : LESS
	if (b == CLASS_ZERO) return signA ? LESS : GREATER
	if (signA != signB) return signA ? LESS : GREATER
	let expA = seA & 0x7fff
	let expB = seB & 0x7fff
	if (!expA) expA = 1
	if (!expB) expB = 1
	if (expA == expB && sigA == sigB) return EQUAL
	const greater = expA > expB || (expA == expB && sigA > sigB)
	return greater == (signA == 0) ? GREATER : LESS
}

/** Quotient bits of the last remainder, and whether it was only a partial reduction. */
export let remainderQuotient: u64 = 0
export let remainderPartial: bool = false
/** There is a quotient: neither partial nor a NaN or an invalid operation. */
export let remainderComplete: bool = false

/** FPREM (truncating quotient) and FPREM1 (nearest). Exponents 64 or more apart are reduced by 32 to 63 and reported partial. */
export function remainder80(seA: u32, sigA: u64, seB: u32, sigB: u64, nearest: bool): void {
	remainderQuotient = 0
	remainderPartial = false
	remainderComplete = false
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	if (a == CLASS_INFINITE || b == CLASS_ZERO) return setInvalid()
	if (denormalStops(seA, sigA, seB, sigB)) return
	remainderComplete = true
	if (a == CLASS_ZERO) return setResult(seA, sigA)
	if (b == CLASS_INFINITE) {
		unpack(seA, sigA)
		return pack(64)
	}
	let sign = seA >> 15
	unpack(seA, sigA)
	const expA = soft.uExp
	let r = soft.uSig
	unpack(seB, sigB)
	const expB = soft.uExp
	const divisor = soft.uSig
	let distance = expA - expB
	const least = nearest ? -1 : 0
	if (distance < least) {
		soft.setUnpacked(sign, expA, r, 0)
		return pack(64)
	}
	if (distance == -1) {
		// |a| is in (b/4, b): the nearest multiple is b itself when 2|a| > b.
		if (r > divisor) {
			r = divisor + (divisor - r)
			sign ^= 1
			remainderQuotient = 1
		}
		soft.setNormalized(sign, expA - 63, r)
		return pack(64)
	}
	let scale = expB
	if (distance >= 64) {
		const step = (distance & 31) | 32
		scale = expA - step
		distance = step
		remainderPartial = true
		remainderComplete = false
	}
	let q: u64 = 0
	if (r >= divisor) {
		r -= divisor
		q = 1
	}
	for (let i = 0; i < distance; i++) {
		const carry = <i64>r < 0
		r <<= 1
		q <<= 1
		if (carry || r >= divisor) {
			r -= divisor
			q |= 1
		}
	}
	if (nearest && !remainderPartial && r && (r > divisor - r || (r == divisor - r && q & 1))) {
		r = divisor - r
		sign ^= 1
		q++
	}
	remainderQuotient = remainderPartial ? 0 : q
	if (!r) return setZero(sign)
	soft.setNormalized(sign, scale - 63, r)
	pack(64)
}

/** FSCALE: a * 2^trunc(b). */
export function scale80(seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const sign = seA >> 15
	if (b == CLASS_INFINITE) {
		if (seB >> 15 ? a == CLASS_INFINITE : a == CLASS_ZERO) return setInvalid()
		if (denormalStops(seA, sigA, seB, sigB)) return
		return seB >> 15 ? setZero(sign) : setInfinity(sign)
	}
	if (denormalStops(seA, sigA, seB, sigB)) return
	if (a == CLASS_INFINITE || a == CLASS_ZERO) return setResult(seA, sigA)
	const exp = <i32>(seB & 0x7fff) - BIAS
	// Beyond 2^16 every finite number over- or underflows.
	let n: i32 = exp < 0 ? 0 : exp > 15 ? 65536 : <i32>(sigB >> (63 - exp))
	if (seB >> 15) n = -n
	unpack(seA, sigA)
	soft.setUnpacked(sign, soft.uExp + n, soft.uSig, 0)
	pack(64)
}
