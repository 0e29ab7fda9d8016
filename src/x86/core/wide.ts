// Arithmetic of about 120 bits, which the x87's transcendental functions are computed in.
//
// Two representations, both two u64 words high:low.
//   wide   a normalised significand (bit 63 of high set) worth high:low / 2^127 * 2^exp; softfloat's u holds the running one.
//   fixed  high:low / 2^126, for values in [0, 4).

import * as soft from './softfloat'
import { pack } from './softfloat80'

export const ONE: u64 = 0x4000000000000000
export const TOP: u64 = 0x8000000000000000

// Accumulator of fixed arithmetic.
export let high: u64 = 0
export let low: u64 = 0
export function setFixed(h: u64, l: u64): void {
	high = h
	low = l
}

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
export function multiplyFixed(bHigh: u64, bLow: u64): void {
	multiplyTop(high, low, bHigh, bLow)
	high = (high << 2) | (low >> 62)
	low <<= 2
}

/** high:low /= d, for d below 2^31. */
export function divideSmall(d: u64): void {
	const q = high / d
	let r = high - q * d
	const upper = (r << 32) | (low >> 32)
	const q1 = upper / d
	r = upper - q1 * d
	const q0 = ((r << 32) | (low & 0xffffffff)) / d
	high = q
	low = (q1 << 32) | q0
}

/** high:low = -high:low, modulo 4. */
export function negateFixed(): void {
	high = ~high + <u64>(low == 0)
	low = -low
}

/** high:low = 1 - high:low or 1 + high:low. */
export function oneMinus(): void {
	high = ONE - high - <u64>(low != 0)
	low = -low
}
export function oneMinusOrPlus(minus: bool): void {
	if (minus) oneMinus()
	else high += ONE
}

/** A series whose first correction is too small to see is still below its leading 1: directed rounding must know. */
export function belowOne(): void {
	if (high != ONE || low) return
	high = ONE - 1
	low = 0xffffffffffffffff
}

/** high:low = u as fixed, for u below 2. */
export function toFixed(): void {
	const exp = soft.uExp
	const sig = soft.uSig
	const lo = soft.uLow
	soft.shiftRightSticky(1 - exp)
	high = soft.uSig
	low = soft.uLow
	soft.setUnpacked(soft.uSign, exp, sig, lo)
}

/** u = high:low from fixed, not zero. */
export function fromFixed(sign: u32): void {
	soft.setUnpacked(sign, 1, high, low)
	soft.normalize128()
}

/** u = u * b, wide. */
export function multiplyWide(bSign: u32, bExp: i32, bHigh: u64, bLow: u64): void {
	const h = high
	const l = low
	multiplyTop(soft.uSig, soft.uLow, bHigh, bLow)
	soft.setUnpacked(soft.uSign ^ bSign, soft.uExp + bExp + 1, high, low)
	soft.normalize128()
	high = h
	low = l
}

/** u = u * high:low (fixed, not zero). */
export function multiplyByFixed(): void {
	const sign = soft.uSign
	const exp = soft.uExp
	const sig = soft.uSig
	const lo = soft.uLow
	fromFixed(sign)
	multiplyWide(0, exp, sig, lo)
}

/** u = u / b, wide, both normalised. */
export function divideWide(bSign: u32, bExp: i32, bHigh: u64, bLow: u64): void {
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
export function addToLarger(bSign: u32, bExp: i32, bHigh: u64, bLow: u64): void {
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
export function squareToFixed(): void {
	const sign = soft.uSign
	const exp = soft.uExp
	const sig = soft.uSig
	const lo = soft.uLow
	multiplyWide(sign, exp, sig, lo)
	toFixed()
	soft.setUnpacked(sign, exp, sig, lo)
}

/** Rounds u, known to differ from the exact result. */
export function packInexact(): void {
	soft.setUnpacked(soft.uSign, soft.uExp, soft.uSig, soft.uLow | 1)
	pack(64)
}
