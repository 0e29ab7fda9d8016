import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Code } from './code.ts'

test('dominates() holds inside the construct where a scope was written, and behind it no more', () => {
	const code = new Code(0)
	const outside = code.scope
	code.i32(1).if()
	const taken = code.scope
	code.block()
	assert.ok(code.dominates(outside) && code.dominates(taken))
	code.end().else()
	assert.ok(code.dominates(outside) && !code.dominates(taken))
	code.end()
	assert.ok(code.dominates(outside) && !code.dominates(taken))
})

test('dominates() does not hold in a loop for what was written before it', () => {
	const code = new Code(0)
	const before = code.scope
	code.loop()
	const inside = code.scope
	code.block()
	assert.ok(!code.dominates(before) && code.dominates(inside))
	code.end().end()
	assert.ok(code.dominates(before) && !code.dominates(inside))
})
