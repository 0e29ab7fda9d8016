import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '../../tests/support/fake_domains.ts'
import { World } from '../../tests/support/mortal.ts'
import type { DomainEvent, Lifecycle } from './lifecycle.ts'

const web = { name: 'web', kernel: '/k' }
const listed = async (lifecycle: Lifecycle) => (await lifecycle.list()).map(({ info }) => `${info.name} ${info.domid} ${info.state}`)

async function setUp() {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	const events: DomainEvent[] = []
	lifecycle.onEvent((event) => events.push(event))
	return { world, lifecycle, events }
}

test('a managed domain is listed when it is halted, without a number and a state', async () => {
	const { lifecycle } = await setUp()
	const { domain } = await lifecycle.define(web)
	assert.deepEqual([domain.domid, domain.state, domain.memory_mib, domain.vcpus], [null, '', 128, 1])
	await lifecycle.create({ ...web, name: 'other' })
	assert.deepEqual(await listed(lifecycle), ['other 1 -b----', 'web null '])
	assert.equal(lifecycle.busy, true)
	await lifecycle.destroy('other')
	assert.equal(lifecycle.busy, false, 'a halted domain keeps nobody')
})

test('it keeps its uuid from start to start, and is halted again when its guest powers off', async () => {
	const { world, lifecycle } = await setUp()
	const { domain } = await lifecycle.define(web)
	assert.equal((await lifecycle.startManaged('web')).uuid, domain.uuid)
	await assert.rejects(lifecycle.startManaged('web'), /Domain 'web' is already running/)
	world.xen.last.end('poweroff')
	await settle()
	assert.deepEqual(await listed(lifecycle), ['web null '])
	assert.equal((await lifecycle.startManaged('web', { paused: true })).state, '--p---')
})

test('a start that fails leaves it halted', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.define(web)
	world.xen.failure = new Error('Kernel image does not exist: /k')
	await assert.rejects(lifecycle.startManaged('web'), /Kernel image does not exist/)
	assert.deepEqual(await listed(lifecycle), ['web null '])
})

test('define() again replaces the configuration of a halted one, and its name is taken for all others', async () => {
	const { lifecycle } = await setUp()
	await lifecycle.define(web)
	await lifecycle.define({ ...web, memory: 64 })
	assert.equal((await lifecycle.list())[0]!.info.memory_mib, 64)
	await assert.rejects(lifecycle.create(web), /VM name 'web' already exists$/)
	await lifecycle.startManaged('web')
	await assert.rejects(lifecycle.define(web), /Domain 'web' is not halted/)
})

test('undefine() takes a halted managed domain away, and no other', async () => {
	const { lifecycle, events } = await setUp()
	await lifecycle.define(web)
	await lifecycle.startManaged('web')
	await assert.rejects(lifecycle.undefine('web'), /^UserError: Domain is not halted\.$/)
	await lifecycle.destroy('web')
	await lifecycle.undefine('web')
	assert.deepEqual(await listed(lifecycle), [])
	assert.deepEqual(
		events.map(({ type }) => type),
		['defined', 'created', 'ended', 'undefined'],
	)
	await lifecycle.create(web)
	await assert.rejects(lifecycle.undefine('web'), /Domain 'web' is not managed by xend/)
})

test('what runs cannot be done to what is halted', async () => {
	const { lifecycle } = await setUp()
	await lifecycle.define(web)
	for (const act of [lifecycle.destroy('web'), lifecycle.pause('web'), lifecycle.shutdown('web', 'poweroff')]) {
		await assert.rejects(act, /^UserError: Domain 'web' is not running$/)
	}
})

test('rename() changes the name in record and store, and refuses one that is taken or no name', async () => {
	const { world, lifecycle, events } = await setUp()
	await lifecycle.create(web)
	await lifecycle.define({ ...web, name: 'db' })
	await lifecycle.rename('web', 'www')
	assert.deepEqual([world.xen.last.name, world.xen.node(`/vm/${world.xen.last.uuid}/name`)], ['www', 'www'])
	assert.deepEqual(events.at(-1), { type: 'renamed', name: 'www', domid: 1, from: 'web' })
	await assert.rejects(lifecycle.rename('www', 'db'), /VM name 'db' already exists/)
	await assert.rejects(lifecycle.rename('www', '17'), /Invalid VM Name/)
	await lifecycle.rename('db', 'data')
	assert.deepEqual(await listed(lifecycle), ['www 1 -b----', 'data null '])
})

test('on_xend_start = start starts a managed domain with the toolstack', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.define({ ...web, on_xend_start: 'start' })
	await lifecycle.define({ ...web, name: 'db' })
	lifecycle.detach()
	const next = await world.toolstack()
	await settle()
	assert.deepEqual(await listed(next.lifecycle), ['web 1 -b----', 'db null '])
})

test('on_xend_stop = shutdown asks a domain to shut down with the toolstack, and waits until it has', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.create({ ...web, on_xend_stop: 'shutdown' })
	const guest = world.xen.last
	await lifecycle.create({ ...web, name: 'db' })
	let stopped = false
	const stopping = lifecycle.stopWithXend().then(() => {
		stopped = true
	})
	await settle()
	assert.deepEqual([guest.requests, stopped], [['poweroff'], false])
	guest.end('poweroff')
	await stopping
	assert.deepEqual(await listed(lifecycle), ['db 2 -b----'])
})

test('a coredump action warns that no core is written as long as nobody writes one', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.create({ ...web, on_crash: 'coredump-destroy' })
	world.xen.last.end('crash')
	await settle()
	assert.deepEqual(await listed(lifecycle), [])
	assert(world.logged.includes('warning: No core of domain web (1) is written: core dumps are not built yet.'))
})

test('a domain that cannot be destroyed is a zombie: its name is free, and the next toolstack tries again', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.create(web)
	const { destroy } = world.xen
	world.xen.destroy = async () => {
		throw new Error('its memory is in use')
	}
	await assert.rejects(lifecycle.destroy('web'), /its memory is in use/)
	assert.deepEqual(await listed(lifecycle), ['Zombie-web 1 -b----'])
	await lifecycle.create(web)
	world.xen.destroy = destroy
	lifecycle.detach()
	assert.deepEqual(await listed((await world.toolstack()).lifecycle), ['web 2 -b----'])
})
