// Exact arithmetic on unpacked floating-point numbers, and rounding to any format of up to 64 significant bits.
// Serves the x87 (softfloat80.ts) and the cases of SSE that WebAssembly's own operators do not cover (sse_soft.ts).
//
// An unpacked number is sign (0 or 1), exponent (unbiased), significand: a u64 with bit 63 set, worth significand / 2^63 * 2^exponent.
// Results are left in u* below with 64 more bits in uLow, whose last bit stands for everything smaller that is not zero ("sticky").
// Every operation computes exactly up to that bit, so that finish() rounds once and correctly in every mode.
//
// State is global: one instance of the core serves one vCPU and never re-enters here.

export const FE_INVALID: u32 = 1
export const FE_DENORMAL: u32 = 2
export const FE_ZERO_DIVIDE: u32 = 4
export const FE_OVERFLOW: u32 = 8
export const FE_UNDERFLOW: u32 = 16
export const FE_INEXACT: u32 = 32

export const ROUND_NEAREST: u32 = 0
export const ROUND_DOWN: u32 = 1
export const ROUND_UP: u32 = 2
export const ROUND_ZERO: u32 = 3

/** Exceptions raised since they were last cleared, FE_*. */
export let fpFlags: u32 = 0
/** Whether the last rounding increased the magnitude. */
export let fpRoundedUp: bool = false
/** ROUND_* in force, exceptions that are not masked, whether tiny results become zero. Set by the instruction set's entry. */
export let fpRounding: u32 = 0
export let fpUnmasked: u32 = 0
export let fpFlush: bool = false

export let uSign: u32 = 0
export let uExp: i32 = 0
export let uSig: u64 = 0
export let uLow: u64 = 0
/** finish() overflowed to infinity. */
export let uInfinite: bool = false

export function setEnvironment(rounding: u32, unmasked: u32, flush: bool): void {
	fpRounding = rounding
	fpUnmasked = unmasked
	fpFlush = flush
}
export function clearFlags(): void {
	fpFlags = 0
	fpRoundedUp = false
}
export function raiseFlags(flags: u32): void {
	fpFlags |= flags
}
/** Takes back what rounding reported. */
export function dropInexact(): void {
	fpFlags &= ~FE_INEXACT
	fpRoundedUp = false
}
export function setRoundedUp(up: bool): void {
	fpRoundedUp = up
}
export function setUnpacked(sign: u32, exp: i32, sig: u64, low: u64): void {
	uSign = sign
	uExp = exp
	uSig = sig
	uLow = low
}

/** Sets the unpacked number from an integer magnitude worth sig * 2^exp (sig of any size). */
export function setNormalized(sign: u32, exp: i32, sig: u64): void {
	uSign = sign
	uLow = 0
	if (!sig) {
		uSig = 0
		uExp = 0
		return
	}
	const shift = <i32>clz(sig)
	uSig = sig << shift
	uExp = exp + 63 - shift
}

/** High half of a 64 x 64 bit product. */
export function multiplyHigh(a: u64, b: u64): u64 {
	const a0 = a & 0xffffffff
	const a1 = a >> 32
	const b0 = b & 0xffffffff
	const b1 = b >> 32
	const middle = a1 * b0 + ((a0 * b0) >> 32)
	const carry = a0 * b1 + (middle & 0xffffffff)
	return a1 * b1 + (middle >> 32) + (carry >> 32)
}

let remainder: u64 = 0
export function lastRemainder(): u64 {
	return remainder
}

/** (high:low) / divisor for high < divisor and a divisor with bit 63 set; the remainder is in lastRemainder(). */
export function divide128(high: u64, low: u64, divisor: u64): u64 {
	const d1 = divisor >> 32
	const d0 = divisor & 0xffffffff
	const l1 = low >> 32
	const l0 = low & 0xffffffff
	let q1 = high / d1
	let r = high - q1 * d1
	while (q1 > 0xffffffff || q1 * d0 > ((r << 32) | l1)) {
		q1--
		r += d1
		if (r > 0xffffffff) break
	}
	const middle = (high << 32) + l1 - q1 * divisor
	let q0 = middle / d1
	r = middle - q0 * d1
	while (q0 > 0xffffffff || q0 * d0 > ((r << 32) | l0)) {
		q0--
		r += d1
		if (r > 0xffffffff) break
	}
	remainder = (middle << 32) + l0 - q0 * divisor
	return (q1 << 32) + q0
}

