import type { Code } from '../../../wasm/code.ts'
import { F64, V128 } from '../../../wasm/module.ts'
import type { RegionCode } from '../region_code.ts'
import { WINDOW_LO } from './ranges.ts'

/** How a double is tested before it is an operand: whether it is in the window of ranges.ts or zero, not zero as a divisor, not negative under a root. */
export type DoubleTest = 'clean' | 'divisor' | 'radicand'

/** What is tested, by local: f64, and v128 with two doubles. */
export interface DoubleTests {
	readonly scalars: ReadonlyMap<number, DoubleTest>
	readonly vectors: ReadonlyMap<number, DoubleTest>
}

const EXPONENT_BIAS = 1023
/** Added to the upper halves of doubles: the window's least exponent is moved to 0. */
export const DISTANCE = -((EXPONENT_BIAS + WINDOW_LO) << 20)
/** Of that, what is 0 in the window. */
const OUTSIDE = 0x60000000
const OUTSIDE_SHIFT = 29
/** The same with the sign. */
const OUTSIDE_OR_NEGATIVE = OUTSIDE | (1 << 31)

/** Pushes the upper half of a double's bits with the exponent so moved. Of radicands the sign, in the highest bit, is in the next too (`folds`), which is tested. */
function pushDistance(code: Code, local: number, folds: boolean): void {
	const push = () => code.get(local).op('i64.reinterpret_f64').i64(32).op('i64.shr_u', 'i32.wrap_i64').i32(DISTANCE).op('i32.add')
	push()
	if (folds) push().i32(1).op('i32.shr_u', 'i32.or')
}

/** The same of both doubles of a vector, and all their bits. */
function pushDistances({ code, xmm }: RegionCode, local: number, test: DoubleTest): void {
	const push = () => code.get(local).get(xmm.distances).simd('i64x2.add')
	push()
	if (test === 'radicand') push().i32(1).simd('i64x2.shr_u').simd('v128.or')
}

/** Pops such a vector; pushes an i32 with a bit for each lane outside. */
function outsideBits(code: Code, scratch: number): void {
	code.set(scratch).get(scratch).i32(1).simd('i64x2.shl').get(scratch).i32(2).simd('i64x2.shl').simd('v128.or')
}

/** Goes to `fast` where the region's `slow` is 0 and all doubles pass, to the label `slow` where not. `scratch`: a v128 local. */
export function branchOnDoubles(r: RegionCode, { scalars, vectors }: DoubleTests, scratch: number, fast: number, slow: number): void {
	const { code, xmm } = r
	let first = true
	for (const [local, test] of vectors) {
		pushDistances(r, local, test)
		if (!first) code.simd('v128.or')
		first = false
	}
	if (vectors.size > 0) {
		outsideBits(code, scratch)
		code.simd('i64x2.bitmask')
		if (scalars.size > 0) code.i32(OUTSIDE_SHIFT).op('i32.shl')
		xmm.pushSlow()
		code.op('i32.or')
	} else xmm.pushSlow()
	const areRadicands = [...scalars.values()].every((test) => test === 'radicand')
	for (const [local, test] of scalars) {
		pushDistance(code, local, test === 'radicand' && !areRadicands)
		code.op('i32.or')
	}
	if (scalars.size > 0) code.i32(areRadicands ? OUTSIDE_OR_NEGATIVE : OUTSIDE).op('i32.and')
	code.op('i32.eqz')
	code.brIf(fast, true)
	xmm.pushSlow()
	pushFailures(r, { scalars, vectors }, scratch)
	code.op('i32.or')
	code.brIf(slow, true)
}

/** Pushes an i32 that is not 0 where a double does not pass, zeros looked at. */
function pushFailures(r: RegionCode, { scalars, vectors }: DoubleTests, scratch: number): void {
	const { code } = r
	code.i32(0)
	for (const [local, test] of scalars) {
		if (test !== 'divisor') code.i32(0)
		pushDistance(code, local, false)
		code.i32(test === 'radicand' ? OUTSIDE_OR_NEGATIVE : OUTSIDE).op('i32.and')
		if (test !== 'divisor') code.get(local).i64(0).op('f64.reinterpret_i64', 'f64.eq', 'select')
		code.op('i32.or')
	}
	for (const [local, test] of vectors) {
		pushDistances(r, local, test)
		outsideBits(code, scratch)
		if (test !== 'divisor') code.get(local).v128Const(0n).simd('f64x2.eq').simd('v128.andnot')
		code.simd('i64x2.bitmask').op('i32.or')
	}
}

/** Lanes of doubles, register * 8 + lane, are in the window from here on, or the region's `slow` says otherwise. */
export function requireDoubles(r: RegionCode, lanes: readonly number[]): void {
	const { code, xmm } = r
	if (lanes.length === 0) return
	const scalars = new Map<number, DoubleTest>()
	const vectors = new Map<number, DoubleTest>()
	for (const lane of lanes) {
		const register = lane >> 3
		if (lanes.includes(register * 8) && lanes.includes(register * 8 + 1)) vectors.set(xmm.vectorLocal(register), 'clean')
		else if ((lane & 7) === 0) scalars.set(xmm.lowLocal(register), 'clean')
		else {
			const high = r.temporary(F64)
			xmm.getHigh(register)
			code.set(high)
			scalars.set(high, 'clean')
		}
	}
	const done = code.block()
	const slow = code.block()
	branchOnDoubles(r, { scalars, vectors }, r.temporary(V128), done, slow)
	code.br(done)
	code.end()
	xmm.becomeSlow()
	code.end()
}
