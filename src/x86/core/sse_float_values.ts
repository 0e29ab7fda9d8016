// Arithmetic of SSE on one number: the fast path on WebAssembly's own operators, and which cases need the exact one (sse_soft.ts).
//
// The fast path serves round-to-nearest with operands that are zero or normal and a result that is exactly zero or safely normal: there
// WebAssembly's result is x86's, no exception but inexact (PE) is possible, and DAZ and FTZ change nothing. PE is sticky: only while it
// is clear (or unmasked) is the result tested for exactness, by error-free transforms.

import { CPU_MXCSR } from './layout'
import { cpu, raise } from './mem'
import { clearFlags, FE_DENORMAL, FE_INEXACT, FE_INVALID, fpFlags, raiseFlags } from './softfloat'
import * as soft from './sse_soft'

export const RC: u32 = 0x6000
export const PE: u32 = 0x20
export const PM: u32 = 0x1000
const MIN_32: f32 = 1.1754943508222875e-38
const MAX_32: f32 = 3.4028234663852886e38
const MIN_64: f64 = 2.2250738585072014e-308
const MAX_64: f64 = 1.7976931348623157e308

export const KIND_MIN: i32 = 5
export const KIND_MAX: i32 = 6

// @ts-ignore: decorator
@inline
export function mxcsr(): u32 {
	return load<u32>(cpu, CPU_MXCSR)
}
// @ts-ignore: decorator
@inline
export function minNormal<T>(): T {
	return sizeof<T>() == 8 ? <T>MIN_64 : <T>MIN_32
}
// @ts-ignore: decorator
@inline
export function maxNormal<T>(): T {
	return sizeof<T>() == 8 ? <T>MAX_64 : <T>MAX_32
}
// @ts-ignore: decorator
@inline
function bits<T>(x: T): u64 {
	return sizeof<T>() == 8 ? reinterpret<u64>(<f64>x) : <u64>reinterpret<u32>(<f32>x)
}
// @ts-ignore: decorator
@inline
function fromBits<T>(x: u64): T {
	return sizeof<T>() == 8 ? <T>reinterpret<f64>(x) : <T>reinterpret<f32>(<u32>x)
}

/** Neither denormal nor NaN (an infinity passes). */
// @ts-ignore: decorator
@inline
function ordinary<T>(x: T): bool {
	return abs<T>(x) >= minNormal<T>() || x == <T>0
}

/** Stores the flags an operation raised; returns 1 when one is unmasked and #XM was raised. */
export function signal(): i32 {
	let flags = fpFlags
	if (!flags) return 0
	clearFlags()
	const m = mxcsr()
	const unmasked = flags & ~(m >> 7)
	// An unmasked exception detected before computing keeps those detected after it from being reported.
	if (unmasked & 7) flags &= 7
	store<u32>(cpu, m | flags, CPU_MXCSR)
	return unmasked ? raise(19, 0) : 0
}

// @ts-ignore: decorator
@inline
function inexactMatters(m: u32): bool {
	return (m & (PE | PM)) != (PE | PM)
}

export function add<T>(a: T, b: T): T {
	const m = mxcsr()
	const r = <T>(a + b)
	const x = abs<T>(r)
	if (m & RC || !ordinary<T>(a) || !ordinary<T>(b) || !((x >= minNormal<T>() && x <= maxNormal<T>()) || x == <T>0)) {
		return fromBits<T>(soft.softArithmetic(soft.KIND_ADD, sizeof<T>() == 8, bits<T>(a), bits<T>(b)))
	}
	if (inexactMatters(m)) {
		const t = <T>(r - a)
		if (<T>(<T>(a - <T>(r - t)) + <T>(b - t)) != <T>0) raiseFlags(FE_INEXACT)
	}
	return r
}

export function sub<T>(a: T, b: T): T {
	const m = mxcsr()
	const r = <T>(a - b)
	const x = abs<T>(r)
	if (m & RC || !ordinary<T>(a) || !ordinary<T>(b) || !((x >= minNormal<T>() && x <= maxNormal<T>()) || x == <T>0)) {
		return fromBits<T>(soft.softArithmetic(soft.KIND_SUB, sizeof<T>() == 8, bits<T>(a), bits<T>(b)))
	}
	if (inexactMatters(m)) {
		const t = <T>(r - a)
		if (<T>(<T>(a - <T>(r - t)) - <T>(b + t)) != <T>0) raiseFlags(FE_INEXACT)
	}
	return r
}

/** Whether r = a * b, all normal, was rounded: the product has more significant bits than the format. */
// @ts-ignore: decorator
@inline
function productInexact<T>(a: T, b: T, r: T): bool {
	if (sizeof<T>() == 4) return <f64>a * <f64>b != <f64>r
	const x = bits<T>(a)
	const y = bits<T>(b)
	const hidden: u64 = 0x10000000000000
	const zeros = ctz((x & (hidden - 1)) | hidden) + ctz((y & (hidden - 1)) | hidden)
	const carry = <u64>((<i32>(bits<T>(r) >> 52) & 0x7ff) - (<i32>(x >> 52) & 0x7ff) - (<i32>(y >> 52) & 0x7ff) + 1023)
	return zeros < 52 + carry
}

