import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeXen, settle } from '../../tests/support/fake_domains.ts'
import { dialer } from '../../tests/support/pipe.ts'
import { encodeJson } from './frames.ts'
import { HypervisorGone, NoDomain, XENCTRL_INTERFACE_VERSION, type XenEvent } from './interface.ts'
import { RemoteXen } from './remote_xen.ts'
import { type Dial, WIRE_HELLO } from './wire.ts'
import { XenServer } from './xen_server.ts'

function setUp() {
	const xen = new FakeXen()
	const server = new XenServer({ xen, bootId: xen.bootId, pid: 1 })
	const { dial, pipes } = dialer((channel) => server.accept(channel))
	return { xen, server, dial, pipes }
}

const spec = {
	uuid: '00000000-0000-0000-0000-000000000001',
	vcpus: 1,
	memory_kib: 65536,
	maxMemory_kib: 65536,
	kernel: '/k',
	commandLine: '',
}

test('every call, its result and its failure pass over the stream', async () => {
	const { xen, dial } = setUp()
	const remote = await RemoteXen.connect(dial, 'toolstack')
	const state = await remote.createDomain(spec)
	assert.deepEqual([state.domid, state.paused, state.uuid], [1, true, spec.uuid])
	assert.equal((await remote.createDomain(spec)).domid, 1, 'the same domain')
	await remote.unpause(spec.uuid)
	assert.equal((await remote.domains())[0]!.blocked, true)
	await remote.setUuid(1, '00000000-0000-0000-0000-000000000002')
	assert.equal(xen.last.uuid, '00000000-0000-0000-0000-000000000002')
	assert.equal(await remote.stopIfIdle(), false)
	assert.deepEqual([await remote.destroy(1), await remote.destroy(1)], [1, null])
	await assert.rejects(remote.pause(1), (error) => error instanceof NoDomain && error.domain === 1 && error.exitCode === 3)
	assert.equal(await remote.log(true), '(XEN) hello\n')
	assert.equal((await remote.info()).bootId, 'boot-1')
})

test('events arrive in order', async () => {
	const { xen, dial } = setUp()
	const remote = await RemoteXen.connect(dial, 'toolstack')
	const seen: XenEvent[] = []
	remote.onEvent((event) => seen.push(event))
	await remote.createDomain(spec)
	xen.last.end('crash', 'oops')
	await remote.destroy(1)
	assert.deepEqual(seen, [
		{ type: 'shutdown', domid: 1, uuid: spec.uuid, end: { reason: 'crash', detail: 'oops' } },
		{ type: 'destroyed', domid: 1, uuid: spec.uuid },
	])
})

test('a lost connection rejects what is under way, and says so', async () => {
	const { dial, pipes } = setUp()
	const remote = await RemoteXen.connect(dial, 'toolstack')
	const call = remote.domains()
	pipes[0]!.close()
	await assert.rejects(call, HypervisorGone)
	await remote.closed
	await assert.rejects(remote.domains(), HypervisorGone)
})

test('another version of the interface is refused by both ends with a sentence that names both', async () => {
	const { dial } = setUp()
	const newer: Dial = async (events) => {
		const channel = await dial(events)
		return {
			...channel,
			write: () =>
				channel.write(encodeJson(WIRE_HELLO, { interface: XENCTRL_INTERFACE_VERSION + 1, role: 'toolstack', open: { kind: 'control' } })),
		}
	}
	await assert.rejects(
		RemoteXen.connect(newer, 'toolstack'),
		new RegExp(
			`running hypervisor \\(pid \\d+\\) has interface version ${XENCTRL_INTERFACE_VERSION}, this toolstack version ${XENCTRL_INTERFACE_VERSION + 1}: `,
		),
	)
	const older: Dial = async (events) => ({
		write: () => {
			setImmediate(() => events.onData(encodeJson(WIRE_HELLO, { interface: 0, bootId: '', pid: 1 })))
			return true
		},
		pause() {},
		resume() {},
		close() {},
	})
	await assert.rejects(
		RemoteXen.connect(older, 'toolstack'),
		new RegExp(`running hypervisor \\(pid 1\\) has interface version 0, this toolstack version ${XENCTRL_INTERFACE_VERSION}: `),
	)
})

test('a second toolstack is greeted when the first is gone and what it had asked for is done', async () => {
	const { xen, dial, pipes } = setUp()
	const building = Promise.withResolvers<void>()
	const create = xen.createDomain.bind(xen)
	xen.createDomain = async (domain) => {
		await building.promise
		return create(domain)
	}
	const first = await RemoteXen.connect(dial, 'toolstack')
	first.createDomain(spec).catch(() => {})
	await settle()
	let greeted = false
	const second = RemoteXen.connect(dial, 'toolstack').then((remote) => {
		greeted = true
		return remote
	})
	await RemoteXen.connect(dial, 'observer')
	await settle()
	pipes[0]!.close()
	await settle()
	assert.equal(greeted, false, 'its domain is still being built')
	building.resolve()
	assert.equal((await (await second).domains()).length, 1)
})

test('a console passes both ways, keeps back what a full reader has no room for, and says what was lost', async () => {
	const { xen, dial } = setUp()
	const remote = await RemoteXen.connect(dial, 'toolstack')
	await remote.createDomain(spec)
	xen.last.say('early ')
	const seen = { text: '', lost: 0, room: true, closed: false, place: -1 }
	const text = () => seen.text
	const session = await remote.openConsole(1, {
		output: (bytes) => {
			seen.text += new TextDecoder().decode(bytes)
			return seen.room
		},
		lost: (count) => {
			seen.lost += count
		},
		taken: () => assert.fail('nobody types'),
		place: (position) => {
			seen.place = position
		},
		inputSpace: () => {},
		closed: () => {
			seen.closed = true
		},
	})
	await settle()
	assert.equal(text(), '', 'nothing before resume()')
	session.resume()
	await session.drained()
	assert.equal(text(), 'early ')
	assert.equal(seen.place, 0)
	assert.equal(session.write(new TextEncoder().encode('typed')), true)
	await settle()
	assert.equal(xen.last.typed, 'typed')

	seen.room = false
	for (let i = 0; i < 2000; i++) xen.last.say(`line ${i}\n`)
	await settle()
	assert(text().length < 2000, `${text().length} bytes for a reader without room`)
	seen.room = true
	session.resume()
	await session.drained()
	assert(text().endsWith('line 1999\n'))
	assert(seen.lost > 0)
	assert(seen.place > 'early '.length + seen.lost, 'the place is told again after a loss')

	xen.last.say('last words')
	await remote.destroy(1)
	await session.drained()
	assert(text().endsWith('last words'))
	await assert.rejects(remote.openConsole(7, {} as never), NoDomain)
})
