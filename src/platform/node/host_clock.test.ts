import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { hostClock } from './host_clock.ts'

test('monotonic_ns() is a whole number that counts from the origin and never runs backwards', () => {
	const origin = process.hrtime()
	const clock = hostClock(origin)
	let last = 0
	for (let n = 0; n < 10_000; n++) {
		const now = clock.monotonic_ns()
		assert.ok(Number.isSafeInteger(now) && now >= last, `${now} after ${last}`)
		last = now
	}
	const [seconds, nanoseconds] = process.hrtime(origin)
	assert.ok(last <= seconds * 1e9 + nanoseconds)
})

test('monotonic_ns() carries from nanoseconds into seconds', () => {
	const [seconds, nanoseconds] = process.hrtime()
	const later = hostClock([seconds, nanoseconds]).monotonic_ns()
	const earlier = hostClock([seconds - 5, 999_999_999]).monotonic_ns()
	const apart = earlier - later - (5e9 + nanoseconds - 999_999_999)
	assert.ok(apart >= 0 && apart < 60e9, `${apart}`)
})

test('clocks of one origin agree between threads', async () => {
	const origin = process.hrtime()
	const clock = hostClock(origin)
	const before = clock.monotonic_ns()
	const worker = new Worker(
		`const { parentPort, workerData: { module, origin } } = require('node:worker_threads')
		import(module).then(({ hostClock }) => parentPort.postMessage(hostClock(origin).monotonic_ns()))`,
		{ eval: true, workerData: { module: new URL('./host_clock.ts', import.meta.url).href, origin } },
	)
	const there = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject))
	const after = clock.monotonic_ns()
	assert.ok(before <= there && there <= after, `${before} ${there} ${after}`)
})
