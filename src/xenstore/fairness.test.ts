import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XS_WRITE } from '../abi/io/xs_wire.ts'
import { connectInProcess } from './client.ts'
import { XenstoreServer } from './server.ts'
import { TestHost } from './test_guest.ts'
import { encodeMessage } from './wire.ts'

const FLOODERS = 4
/** Requests of one client that may be served before another's. */
const REQUESTS_PER_TURN = 64
/** Turns that pass until a request has gone through the ring, and its reply back. */
const TURNS = 6

test('a guest on its ring waits a few turns at most for clients that never stop asking', async () => {
	const host = new TestHost()
	const server = new XenstoreServer({ ringHost: host, defer: setImmediate })
	const dom0 = connectInProcess(server)
	await dom0.write('/local/domain/1', '')
	await dom0.setPerms('/local/domain/1', ['b1'])
	await dom0.write('/flood', '')
	const guest = host.introduce(server.domains, 1)

	const payload = new TextEncoder().encode('/flood\0x')
	const frame = encodeMessage({ type: XS_WRITE, reqId: 1, txId: 0, payload })
	const chunk = new Uint8Array(1000 * frame.length)
	for (let n = 0; n < 1000; n++) chunk.set(frame, n * frame.length)
	let served = 0
	let running = true
	for (let n = 0; n < FLOODERS; n++) {
		const feed = () => void (running && setImmediate(() => transport.onData(chunk)))
		const transport = server.accept({
			write: (bytes) => {
				served += bytes.length / (frame.length - payload.length + 3)
				return true
			},
			pause: () => {},
			resume: feed,
			close: () => {},
		})
		transport.onData(chunk)
	}
	for (let round = 0; round < 50; round++) {
		// The guest looks at its ring when its turn comes, not at once.
		await new Promise((resolve) => setImmediate(resolve))
		const before = served
		await guest.client.write('data', round)
		assert.equal(await guest.client.read('data'), String(round))
		const meanwhile = served - before
		running = meanwhile <= 2 * TURNS * FLOODERS * REQUESTS_PER_TURN
		assert(running, `${meanwhile} requests came first`)
	}
	running = false
	assert(served > 50 * REQUESTS_PER_TURN, 'the flood went on')
})
