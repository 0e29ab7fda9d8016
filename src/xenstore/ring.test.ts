import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
	XENSTORE_CONNECTED,
	XENSTORE_ERROR_NONE,
	XENSTORE_ERROR_PROTO,
	XENSTORE_ERROR_RINGIDX,
	XENSTORE_RECONNECT,
	XS_READ,
	XS_RING_CONNECTION,
	XS_RING_ERROR,
	XS_RING_REQ,
	XS_RING_REQ_CONS,
	XS_RING_REQ_PROD,
	XS_RING_RSP_CONS,
	XS_RING_RSP_PROD,
	XS_RING_SERVER_FEATURES,
	XS_WRITE,
} from '../abi/io/xs_wire.ts'
import { connectInProcess } from './client.ts'
import { XenstoreServer } from './server.ts'
import { TestHost } from './test_guest.ts'
import { encodeMessage } from './wire.ts'

async function introduced(domid = 1) {
	const host = new TestHost()
	const server = new XenstoreServer({ ringHost: host })
	const dom0 = connectInProcess(server)
	await dom0.write(`/local/domain/${domid}`, '')
	await dom0.setPerms(`/local/domain/${domid}`, [`n${domid}`])
	const guest = host.introduce(server.domains, domid)
	return { host, server, dom0, guest }
}

/** Turns of the event loop, in which all that was begun has come to rest: however busy the host is. */
async function later(): Promise<void> {
	for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
}

test('a guest reads, writes, lists and watches over its ring as relative to its own path', async () => {
	const { dom0, guest } = await introduced()
	await guest.client.write('device/vbd/51712/state', '3')
	assert.equal(await dom0.read('/local/domain/1/device/vbd/51712/state'), '3')
	assert.deepEqual(await guest.client.ls('device/vbd'), ['51712'])
	const events: string[] = []
	await guest.client.watch('device', (path) => events.push(path))
	await dom0.write('/local/domain/1/device/vbd/51712/state', '4')
	await later()
	assert.deepEqual(events, ['device', 'device/vbd/51712/state'])
	assert.equal(guest.word(XS_RING_SERVER_FEATURES), 15)
})

test('messages larger than the ring pass in pieces, in both directions', async () => {
	const { server, guest } = await introduced()
	server.store.ownLimits(1)['node-size'] = 0
	const value = 'x'.repeat(4000)
	await guest.client.write('data', value)
	assert.equal(await guest.client.read('data'), value)
})

test('the ring wraps and the stream goes on', async () => {
	const { guest } = await introduced()
	for (let i = 0; i < 300; i++) await guest.client.write('data', 'x'.repeat(100))
	assert.ok(guest.word(XS_RING_REQ_PROD) > 30_000)
	assert.equal(guest.word(XS_RING_REQ_PROD), guest.word(XS_RING_REQ_CONS))
})

test('a guest that never reads is bounded: its requests wait, and nobody else does', async () => {
	const { server, dom0, guest } = await introduced()
	guest.reading = false
	const replies: unknown[] = []
	for (let i = 0; i < 500; i++) guest.client.read('nothing').then((value) => replies.push(value))
	await later()
	assert.ok(server.store.usage(1).bytes < 20 * 64 + 200, `${server.store.usage(1).bytes} bytes wait`)
	await dom0.write('/a', '1')
	assert.equal(await dom0.read('/a'), '1')
	guest.reading = true
	guest.poll()
	while (replies.length < 500) await later()
	assert.equal(replies.length, 500)
})

test('a guest that never reads its watch events is bounded, and an event equal to one that waits is not queued again', async () => {
	const { server, dom0, guest } = await introduced()

	await guest.client.watch('/local/domain/1', () => {})
	await later()
	guest.reading = false
	const before = server.store.usage(1).bytes
	for (let i = 0; i < 200; i++) await dom0.write('/local/domain/1/data', String(i))
	assert.ok(server.store.usage(1).bytes - before < 3000, 'one event in the ring, one in the queue')
	server.store.ownLimits(1).memory = 10_000
	for (let i = 0; i < 2000; i++) await dom0.write(`/local/domain/1/data/${i}`, '')
	assert.ok(server.store.usage(1).bytes < 200_000)
	const queued = server.store.usage(1).bytes
	await dom0.rm('/local/domain/1/data')
	assert.ok(server.store.usage(1).bytes <= queued)
})

for (const [what, index, value] of [
	['req_prod', XS_RING_REQ_PROD, 1025],
	['req_prod', XS_RING_REQ_PROD, -1],
	['rsp_cons', XS_RING_RSP_CONS, 5000],
] as const) {
	test(`${what} = ${value} ends the connection with XENSTORE_ERROR_RINGIDX and harms nobody else`, async () => {
		const { dom0, guest } = await introduced()
		if (index === XS_RING_RSP_CONS) guest.setWord(XS_RING_RSP_PROD, 5000)
		guest.setWord(index, guest.word(index) + value)
		const request = encodeMessage({ type: XS_READ, reqId: 1, txId: 0, payload: new TextEncoder().encode('x\0') })
		guest.page.set(request, XS_RING_REQ)
		if (index === XS_RING_RSP_CONS) guest.setWord(XS_RING_REQ_PROD, request.length)
		guest.kick()
		assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_RINGIDX)
		guest.kick()
		assert.equal(await dom0.read('/local/domain/1'), '')
	})
}

test('an announced payload above 4096 bytes ends the connection with XENSTORE_ERROR_PROTO', async () => {
	const { guest } = await introduced()
	guest.page.set(new Uint8Array(new Uint32Array([XS_WRITE, 0, 0, 4097]).buffer), XS_RING_REQ)
	guest.setWord(XS_RING_REQ_PROD, 16)
	guest.kick()
	assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_PROTO)
})

test('a guest that asks for a reconnection gets an empty ring, without its watches and transactions', async () => {
	const { server, guest } = await introduced()
	await guest.client.watch('data', () => {})
	guest.setWord(XS_RING_REQ_PROD, 77_777)
	guest.kick()
	assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_RINGIDX)
	guest.setWord(XS_RING_CONNECTION, XENSTORE_RECONNECT)
	guest.kick()
	assert.equal(guest.word(XS_RING_CONNECTION), XENSTORE_CONNECTED)
	assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_NONE)
	assert.equal(server.store.usage(1).watches, 0)
	await guest.client.write('data', 'again')
	assert.equal(await guest.client.read('data'), 'again')
})

test('INTRODUCE again resets the ring, and RELEASE ends it', async () => {
	const { dom0, guest } = await introduced()
	await guest.client.write('data', '1')
	await dom0.introduceDomain(1, 1, 1)
	assert.equal(guest.word(XS_RING_REQ_PROD), 0)
	assert.equal(await guest.client.read('data'), '1')
	await dom0.releaseDomain(1)
	const answer = Promise.race([guest.client.read('data'), later().then(() => 'silence')])
	assert.equal(await answer, 'silence')
})

test('SET_TARGET gives a domain the rights of its target', async () => {
	const { host, server, dom0 } = await introduced(1)
	const helper = host.introduce(server.domains, 2)
	await assert.rejects(helper.client.read('/local/domain/1'))
	await dom0.setTarget(2, 1)
	await helper.client.write('/local/domain/1/x', 'y')
	assert.equal(await dom0.read('/local/domain/1/x'), 'y')
})
