// The x87's transcendental functions, computed to about 120 bits and rounded once, so within 1 ulp of the exact result.
//
// Two representations, both two u64 words high:low.
//   wide   a normalised significand (bit 63 of high set) worth high:low / 2^127 * 2^exp; softfloat's u holds the running one.
//   fixed  high:low / 2^126, for values in [0, 4).
// Arguments of the trigonometric functions are reduced exactly with the 66-bit pi that x87 processors use, so large arguments give what
// they give on hardware, not what the mathematical function has.

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

const ONE: u64 = 0x4000000000000000
const TOP: u64 = 0x8000000000000000
const LN2_HIGH: u64 = 0xb17217f7d1cf79ab
const LN2_LOW: u64 = 0xc9e3b39803f2f6af
const LOG2E_HIGH: u64 = 0xb8aa3b295c17f0bb
const LOG2E_LOW: u64 = 0xbe87fed0691d3e88
const PI_HIGH: u64 = 0xc90fdaa22168c234
const PI_LOW: u64 = 0xc4c6628b80dc1cd1

/** atan(j / 8), j = 1..8, fixed. */
const arctangents: usize = memory.data<u64>([
	0x07f56ea6ab0bdb71, 0x9644bcc4f9f44477, 0x0fadbafc96406eb1, 0x56dc79ef5f7a217e, 0x16f61941e4def08e, 0x715464245b9fc890, 0x1dac670561bb4f68,
	0xadfc88bd978751a0, 0x23c01757bdfd67e6, 0xd720d78599710dd1, 0x292f1f464d3dc249, 0x066a1fca915f6b27, 0x2e014f8af08c679c, 0xf2cb69548429110f,
	0x3243f6a8885a308d, 0x313198a2e0370734,
])

// Accumulator of fixed arithmetic.
let high: u64 = 0
let low: u64 = 0

/** high:low = top 128 bits of a * b (the lowest few units may be lost). */
function multiplyTop(aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): void {
	let l = aHigh * bLow
	let carry: u64 = 0
	const other = aLow * bHigh
	l += other
	carry += <u64>(l < other)
	// l's upper neighbour gets the high halves of the cross products.
	const x = soft.multiplyHigh(aHigh, bLow)
	const y = soft.multiplyHigh(aLow, bHigh)
	let sum = aHigh * bHigh
	high = soft.multiplyHigh(aHigh, bHigh)
	sum += x
	high += <u64>(sum < x)
	sum += y
	high += <u64>(sum < y)
	sum += carry
	high += <u64>(sum < carry)
	low = sum
}

/** high:low = high:low * b, fixed. */
function multiplyFixed(bHigh: u64, bLow: u64): void {
	multiplyTop(high, low, bHigh, bLow)
	high = (high << 2) | (low >> 62)
	low <<= 2
}

/** high:low /= d, for d below 2^31. */
function divideSmall(d: u64): void {
	const q = high / d
	let r = high - q * d
	const upper = (r << 32) | (low >> 32)
	const q1 = upper / d
	r = upper - q1 * d
	const q0 = ((r << 32) | (low & 0xffffffff)) / d
	high = q
	low = (q1 << 32) | q0
}

/** high:low = 1 - high:low or 1 + high:low. */
function oneMinus(): void {
	high = ONE - high - <u64>(low != 0)
	low = -low
}
function oneMinusOrPlus(minus: bool): void {
	if (minus) oneMinus()
	else high += ONE
}

/** A series whose first correction is too small to see is still below its leading 1: directed rounding must know. */
function belowOne(): void {
	if (high != ONE || low) return
	high = ONE - 1
	low = 0xffffffffffffffff
}

/** high:low = u as fixed, for u below 2. */
function toFixed(): void {
	const exp = soft.uExp
	const sig = soft.uSig
	const lo = soft.uLow
	soft.shiftRightSticky(1 - exp)
	high = soft.uSig
	low = soft.uLow
	soft.setUnpacked(soft.uSign, exp, sig, lo)
}

/** u = high:low from fixed, not zero. */
function fromFixed(sign: u32): void {
	soft.setUnpacked(sign, 1, high, low)
	soft.normalize128()
}

