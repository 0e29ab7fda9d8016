import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeXen } from '../../tests/support/fake_domains.ts'
import { dialer, type Pipe } from '../../tests/support/pipe.ts'
import { XENSTORE_CONNECTED, XENSTORE_RECONNECT, XS_RING_CONNECTION } from '../abi/io/xs_wire.ts'
import { connectInProcess, type XenstoreClient } from '../xenstore/client.ts'
import type { StoreRecord } from '../xenstore/journal.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import { TestGuest, TestHost } from '../xenstore/test_guest.ts'
import { remoteRings } from './remote_rings.ts'
import { XenServer } from './xen_server.ts'

const turns = async (count: number) => {
	for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A hypervisor with one guest, and a xenstored that can be killed; what it has appended to its journal stays. */
class KillableXenstored {
	readonly guest = new TestGuest()
	server!: XenstoreServer
	dom0!: XenstoreClient
	private readonly xen: XenServer
	private readonly records: StoreRecord[] = []
	private pipes: Pipe[] = []

	constructor() {
		const host = new TestHost()
		host.guests.set(1, this.guest)
		this.xen = new XenServer({ xen: new FakeXen(), bootId: '', pid: 1, rings: host })
		this.start()
	}

	kill(): void {
		this.server.store.startJournal({ append: () => {} })
		for (const pipe of this.pipes) pipe.close()
	}

	start(): void {
		const { dial, pipes } = dialer((channel) => this.xen.accept(channel))
		this.pipes = pipes
		this.server = new XenstoreServer({ ringHost: remoteRings({ dial, resume: () => true }), defer: setImmediate })
		this.server.restore(this.records)
		this.records.splice(0, Number.POSITIVE_INFINITY, ...this.server.snapshot())
		this.server.store.startJournal({ append: (record) => this.records.push(structuredClone(record)) })
		this.server.domains.reattach()
		this.dom0 = connectInProcess(this.server)
	}

	async introduce(): Promise<void> {
		await this.dom0.write('/local/domain/1', '')
		await this.dom0.setPerms('/local/domain/1', ['n1'])
		await this.dom0.introduceDomain(1, 1, 1)
		await turns(10)
	}
}

test('a guest whose xenstored is killed again and again sees no error, and each of its requests takes effect once', async () => {
	const xenstored = new KillableXenstored()
	await xenstored.introduce()
	const { client } = xenstored.guest
	let running = true
	const counted = [0, 0, 0]
	/** Counts up in transactions, and checks that watches can be set and taken away once. */
	const work = async (worker: number) => {
		for (; running; counted[worker]!++) {
			await client.transaction(async (transaction) => {
				const sum = Number((await transaction.read('sum')) ?? 0)
				await transaction.write('sum', sum + 1)
			})
			const unwatch = await client.watch(`watched/${worker}`, () => {})
			await client.write(`own/${worker}`, counted[worker]!)
			assert.equal(await client.read(`own/${worker}`), String(counted[worker]))
			await unwatch()
		}
	}
	const workers = counted.map((_, worker) => work(worker))
	for (let kills = 0; kills < 60; kills++) {
		await turns((kills * 7) % 23)
		xenstored.kill()
		await turns(kills % 3)
		xenstored.start()
	}
	running = false
	await Promise.all(workers)
	const sum = counted.reduce((a, b) => a + b)
	assert.ok(sum > 20, `${sum} rounds`)
	assert.equal(await client.read('sum'), String(sum))
	assert.deepEqual(
		{ ...xenstored.server.store.usage(1), bytes: 0 },
		{ nodes: 6, bytes: 0, watches: 0, transactions: 0 },
		'nothing is left over: the domain, sum, own, own/0, own/1, own/2',
	)
})

test("a guest's watches fire once when the next server begins, and go on", async () => {
	const xenstored = new KillableXenstored()
	await xenstored.introduce()
	const events: string[] = []
	await xenstored.guest.client.watch('device', (path) => events.push(path))
	await turns(5)
	xenstored.kill()
	xenstored.start()
	await turns(10)
	await xenstored.dom0.write('/local/domain/1/device/state', '4')
	await turns(10)
	assert.deepEqual(events, ['device', 'device', 'device/state'])
})

test('a transaction that was open when its server was killed ends with EAGAIN and changes nothing', async () => {
	const xenstored = new KillableXenstored()
	await xenstored.introduce()
	let attempts = 0
	await xenstored.guest.client.transaction(async (transaction) => {
		await transaction.write(`attempt${++attempts}`, '')
		if (attempts > 1) return
		xenstored.kill()
		xenstored.start()
		assert.equal(await transaction.read('nothing'), undefined)
		await transaction.write('half', '')
	})
	assert.equal(attempts, 2)
	assert.deepEqual(await xenstored.dom0.ls('/local/domain/1'), ['attempt2'])
})

test('a guest that asks for a new conversation while there is no server gets it from the next', async () => {
	const xenstored = new KillableXenstored()
	await xenstored.introduce()
	await xenstored.guest.client.watch('data', () => {})
	xenstored.kill()
	await turns(3)
	xenstored.guest.setWord(XS_RING_CONNECTION, XENSTORE_RECONNECT)
	xenstored.guest.kick()
	assert.equal(xenstored.guest.word(XS_RING_CONNECTION), XENSTORE_CONNECTED)
	xenstored.start()
	await xenstored.guest.client.write('data', 'again')
	assert.equal(await xenstored.dom0.read('/local/domain/1/data'), 'again')
	assert.equal(xenstored.server.store.usage(1).watches, 0)
})
