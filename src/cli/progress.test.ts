import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { whileStarting, whileWaiting } from './progress.ts'

/** A standard error that keeps what it is told, and its lines that were told as lines. */
function setUp({ isTTY }: { isTTY: boolean }) {
	const shown: string[] = []
	const lines: string[] = []
	const stderr = new Writable({
		write(chunk, _, done) {
			shown.push(String(chunk))
			done()
		},
	})
	return { context: { stderr: Object.assign(stderr, { isTTY }), complain: (line: string) => void lines.push(line) }, shown, lines }
}

/** A start that begins to build at once, and is at something else after 2.5 s. */
async function slowStart(report: (what: string) => void, tick: (ms: number) => void): Promise<string> {
	report('building')
	tick(2500)
	report('polishing')
	tick(1000)
	return 'up'
}

test('whileWaiting() shows on a terminal what takes over a second, and clears it', async (t) => {
	t.mock.timers.enable({ apis: ['setInterval'] })
	const { context, shown } = setUp({ isTTY: true })
	const work = Promise.withResolvers<string>()
	const waiting = whileWaiting(context, 'saving', work.promise)
	t.mock.timers.tick(999)
	assert.deepEqual(shown, [])
	t.mock.timers.tick(1001)
	work.resolve('saved')
	assert.equal(await waiting, 'saved')
	assert.deepEqual(shown, ['\r\u001b[Ksaving: 1 s', '\r\u001b[Ksaving: 2 s', '\r\u001b[K'])
})

test('whileStarting() shows on a terminal what the start is at', async (t) => {
	t.mock.timers.enable({ apis: ['setInterval'] })
	const { context, shown, lines } = setUp({ isTTY: true })
	await whileStarting(context, 'xm', async (report) => {
		await Promise.resolve()
		return slowStart(report, (ms) => t.mock.timers.tick(ms))
	})
	assert.deepEqual(
		shown.map((text) => text.slice(4)),
		['building: 1 s', 'building: 2 s', 'polishing: 3 s', ''],
	)
	assert.deepEqual(lines, [])
})

test('whileStarting() prints a line for each without a terminal, and nothing when it is to be quiet', async () => {
	for (const isTTY of [false, true]) {
		const { context, shown, lines } = setUp({ isTTY })
		assert.equal(await whileStarting(context, isTTY ? undefined : 'xm', (report) => slowStart(report, () => {})), 'up')
		assert.deepEqual([shown, lines], [[], isTTY ? [] : ['xm: building', 'xm: polishing']])
	}
})
