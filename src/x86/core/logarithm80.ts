// The x87's exponential and logarithms, computed to about 120 bits (wide.ts) and rounded once, so within 1 ulp of the exact result.

import * as soft from './softfloat'
import {
	CLASS_DENORMAL,
	CLASS_INFINITE,
	CLASS_ZERO,
	binaryNan,
	classify,
	extendedOne,
	pack,
	raiseDenormal,
	rSe,
	setInfinity,
	setInvalid,
	setResult,
	setZero,
	unaryNan,
	unpack,
} from './softfloat80'
import {
	ONE,
	TOP,
	addToLarger,
	divideSmall,
	divideWide,
	high,
	low,
	multiplyByFixed,
	multiplyFixed,
	multiplyWide,
	oneMinusOrPlus,
	packInexact,
	setFixed,
	squareToFixed,
	toFixed,
} from './wide'

const LN2_HIGH: u64 = 0xb17217f7d1cf79ab
const LN2_LOW: u64 = 0xc9e3b39803f2f6af
const LOG2E_HIGH: u64 = 0xb8aa3b295c17f0bb
const LOG2E_LOW: u64 = 0xbe87fed0691d3e88

/** F2XM1: 2^x - 1 for |x| <= 1; beyond, x itself, as processors leave it. PE is raised even for the exact x = 1 and x = -1. */
export function exponentialMinusOne80(se: u32, sig: u64): void {
	if (unaryNan(se, sig)) return
	const kind = classify(se, sig)
	if (kind == CLASS_INFINITE) return se >> 15 ? extendedOne(1) : setResult(se, sig)
	if (kind == CLASS_ZERO) return setResult(se, sig)
	if (kind == CLASS_DENORMAL && raiseDenormal()) return
	const exp = <i32>(se & 0x7fff) - 0x3fff
	if (exp >= 0) {
		soft.raiseFlags(soft.FE_INEXACT)
		setResult(exp == 0 && sig == TOP && se >> 15 ? 0xbffe : se, sig)
		return
	}
	unpack(se, sig)
	multiplyWide(0, -1, LN2_HIGH, LN2_LOW)
	const minus = se >> 15 != 0
	toFixed()
	const tHigh = high
	const tLow = low
	setFixed(ONE, 0)
	for (let k: u64 = 34; k >= 2; k--) {
		multiplyFixed(tHigh, tLow)
		divideSmall(k)
		oneMinusOrPlus(minus)
	}
	multiplyByFixed()
	packInexact()
}

/** u = log2((1 + u) / (1 - u)) = u * 2 / ln 2 * (1 + u^2/3 + u^4/5 ...), |u| <= 1/3. */
function logarithmKernel(): void {
	squareToFixed()
	const zHigh = high
	const zLow = low
	setFixed(0, 0)
	for (let k: i32 = 40; k >= 0; k--) {
		multiplyFixed(zHigh, zLow)
		const h = high
		const l = low
		setFixed(ONE, 0)
		divideSmall(<u64>(2 * k + 1))
		setFixed(high + h + <u64>(low + l < l), low + l)
	}
	multiplyByFixed()
	multiplyWide(0, 1, LOG2E_HIGH, LOG2E_LOW)
}

/** u = log2 of the positive number in u; uSig zero when that is zero. True when exact (a power of two). */
function logarithmOf(): bool {
	let exp = soft.uExp
	const sig = soft.uSig
	if (sig == TOP) {
		soft.setNormalized(<u32>(exp < 0), 0, <u64>(exp < 0 ? -exp : exp))
		return true
	}
	// m in (1, sqrt 2]: (m - 1) / (m + 1); above, m / 2 and the next exponent.
	if (sig <= 0xb504f333f9de6484) {
		soft.setNormalized(0, -63, sig - TOP)
		divideWide(0, 1, (sig >> 1) + ONE, sig << 63)
	} else {
		exp++
		soft.setNormalized(1, -64, -sig)
		divideWide(0, 0, (sig >> 1) | TOP, sig << 63)
	}
	logarithmKernel()
	if (exp) {
		const sign = <u32>(exp < 0)
		const magnitude = <u64>(sign ? -exp : exp)
		const shift = clz(magnitude)
		addToLarger(sign, 63 - <i32>shift, magnitude << shift, 0)
	}
	return false
}

