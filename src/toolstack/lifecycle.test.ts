import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeXen, settle } from '../../tests/support/fake_domains.ts'
import { checkFreeMemory } from './free_memory.ts'
import { type DomainEvent, Lifecycle, type LifecycleOptions } from './lifecycle.ts'
import { MemoryRecords } from './record_store.ts'

async function setUp(settings: Pick<LifecycleOptions, 'consoleLimit_bytes' | 'dumpCrashed' | 'dumpCore'> = {}) {
	const xen = new FakeXen()
	const events: DomainEvent[] = []
	const logged: string[] = []
	const clock = { now_s: 1000 }
	let uuids = 0
	const lifecycle = new Lifecycle({
		records: new MemoryRecords(),
		newUuid: () => `00000000-0000-0000-0000-${String(++uuids).padStart(12, '0')}`,
		now_s: () => clock.now_s,
		freeMemory_kib: () => 1024 * 1024,
		dom0Memory_kib: 1024 * 1024,
		log: (_level, message) => logged.push(message),
		...settings,
	})
	lifecycle.onEvent((event) => events.push(event))
	await lifecycle.attach(xen.connect())
	return { xen, events, logged, clock, lifecycle }
}

const web = { name: 'web', kernel: '/k' }
const states = async (lifecycle: Lifecycle) => (await lifecycle.list()).map(({ info }) => `${info.name} ${info.state}`)

test('create() builds a domain and lets it run', async () => {
	const { lifecycle } = await setUp()
	const { domain } = await lifecycle.create(web)
	assert.equal(domain.state, '-b----')
	assert.equal(domain.uuid, '00000000-0000-0000-0000-000000000001')
	assert.equal(lifecycle.find('web'), lifecycle.find('1'))
})

test('create() with paused leaves it paused, and pause() and unpause() may be repeated', async () => {
	const { lifecycle } = await setUp()
	assert.equal((await lifecycle.create(web, { paused: true })).domain.state, '--p---')
	await lifecycle.unpause('web')
	await lifecycle.unpause('web')
	assert.deepEqual(await states(lifecycle), ['web -b----'])
	await lifecycle.pause('1')
	await lifecycle.pause('1')
	assert.deepEqual(await states(lifecycle), ['web --p---'])
})

test('create() refuses a name that is taken, even by a domain that is being built', async () => {
	const { lifecycle } = await setUp()
	const first = lifecycle.create(web)
	await assert.rejects(lifecycle.create(web), /VM name 'web' already exists and is being created/)
	await first
	await assert.rejects(lifecycle.create(web), /VM name 'web' already exists as domain 1/)
	await assert.rejects(lifecycle.create({ ...web, name: 'Domain-0' }), /VM name 'Domain-0' already exists/)
})

test('create() leaves nothing behind when the domain cannot be built', async () => {
	const { lifecycle, xen } = await setUp()
	xen.failure = new Error('no')
	await assert.rejects(lifecycle.create(web))
	assert.equal(lifecycle.busy, false)
	xen.failure = undefined
	await lifecycle.create(web)
})

test('create() refuses more memory than the host has, in the words of xend', async () => {
	const { lifecycle } = await setUp()
	await assert.rejects(
		lifecycle.create({ ...web, memory: 2048 }),
		/^UserError: Not enough free memory and enable-dom0-ballooning is False, so I cannot release any more\. {2}I need 2097152 KiB but only have 1048576\.$/,
	)
})

test('checkFreeMemory() says what the host keeps for itself', () => {
	const host = { freeMemory_kib: () => 4096.5, keptMemory_kib: 200_704 }
	checkFreeMemory(host, 4096)
	assert.throws(
		() => checkFreeMemory(host, 8192),
		/ I need 8192 KiB but only have 4096\. {2}200704 more are the host's: dom0-min-mem in xend-config\.sxp\.$/,
	)
})

test('a reference that fits nothing is NoSuchDomain with exit code 3', async () => {
	const { lifecycle } = await setUp()
	assert.throws(() => lifecycle.find('x'), { message: "Domain 'x' does not exist.", exitCode: 3 })
})

test('domain 0 can be neither paused, destroyed nor shut down', async () => {
	const { lifecycle } = await setUp()
	await assert.rejects(lifecycle.pause('0'), /Cannot pause privileged domain 0/)
	await assert.rejects(lifecycle.destroy('Domain-0'), /Cannot destroy privileged domain Domain-0/)
	await assert.rejects(lifecycle.shutdown('0', 'poweroff'), /Domain 0 cannot be shutdown/)
})

