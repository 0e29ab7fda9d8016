import type { Operation } from './number_tests.ts'

// How large a double can be, as far as can be told when code is written. An operation whose operands' ranges say that its result is zero or normal sets no flag
// but PE, and needs no test: neither of its operands nor of its result.

/** Zero, or a number of magnitude 2^lo or more and less than 2^(hi + 1), and a multiple of 2^grid. Sums stay on the grid, however much they cancel. */
export interface Range {
	readonly lo: number
	readonly grid: number
	readonly hi: number
}

/** Exponents of the least and the greatest normal double, and bits of a significand after the first. */
const LEAST = -1022
const GREATEST = 1023
const FRACTION = 52

/** The exponents that tests at run time pass (number_tests.ts, core/sse_region.ts). All ranges hold them, so that passing such a test always does. */
export const WINDOW_LO = -255
export const WINDOW_HI = 256

// Each is an object of its own, because one object stands for one value (lanes.ts).
export const unknownRange = (): Range => ({ lo: -Infinity, grid: -Infinity, hi: Infinity })
export const normalRange = (): Range => ({ lo: LEAST, grid: LEAST - FRACTION, hi: GREATEST })
export const windowRange = (): Range => ({ lo: WINDOW_LO, grid: WINDOW_LO - FRACTION, hi: WINDOW_HI })
const WINDOW = windowRange()

export function isKnown(range: Range): boolean {
	return range.hi !== Infinity
}

export function hull(a: Range, b: Range): Range {
	return { lo: Math.min(a.lo, b.lo), grid: Math.min(a.grid, b.grid), hi: Math.max(a.hi, b.hi) }
}

export function equal(a: Range, b: Range): boolean {
	return a.lo === b.lo && a.grid === b.grid && a.hi === b.hi
}

/** A sum of that many terms in a row (accumulators.ts) has an exponent so much greater than the greatest: 2^40 is more than a region executes at a time. */
const TERMS_LOG2 = 40

/** The result of an operation, rounded to nearest, on operands (of SQRT on `y`, not negative; of DIV, `y` not zero); it may be beyond what is normal. */
function outcome(operation: Operation, x: Range, y: Range, accumulates: boolean): Range {
	switch (operation) {
		case 'add':
		case 'sub': {
			const grid = Math.min(x.grid, y.grid)
			return { lo: grid, grid, hi: accumulates ? Math.max(x.hi, y.hi + TERMS_LOG2 + 2) : Math.max(x.hi, y.hi) + 1 }
		}
		case 'mul': {
			const lo = x.lo + y.lo
			return { lo, grid: Math.max(x.grid + y.grid, lo - FRACTION), hi: x.hi + y.hi + 1 }
		}
		case 'div': {
			const lo = x.lo - y.hi - 1
			return { lo, grid: lo - FRACTION, hi: x.hi - y.lo }
		}
		case 'sqrt': {
			const lo = Math.floor(y.lo / 2)
			return { lo, grid: lo - FRACTION, hi: Math.ceil(y.hi / 2) }
		}
		default:
			return hull(x, y)
	}
}

function isNormal({ lo, hi }: Range): boolean {
	return lo >= LEAST && hi <= GREATEST
}

/** How an operation is done without flags: which operands must be in the window, and the ranges of the results. */
export interface Plan {
	readonly testsX: boolean
	readonly testsY: boolean
	readonly results: readonly Range[]
}

/**
 * Of an operation on one lane or two. `y` undefined: in memory. SQRT has no `x`. `accumulates`: `x` is a sum that starts in the window, of no terms but those that
 * such operations add. A divisor is tested for zero as well, and what SQRT is taken of for its sign.
 */
export function plan(operation: Operation, x: readonly Range[], y: readonly Range[] | undefined, accumulates = false): Plan {
	const same = operation !== 'sqrt' && x.every((range, n) => range === y?.[n])
	const asked = operation === 'div' || operation === 'sqrt'
	const mustTestY = asked || y === undefined || !y.every(isKnown)
	const mustTestX = operation !== 'sqrt' && !x.every(isKnown)
	// What is tested of `y` is known later too; `x` is overwritten.
	for (const [alsoX, alsoY] of [[false, false] as const, [false, true] as const, [true, false] as const, [true, true] as const]) {
		const testsY = mustTestY || alsoY || (same && (mustTestX || alsoX))
		const testsX = mustTestX || alsoX || (same && testsY)
		const results = x.map((range, n) => outcome(operation, testsX ? WINDOW : range, testsY ? WINDOW : y![n]!, accumulates))
		if (results.every(isNormal)) return { testsX, testsY, results: results.map((result) => hull(result, WINDOW)) }
	}
	throw new Error(`${operation} of numbers in the window is not normal`)
}
