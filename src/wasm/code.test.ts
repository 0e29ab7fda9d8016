import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Code } from './code.ts'
import { I32, VOID } from './module.ts'

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

test('an outline has the scopes and locals of the code, and hardly any of its bytes', () => {
	const write = (code: Code) => {
		const local = code.local(I32)
		code.loop()
		code.get(local).i32(1).op('i32.add', 'drop').get(local).if(VOID, false)
		const scope = code.scope
		code.i64(7n).op('drop').end().end()
		return { local, scope, depth: code.depth, body: code.finish() }
	}
	const [full, outline] = [write(new Code(1)), write(new Code(1, true))]
	assert.deepEqual([outline.local, outline.scope, outline.depth], [full.local, full.scope, full.depth])
	assert.ok(outline.body.bytes.length < full.body.bytes.length / 2)
	assert.deepEqual([full.body.hints.length, outline.body.hints.length], [2, 0])
})
