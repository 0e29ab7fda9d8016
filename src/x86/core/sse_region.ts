// What translated regions have done here when their fast paths don't apply (src/x86/translator/sse): single operations on values, without
// a record, and the tests behind a region's flag that says whether its fast paths may run.
//
// A number is clean when it is zero or normal. Doubles are asked more: to be zero or in the window of the translator's sse/ranges.ts.
// The fast paths serve clean operands under round-to-nearest with every exception masked and
// PE set already, where DAZ and FTZ change nothing.

import { CPU_MXCSR, CPU_SSE_MODERATE, CPU_SSE_SLOW, CPU_XMM } from './layout'
import { cpu, raise } from './mem'
import { simdUnavailable } from './sse_common'
import { doubleFromSingle, doubleFromInteger, singleFromDouble, singleFromInteger } from './sse_convert'
import { byLane } from './sse_float'
import { compareValues, lane, signal } from './sse_float_values'
import { denormalsAreZeros, KIND_SQRT } from './sse_soft'

/** RC, the six masks and PE of MXCSR, and what they are where the fast paths may run. */
const MXCSR_MASK: u32 = 0x7fa0
const MXCSR_FAST: u32 = 0x1fa0

const UNCLEAN: u32 = 0xfffffffe
const MODERATE: u32 = 0x40000000

/** Whether the last operation raised an exception, 0 or 1. */
export let sseStatus: u32 = 0

/** A constant that compilers of regions can't see. */
export let sseQuarters: u32 = 0xc0000000

// @ts-ignore: decorator
@inline
function cleanDouble(bits: u64): bool {
	return ((bits >> 52) + 1 & 0x7fe) != 0 || bits << 1 == 0
}
/** The window's least exponent, biased, and how many there are. */
const WINDOW_FIRST: u64 = 0x300
const WINDOW_EXPONENTS: u64 = 0x200

// @ts-ignore: decorator
@inline
function inWindow(bits: u64): bool {
	return (bits >> 52 & 0x7ff) - WINDOW_FIRST < WINDOW_EXPONENTS || bits << 1 == 0
}
// @ts-ignore: decorator
@inline
function isInWindow(x: f64): bool {
	return inWindow(reinterpret<u64>(x))
}
// @ts-ignore: decorator
@inline
function cleanSingle(bits: u32): bool {
	return ((bits >> 23) + 1 & 0xfe) != 0 || bits << 1 == 0
}

// @ts-ignore: decorator
@inline
function finish(clean: bool): void {
	sseStatus = signal() ? 1 : 0
	if (!clean) setSlow(UNCLEAN)
}

function setSlow(slow: u32): void {
	store<u32>(cpu, slow, CPU_SSE_SLOW)
	store<u32>(cpu, slow ? 0 : MODERATE, CPU_SSE_MODERATE)
}

/** Raises what CR0.EM or CR0.TS asks for. */
export function raiseSimdUnavailable(): void {
	simdUnavailable()
}

/** Raises #GP for a misaligned operand. */
export function raiseMisaligned(): void {
	raise(13, 0)
}

/** Added to a kind: the second operand is not in a register. */
const FROM_MEMORY: i32 = 8

/** KIND_* of two doubles, perhaps FROM_MEMORY; KIND_SQRT of `b`. Fast paths may not run on where one of them that stays in a register is not in the window. */
export function doubleArithmetic(kind: i32, a: f64, b: f64): f64 {
	const operation = kind & ~FROM_MEMORY
	const r = lane<f64>(operation, a, b)
	finish(isInWindow(r) && (kind != operation || isInWindow(b)) && (operation == KIND_SQRT || isInWindow(a)))
	return r
}

/** KIND_* of two singles, as bits; KIND_SQRT of `b`. */
export function singleArithmetic(kind: i32, a: u32, b: u32): u32 {
	const r = reinterpret<u32>(lane<f32>(kind, reinterpret<f32>(a), reinterpret<f32>(b)))
	finish(cleanSingle(r) && cleanSingle(b) && (kind == KIND_SQRT || cleanSingle(a)))
	return r
}

