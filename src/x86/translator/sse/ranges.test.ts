import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKnown, normalRange, plan, type Range, unknownRange, windowRange } from './ranges.ts'

const [window, normal, unknown] = [windowRange(), normalRange(), unknownRange()]
const tests = (...[operation, x, y]: Parameters<typeof plan>) => {
	const { testsX, testsY } = plan(operation, x, y)
	return [testsX, testsY]
}

test('numbers in the window are added and multiplied without a test', () => {
	assert.deepEqual(tests('add', [window], [window]), [false, false])
	assert.deepEqual(tests('mul', [window], [window]), [false, false])
})

test('sums of products are added without end while they can not overflow', () => {
	const product = plan('mul', [window], [window]).results
	let sum: readonly Range[] = product
	for (let n = 0; n < 500; n++) {
		const { testsX, testsY, results } = plan('add', sum, product)
		assert.deepEqual([testsX, testsY], [false, false])
		sum = results
	}
	assert.deepEqual(tests('add', [{ ...sum[0]!, hi: 1023 }], product), [true, false])
})

test('one operand is tested where the result could underflow, rather the one that is not overwritten', () => {
	const product = plan('mul', [window], [window]).results
	assert.deepEqual(tests('mul', product, [{ ...product[0]! }]), [false, true])
	assert.deepEqual(tests('mul', product, [window]), [false, false])
	assert.deepEqual(tests('mul', [normal], [window]), [true, false])
	assert.deepEqual(tests('mul', [normal], [normal]), [true, true])
})

test('what cancels in a sum of what any numbers are could be denormal', () => {
	assert.deepEqual(tests('sub', [normal], [normal]), [true, true])
})

test('what is not known is tested, and so are divisors and radicands', () => {
	assert.deepEqual(tests('add', [window], undefined), [false, true])
	assert.deepEqual(tests('min', [unknown], [normal]), [true, false])
	assert.deepEqual(tests('div', [window], [windowRange()]), [false, true])
	assert.deepEqual(tests('sqrt', [unknown], [window]), [false, true])
})

test('the square of a number tests it once', () => {
	assert.deepEqual(tests('mul', [unknown], [unknown]), [true, true])
	assert.deepEqual(tests('mul', [normal], [normal]), [true, true])
})

test('a result is known, and may be anything in the window', () => {
	for (const operation of ['add', 'sub', 'mul', 'div', 'sqrt', 'min', 'max'] as const)
		for (const x of [window, normal, unknown])
			for (const y of [window, normal, unknown])
				for (const { lo, hi } of plan(operation, [x, window], [y, window]).results) {
					assert.ok(isKnown({ lo, hi, grid: 0 }))
					assert.ok(lo >= -1022 && lo <= window.lo && hi <= 1023 && hi >= window.hi)
				}
})

test('a sum of terms that do not depend on it stays below its limit in a loop', () => {
	const product = plan('mul', [window], [window]).results
	const once = plan('add', [window], product, true)
	const twice = plan('add', once.results, product, true)
	assert.deepEqual([twice.testsX, twice.testsY], [false, false])
	assert.deepEqual(twice.results, once.results)
})