export function mul<T>(a: T, b: T): T {
	const m = mxcsr()
	const r = <T>(a * b)
	const x = abs<T>(r)
	if (
		m & RC ||
		!ordinary<T>(a) ||
		!ordinary<T>(b) ||
		!((x >= <T>(<T>2 * minNormal<T>()) && x <= maxNormal<T>()) || (x == <T>0 && (a == <T>0 || b == <T>0)))
	) {
		return fromBits<T>(soft.softArithmetic(soft.KIND_MUL, sizeof<T>() == 8, bits<T>(a), bits<T>(b)))
	}
	if (inexactMatters(m) && x != <T>0 && productInexact<T>(a, b, r)) raiseFlags(FE_INEXACT)
	return r
}

export function div<T>(a: T, b: T): T {
	const m = mxcsr()
	const r = <T>(a / b)
	const x = abs<T>(r)
	if (
		m & RC ||
		!ordinary<T>(a) ||
		!ordinary<T>(b) ||
		!((x >= <T>(<T>2 * minNormal<T>()) && x <= maxNormal<T>()) || (x == <T>0 && a == <T>0))
	) {
		return fromBits<T>(soft.softArithmetic(soft.KIND_DIV, sizeof<T>() == 8, bits<T>(a), bits<T>(b)))
	}
	if (inexactMatters(m) && x != <T>0 && !isProduct<T>(r, b, a)) raiseFlags(FE_INEXACT)
	return r
}

/** Whether a * b is exactly `product`, a normal number. */
// @ts-ignore: decorator
@inline
function isProduct<T>(a: T, b: T, product: T): bool {
	const p = <T>(a * b)
	return p == product && !productInexact<T>(a, b, p)
}

export function squareRoot<T>(a: T): T {
	const m = mxcsr()
	if (m & RC || !(a >= minNormal<T>() && a <= maxNormal<T>())) {
		return fromBits<T>(soft.softArithmetic(soft.KIND_SQRT, sizeof<T>() == 8, 0, bits<T>(a)))
	}
	const r = sqrt<T>(a)
	if (inexactMatters(m) && !isProduct<T>(r, r, a)) raiseFlags(FE_INEXACT)
	return r
}

/** MIN and MAX return the second operand when either is a NaN (IE, even for a quiet one) or both are zeros. */
export function extremum<T>(a: T, b: T, greatest: bool): T {
	let x = bits<T>(a)
	let y = bits<T>(b)
	if (!ordinary<T>(a) || !ordinary<T>(b)) {
		x = soft.denormalsAreZeros(x, sizeof<T>() == 8)
		y = soft.denormalsAreZeros(y, sizeof<T>() == 8)
		compareFlags<T>(x, y, true)
	}
	const p = fromBits<T>(x)
	const q = fromBits<T>(y)
	return fromBits<T>((greatest ? p > q : p < q) ? x : y)
}

/** IE and DE of a comparison of operands that DAZ has been applied to. */
function compareFlags<T>(x: u64, y: u64, quietIsInvalid: bool): void {
	const wide = sizeof<T>() == 8
	if (soft.isNan(x, wide) || soft.isNan(y, wide)) {
		if (quietIsInvalid || soft.isSignalling(x, wide) || soft.isSignalling(y, wide)) raiseFlags(FE_INVALID)
	} else if (soft.isDenormal(x, wide) || soft.isDenormal(y, wide)) raiseFlags(FE_DENORMAL)
}

/** CMPxx: predicates 0..7 EQ LT LE UNORD NEQ NLT NLE ORD. */
export function compare<T>(a: T, b: T, predicate: u32): bool {
	if (!ordinary<T>(a) || !ordinary<T>(b)) {
		const x = soft.denormalsAreZeros(bits<T>(a), sizeof<T>() == 8)
		const y = soft.denormalsAreZeros(bits<T>(b), sizeof<T>() == 8)
		const ordering = predicate & 3
		compareFlags<T>(x, y, ordering == 1 || ordering == 2)
		a = fromBits<T>(x)
		b = fromBits<T>(y)
	}
	let hit: bool
	switch (predicate & 3) {
		case 0:
			hit = a == b
			break
		case 1:
			hit = a < b
			break
		case 2:
			hit = a <= b
			break
		default:
			hit = a != a || b != b
	}
	return hit != (predicate & 4) > 0
}

/** KIND_* of two numbers. */
export function lane<T>(kind: i32, a: T, b: T): T {
	switch (kind) {
		case soft.KIND_ADD:
			return add<T>(a, b)
		case soft.KIND_SUB:
			return sub<T>(a, b)
		case soft.KIND_MUL:
			return mul<T>(a, b)
		case soft.KIND_DIV:
			return div<T>(a, b)
		case soft.KIND_SQRT:
			return squareRoot<T>(b)
		default:
			return extremum<T>(a, b, kind == KIND_MAX)
	}
}

/** ZF, PF and CF of a comparison, as in EFLAGS: unordered ZF PF CF, less CF, equal ZF. */
export function compareValues<T>(a: T, b: T, quietIsInvalid: bool): u32 {
	if (!ordinary<T>(a) || !ordinary<T>(b)) {
		const x = soft.denormalsAreZeros(bits<T>(a), sizeof<T>() == 8)
		const y = soft.denormalsAreZeros(bits<T>(b), sizeof<T>() == 8)
		compareFlags<T>(x, y, quietIsInvalid)
		a = fromBits<T>(x)
		b = fromBits<T>(y)
	}
	return a > b ? 0 : a < b ? 1 : a == b ? 0x40 : 0x45
}