/** KIND_* of two doubles in a vector, otherwise as doubleArithmetic(). */
export function packedDoubleArithmetic(kind: i32, a: v128, b: v128): v128 {
	const operation = kind & ~FROM_MEMORY
	const r = byLane<f64>(operation, a, b)
	finish(areInWindow(r) && (kind != operation || areInWindow(b)) && (operation == KIND_SQRT || areInWindow(a)))
	return r
}

/** KIND_* of four singles in a vector. */
export function packedSingleArithmetic(kind: i32, a: v128, b: v128): v128 {
	const r = byLane<f32>(kind, a, b)
	finish(cleanSingles(r) && cleanSingles(b) && (kind == KIND_SQRT || cleanSingles(a)))
	return r
}

function areInWindow(v: v128): bool {
	return inWindow(i64x2.extract_lane(v, 0)) && inWindow(i64x2.extract_lane(v, 1))
}

function cleanSingles(v: v128): bool {
	return (
		cleanSingle(i32x4.extract_lane(v, 0)) && cleanSingle(i32x4.extract_lane(v, 1)) && cleanSingle(i32x4.extract_lane(v, 2)) && cleanSingle(i32x4.extract_lane(v, 3))
	)
}

/**
 * The flags in MXCSR of a comparison of doubles. `quietIsInvalid`: of COMISD. Returns which operands DAZ makes zero: bit 0 for `a`, bit 1 for `b`. Says
 * nothing of cleanness.
 */
export function compareDoubles(quietIsInvalid: i32, x: f64, y: f64): u32 {
	compareValues<f64>(x, y, quietIsInvalid != 0)
	finish(true)
	const a = reinterpret<u64>(x)
	const b = reinterpret<u64>(y)
	return (denormalsAreZeros(a, true) != a ? 1 : 0) | (denormalsAreZeros(b, true) != b ? 2 : 0)
}

/** The same of singles. */
export function compareSingles(quietIsInvalid: i32, a: u32, b: u32): u32 {
	compareValues<f32>(reinterpret<f32>(a), reinterpret<f32>(b), quietIsInvalid != 0)
	finish(true)
	return (denormalsAreZeros(a, false) != a ? 1 : 0) | (denormalsAreZeros(b, false) != b ? 2 : 0)
}

/** A single as a double, as bits. */
export function singleToDouble(a: u32): u64 {
	const r = doubleFromSingle(a)
	finish(cleanSingle(a))
	return r
}

/** A double as a single, as bits. */
export function doubleToSingle(a: u64): u32 {
	const r = singleFromDouble(a)
	finish(cleanDouble(a) && cleanSingle(r))
	return r
}

/** A signed integer as a double, as bits. */
export function integerToDouble(value: i64): u64 {
	const r = doubleFromInteger(value)
	finish(true)
	return r
}

/** A signed integer as a single, as bits. */
export function integerToSingle(value: i64): u32 {
	const r = singleFromInteger(value)
	finish(true)
	return r
}

/**
 * Finds CPU_SSE_SLOW: what MXCSR says, and whether lanes of the XMM registers in the state block are clean, doubles in the window. Bit n of `doubles` and
 * `singles` is for the n-th quadword and doubleword of the registers.
 */
export function sseReady(doubles: u32, singles: u64): void {
	setSlow(isReady(doubles, singles) ? 0 : UNCLEAN)
}

function isReady(doubles: u32, singles: u64): bool {
	if ((load<u32>(cpu, CPU_MXCSR) & MXCSR_MASK) != MXCSR_FAST) return false
	for (; doubles; doubles &= doubles - 1) if (!inWindow(load<u64>(cpu + (ctz(doubles) << 3), CPU_XMM))) return false
	for (; singles; singles &= singles - 1) if (!cleanSingle(load<u32>(cpu + ((<usize>ctz(singles)) << 2), CPU_XMM))) return false
	return true
}
