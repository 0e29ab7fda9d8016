import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeFactory } from '../../tests/support/fake_domains.ts'
import { domainInfo } from './domain_record.ts'
import { type DomainEvent, Lifecycle } from './lifecycle.ts'

function setUp() {
	const factory = new FakeFactory()
	const events: DomainEvent[] = []
	const logged: string[] = []
	const clock = { now_s: 1000 }
	let uuids = 0
	const lifecycle = new Lifecycle({
		factory,
		newUuid: () => `00000000-0000-0000-0000-${String(++uuids).padStart(12, '0')}`,
		now_s: () => clock.now_s,
		freeMemory_kib: () => 1024 * 1024,
		log: (_level, message) => logged.push(message),
	})
	lifecycle.onEvent((event) => events.push(event))
	return { factory, events, logged, clock, lifecycle }
}

const web = { name: 'web', kernel: '/k' }
const settle = () => new Promise((resolve) => setImmediate(resolve))
const states = (lifecycle: Lifecycle) => lifecycle.list().map((record) => `${record.config.name} ${domainInfo(record).state}`)

test('create() builds a domain and lets it run', async () => {
	const { lifecycle } = setUp()
	const { domain } = await lifecycle.create(web)
	assert.equal(domain.state, '-b----')
	assert.equal(domain.uuid, '00000000-0000-0000-0000-000000000001')
	assert.equal(lifecycle.find('web'), lifecycle.find('1'))
})

test('create() with paused leaves it paused, and pause() and unpause() may be repeated', async () => {
	const { lifecycle } = setUp()
	assert.equal((await lifecycle.create(web, { paused: true })).domain.state, '--p---')
	lifecycle.unpause('web')
	lifecycle.unpause('web')
	assert.deepEqual(states(lifecycle), ['web -b----'])
	await lifecycle.pause('1')
	await lifecycle.pause('1')
	assert.deepEqual(states(lifecycle), ['web --p---'])
})

test('create() refuses a name that is taken, even by a domain that is being built', async () => {
	const { lifecycle } = setUp()
	const first = lifecycle.create(web)
	await assert.rejects(lifecycle.create(web), /VM name 'web' already exists and is being created/)
	await first
	await assert.rejects(lifecycle.create(web), /VM name 'web' already exists as domain 1/)
	await assert.rejects(lifecycle.create({ ...web, name: 'Domain-0' }), /VM name 'Domain-0' already exists/)
})

test('create() leaves nothing behind when the domain cannot be built', async () => {
	const { lifecycle, factory } = setUp()
	factory.failure = new Error('no')
	await assert.rejects(lifecycle.create(web))
	assert.equal(lifecycle.busy, false)
	factory.failure = undefined
	await lifecycle.create(web)
})

test('create() refuses more memory than the host has, in the words of xend', async () => {
	const { lifecycle } = setUp()
	await assert.rejects(
		lifecycle.create({ ...web, memory: 2048 }),
		/^UserError: Not enough free memory and enable-dom0-ballooning is False, so I cannot release any more\. {2}I need 2097152 KiB but only have 1048576\.$/,
	)
})

test('a reference that fits nothing is NoSuchDomain with exit code 3', () => {
	const { lifecycle } = setUp()
	assert.throws(() => lifecycle.find('x'), { message: "Domain 'x' does not exist.", exitCode: 3 })
})

test('domain 0 can be neither paused, destroyed nor shut down', async () => {
	const { lifecycle } = setUp()
	await assert.rejects(lifecycle.pause('0'), /Cannot pause privileged domain 0/)
	await assert.rejects(lifecycle.destroy('Domain-0'), /Cannot destroy privileged domain Domain-0/)
	await assert.rejects(lifecycle.shutdown('0', 'poweroff'), /Domain 0 cannot be shutdown/)
})

test('a guest that powers off is destroyed by default', async () => {
	const { lifecycle, factory, events } = setUp()
	await lifecycle.create(web)
	factory.last.end('poweroff')
	await settle()
	assert.deepEqual(states(lifecycle), [])
	assert.equal(factory.last.destroyed, true)
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
	const { lifecycle, factory, events, clock } = setUp()
	const { domain } = await lifecycle.create(web)
	clock.now_s += 61
	factory.last.end('reboot')
	await settle()
	assert.deepEqual(states(lifecycle), ['web -b----'])
	assert.equal(lifecycle.find('web').handle.domid, 2)
	assert.equal(lifecycle.find('web').config.uuid, domain.uuid)
	assert.equal(lifecycle.find('web').restartCount, 1)
	assert.deepEqual(events.at(-1), { type: 'restarted', name: 'web', domid: 2, previous: 1 })
})

test('a guest that restarts within a minute is destroyed, unless the restart was asked for', async () => {
	const { lifecycle, factory, logged, clock } = setUp()
	await lifecycle.create(web)
	clock.now_s += 59
	factory.last.end('crash', 'triple fault')
	await settle()
	assert.deepEqual(states(lifecycle), [])
	assert(logged.includes('VM web restarting too fast (Elapsed time: 59.000000 seconds). Refusing to restart to avoid loops.'))
	await lifecycle.create(web)
	await lifecycle.shutdown('web', 'reboot')
	assert.deepEqual(factory.last.requests, ['reboot'])
	factory.last.end('reboot')
	await settle()
	assert.equal(lifecycle.find('web').handle.domid, 3)
})

test('on_crash = preserve keeps the crashed domain listed until it is destroyed', async () => {
	const { lifecycle, factory, events } = setUp()
	await lifecycle.create({ ...web, on_crash: 'preserve' })
	factory.last.end('crash')
	await settle()
	assert.deepEqual(states(lifecycle), ['web ----c-'])
	assert.equal(factory.last.destroyed, false)
	await lifecycle.destroy('web')
	assert.deepEqual(events.at(-1), { type: 'destroyed', name: 'web', domid: 1 })
})

test('on_reboot = rename-restart keeps the old domain under another name', async () => {
	const { lifecycle, factory, clock } = setUp()
	await lifecycle.create({ ...web, on_reboot: 'rename-restart' })
	clock.now_s += 100
	factory.last.end('reboot')
	await settle()
	const [old, next] = lifecycle.list()
	assert.match(old!.config.name, /^Domain-0000/)
	assert.equal(factory.domains[0]!.name, old!.config.name)
	assert.notEqual(old!.config.uuid, next!.config.uuid)
	assert.equal(next!.config.name, 'web')
	assert.equal(domainInfo(old!).state, '---s--')
})

test('a restart that fails says so and leaves nothing', async () => {
	const { lifecycle, factory, events, clock } = setUp()
	await lifecycle.create(web)
	clock.now_s += 100
	factory.failure = new Error('Kernel image does not exist: /k')
	factory.last.end('reboot')
	await settle()
	assert.deepEqual(events.at(-1), { type: 'restart-failed', name: 'web', previous: 1, message: 'Kernel image does not exist: /k' })
	assert.equal(lifecycle.busy, false)
})

test('destroying a domain whose guest ends at the same moment acts once', async () => {
	const { lifecycle, factory, events } = setUp()
	await lifecycle.create(web)
	const destroyed = lifecycle.destroy('web')
	factory.last.end('poweroff')
	await destroyed
	await settle()
	assert.equal(events.filter((event) => event.type === 'ended').length, 1)
})
