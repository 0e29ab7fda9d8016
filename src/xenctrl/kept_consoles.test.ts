import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { ConsoleBackend } from '../pv/console/backend.ts'
import { ConsoleFrontend } from '../pv/console/frontend.ts'
import { KeptConsoles } from './kept_consoles.ts'

function consoleThatSaid(words: string): ConsoleBackend {
	const page = new Uint8Array(new SharedArrayBuffer(4096))
	const console = new ConsoleBackend({ page, notify: () => {} })
	new ConsoleFrontend({ page, notify: () => console.onEvent() }).write(new TextEncoder().encode(words))
	return console
}

const SHORT_MS = 60_000

test('of more domains than may be kept the longest gone is forgotten', () => {
	const kept = new KeptConsoles({ domains: 2, bytes: 1000, time_ms: SHORT_MS })
	for (const domid of [1, 2, 3]) kept.keep(domid, consoleThatSaid('words'))
	assert.deepEqual(
		[1, 2, 3].map((domid) => kept.get(domid) !== undefined),
		[false, true, true],
	)
})

test('of more output than may be kept the longest gone is forgotten', () => {
	const kept = new KeptConsoles({ domains: 10, bytes: 10, time_ms: SHORT_MS })
	for (const [domid, words] of ['1234', '56', '789012'].entries()) kept.keep(domid, consoleThatSaid(words))
	assert.deepEqual(
		[0, 1, 2].map((domid) => kept.get(domid) !== undefined),
		[false, true, true],
	)
})

test('a console is forgotten after its time', () => {
	mock.timers.enable({ apis: ['setTimeout'] })
	try {
		const kept = new KeptConsoles({ domains: 10, bytes: 100, time_ms: SHORT_MS })
		kept.keep(1, consoleThatSaid('bye'))
		mock.timers.tick(SHORT_MS - 1)
		assert.notEqual(kept.get(1), undefined)
		mock.timers.tick(1)
		assert.equal(kept.get(1), undefined)
	} finally {
		mock.timers.reset()
	}
})
