import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discard } from './bytes.ts'

test('discard() frees a whole buffer, whatever part of it the view shows', () => {
	const whole = new Uint8Array(1000)
	const part = whole.subarray(10, 20)
	discard(part)
	assert.deepEqual([whole.length, part.length, whole.buffer.byteLength], [0, 0, 0])
})

test('discard() leaves shared memory alone', () => {
	const shared = new Uint8Array(new SharedArrayBuffer(8))
	discard(shared)
	assert.equal(shared.length, 8)
})
