import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuid } from './cpuid.ts'

const RDRAND = 1 << 30
const RDSEED = 1 << 18

test('a guest finds both random number instructions', () => {
	assert.ok(cpuid(1, 0)[2] & RDRAND)
	assert.ok(cpuid(7, 0)[1] & RDSEED)
})

test('leaf 7 has one subleaf', () => {
	const [last, ...features] = cpuid(7, 0)
	assert.equal(last, 0)
	assert.ok(features.some((word) => word !== 0))
	assert.deepEqual(cpuid(7, 1), [0, 0, 0, 0])
})
