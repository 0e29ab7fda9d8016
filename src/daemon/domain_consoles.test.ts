import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { FakeXen, settle } from '../../tests/support/fake_domains.ts'
import { Lifecycle } from '../toolstack/lifecycle.ts'
import { MemoryRecords } from '../toolstack/record_store.ts'
import { DomainConsoles } from './domain_consoles.ts'

async function setUp() {
	const xen = new FakeXen()
	let uuids = 0
	const lifecycle = new Lifecycle({
		records: new MemoryRecords(),
		newUuid: () => `00000000-0000-0000-0000-${String(++uuids).padStart(12, '0')}`,
		now_s: () => 1000,
		freeMemory_kib: () => 1024 * 1024,
		dom0Memory_kib: 1024,
		log: () => {},
	})
	const consoles = new DomainConsoles(lifecycle)
	await lifecycle.attach(xen.connect())
	return { xen, lifecycle, consoles }
}

test('the end of a domain that is gone is found by its number, and not by its name, for a while', async () => {
	mock.timers.enable({ apis: ['setTimeout'] })
	try {
		const { consoles, xen, lifecycle } = await setUp()
		await lifecycle.create({ name: 'web', kernel: '/k' })
		xen.last.end('poweroff')
		await settle()
		assert.equal(lifecycle.busy, false)
		assert.deepEqual(consoles.find('1').ending, { reason: 'poweroff', detail: undefined, restartError: undefined })
		assert.throws(() => consoles.find('web'), { message: "Domain 'web' does not exist.", exitCode: 3 })
		assert.throws(() => consoles.find('2'), { message: "Domain '2' does not exist." })
		mock.timers.tick(60_000)
		assert.throws(() => consoles.find('1'), { exitCode: 3 })
	} finally {
		mock.timers.reset()
	}
})

test('the end of a domain that restarts is not over until the next one is there', async () => {
	const { consoles, xen, lifecycle } = await setUp()
	await lifecycle.create({ name: 'web', kernel: '/k' })
	await lifecycle.shutdown('web', 'reboot')
	const tracked = consoles.find('web')
	const seen: boolean[] = []
	lifecycle.onEvent((event) => seen.push(event.type === 'ended' && tracked.over))
	xen.last.end('reboot')
	await settle()
	assert.deepEqual(seen, [false, false, false], 'ended, created, restarted')
	assert.deepEqual([tracked.over, tracked.ending?.next], [true, 2])
	assert.equal(consoles.find('1'), tracked)
	assert.equal(consoles.find('web').domid, 2)
})

test('a preserved domain is over, and known as long as it is listed', async () => {
	const { consoles, xen, lifecycle } = await setUp()
	await lifecycle.create({ name: 'web', kernel: '/k', on_crash: 'preserve' })
	xen.last.end('crash')
	await settle()
	assert.deepEqual([consoles.find('web').over, consoles.find('web').ending?.reason], [true, 'crash'])
	const afterwards = new DomainConsoles(lifecycle)
	assert.deepEqual([afterwards.find('web').over, afterwards.find('1').ending?.reason], [true, 'crash'], 'also to who was not there')
})
