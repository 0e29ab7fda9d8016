import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogRing } from './log_ring.ts'
import { RateLimit } from './rate_limit.ts'

test('LogRing prefixes each line and forgets the oldest ones', () => {
	const ring = new LogRing(32)
	assert.deepEqual(ring.add('one\ntwo'), ['(XEN) one\n', '(XEN) two\n'])
	ring.add('three')
	ring.add('four')
	assert.equal(ring.read(), '(XEN) three\n(XEN) four\n')
	ring.clear()
	assert.equal(ring.read(), '')
})

test('RateLimit lets ten messages through, then two a second, and counts the others', () => {
	let now = 0
	const limit = new RateLimit({ monotonic_ns: () => now, wall: () => ({ seconds: 0, nanoseconds: 0 }) })
	for (let n = 0; n < 10; n++) assert.equal(limit.take(), 0)
	assert.equal(limit.take(), undefined)
	assert.equal(limit.take(), undefined)
	now += 500_000_000
	assert.equal(limit.take(), 2)
	assert.equal(limit.take(), undefined)
})
