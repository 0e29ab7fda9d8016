import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeXen, settle } from '../../tests/support/fake_domains.ts'
import { World } from '../../tests/support/mortal.ts'
import { HypervisorGone } from '../xenctrl/interface.ts'
import { connectInProcess } from '../xenstore/client.ts'
import { domidOf, isAtRest } from './domain_record.ts'
import type { Lifecycle } from './lifecycle.ts'
import { restoreDomain, resumeInMemory, saveDomain, suspendInMemory } from './save_restore.ts'

const web = { name: 'web', kernel: '/k', on_crash: 'coredump-restart' }
const listed = async (lifecycle: Lifecycle) =>
	(await lifecycle.list()).map(({ info }) => `${info.name.replace(/^Domain-.*/, 'away')} ${info.state}`)

interface Operation {
	readonly what: string
	readonly prepare?: (world: World, lifecycle: Lifecycle) => Promise<unknown>
	readonly act: (world: World, lifecycle: Lifecycle) => Promise<unknown>
	/** What may be listed when the next toolstack has taken over; the last is what is listed after success. */
	readonly outcomes: readonly (readonly string[])[]
	/** What else must be so then. */
	readonly check?: (world: World) => void
}

const create =
	(more: object = {}) =>
	(_world: World, lifecycle: Lifecycle) =>
		lifecycle.create({ ...web, ...more })
const end = (reason: 'poweroff' | 'reboot' | 'crash') => async (world: World) => {
	world.clock.now_s += 100
	world.xen.last.end(reason)
	await settle()
}

const OPERATIONS: readonly Operation[] = [
	{ what: 'create', act: create(), outcomes: [[], ['web -b----']] },
	{ what: 'create, paused', act: (_, lifecycle) => lifecycle.create(web, { paused: true }), outcomes: [[], ['web --p---']] },
	{ what: 'destroy', prepare: create(), act: (_, lifecycle) => lifecycle.destroy('web'), outcomes: [['web -b----'], []] },
	{ what: 'pause', prepare: create(), act: (_, lifecycle) => lifecycle.pause('web'), outcomes: [['web -b----'], ['web --p---']] },
	{
		what: 'unpause',
		prepare: (_, lifecycle) => lifecycle.create(web, { paused: true }),
		act: (_, lifecycle) => lifecycle.unpause('web'),
		outcomes: [['web --p---'], ['web -b----']],
	},
	{ what: 'rename', prepare: create(), act: (_, lifecycle) => lifecycle.rename('web', 'www'), outcomes: [['web -b----'], ['www -b----']] },
	{ what: 'poweroff', prepare: create(), act: end('poweroff'), outcomes: [[]] },
	{ what: 'reboot', prepare: create(), act: end('reboot'), outcomes: [['web -b----']] },
	{ what: 'crash, coredump-restart', prepare: create(), act: end('crash'), outcomes: [['web -b----']] },
	{ what: 'reboot, preserve', prepare: create({ on_reboot: 'preserve' }), act: end('reboot'), outcomes: [['web ---s--']] },
	{
		what: 'reboot, rename-restart',
		prepare: create({ on_reboot: 'rename-restart' }),
		act: end('reboot'),
		outcomes: [['away ---s--', 'web -b----']],
	},
	{
		what: 'destroy of a preserved domain',
		prepare: async (world, lifecycle) => {
			await lifecycle.create({ ...web, on_poweroff: 'preserve' })
			await end('poweroff')(world)
		},
		act: (_, lifecycle) => lifecycle.destroy('web'),
		outcomes: [['web ---s--'], []],
	},
	{ what: 'new', act: (_, lifecycle) => lifecycle.define(web), outcomes: [[], ['web ']] },
	{
		what: 'start',
		prepare: (_, lifecycle) => lifecycle.define(web),
		act: (_, lifecycle) => lifecycle.startManaged('web'),
		outcomes: [['web '], ['web -b----']],
	},
	{
		what: 'destroy of a managed domain',
		prepare: async (_, lifecycle) => {
			await lifecycle.define(web)
			await lifecycle.startManaged('web')
		},
		act: (_, lifecycle) => lifecycle.destroy('web'),
		outcomes: [['web -b----'], ['web ']],
	},
	{
		what: 'reboot of a managed domain',
		prepare: async (_, lifecycle) => {
			await lifecycle.define(web)
			await lifecycle.startManaged('web')
		},
		act: end('reboot'),
		outcomes: [['web -b----']],
	},
	{
		what: 'delete',
		prepare: (_, lifecycle) => lifecycle.define(web),
		act: (_, lifecycle) => lifecycle.undefine('web'),
		outcomes: [['web '], []],
	},
	{
		what: 'save',
		prepare: create(),
		act: (_, lifecycle) => saveDomain(lifecycle, 'web', { path: '/web.save' }),
		outcomes: [['web -b----'], []],
		check: ({ xen }) => assert(xen.live.length === 1 || xen.files.has('/web.save'), 'it runs on, or its file is whole'),
	},
	{
		what: 'save, and run on',
		prepare: create(),
		act: (_, lifecycle) => saveDomain(lifecycle, 'web', { path: '/web.save', afterwards: 'run' }),
		outcomes: [['web -b----']],
	},
	{
		what: 'suspend in memory',
		prepare: create(),
		act: (_, lifecycle) => suspendInMemory(lifecycle, 'web'),
		outcomes: [['web -b----'], ['web ---s--']],
	},
	{
		what: 'resume from memory',
		prepare: async (_, lifecycle) => {
			await lifecycle.create(web)
			await suspendInMemory(lifecycle, 'web')
		},
		act: (_, lifecycle) => resumeInMemory(lifecycle, 'web'),
		outcomes: [['web ---s--'], ['web -b----']],
	},
	{
		what: 'restore',
		prepare: async (_, lifecycle) => {
			await lifecycle.create(web)
			await saveDomain(lifecycle, 'web', { path: '/web.save' })
		},
		act: (_, lifecycle) => restoreDomain(lifecycle, '/web.save'),
		outcomes: [[], ['web -b----']],
		check: ({ xen }) => assert(xen.files.has('/web.save')),
	},
	{
		what: 'suspend',
		prepare: async (_, lifecycle) => {
			await lifecycle.define(web)
			await lifecycle.startManaged('web')
		},
		act: (_, lifecycle) => lifecycle.suspend('web'),
		outcomes: [['web -b----'], ['web ---s--']],
		check: ({ xen }) => assert(xen.live.length === 1 || xen.files.size === 1, 'it runs on, or its file is whole'),
	},
	{
		what: 'resume',
		prepare: async (_, lifecycle) => {
			await lifecycle.define(web)
			await lifecycle.startManaged('web')
			await lifecycle.suspend('web')
		},
		act: (_, lifecycle) => lifecycle.resume('web'),
		outcomes: [['web ---s--'], ['web -b----']],
		check: ({ xen }) => assert.equal(xen.live.length + xen.files.size, 1, 'it runs, or its file is there'),
	},
]