/** FYL2X: a * log2 b. */
export function logarithm80(seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const sign = seA >> 15
	if (b != CLASS_ZERO && seB >> 15) return setInvalid()
	if (b == CLASS_ZERO) {
		if (a == CLASS_ZERO) return setInvalid()
		if (a != CLASS_INFINITE) soft.raiseFlags(soft.FE_ZERO_DIVIDE)
		return setInfinity(sign ^ 1)
	}
	if (b == CLASS_INFINITE) {
		if (a == CLASS_ZERO) return setInvalid()
		if (a == CLASS_DENORMAL && raiseDenormal()) return
		return setInfinity(sign)
	}
	const one = (seB & 0x7fff) == 0x3fff && sigB == TOP
	if (a == CLASS_INFINITE && one) return setInvalid()
	if ((a == CLASS_DENORMAL || b == CLASS_DENORMAL) && raiseDenormal()) return
	const below = <u32>((seB & 0x7fff) < 0x3fff)
	if (a == CLASS_INFINITE) return setInfinity(sign ^ below)
	if (one || a == CLASS_ZERO) return setZero(sign ^ below)
	unpack(seB, sigB)
	const exact = logarithmOf()
	multiplyBy(seA, sigA, exact)
}

/** Multiplies u by a and rounds. */
function multiplyBy(seA: u32, sigA: u64, exact: bool): void {
	const sign = soft.uSign
	const exp = soft.uExp
	const sig = soft.uSig
	const l = soft.uLow
	unpack(seA, sigA)
	multiplyWide(sign, exp, sig, l)
	if (!exact) return packInexact()
	// Processors report these as if they were inexact.
	pack(64)
	soft.raiseFlags(soft.FE_INEXACT | (rSe & 0x7fff ? 0 : soft.FE_UNDERFLOW))
}

/** FYL2XP1: a * log2(1 + b), accurate for small b. */
export function logarithmPlusOne80(seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const signs = (seA ^ seB) >> 15
	const sign = seB >> 15
	if (b == CLASS_INFINITE && (sign || a == CLASS_ZERO)) return setInvalid()
	if (a == CLASS_INFINITE && b == CLASS_ZERO) return setInvalid()
	if ((a == CLASS_DENORMAL || b == CLASS_DENORMAL) && raiseDenormal()) return
	if (a == CLASS_INFINITE || b == CLASS_INFINITE) return setInfinity(signs)
	if (a == CLASS_ZERO || b == CLASS_ZERO) return setZero(signs)
	unpack(seB, sigB)
	const exp = soft.uExp
	const sig = soft.uSig
	if (exp >= 0 && sign) {
		// Outside the range the instruction is defined for processors leave b.
		soft.raiseFlags(soft.FE_INEXACT)
		return setResult(seB, sigB)
	}
	if (exp >= (sign ? -1 : 0)) {
		// The series is for smaller b. 1 + b is exact for b <= -1/2; b >= 1 is outside the defined range.
		soft.addUnpacked(0, 0, TOP, sign, exp, sig)
		soft.setUnpacked(0, soft.uExp, soft.uSig, 0)
		const exact = logarithmOf()
		return multiplyBy(seA, sigA, exact)
	}
	// (1 + b) - 1 over (1 + b) + 1
	addToLarger(0, 1, TOP, 0)
	const dExp = soft.uExp
	const dHigh = soft.uSig
	const dLow = soft.uLow
	soft.setUnpacked(sign, exp, sig, 0)
	divideWide(0, dExp, dHigh, dLow)
	logarithmKernel()
	multiplyBy(seA, sigA, false)
}
