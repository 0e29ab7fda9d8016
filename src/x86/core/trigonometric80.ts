// The x87's trigonometric functions, computed to about 120 bits (wide.ts) and rounded once, so within 1 ulp of the exact result.
// Arguments are reduced exactly with the 66-bit pi that x87 processors use, so large arguments give what they give on hardware, not what
// the mathematical function has.

import * as soft from './softfloat'
import {
	CLASS_DENORMAL,
	CLASS_INFINITE,
	CLASS_ZERO,
	binaryNan,
	classify,
	extendedOne,
	raiseDenormal,
	setInvalid,
	setResult,
	setZero,
	unaryNan,
	unpack,
} from './softfloat80'
import {
	ONE,
	addToLarger,
	belowOne,
	divideSmall,
	divideWide,
	fromFixed,
	high,
	low,
	multiplyByFixed,
	multiplyFixed,
	negateFixed,
	oneMinus,
	packInexact,
	setFixed,
	squareToFixed,
	toFixed,
} from './wide'

const PI_HIGH: u64 = 0xc90fdaa22168c234
const PI_LOW: u64 = 0xc4c6628b80dc1cd1

/** atan(j / 8), j = 1..8, fixed. */
const arctangents: usize = memory.data<u64>([
	0x07f56ea6ab0bdb71, 0x9644bcc4f9f44477, 0x0fadbafc96406eb1, 0x56dc79ef5f7a217e, 0x16f61941e4def08e, 0x715464245b9fc890, 0x1dac670561bb4f68,
	0xadfc88bd978751a0, 0x23c01757bdfd67e6, 0xd720d78599710dd1, 0x292f1f464d3dc249, 0x066a1fca915f6b27, 0x2e014f8af08c679c, 0xf2cb69548429110f,
	0x3243f6a8885a308d, 0x313198a2e0370734,
])

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
	setFixed(ONE, 0)
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
	setFixed(ONE, 0)
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
		setFixed(tHigh, tLow)
		multiplyFixed(j << 59, 0)
		setFixed(high + ONE, low)
		fromFixed(0)
		const exp = soft.uExp
		const h = soft.uSig
		const l = soft.uLow
		setFixed(tHigh - (j << 59), tLow)
		if (<i64>high < 0) {
			sign = 1
			negateFixed()
		}
		if (!(high | low)) {
			setFixed(load<u64>(arctangents + <usize>(j - 1) * 16), load<u64>(arctangents + <usize>(j - 1) * 16, 8))
			return fromFixed(0)
		}
		fromFixed(sign)
		divideWide(0, exp, h, l)
	}
	squareToFixed()
	const zHigh = high
	const zLow = low
	setFixed(0, 0)
	for (let k: i32 = 17; k >= 0; k--) {
		multiplyFixed(zHigh, zLow)
		const h = high
		const l = low
		setFixed(ONE, 0)
		divideSmall(<u64>(2 * k + 1))
		setFixed(high - h - <u64>(low < l), low - l)
	}
	belowOne()
	multiplyByFixed()
	if (!j) return
	const s = soft.uSign
	const e = soft.uExp
	const h = soft.uSig
	const l = soft.uLow
	setFixed(load<u64>(arctangents + <usize>(j - 1) * 16), load<u64>(arctangents + <usize>(j - 1) * 16, 8))
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