for (const { what, prepare, act, outcomes, check } of OPERATIONS) {
	test(`a toolstack killed before any step of ${what} leaves nothing that the next does not finish or take back`, async () => {
		const seen = new Set<string>()
		for (let limit = 0, survived = false; !survived; limit++) {
			const world = new World()
			const before = await world.toolstack()
			await prepare?.(world, before.lifecycle)
			before.lifecycle.detach()

			const { lifecycle, fate } = await world.toolstack(limit)
			let reported = false
			const work = async () => {
				await act(world, lifecycle)
				reported = !fate.dead
			}
			await Promise.race([work(), fate.death])
			// A guest ends, whether somebody watches or not.
			if (fate.dead) await settleGuest(world, act)
			survived = !fate.dead

			const next = await world.toolstack()
			await consistent(world, next.lifecycle)
			const state = await listed(next.lifecycle)
			const allowed = reported ? outcomes.slice(-1) : outcomes
			assert(
				allowed.some((outcome) => outcome.join() === state.join()),
				`killed before step ${limit + 1}${reported ? ', after success was reported' : ''}: ${JSON.stringify(state)}`,
			)
			check?.(world)
			seen.add(state.join())
			await next.lifecycle.create({ name: 'another', kernel: '/k' })
			await consistent(world, next.lifecycle)
		}
		assert.equal(seen.size, outcomes.length, `outcomes seen: ${[...seen].join(' | ')}`)
	})
}

/** When the toolstack died before its guest was to end, the guest ends now. */
async function settleGuest(world: World, act: Operation['act']): Promise<void> {
	const isEnd = OPERATIONS.some(
		(operation) => operation.act === act && /poweroff|reboot|crash/.test(operation.what) && !operation.what.startsWith('destroy'),
	)
	const guest = world.xen.domainsMade[0]
	if (isEnd && guest !== undefined && guest.ending === undefined && !guest.destroyed) await act(world, undefined as never)
	await settle()
}