/** Shifts uSig:uLow right, keeping lost bits sticky. */
export function shiftRightSticky(count: i32): void {
	if (count <= 0) return
	if (count < 64) {
		const lost = uLow << (64 - count)
		uLow = (uLow >> count) | (uSig << (64 - count)) | <u64>(lost != 0)
		uSig >>= count
	} else if (count < 128) {
		const n = count - 64
		const lost = n ? (uSig << (64 - n)) | uLow : uLow
		uLow = (uSig >> n) | <u64>(lost != 0)
		uSig = 0
	} else {
		uLow = <u64>((uSig | uLow) != 0)
		uSig = 0
	}
}

/** u = a + b, each finite and not both zero. An exact zero leaves uSig zero; its sign is the caller's. */
export function addUnpacked(signA: u32, expA: i32, sigA: u64, signB: u32, expB: i32, sigB: u64): void {
	if (!sigB) return setUnpacked(signA, expA, sigA, 0)
	if (!sigA) return setUnpacked(signB, expB, sigB, 0)
	if (expA < expB || (expA == expB && sigA < sigB)) {
		const s = signA
		const e = expA
		const m = sigA
		signA = signB
		expA = expB
		sigA = sigB
		signB = s
		expB = e
		sigB = m
	}
	setUnpacked(signA, expA, sigB, 0)
	shiftRightSticky(expA - expB)
	if (signA == signB) {
		const sum = sigA + uSig
		const carry = sum < sigA
		uSig = sum
		if (carry) {
			uLow = (uLow >> 1) | (uSig << 63) | (uLow & 1)
			uSig = (uSig >> 1) | 0x8000000000000000
			uExp++
		}
		return
	}
	const borrow = <u64>(uLow != 0)
	uLow = -uLow
	uSig = sigA - uSig - borrow
	normalize128()
}

export function normalize128(): void {
	if (!uSig) {
		if (!uLow) return
		uSig = uLow
		uLow = 0
		uExp -= 64
	}
	const shift = <i32>clz(uSig)
	if (!shift) return
	uSig = (uSig << shift) | (uLow >> (64 - shift))
	uLow <<= shift
	uExp -= shift
}

/** u = a * b, neither zero. */
export function multiplyUnpacked(signA: u32, expA: i32, sigA: u64, signB: u32, expB: i32, sigB: u64): void {
	setUnpacked(signA ^ signB, expA + expB + 1, multiplyHigh(sigA, sigB), sigA * sigB)
	normalize128()
}

/** u = a / b, neither zero. */
export function divideUnpacked(signA: u32, expA: i32, sigA: u64, signB: u32, expB: i32, sigB: u64): void {
	const less = sigA < sigB
	const quotient = less ? divide128(sigA, 0, sigB) : divide128(sigA >> 1, sigA << 63, sigB)
	const rest = sigB - remainder
	const low: u64 = !remainder ? 0 : remainder > rest ? 0xc000000000000000 : remainder == rest ? 0x8000000000000000 : 1
	setUnpacked(signA ^ signB, expA - expB - <i32>less, quotient, low)
}