/** u = u * b, wide. */
function multiplyWide(bSign: u32, bExp: i32, bHigh: u64, bLow: u64): void {
	const h = high
	const l = low
	multiplyTop(soft.uSig, soft.uLow, bHigh, bLow)
	soft.setUnpacked(soft.uSign ^ bSign, soft.uExp + bExp + 1, high, low)
	soft.normalize128()
	high = h
	low = l
}

/** u = u * high:low (fixed, not zero). */
function multiplyByFixed(): void {
	const sign = soft.uSign
	const exp = soft.uExp
	const sig = soft.uSig
	const lo = soft.uLow
	fromFixed(sign)
	multiplyWide(0, exp, sig, lo)
}

/** u = u / b, wide, both normalised. */
function divideWide(bSign: u32, bExp: i32, bHigh: u64, bLow: u64): void {
	let h = soft.uSig
	let l = soft.uLow
	let qHigh: u64 = 0
	let qLow: u64 = 0
	const less = h < bHigh || (h == bHigh && l < bLow)
	let steps = 128
	if (!less) {
		h = h - bHigh - <u64>(l < bLow)
		l -= bLow
		qLow = 1
		steps = 127
	}
	for (let i = 0; i < steps; i++) {
		const carry = <i64>h < 0
		h = (h << 1) | (l >> 63)
		l <<= 1
		qHigh = (qHigh << 1) | (qLow >> 63)
		qLow <<= 1
		if (carry || h > bHigh || (h == bHigh && l >= bLow)) {
			h = h - bHigh - <u64>(l < bLow)
			l -= bLow
			qLow |= 1
		}
	}
	soft.setUnpacked(soft.uSign ^ bSign, soft.uExp - bExp - <i32>less, qHigh, qLow | <u64>((h | l) != 0))
}

/** u = b + u for |b| >= |u|, both wide and not zero. */
function addToLarger(bSign: u32, bExp: i32, bHigh: u64, bLow: u64): void {
	const subtract = bSign != soft.uSign
	soft.shiftRightSticky(bExp - soft.uExp)
	let h: u64
	let l: u64
	if (subtract) {
		h = bHigh - soft.uSig - <u64>(bLow < soft.uLow)
		l = bLow - soft.uLow
		soft.setUnpacked(bSign, bExp, h, l)
		soft.normalize128()
		return
	}
	l = bLow + soft.uLow
	const carry = <u64>(l < bLow)
	h = bHigh + soft.uSig
	let over = h < bHigh
	h += carry
	over = over || h < carry
	if (over) soft.setUnpacked(bSign, bExp + 1, (h >> 1) | TOP, (l >> 1) | (h << 63))
	else soft.setUnpacked(bSign, bExp, h, l)
}

/** high:low = u * u, fixed. */
function squareToFixed(): void {
	const sign = soft.uSign
	const exp = soft.uExp
	const sig = soft.uSig
	const lo = soft.uLow
	multiplyWide(sign, exp, sig, lo)
	toFixed()
	soft.setUnpacked(sign, exp, sig, lo)
}

/** Rounds u, known to differ from the exact result. */
function packInexact(): void {
	soft.setUnpacked(soft.uSign, soft.uExp, soft.uSig, soft.uLow | 1)
	pack(64)
}

// ---- trigonometric -------------------------------------------------------------------------------------------------

let quadrant: u32 = 0

/**
 * u = |x| less the nearest multiple of pi/2, `quadrant` that multiple. |x| < 2^63.
 * Exact: pi/2 is the integer M = c.90fdaa22168c234c (hexadecimal, 68 bits) in units of 2^-67.
 */
function reduce(se: u32, sig: u64): void {
	unpack(se & 0x7fff, sig)
	quadrant = 0
	if (soft.uExp < -1) return
	const mHigh: u64 = 0xc
	const mLow: u64 = 0x90fdaa22168c234c
	let h: u64 = 0
	let l = soft.uSig
	let sign: u32 = 0
	const steps = soft.uExp + 4
	for (let i = 0; i < steps; i++) {
		h = (h << 1) | (l >> 63)
		l <<= 1
		quadrant <<= 1
		if (h > mHigh || (h == mHigh && l >= mLow)) {
			h = h - mHigh - <u64>(l < mLow)
			l -= mLow
			quadrant |= 1
		}
	}
	if (h > 6 || (h == 6 && l > 0x487ed5110b4611a6)) {
		h = mHigh - h - <u64>(mLow < l)
		l = mLow - l
		sign = 1
		quadrant++
	}
	soft.setUnpacked(sign, 60, h, l)
	soft.normalize128()
}

