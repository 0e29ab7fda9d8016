import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeXen, settle } from '../../tests/support/fake_domains.ts'
import { World } from '../../tests/support/mortal.ts'
import { HypervisorGone } from '../xenctrl/interface.ts'
import type { DomainEvent } from './lifecycle.ts'
import { restoreDomain, resumeInMemory, saveDomain, suspendInMemory } from './save_restore.ts'

const web = { name: 'web', kernel: '/k', ramdisk: '/r', extra: 'quiet', memory: 64, maxmem: 96, on_reboot: 'rename-restart' }

async function setUp(suspendTimeout_s = 0.02) {
	const world = new World()
	world.suspendTimeout_s = suspendTimeout_s
	const { lifecycle } = await world.toolstack()
	const events: DomainEvent[] = []
	lifecycle.onEvent((event) => events.push(event))
	return {
		world,
		lifecycle,
		events,
		states: async () => (await lifecycle.list()).map(({ info }) => `${info.name} ${info.domid} ${info.state}`),
	}
}

test('a saved domain comes back with its uuid and its configuration, from a file that stays', async () => {
	const { world, lifecycle, states } = await setUp()
	const { domain } = await lifecycle.create(web)
	const { config } = lifecycle.find('web')
	await saveDomain(lifecycle, 'web', { path: '/f' })
	assert.deepEqual(await states(), [])
	const restored = await restoreDomain(lifecycle, '/f')
	assert.deepEqual(await states(), ['web 2 -b----'])
	assert.equal(restored.domain.uuid, domain.uuid)
	assert.deepEqual(lifecycle.find('web').config, config)
	await assert.rejects(restoreDomain(lifecycle, '/f'), /VM name 'web' already exists as domain 2/)
	await lifecycle.destroy('web')
	assert.equal((await restoreDomain(lifecycle, '/f', { paused: true })).domain.state, '--p---')
	assert(world.xen.files.has('/f'))
})

test('a domain is restored with the number that it had, if it was saved so and no other has it', async () => {
	const { lifecycle, states } = await setUp()
	await lifecycle.create({ ...web, name: 'first' })
	await lifecycle.create(web)
	await saveDomain(lifecycle, 'web', { path: '/f', keepDomid: true })
	await lifecycle.create({ ...web, name: 'third' })
	await restoreDomain(lifecycle, '/f')
	assert.deepEqual((await states()).sort(), ['first 1 -b----', 'third 3 -b----', 'web 2 -b----'])
	await saveDomain(lifecycle, 'web', { path: '/f', keepDomid: true })
	await restoreDomain(lifecycle, '/f', { values: { ...web, name: 'other', uuid: '00000000-0000-0000-0000-0000000000ff' } })
	await assert.rejects(restoreDomain(lifecycle, '/g'), /Unable to read file/)
	await saveDomain(lifecycle, 'first', {
		path: '/g',
		keepDomid: true,
		values: { ...web, name: 'first', uuid: '00000000-0000-0000-0000-0000000000fe' },
		afterwards: 'run',
	})
	await lifecycle.rename('first', 'renamed')
	await assert.rejects(restoreDomain(lifecycle, '/g'), /domain number 1 is in use/)
})

test('a domain is saved, and restored, with another configuration than its own', async () => {
	const { world, lifecycle, states } = await setUp()
	const { domain } = await lifecycle.create(web)
	await saveDomain(lifecycle, 'web', { path: '/f', afterwards: 'run', values: { ...web, name: 'copy', extra: 'single' } })
	assert.match(world.xen.files.get('/f') ?? '', /"name": "copy"[\s\S]*"cmdline": "single"/)
	const other = await restoreDomain(lifecycle, '/f', { values: { ...web, name: 'other' } })
	assert.notEqual(other.domain.uuid, domain.uuid)
	assert.deepEqual(await states(), ['web 1 -b----', 'other 2 -b----'])
	await lifecycle.destroy('web')
	assert.equal((await restoreDomain(lifecycle, '/f')).domain.uuid, domain.uuid)
	assert.deepEqual(await states(), ['other 2 -b----', 'copy 3 -b----'])
	await assert.rejects(saveDomain(lifecycle, 'copy', { path: '/f', values: { name: 'x' } }), /kernel/)
})