/** u = square root of a positive number. */
export function squareRootUnpacked(exp: i32, sig: u64): void {
	// The root of the 128-bit integer n = sig * 2^63 (even exponent) or sig * 2^64 (odd): a guess good to 2^-52, then one correction.
	const odd = exp & 1
	const high = odd ? sig : sig >> 1
	const low: u64 = odd ? 0 : sig << 63
	const guess = sqrt(<f64>sig * (odd ? 18446744073709551616.0 : 9223372036854775808.0))
	let root: u64 = guess >= 18446744073709551615.0 ? 0xffffffffffffffff : <u64>guess
	let restLow = low - root * root
	let restHigh = high - multiplyHigh(root, root) - <u64>(low < root * root)
	const rest = <f64>(<i64>restHigh) * 18446744073709551616.0 + <f64>restLow
	const step = <i64>(rest / (2.0 * <f64>root))
	const next = root + step
	root = step > 0 && next < root ? 0xffffffffffffffff : next
	for (;;) {
		const square = root * root
		restLow = low - square
		restHigh = high - multiplyHigh(root, root) - <u64>(low < square)
		if (<i64>restHigh < 0) root--
		else if (restHigh > root >> 63 || (restHigh == root >> 63 && restLow > root << 1)) root++
		else break
	}
	// restHigh:restLow <= 2 * root here.
	const above = restHigh != 0 || restLow > root
	setUnpacked(0, exp >> 1, root, !(restHigh | restLow) ? 0 : above ? 0xc000000000000000 : 1)
}

/** Rounds uSig:uLow to its `precision` leading positions (1..64). Returns whether that lost anything. */
function roundSignificand(precision: i32): bool {
	const drop = 64 - precision
	const unit: u64 = (<u64>1) << drop
	const rest = uSig & (unit - 1)
	const inexact = (rest | uLow) != 0
	fpRoundedUp = false
	if (!inexact) return false
	let up: bool
	if (fpRounding == ROUND_NEAREST) {
		const half: u64 = unit >> 1
		const guard = drop ? (rest & half) != 0 : <i64>uLow < 0
		const sticky = drop ? ((rest & (half - 1)) | uLow) != 0 : uLow << 1 != 0
		up = guard && (sticky || (uSig & unit) != 0)
	} else up = fpRounding == (uSign ? ROUND_DOWN : ROUND_UP)
	uSig &= ~(unit - 1)
	uLow = 0
	if (up) {
		uSig += unit
		if (uSig == 0) {
			uSig = 0x8000000000000000
			uExp++
		}
		fpRoundedUp = true
	}
	return true
}

/**
 * Rounds u to `precision` bits with exponents minExp..maxExp and raises overflow, underflow and inexact. A denormal result has bit 63
 * clear and uExp = minExp. Tininess is detected after rounding, as x86 does. With overflow or underflow unmasked the exponent is
 * wrapped by `wrap` instead (x87 registers); with wrap 0 the result is then of no interest (SSE, stores).
 */
export function finish(precision: i32, minExp: i32, maxExp: i32, wrap: i32): void {
	uInfinite = false
	fpRoundedUp = false
	if (!uSig) return
	if (uExp < minExp) {
		const exp = uExp
		const sig = uSig
		const low = uLow
		const lost = roundSignificand(precision)
		const tiny = uExp < minExp
		if (tiny && fpUnmasked & FE_UNDERFLOW) {
			fpFlags |= FE_UNDERFLOW | (lost ? FE_INEXACT : 0)
			uExp += wrap
			return
		}
		if (tiny && fpFlush) {
			fpFlags |= FE_UNDERFLOW | FE_INEXACT
			uSig = 0
			return
		}
		uExp = minExp
		uSig = sig
		uLow = low
		shiftRightSticky(minExp - exp)
		if (roundSignificand(precision)) fpFlags |= FE_INEXACT | (tiny ? FE_UNDERFLOW : 0)
		return
	}
	if (roundSignificand(precision)) fpFlags |= FE_INEXACT
	if (uExp <= maxExp) return
	fpFlags |= FE_OVERFLOW
	if (fpUnmasked & FE_OVERFLOW) {
		uExp -= wrap
		return
	}
	fpFlags |= FE_INEXACT
	if (fpRounding == ROUND_NEAREST || fpRounding == (uSign ? ROUND_DOWN : ROUND_UP)) {
		uInfinite = true
		fpRoundedUp = true
		return
	}
	uExp = maxExp
	uSig = (<u64>-1) << (64 - precision)
	fpRoundedUp = false
}