/** Every domain of the hypervisor has its record, its nodes and its introduction, and there is nothing else. */
async function consistent({ xen, records }: World, lifecycle: Lifecycle): Promise<void> {
	const { records: durable } = await records.load()
	assert.deepEqual(
		durable.map((record) => [record.values.name, record.phase.is]).sort(),
		lifecycle.table
			.entries()
			.map(({ record }) => [record.values.name, record.phase.is])
			.sort(),
	)
	for (const { phase } of durable) assert(['halted', 'suspended', 'live', 'preserved'].includes(phase.is), `left in phase ${phase.is}`)
	const running = durable.filter((record) => !isAtRest(record))
	const byDomid = (a: unknown[], b: unknown[]) => Number(a[0]) - Number(b[0])
	assert.deepEqual(
		xen.live.map((domain) => [domain.domid, domain.uuid, domain.name]).sort(byDomid),
		running.map((record) => [domidOf(record), record.values.uuid, record.values.name]).sort(byDomid),
	)
	const store = connectInProcess(xen.store)
	const domids = xen.live.map(({ domid }) => String(domid)).sort()
	assert.deepEqual((await store.ls('/local/domain'))?.sort(), ['0', ...domids])
	assert.deepEqual(((await store.ls('/libxl')) ?? []).sort(), domids)
	assert.deepEqual(((await store.ls('/vm')) ?? []).sort(), xen.live.map(({ uuid }) => uuid).sort())
	for (const domid of domids) assert.equal(await store.isDomainIntroduced(Number(domid)), true)
}

test('when the hypervisor has ended, its domains go with a line in the log, and managed ones are halted', async () => {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	await lifecycle.create(web)
	await lifecycle.define({ ...web, name: 'db' })
	await lifecycle.startManaged('db')
	const next = await world.toolstack(undefined, new FakeXen('boot-2'))
	assert.deepEqual(await listed(next.lifecycle), ['db '])
	assert(world.logged.includes('error: Domain web (1) is gone: the hypervisor has ended.'))
	assert.deepEqual((await next.lifecycle.startManaged('db')).domid, 1)
})

test('a lifecycle that loses its hypervisor goes on with the next one', async () => {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	await lifecycle.create(web)
	lifecycle.detach()
	const waiting = lifecycle.create({ name: 'two', kernel: '/k' })
	const second = new FakeXen('boot-2')
	await lifecycle.attach(second.connect())
	assert.equal((await waiting).domain.name, 'two')
	assert.deepEqual(await listed(lifecycle), ['two -b----'])
})

test('what was asked of a hypervisor that is lost meanwhile is asked of the next one', async () => {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	world.xen.domains = () => Promise.reject(new HypervisorGone())
	const listing = listed(lifecycle)
	await settle()
	lifecycle.detach()
	const second = new FakeXen('boot-2')
	await lifecycle.attach(second.connect())
	assert.deepEqual(await listing, [])
})

test('when no hypervisor can be had, operations that wait for one say so, and later ones wait for the next', async () => {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	lifecycle.detach()
	const waiting = lifecycle.create(web)
	lifecycle.despair(new Error('no hypervisor'))
	await assert.rejects(waiting, /no hypervisor/)
	const later = lifecycle.create(web)
	await lifecycle.attach(new FakeXen('boot-2').connect())
	assert.equal((await later).domain.name, 'web')
})

test('a guest that ended while no toolstack was there is restarted by the next one', async () => {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	await lifecycle.create(web)
	lifecycle.detach()
	world.clock.now_s += 100
	world.xen.last.end('reboot')
	assert.deepEqual(await listed((await world.toolstack()).lifecycle), ['web -b----'])
	assert.equal(world.xen.domainsMade.length, 2)
})

test('a shutdown that was asked for before the toolstack was killed still times out', async () => {
	const world = new World()
	const { lifecycle } = await world.toolstack()
	await lifecycle.create(web)
	await lifecycle.shutdown('web', 'poweroff')
	lifecycle.detach()
	world.clock.now_s += 400
	const next = await world.toolstack()
	await new Promise((resolve) => setTimeout(resolve, 5))
	await settle()
	assert.deepEqual(await listed(next.lifecycle), [])
	assert(world.logged.includes('info: Domain shutdown timeout expired: name=web id=1'))
})

test('a domain without a record is destroyed, unless there are records that cannot be read', async () => {
	const world = new World()
	const spec = {
		uuid: '00000000-0000-0000-0000-00000000000a',
		vcpus: 1,
		memory_kib: 65536,
		maxMemory_kib: 65536,
		kernel: '/k',
		commandLine: '',
	}
	await world.xen.createDomain(spec)
	assert.deepEqual(await listed((await world.toolstack()).lifecycle), [])
	await world.xen.createDomain(spec)
	await world.records.save({
		version: 1,
		values: { uuid: spec.uuid, nonsense: 1 },
		managed: false,
		phase: { is: 'live', domid: 2, paused: false },
		bootId: 'boot-1',
		startTime_s: 0,
		restartCount: 0,
	})
	const { lifecycle } = await world.toolstack()
	assert.deepEqual(await listed(lifecycle), [`Zombie-${spec.uuid} --p---`])
	await lifecycle.destroy('2')
	assert.deepEqual(world.xen.live, [])
})
