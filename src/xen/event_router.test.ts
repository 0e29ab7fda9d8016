import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EINVAL, XEN_ESRCH } from '../abi/errno.ts'
import { shared_info } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { allocUnbound, closePort, guestSend } from './event_channel.ts'
import { ECS_INTERDOMAIN, ECS_UNBOUND, PORT_REMOTE_PORT, PORT_STATE, portField } from './event_ports.ts'
import { EventRouter } from './event_router.ts'
import { testDomain } from './testing.ts'

/** Lets the router's turn of the event loop happen. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 5))

function isPending(domain: Domain, port: number): boolean {
	const at = (domain.machine.frameAddress(domain.layout.sharedInfoMfn) + shared_info.at.evtchn_pending) >>> 2
	return ((domain.machine.u32[at + (port >>> 5)] as number) & (1 << (port & 31))) !== 0
}

/** A counter of events, as a backend's callback. */
function counter() {
	const count = { events: 0, hear: () => void count.events++ }
	return count
}

test('bind() hears once at once, then each event of the guest', async () => {
	const domain = testDomain()
	const router = new EventRouter()
	const ports = router.attach(domain)
	const heard = counter()
	const port = allocUnbound(domain, 0)
	const backend = ports.bind(port, heard.hear)
	await turn()
	assert.equal(heard.events, 1)
	guestSend(domain, port)
	await turn()
	assert.equal(heard.events, 2)
	guestSend(domain, port)
	guestSend(domain, port)
	await turn()
	assert.equal(heard.events, 3, 'a run of events is heard once')
	backend?.notify()
	assert.ok(isPending(domain, port))
	router.detach(1)
})

test('bind() returns undefined for a port that is free, bound, or waits for another domain', () => {
	const domain = testDomain()
	const router = new EventRouter()
	const ports = router.attach(domain)
	const port = allocUnbound(domain, 0)
	assert.ok(ports.bind(port, () => {}))
	for (const refused of [port, 9, 0, 2 ** 31, allocUnbound(domain, 5)])
		assert.equal(
			ports.bind(refused, () => {}),
			undefined,
		)
	router.detach(1)
})

test('close() of the backend leaves the guest’s port unbound, to be bound again', () => {
	const domain = testDomain()
	const router = new EventRouter()
	const ports = router.attach(domain)
	const port = allocUnbound(domain, 0)
	const first = ports.bind(port, () => {})
	first?.close()
	assert.equal(portField(domain, port, PORT_STATE), ECS_UNBOUND)
	const second = ports.bind(port, () => {})
	assert.ok(second)
	first?.close()
	first?.notify()
	assert.equal(portField(domain, port, PORT_STATE), ECS_INTERDOMAIN, 'a closed backend has no say')
	assert.ok(!isPending(domain, port))
	router.detach(1)
})

test('a backend neither hears nor reaches a guest port that was closed and used for something else', async () => {
	const domain = testDomain()
	const router = new EventRouter()
	const ports = router.attach(domain)
	const old = counter()
	const port = allocUnbound(domain, 0)
	const stale = ports.bind(port, old.hear)
	await turn()
	closePort(domain, port)
	assert.equal(allocUnbound(domain, 0), port)
	const heard = counter()
	ports.bind(port, heard.hear)
	await turn()
	stale?.notify()
	assert.ok(!isPending(domain, port))
	guestSend(domain, port)
	await turn()
	assert.deepEqual([old.events, heard.events], [1, 2])
	router.detach(1)
})

test('an event sent before the backend binds is made up for', async () => {
	const domain = testDomain()
	const router = new EventRouter()
	const heard = counter()
	const port = allocUnbound(domain, 0)
	guestSend(domain, port)
	router.attach(domain).bind(port, heard.hear)
	await turn()
	assert.equal(heard.events, 1)
	router.detach(1)
})

test('offer() makes a port of dom0 that the guest binds once, and again after closing', () => {
	const domain = testDomain()
	const router = new EventRouter()
	const ports = router.attach(domain)
	const offered = ports.offer(() => {})
	const local = ports.acceptBind(offered.port)
	assert.ok(local > 0 && isPending(domain, local))
	assert.equal(ports.acceptBind(offered.port), -XEN_EINVAL)
	assert.equal(ports.acceptBind(999), -XEN_EINVAL)
	closePort(domain, local)
	assert.equal(ports.acceptBind(offered.port), local)
	router.detach(1)
})

test('dom0’s ports are numbered across domains and given back', () => {
	const router = new EventRouter()
	const [one, two] = [testDomain({ domid: 1 }), testDomain({ domid: 2 })]
	const first = router.attach(one).bind(allocUnbound(one, 0), () => {})
	const second = router.attach(two).bind(allocUnbound(two, 0), () => {})
	assert.deepEqual([first?.port, second?.port], [1, 2])
	router.detach(1)
	assert.equal(router.takeDom0Port(), 1)
	router.detach(2)
})

test('channels between two domains carry events through the router, and close on both sides', async () => {
	const router = new EventRouter()
	const [one, two] = [testDomain({ domid: 1 }), testDomain({ domid: 2 })]
	router.attach(one)
	router.attach(two)
	const offered = allocUnbound(two, 1)
	assert.equal(router.bindInterdomain(one, 9, offered), -XEN_ESRCH)
	assert.equal(router.bindInterdomain(one, 2, offered + 1), -XEN_EINVAL)
	const local = router.bindInterdomain(one, 2, offered)
	assert.equal(portField(two, offered, PORT_REMOTE_PORT), local)
	guestSend(one, local)
	await turn()
	assert.ok(isPending(two, offered))
	guestSend(two, offered)
	await turn()
	assert.ok(isPending(one, local))
	assert.equal(router.closePort(two, offered), 0)
	assert.equal(portField(one, local, PORT_STATE), ECS_UNBOUND)
	assert.equal(router.closePort(two, offered), -XEN_EINVAL)
	router.detach(1)
	router.detach(2)
})

test('detach() leaves other domains’ ends unbound', () => {
	const router = new EventRouter()
	const [one, two] = [testDomain({ domid: 1 }), testDomain({ domid: 2 })]
	router.attach(one)
	router.attach(two)
	const offered = allocUnbound(two, 1)
	router.bindInterdomain(one, 2, offered)
	router.detach(1)
	assert.equal(portField(two, offered, PORT_STATE), ECS_UNBOUND)
	router.detach(2)
})
