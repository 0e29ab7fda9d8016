import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from './random_numbers.ts'

test('random numbers differ, past those asked for at once and between two guests', () => {
	const [one, other] = [randomNumbers(), randomNumbers()]
	const numbers = Array.from({ length: 500 }, () => [one(), other()]).flat()
	// Of 1000 in 2 ** 32, three pairs that agree come once in some 10 ** 13 runs.
	assert.ok(new Set(numbers).size > 997)
	assert.ok(numbers.every((number) => number === (number | 0)))
})