test('a managed domain restored with another configuration has that from then on', async () => {
	const { lifecycle, states } = await setUp()
	await lifecycle.define(web)
	await lifecycle.startManaged('web')
	await saveDomain(lifecycle, 'web', { path: '/f' })
	await restoreDomain(lifecycle, '/f', { values: { ...web, name: 'renewed' } })
	assert.deepEqual(await states(), ['renewed 2 -b----'])
	await lifecycle.destroy('renewed')
	assert.deepEqual(await states(), ['renewed null '])
})

test('a file that cannot be made is refused before the guest is asked to suspend', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.create(web)
	await assert.rejects(saveDomain(lifecycle, 'web', { path: '/unwritable/f' }), /Unable to create file \/unwritable\/f/)
	assert.deepEqual(world.xen.last.requests, [])
})

test('afterwards it may run on, or be left paused', async () => {
	const { lifecycle, states, events } = await setUp()
	await lifecycle.create(web)
	await saveDomain(lifecycle, 'web', { path: '/f', afterwards: 'run' })
	await settle()
	assert.deepEqual(await states(), ['web 1 -b----'])
	await saveDomain(lifecycle, 'web', { path: '/f', afterwards: 'pause' })
	assert.deepEqual(await states(), ['web 1 --p---'])
	assert.deepEqual(
		events.map(({ type }) => type),
		['created'],
	)
})

test('a guest that does not answer runs on, and is not asked any more', async () => {
	const { world, lifecycle, states } = await setUp()
	await lifecycle.create(web)
	world.xen.last.suspends = false
	await assert.rejects(saveDomain(lifecycle, 'web', { path: '/f' }), /Domain 'web' did not answer the request to suspend within 0\.02 s/)
	assert.deepEqual(await states(), ['web 1 -b----'])
	assert.equal(world.xen.node('/local/domain/1/control/shutdown'), '')
	assert.equal(world.xen.files.size, 0)
	world.xen.last.suspends = true
	await saveDomain(lifecycle, 'web', { path: '/f' })
})

test('a guest that suspends itself when nobody waits for it any more goes on', async () => {
	const { world, lifecycle, states } = await setUp()
	await lifecycle.create(web)
	world.xen.last.end('suspend')
	await settle()
	assert.deepEqual(await states(), ['web 1 -b----'])
})

test('a guest that ends instead has ended', async () => {
	const { world, lifecycle, states } = await setUp(60)
	await lifecycle.create(web)
	world.xen.last.suspends = false
	const saving = saveDomain(lifecycle, 'web', { path: '/f' })
	await settle()
	world.xen.last.end('poweroff')
	await assert.rejects(saving, /Domain 'web' ended instead of being suspended: poweroff/)
	await settle()
	assert.deepEqual(await states(), [])
})

test('a domain can stay suspended in memory, through another toolstack, until it is let go', async () => {
	const { world, lifecycle, states } = await setUp()
	await lifecycle.create(web)
	await suspendInMemory(lifecycle, 'web')
	await settle()
	assert.deepEqual(await states(), ['web 1 ---s--'])
	await assert.rejects(lifecycle.shutdown('web', 'poweroff'), /Domain 'web' is not running/)
	await assert.rejects(saveDomain(lifecycle, 'web', { path: '/f' }), /Domain 'web' is suspended: resume it first/)
	lifecycle.detach()
	const next = await world.toolstack()
	assert.equal((await next.lifecycle.list())[0]?.info.state, '---s--')
	await resumeInMemory(next.lifecycle, 'web')
	assert.equal((await next.lifecycle.list())[0]?.info.state, '-b----')
	await assert.rejects(resumeInMemory(next.lifecycle, 'web'), /Domain 'web' is not suspended in memory/)
	world.xen.last.suspends = false
	await assert.rejects(suspendInMemory(next.lifecycle, 'web'), /did not answer/)
	assert.equal((await next.lifecycle.list())[0]?.info.state, '-b----')
})

test('a file that cannot be written leaves the domain running', async () => {
	const { world, lifecycle, states } = await setUp()
	await lifecycle.create(web)
	world.xen.failure = new Error('No space left on device')
	await assert.rejects(saveDomain(lifecycle, 'web', { path: '/f' }), /No space left on device/)
	assert.deepEqual(await states(), ['web 1 -b----'])
})