/** u = sin u, |u| <= pi/4. */
function sineKernel(): void {
	squareToFixed()
	const zHigh = high
	const zLow = low
	high = ONE
	low = 0
	for (let k: u64 = 17; k > 0; k--) {
		multiplyFixed(zHigh, zLow)
		divideSmall(2 * k * (2 * k + 1))
		oneMinus()
	}
	belowOne()
	multiplyByFixed()
}

/** u = cos u, |u| <= pi/4. */
function cosineKernel(): void {
	squareToFixed()
	const zHigh = high
	const zLow = low
	high = ONE
	low = 0
	for (let k: u64 = 17; k > 0; k--) {
		multiplyFixed(zHigh, zLow)
		divideSmall((2 * k - 1) * 2 * k)
		oneMinus()
	}
	belowOne()
	fromFixed(0)
}

/** u = sin(u + quadrant * pi/2). */
function sineOf(n: u32): void {
	if (n & 1) cosineKernel()
	else sineKernel()
	soft.setUnpacked(soft.uSign ^ ((n >> 1) & 1), soft.uExp, soft.uSig, soft.uLow)
}

/** Magnitudes of 2^63 and more are left alone by the trigonometric instructions. */
export function outOfRange(se: u32, sig: u64): bool {
	return classify(se, sig) < CLASS_INFINITE && (se & 0x7fff) >= 0x3fff + 63
}

/** What sin, cos and tan share; true when the result is set. `one`: the function is 1 at zero. */
function trigonometricSpecial(se: u32, sig: u64, one: bool): bool {
	if (unaryNan(se, sig)) return true
	const kind = classify(se, sig)
	if (kind == CLASS_INFINITE) {
		setInvalid()
		return true
	}
	if (kind == CLASS_ZERO) {
		if (one) extendedOne(0)
		else setResult(se, sig)
		return true
	}
	return kind == CLASS_DENORMAL && raiseDenormal()
}

export function sine80(se: u32, sig: u64): void {
	if (trigonometricSpecial(se, sig, false)) return
	reduce(se, sig)
	sineOf(quadrant)
	soft.setUnpacked(soft.uSign ^ (se >> 15), soft.uExp, soft.uSig, soft.uLow)
	packInexact()
}

export function cosine80(se: u32, sig: u64): void {
	if (trigonometricSpecial(se, sig, true)) return
	reduce(se, sig)
	sineOf(quadrant + 1)
	packInexact()
}

export function tangent80(se: u32, sig: u64): void {
	if (trigonometricSpecial(se, sig, false)) return
	reduce(se, sig)
	const n = quadrant
	const sign = soft.uSign
	const exp = soft.uExp
	const s = soft.uSig
	const l = soft.uLow
	sineOf(n + 1)
	const cosSign = soft.uSign
	const cosExp = soft.uExp
	const cosHigh = soft.uSig
	const cosLow = soft.uLow
	soft.setUnpacked(sign, exp, s, l)
	sineOf(n)
	divideWide(cosSign ^ (se >> 15), cosExp, cosHigh, cosLow)
	packInexact()
}

