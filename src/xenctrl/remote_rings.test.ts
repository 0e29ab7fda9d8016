import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeXen } from '../../tests/support/fake_domains.ts'
import { dialer } from '../../tests/support/pipe.ts'
import {
	XENSTORE_CONNECTED,
	XENSTORE_ERROR_NONE,
	XENSTORE_ERROR_PROTO,
	XENSTORE_ERROR_RINGIDX,
	XENSTORE_RECONNECT,
	XS_RING_CONNECTION,
	XS_RING_ERROR,
	XS_RING_REQ,
	XS_RING_REQ_PROD,
	XS_RING_SERVER_FEATURES,
	XS_WRITE,
} from '../abi/io/xs_wire.ts'
import { connectInProcess } from '../xenstore/client.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import { TestGuest, TestHost } from '../xenstore/test_guest.ts'
import { remoteRings } from './remote_rings.ts'
import { XenServer } from './xen_server.ts'

/** A xenstored whose guests' rings are at the other end of a byte stream. */
async function setUp() {
	const host = new TestHost()
	const guest = new TestGuest()
	host.guests.set(1, guest)
	const xenServer = new XenServer({ xen: new FakeXen(), bootId: '', pid: 1, rings: host })
	const { dial, pipes } = dialer((channel) => xenServer.accept(channel))
	const server = new XenstoreServer({ ringHost: remoteRings({ dial }), defer: setImmediate })
	const dom0 = connectInProcess(server)
	await dom0.write('/local/domain/1', '')
	await dom0.setPerms('/local/domain/1', ['n1'])
	await dom0.introduceDomain(1, 1, 1)
	do await later()
	while (guest.word(XS_RING_SERVER_FEATURES) === 0)
	return { server, dom0, guest, pipes }
}

/** Turns of the event loop, in which all that was begun has come to rest: however busy the host is. */
async function later(): Promise<void> {
	for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
}

test('a guest reads, writes and watches over its ring with xenstored in another process', async () => {
	const { server, dom0, guest } = await setUp()
	await guest.client.write('device/vbd/51712/state', '3')
	assert.equal(await dom0.read('/local/domain/1/device/vbd/51712/state'), '3')
	const events: string[] = []
	await guest.client.watch('device', (path) => events.push(path))
	await dom0.write('/local/domain/1/device/vbd/51712/state', '4')
	await later()
	assert.deepEqual(events, ['device', 'device/vbd/51712/state'])
	server.store.ownLimits(1)['node-size'] = 0
	const value = 'x'.repeat(4000)
	await guest.client.write('data', value)
	assert.equal(await guest.client.read('data'), value)
})

test('a guest that never reads is bounded, and gets every reply when it does', async () => {
	const { server, dom0, guest } = await setUp()
	guest.reading = false
	const replies: unknown[] = []
	for (let i = 0; i < 1000; i++) guest.client.read('nothing').then((value) => replies.push(value))
	await later()
	assert.ok(server.store.usage(1).bytes < 20 * 64 + 200, `${server.store.usage(1).bytes} bytes wait`)
	assert.equal(await dom0.read('/local/domain/1'), '')
	guest.reading = true
	guest.poll()
	while (replies.length < 1000) await later()
	assert.equal(replies.length, 1000)
})

test('a broken ring and a broken protocol end the conversation until the guest asks for another', async () => {
	const { server, guest } = await setUp()
	await guest.client.watch('data', () => {})
	guest.setWord(XS_RING_REQ_PROD, 77_777)
	guest.kick()
	assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_RINGIDX)
	await later()
	assert.equal(server.store.usage(1).watches, 0)
	await reconnect(guest)
	guest.page.set(new Uint8Array(new Uint32Array([XS_WRITE, 0, 0, 4097]).buffer), XS_RING_REQ)
	guest.setWord(XS_RING_REQ_PROD, 16)
	guest.kick()
	await later()
	assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_PROTO)
	await reconnect(guest)
	await guest.client.write('data', 'again')
	assert.equal(await guest.client.read('data'), 'again')
})

async function reconnect(guest: TestGuest): Promise<void> {
	guest.setWord(XS_RING_CONNECTION, XENSTORE_RECONNECT)
	guest.kick()
	assert.equal(guest.word(XS_RING_CONNECTION), XENSTORE_CONNECTED)
	assert.equal(guest.word(XS_RING_ERROR), XENSTORE_ERROR_NONE)
}

test('INTRODUCE again resets the ring; replies of the conversation before do not reach the next', async () => {
	const { dom0, guest } = await setUp()
	await guest.client.write('data', '1')
	await dom0.introduceDomain(1, 1, 1)
	await later()
	assert.equal(guest.word(XS_RING_REQ_PROD), 0)
	assert.equal(await guest.client.read('data'), '1')
})

test('RELEASE ends it, and a domain that the hypervisor does not have gets no conversation', async () => {
	const { dom0, guest, pipes } = await setUp()
	await dom0.releaseDomain(1)
	await later()
	assert.equal(pipes[0]!.closed, true)
	const answer = Promise.race([guest.client.read('data'), later().then(() => 'silence')])
	assert.equal(await answer, 'silence')
})