test('a paused domain, one that shuts down and domain 0 are not saved', async () => {
	const { world, lifecycle } = await setUp()
	await lifecycle.create(web, { paused: true })
	await assert.rejects(saveDomain(lifecycle, 'web', { path: '/f' }), /Domain 'web' is paused/)
	await lifecycle.unpause('web')
	await lifecycle.shutdown('web', 'poweroff')
	await assert.rejects(saveDomain(lifecycle, 'web', { path: '/f' }), /Domain 'web' is shutting down/)
	await assert.rejects(saveDomain(lifecycle, '0', { path: '/f' }), /Cannot save privileged domain 0/)
	assert.deepEqual(world.xen.last.requests, ['poweroff'])
})

test('what a file says of its domain is checked as a configuration is', async () => {
	const { world, lifecycle } = await setUp()
	const refused = async (config: string | object, why: RegExp) => {
		world.xen.files.set('/f', typeof config === 'string' ? config : JSON.stringify(config))
		await assert.rejects(restoreDomain(lifecycle, '/f'), why)
	}
	const b_info = { max_memkb: 65536, kernel: '/k' }
	await refused('no JSON', /\/f cannot be restored: its configuration is not in JSON/)
	await refused('[]', /is not in JSON/)
	await refused({ c_info: { type: 'hvm' } }, /is of a domain of type 'hvm'/)
	await refused({ c_info: { type: 'pv', name: 'a b' }, b_info }, /Invalid VM Name/)
	await refused({ c_info: { type: 'pv', name: 'web' } }, /does not say how much memory it has \(max_memkb\)/)
	await refused({ c_info: { type: 'pv', name: 'web' }, b_info: { ...b_info, max_memkb: 2 ** 40 } }, /memory = 1073741824 is not valid/)
	await refused({ c_info: { type: 'pv', name: 'web' }, b_info, disks: [{}] }, /has devices that are not supported yet \(disks\)/)
	assert.deepEqual(world.xen.live, [])
})

test('a managed domain that was saved to a file is halted, and restored it is managed again', async () => {
	const { lifecycle, states } = await setUp()
	await lifecycle.define(web)
	await lifecycle.startManaged('web')
	await saveDomain(lifecycle, 'web', { path: '/f' })
	assert.deepEqual(await states(), ['web null '])
	await restoreDomain(lifecycle, '/f')
	assert.deepEqual(await states(), ['web 2 -b----'])
	await lifecycle.destroy('web')
	assert.deepEqual(await states(), ['web null '])
})

test('a resume that fails leaves it suspended', async () => {
	const { world, lifecycle, states } = await setUp()
	await lifecycle.define(web)
	await lifecycle.startManaged('web')
	await lifecycle.suspend('web')
	world.xen.failure = new Error('out of memory')
	await assert.rejects(lifecycle.resume('web'), /out of memory/)
	assert.deepEqual(await states(), ['web null ---s--'])
	world.xen.failure = undefined
	assert.equal((await lifecycle.resume('web')).domid, 2)
})

test('a hypervisor that is lost while a domain is suspended leaves it suspended if its file is whole, else halted', async () => {
	for (const [whole, state] of [
		[true, 'web null ---s--'],
		[false, 'web null '],
	] as const) {
		const { world, lifecycle } = await setUp()
		await lifecycle.define(web)
		await lifecycle.startManaged('web')
		const { uuid } = lifecycle.find('web')
		const second = new FakeXen('boot-2')
		world.xen.saveDomain = async (_, path, config) => {
			if (whole) second.files.set(path, config)
			throw new HypervisorGone()
		}
		await assert.rejects(lifecycle.suspend('web'), HypervisorGone)
		lifecycle.detach()
		await lifecycle.attach(second.connect())
		assert.deepEqual(
			(await lifecycle.list()).map(({ info }) => `${info.name} ${info.domid} ${info.state}`),
			[state],
		)
		if (whole) assert.equal((await lifecycle.resume('web')).uuid, uuid)
	}
})

test('on_xend_stop = suspend suspends a managed domain with the toolstack, and on_xend_start = start resumes it', async () => {
	const { world, lifecycle, states } = await setUp()
	await lifecycle.define({ ...web, on_xend_stop: 'suspend', on_xend_start: 'start' })
	await lifecycle.startManaged('web')
	await lifecycle.stopWithXend()
	assert.deepEqual(await states(), ['web null ---s--'])
	const next = await world.toolstack()
	await settle()
	await settle()
	assert.deepEqual(
		(await next.lifecycle.list()).map(({ info }) => info.state),
		['-b----'],
	)
})
