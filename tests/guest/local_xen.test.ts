import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts'
import { NoDomain, type XenEvent } from '../../src/xenctrl/interface.ts'
import { LocalXen, type LocalXenOptions } from '../../src/xenctrl/local_xen.ts'
import { ender, SLEEPER } from '../support/tiny_kernel.ts'
import { testHypervisor } from './tiny_guest.ts'

// The hypervisor's control interface on domains of a few instructions.

const KERNELS: Readonly<Record<string, Uint8Array>> = {
	'/sleeper': SLEEPER,
	'/poweroff': ender(SHUTDOWN_poweroff),
	'/broken': Uint8Array.of(1, 2, 3),
}
const uuid = (n: number) => `00000000-0000-0000-0000-00000000000${n}`
const spec = (n: number, kernel = '/sleeper') => ({
	uuid: uuid(n),
	vcpus: 1,
	memory_kib: 4096,
	maxMemory_kib: 4096,
	kernel,
	commandLine: '',
})

async function setUp(createFile: LocalXenOptions['createFile'] = noFile) {
	let stopped = 0
	const xen = new LocalXen({
		hypervisor: await testHypervisor(),
		readImage: async (path) => KERNELS[path]?.slice(),
		bootId: 'boot',
		stop: () => stopped++,
		createFile,
	})
	const events: XenEvent[] = []
	xen.onEvent((event) => events.push(event))
	return { xen, events, stops: () => stopped, [Symbol.asyncDispose]: () => xen.close() }
}

test('createDomain() asked for twice, at once or later, makes one domain', async () => {
	await using made = await setUp()
	const { xen } = made
	const [first, second] = await Promise.all([xen.createDomain(spec(1)), xen.createDomain(spec(1))])
	const third = await xen.createDomain(spec(1))
	assert.deepEqual([first.domid, second.domid, third.domid], [1, 1, 1])
	assert.equal((await xen.domains()).length, 1)
})

test('destroy() of a domain that is being built waits for it, and leaves nothing', async () => {
	await using made = await setUp()
	const { xen, events, stops } = made
	const building = xen.createDomain(spec(1))
	assert.equal(await xen.stopIfIdle(), false, 'not while one is being built')
	assert.equal(await xen.destroy(uuid(1)), 1)
	assert.equal((await building).domid, 1)
	assert.deepEqual(await xen.domains(), [])
	assert.equal(await xen.destroy(uuid(1)), null)
	assert.deepEqual(events, [{ type: 'destroyed', domid: 1, uuid: uuid(1) }])
	assert.deepEqual([await xen.stopIfIdle(), stops()], [true, 1])
})

const noFile = () => Promise.reject(new Error('no file'))

test('dumpCore() writes a core with the registers, pauses the domain for that, and leaves no file when it fails', async () => {
	const done: string[] = []
	let pieces: Uint8Array[] = []
	let room_bytes = Number.POSITIVE_INFINITY
	const createFile = async () => ({
		write: async (piece: Uint8Array) => {
			if (piece.length > room_bytes) throw new Error('disk full')
			pieces.push(piece.slice())
		},
		finish: async () => void done.push('finished'),
		abandon: async () => void done.push('abandoned'),
	})
	await using made = await setUp(createFile)
	const { xen } = made
	await xen.createDomain(spec(1))
	await xen.unpause(1)
	const [size_bytes, report] = await Promise.all([xen.dumpCore(1, '/core', false), xen.control(1)!.debugReport(1)])
	assert.match(report[0]!, /Dumping Dom1 vcpu#0 state/, 'neither answer is lost')
	assert.equal((await xen.domains())[0]!.paused, false)
	const core = Buffer.concat(pieces)
	assert.equal(core.length, size_bytes)
	const shdr = Number(core.readBigUInt64LE(40)) + 2 * core.readUInt16LE(58)
	const context = Number(core.readBigUInt64LE(shdr + 24))
	assert.equal(core.readUInt16LE(context + 520 + 136), 0xe033, "CS of Xen's 64-bit kernels")
	assert.equal(core.readBigUInt64LE(context + 520 + 144) & 0x200n, 0x200n, 'RFLAGS.IF')

	room_bytes = 4096
	pieces = []
	await assert.rejects(xen.dumpCore(1, '/core', true), /disk full/)
	assert.deepEqual(done, ['finished', 'abandoned'])
})

test('sendTrigger() refuses as Xen does what is not for a paravirtual domain', async () => {
	await using made = await setUp()
	const { xen } = made
	await xen.createDomain(spec(1))
	await xen.sendTrigger(1, 'nmi', 0)
	for (const trigger of ['reset', 'init'] as const)
		await assert.rejects(xen.sendTrigger(1, trigger, 0), /\(38, 'Function not implemented'\)/)
	for (const trigger of ['power', 's3resume'] as const) await assert.rejects(xen.sendTrigger(1, trigger, 0), /\(22, 'Invalid argument'\)/)
	await assert.rejects(xen.sendTrigger(1, 'nmi', 1), /\(3, 'No such process'\): the domain has no VCPU 1/)
})

test('setMaxMemory() goes down, and up to what the machine was made with', async () => {
	await using made = await setUp()
	const { xen } = made
	await xen.createDomain({ ...spec(1), maxMemory_kib: 8192 })
	for (const kib of [6144, 8192]) {
		await xen.setMaxMemory(1, kib)
		assert.equal((await xen.domains())[0]!.maxMemory_kib, kib)
	}
	await assert.rejects(xen.setMaxMemory(1, 8196), /can't grow beyond what its machine was made with, 8 MiB/)
})

test('a kernel that is none leaves nothing behind', async () => {
	await using made = await setUp()
	await assert.rejects(made.xen.createDomain(spec(1, '/broken')), /^(ImageError|UserError): \/broken: /)
	await assert.rejects(made.xen.createDomain(spec(1, '/none')), /Kernel image does not exist: \/none/)
	assert.equal(made.xen.idle, true)
})

test('a domain whose guest has ended stays, with how, until it is destroyed; its console for longer', async () => {
	await using made = await setUp()
	const { xen, events } = made
	await xen.createDomain(spec(1, '/poweroff'))
	const ended = new Promise((resolve) => xen.onEvent(resolve))
	await xen.unpause(uuid(1))
	await ended
	const [state] = await xen.domains()
	assert.deepEqual([state!.shutdown, state!.crashed, state!.end?.reason], [true, false, 'poweroff'])
	await xen.destroy(1)
	assert.deepEqual(
		events.map(({ type }) => type),
		['shutdown', 'destroyed'],
	)
	const reader = { output: () => true, lost: () => {}, place: () => {}, taken: () => {}, inputSpace: () => {}, closed: () => {} }
	const session = await xen.openConsole(1, reader)
	session.resume()
	await session.drained()
	assert.equal(session.write(Uint8Array.of(1)), true, 'typed at nobody')
	await assert.rejects(xen.openConsole(2, reader), NoDomain)
})

test('setUuid() changes what a domain is found by, and no two have the same', async () => {
	await using made = await setUp()
	const { xen } = made
	await xen.createDomain(spec(1))
	await xen.createDomain(spec(2))
	await xen.setUuid(1, uuid(3))
	await xen.setUuid(uuid(3), uuid(3))
	await assert.rejects(xen.pause(uuid(1)), NoDomain)
	await xen.pause(uuid(3))
	await assert.rejects(xen.setUuid(1, uuid(2)), /domain 2 has the uuid/)
})