test('a guest that powers off is destroyed by default', async () => {
	const { lifecycle, xen, events } = await setUp()
	await lifecycle.create(web)
	xen.last.end('poweroff')
	await settle()
	assert.deepEqual(await states(lifecycle), [])
	assert.equal(xen.last.destroyed, true)
	assert.deepEqual(events.at(-1), {
		type: 'ended',
		name: 'web',
		domid: 1,
		reason: 'poweroff',
		detail: undefined,
		preserved: false,
		restarting: false,
	})
})

test('a guest that reboots is started again under its name and uuid', async () => {
	const { lifecycle, xen, events, clock } = await setUp()
	const { domain } = await lifecycle.create(web)
	clock.now_s += 61
	xen.last.end('reboot')
	await settle()
	assert.deepEqual(await states(lifecycle), ['web -b----'])
	assert.equal((await lifecycle.list())[0]!.info.domid, 2)
	assert.equal(lifecycle.find('web').config.uuid, domain.uuid)
	assert.equal(lifecycle.find('web').record.restartCount, 1)
	assert.deepEqual(events.at(-1), { type: 'restarted', name: 'web', domid: 2, previous: 1 })
})

test('a guest that restarts within a minute is destroyed, unless the restart was asked for', async () => {
	const { lifecycle, xen, logged, clock } = await setUp()
	await lifecycle.create(web)
	clock.now_s += 59
	xen.last.end('crash', 'triple fault')
	await settle()
	assert.deepEqual(await states(lifecycle), [])
	assert(logged.includes('VM web restarting too fast (Elapsed time: 59.000000 seconds). Refusing to restart to avoid loops.'))
	await lifecycle.create(web)
	await lifecycle.shutdown('web', 'reboot')
	assert.deepEqual(xen.last.requests, ['reboot'])
	xen.last.end('reboot')
	await settle()
	assert.equal((await lifecycle.list())[0]!.info.domid, 3)
})

test('on_crash = preserve keeps the crashed domain listed until it is destroyed', async () => {
	const { lifecycle, xen, events } = await setUp()
	await lifecycle.create({ ...web, on_crash: 'preserve' })
	xen.last.end('crash')
	await settle()
	assert.deepEqual(await states(lifecycle), ['web ----c-'])
	assert.equal(xen.last.destroyed, false)
	await lifecycle.destroy('web')
	assert.deepEqual(events.at(-1), { type: 'destroyed', name: 'web', domid: 1 })
})

test('on_reboot = rename-restart keeps the old domain under another name', async () => {
	const { lifecycle, xen, clock } = await setUp()
	await lifecycle.create({ ...web, on_reboot: 'rename-restart' })
	clock.now_s += 100
	xen.last.end('reboot')
	await settle()
	const [old, next] = (await lifecycle.list()).map(({ info }) => info)
	assert.match(old!.name, /^Domain-0000/)
	assert.equal(xen.domainsMade[0]!.name, old!.name)
	assert.equal(xen.domainsMade[0]!.uuid, old!.uuid)
	assert.notEqual(old!.uuid, next!.uuid)
	assert.equal(next!.name, 'web')
	assert.equal(old!.state, '---s--')
})

test('a restart that fails says so and leaves nothing', async () => {
	const { lifecycle, xen, events, clock } = await setUp()
	await lifecycle.create(web)
	clock.now_s += 100
	xen.failure = new Error('Kernel image does not exist: /k')
	xen.last.end('reboot')
	await settle()
	assert.deepEqual(events.at(-1), { type: 'restart-failed', name: 'web', previous: 1, message: 'Kernel image does not exist: /k' })
	assert.equal(lifecycle.busy, false)
})

test('destroying a domain whose guest ends at the same moment acts once', async () => {
	const { lifecycle, xen, events } = await setUp()
	await lifecycle.create(web)
	const destroyed = lifecycle.destroy('web')
	xen.last.end('poweroff')
	await destroyed
	await settle()
	assert.equal(events.filter((event) => event.type === 'ended').length, 1)
})

test('a console limit holds for the domains that are built', async () => {
	const { xen, lifecycle } = await setUp({ consoleLimit_bytes: 65536 })
	await lifecycle.create(web)
	assert.equal(xen.last.spec.consoleLimit_bytes, 65536)
	assert.equal(xen.node('/local/domain/1/console/limit'), '65536')
})

test('with dumpCrashed every crash leaves one core, and no other end does', async () => {
	const dumped: string[] = []
	const { xen, lifecycle } = await setUp({ dumpCrashed: true, dumpCore: async ({ name }) => void dumped.push(name) })
	for (const [name, on_crash, reason] of [
		['a', 'destroy', 'crash'],
		['b', 'coredump-destroy', 'crash'],
		['c', 'destroy', 'poweroff'],
	] as const) {
		await lifecycle.create({ name, kernel: '/k', on_crash })
		xen.last.end(reason)
		await settle()
	}
	assert.deepEqual(dumped, ['a', 'b'])
})
