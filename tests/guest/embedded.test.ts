import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHUTDOWN_crash, SHUTDOWN_reboot } from '../../src/abi/sched.ts'
import { embeddedHost } from '../../src/toolstack/embedded_host.ts'
import { type DomainEvent, Lifecycle } from '../../src/toolstack/lifecycle.ts'
import { MemoryRecords } from '../../src/toolstack/record_store.ts'
import { ender, SLEEPER } from '../support/tiny_kernel.ts'
import { testHypervisor } from './tiny_guest.ts'

// The whole toolstack in this process, on domains of a few instructions.

const KERNELS: Readonly<Record<string, Uint8Array>> = {
	'/sleeper': SLEEPER,
	'/rebooter': ender(SHUTDOWN_reboot),
	'/crasher': ender(SHUTDOWN_crash),
}

async function setUp() {
	const host = embeddedHost(await testHypervisor(), async (path) => KERNELS[path]?.slice())
	const clock = { now_s: 1000 }
	const lifecycle = new Lifecycle({
		records: new MemoryRecords(),
		newUuid: () => crypto.randomUUID(),
		now_s: () => clock.now_s,
		freeMemory_kib: () => 1024 * 1024,
		dom0Memory_kib: 1024 * 1024,
		log: () => {},
	})
	await lifecycle.attach(host)
	const next = (type: DomainEvent['type']) =>
		new Promise<DomainEvent>((resolve) => {
			const stop = lifecycle.onEvent((event) => {
				if (event.type !== type) return
				stop()
				resolve(event)
			})
		})
	const states = async () => (await lifecycle.list()).map(({ info }) => `${info.name} ${info.domid} ${info.state}`)
	return { host, lifecycle, clock, next, states, [Symbol.asyncDispose]: () => host.xen.close() }
}

test('a domain is created, seen in XenStore, paused and destroyed', async () => {
	await using made = await setUp()
	const { host, lifecycle, states } = made
	await lifecycle.create({ name: 'web', kernel: '/sleeper', memory: 4 })
	assert.equal(await host.store.read('/local/domain/1/name'), 'web')
	while ((await states())[0] !== 'web 1 -b----') await new Promise((resolve) => setTimeout(resolve, 5))
	await lifecycle.pause('web')
	assert.deepEqual(await states(), ['web 1 --p---'])
	await lifecycle.destroy('web')
	assert.deepEqual(await host.store.ls('/local/domain'), ['0'])
	await assert.rejects(lifecycle.create({ name: 'no', kernel: '/none', memory: 4 }), /Kernel image does not exist: \/none/)
	assert.deepEqual(await states(), [])
})

test('a guest that reboots is restarted, and one that reboots again at once is not', async () => {
	await using made = await setUp()
	const { lifecycle, clock, next, states } = made
	await lifecycle.create({ name: 'web', kernel: '/rebooter', memory: 4 }, { paused: true })
	clock.now_s += 100
	const restarted = next('restarted')
	await lifecycle.unpause('web')
	assert.deepEqual(await restarted, { type: 'restarted', name: 'web', domid: 2, previous: 1 })
	const end = await next('ended')
	assert.deepEqual([end.type === 'ended' && end.refusedRestart, await states()], [true, []])
})

test('a guest that crashes is preserved if that was asked for', async () => {
	await using made = await setUp()
	const { lifecycle, next, states } = made
	const ended = next('ended')
	await lifecycle.create({ name: 'web', kernel: '/crasher', memory: 4, on_crash: 'preserve' })
	await ended
	assert.deepEqual(await states(), ['web 1 ----c-'])
})
