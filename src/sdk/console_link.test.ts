import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { encodeFrame, FRAME_DATA, FRAME_PLACE, FRAME_TAKEN, FrameReader } from '../daemon/console_frames.ts'
import type { XendClient } from './client.ts'
import { ConsoleLink } from './console_link.ts'

/** A xend's end of a console connection. */
class Connection {
	typed = ''
	readonly typist: string | undefined
	readonly socket: Duplex

	constructor(typist: string | undefined) {
		this.typist = typist
		const frames = new FrameReader((type, payload) => {
			if (type === FRAME_DATA) this.typed += new TextDecoder().decode(payload)
		})
		this.socket = new Duplex({
			read() {},
			write(chunk: Uint8Array, _encoding, done) {
				frames.push(chunk)
				done()
			},
		})
	}

	say(type: number, what: object): void {
		this.socket.push(encodeFrame(type, new TextEncoder().encode(JSON.stringify(what))))
	}

	end(): void {
		this.socket.destroy()
	}
}

async function setUp() {
	const connections: Connection[] = []
	const client = {
		list: async () => [{ name: 'web', domid: 1, uuid: 'u' }],
		async console(_reference: string, _from: number, typist?: string) {
			connections.push(new Connection(typist))
			return connections.at(-1)!.socket
		},
	} as unknown as XendClient
	const link = await ConsoleLink.open(client, 'web', { output: () => true, ended: () => {}, failed: (error) => assert.fail(error) })
	return { link, connections, last: () => connections.at(-1)! }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const type = (link: ConsoleLink, text: string) => link.write(new TextEncoder().encode(text))

test('what the guest has not taken when a xend ends is typed again at the next, and nothing else', async () => {
	const { link, connections, last } = await setUp()
	last().say(FRAME_TAKEN, { taken: 0 })
	await turn()
	type(link, 'abc')
	type(link, 'def')
	await turn()
	assert.equal(last().typed, 'abcdef')
	last().say(FRAME_TAKEN, { taken: 2 })
	await turn()
	last().end()
	type(link, 'ghi')
	while (connections.length < 2) await turn()
	assert.equal(last().typist, connections[0]!.typist)
	await turn()
	assert.equal(last().typed, '', 'it waits to hear what has been taken')
	last().say(FRAME_TAKEN, { taken: 4 })
	await turn()
	assert.equal(last().typed, 'efghi')
	link.close()
})

test('at a xend that does not tell what is taken, nothing is typed twice', async () => {
	const { link, connections, last } = await setUp()
	last().say(FRAME_PLACE, { position: 0 })
	await turn()
	type(link, 'abc')
	await turn()
	last().end()
	while (connections.length < 2) await turn()
	type(link, 'def')
	last().say(FRAME_PLACE, { position: 0 })
	await turn()
	assert.equal(last().typed, 'def')
	link.close()
})
