import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasRelaxedSwizzle } from './features.ts'

test('the engine of the pinned Node has relaxed swizzles', () => {
	assert.equal(hasRelaxedSwizzle, true)
})