/** u = atan u, 0 < u <= 1. */
function arctangentKernel(): void {
	toFixed()
	const tHigh = high
	const tLow = low
	// The multiple of 1/8 nearest to t: atan t = atan c + atan((t - c) / (1 + t c)).
	const j = (tHigh + (1 << 58)) >> 59
	let sign: u32 = 0
	if (j) {
		// 1 + t * j / 8
		high = tHigh
		low = tLow
		multiplyFixed(j << 59, 0)
		high += ONE
		fromFixed(0)
		const exp = soft.uExp
		const h = soft.uSig
		const l = soft.uLow
		high = tHigh - (j << 59)
		low = tLow
		if (<i64>high < 0) {
			sign = 1
			high = ~high + <u64>(low == 0)
			low = -low
		}
		if (!(high | low)) {
			high = load<u64>(arctangents + <usize>(j - 1) * 16)
			low = load<u64>(arctangents + <usize>(j - 1) * 16, 8)
			return fromFixed(0)
		}
		fromFixed(sign)
		divideWide(0, exp, h, l)
	}
	squareToFixed()
	const zHigh = high
	const zLow = low
	high = 0
	low = 0
	for (let k: i32 = 17; k >= 0; k--) {
		multiplyFixed(zHigh, zLow)
		const h = high
		const l = low
		high = ONE
		low = 0
		divideSmall(<u64>(2 * k + 1))
		const borrow = <u64>(low < l)
		low -= l
		high = high - h - borrow
	}
	belowOne()
	multiplyByFixed()
	if (!j) return
	const s = soft.uSign
	const e = soft.uExp
	const h = soft.uSig
	const l = soft.uLow
	high = load<u64>(arctangents + <usize>(j - 1) * 16)
	low = load<u64>(arctangents + <usize>(j - 1) * 16, 8)
	fromFixed(0)
	const bExp = soft.uExp
	const bHigh = soft.uSig
	const bLow = soft.uLow
	soft.setUnpacked(s, e, h, l)
	addToLarger(0, bExp, bHigh, bLow)
}

/** FPATAN: the angle of (x, y), y = a, x = b. */
export function arctangent80(seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	if (binaryNan(seA, sigA, seB, sigB)) return
	const a = classify(seA, sigA)
	const b = classify(seB, sigB)
	const sign = seA >> 15
	const left = seB >> 15
	if ((a == CLASS_DENORMAL || b == CLASS_DENORMAL) && raiseDenormal()) return
	if (a == CLASS_INFINITE && b == CLASS_INFINITE) {
		// pi/4 or 3 pi/4
		if (left) soft.setUnpacked(sign, 1, 0x96cbe3f9990e91a7, 0x9394c9e8a0a5159c)
		else soft.setUnpacked(sign, -1, PI_HIGH, PI_LOW)
		return packInexact()
	}
	if (a == CLASS_ZERO || b == CLASS_INFINITE) {
		if (!left) return setZero(sign)
		soft.setUnpacked(sign, 1, PI_HIGH, PI_LOW)
		return packInexact()
	}
	if (b == CLASS_ZERO || a == CLASS_INFINITE) {
		soft.setUnpacked(sign, 0, PI_HIGH, PI_LOW)
		return packInexact()
	}
	unpack(seA & 0x7fff, sigA)
	const expA = soft.uExp
	const mA = soft.uSig
	unpack(seB & 0x7fff, sigB)
	const steep = expA > soft.uExp || (expA == soft.uExp && mA > soft.uSig)
	if (steep) divideWide(0, expA, mA, 0)
	else {
		const expB = soft.uExp
		const mB = soft.uSig
		soft.setUnpacked(0, expA, mA, 0)
		divideWide(0, expB, mB, 0)
		if (!left && mA == mB && expA == expB) {
			soft.setUnpacked(sign, -1, PI_HIGH, PI_LOW)
			return packInexact()
		}
	}
	arctangentKernel()
	if (steep || left) {
		// steep: pi/2 -+ angle; else pi - angle.
		const minus = <u32>(steep ? !left : true)
		soft.setUnpacked(minus, soft.uExp, soft.uSig, soft.uLow)
		addToLarger(0, steep ? 0 : 1, PI_HIGH, PI_LOW)
	}
	soft.setUnpacked(sign, soft.uExp, soft.uSig, soft.uLow)
	packInexact()
}

// ---- exponential and logarithm ----------------------------------------------------------------------------------------

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
	high = ONE
	low = 0
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
	high = 0
	low = 0
	for (let k: i32 = 40; k >= 0; k--) {
		multiplyFixed(zHigh, zLow)
		const h = high
		const l = low
		high = ONE
		low = 0
		divideSmall(<u64>(2 * k + 1))
		low += l
		high += h + <u64>(low < l)
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
