import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EACCES, XEN_EEXIST, XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSPC, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from '../abi/errno.ts'
import * as E from '../abi/event_channel.ts'
import { DOMID_SELF, NR_VIRQS, shared_info, VIRQ_CONSOLE, VIRQ_DEBUG, VIRQ_TIMER, vcpu_info } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import {
	allocUnbound,
	bindIpi,
	bindLoopback,
	bindVcpu,
	bindVirq,
	closePort,
	guestSend,
	raiseVirq,
	sendToPort,
	setPriority,
	unmaskPort,
} from './event_channel.ts'
import { eventChannelHypercall } from './event_channel_op.ts'
import { vcpuInfo } from './event_ports.ts'
import { describeEventChannels } from './event_status.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'

const isPending = (domain: Domain, port: number) => bit(domain, shared_info.at.evtchn_pending, port)

function bit(domain: Domain, bitmap: number, port: number): boolean {
	const at = (domain.machine.frameAddress(domain.layout.sharedInfoMfn) + bitmap) >>> 2
	return ((domain.machine.u32[at + (port >>> 5)] as number) & (1 << (port & 31))) !== 0
}

function setMask(domain: Domain, port: number): void {
	const at = (domain.machine.frameAddress(domain.layout.sharedInfoMfn) + shared_info.at.evtchn_mask) >>> 2
	domain.machine.u32[at + (port >>> 5)] |= 1 << (port & 31)
}

const upcallPending = (domain: Domain, vcpu = 0) => domain.machine.u8[vcpuInfo(domain, vcpu) + vcpu_info.at.evtchn_upcall_pending]
const selectors = (domain: Domain, vcpu = 0) => domain.machine.u32[(vcpuInfo(domain, vcpu) + vcpu_info.at.evtchn_pending_sel) >>> 2]

test('allocUnbound() hands out the lowest free port, never port 0, and -ENOSPC when all are taken', () => {
	const domain = testDomain({ maxPorts: 4 })
	assert.deepEqual(
		[1, 2, 3, 4].map(() => allocUnbound(domain, 0)),
		[1, 2, 3, -XEN_ENOSPC],
	)
	assert.equal(closePort(domain, 2), 0)
	assert.equal(allocUnbound(domain, 0), 2)
})

test('closePort() returns -EINVAL for port 0, a free port and one that does not exist', () => {
	const domain = testDomain()
	for (const port of [0, 5, 1023, 1024, 0xffff_ffff]) assert.equal(closePort(domain, port), -XEN_EINVAL)
})

test('bindVirq() checks the VIRQ, the vCPU and that it is bound once', () => {
	const domain = testDomain({ vcpus: 2 })
	assert.equal(bindVirq(domain, NR_VIRQS, 0), -XEN_EINVAL)
	assert.equal(bindVirq(domain, 0xffff_ffff, 0), -XEN_EINVAL)
	assert.equal(bindVirq(domain, VIRQ_CONSOLE, 1), -XEN_EINVAL)
	assert.equal(bindVirq(domain, VIRQ_TIMER, 2), -XEN_ENOENT)
	assert.equal(bindVirq(domain, VIRQ_TIMER, 1), 1)
	assert.equal(bindVirq(domain, VIRQ_TIMER, 1), -XEN_EEXIST)
	assert.equal(bindVirq(domain, VIRQ_TIMER, 0), 2)
	assert.equal(closePort(domain, 1), 0)
	assert.equal(bindVirq(domain, VIRQ_TIMER, 1), 1)
})

test('raiseVirq() sets the pending bit, the selector and the upcall of the vCPU it is bound on, and nothing when unbound', () => {
	const domain = testDomain({ vcpus: 2 })
	raiseVirq(domain, 1, VIRQ_TIMER)
	assert.equal(upcallPending(domain, 1), 0)
	const port = bindVirq(domain, VIRQ_TIMER, 1)
	raiseVirq(domain, 0, VIRQ_TIMER)
	assert.ok(!isPending(domain, port))
	raiseVirq(domain, 1, VIRQ_TIMER)
	assert.ok(isPending(domain, port))
	assert.deepEqual([upcallPending(domain, 0), upcallPending(domain, 1), selectors(domain, 1)], [0, 1, 1])
})

test('a masked port becomes pending without an upcall, and unmaskPort() delivers it', () => {
	const domain = testDomain()
	const port = bindIpi(domain, 0)
	setMask(domain, port)
	assert.equal(guestSend(domain, port), 0)
	assert.ok(isPending(domain, port))
	assert.deepEqual([upcallPending(domain), selectors(domain)], [0, 0])
	assert.equal(unmaskPort(domain, port), 0)
	assert.deepEqual([upcallPending(domain), selectors(domain)], [1, 1])
})

test('unmaskPort() delivers nothing when nothing is pending, and returns -EINVAL beyond the table', () => {
	const domain = testDomain()
	const port = bindIpi(domain, 0)
	setMask(domain, port)
	unmaskPort(domain, port)
	assert.equal(upcallPending(domain), 0)
	assert.equal(unmaskPort(domain, 4096), -XEN_EINVAL)
})

test('bindLoopback() joins two ports; a send on one makes the other pending; closing one leaves the other unbound', () => {
	const domain = testDomain()
	const first = allocUnbound(domain, DOMID_SELF)
	const second = bindLoopback(domain, first)
	assert.ok(isPending(domain, second), 'the new end starts pending')
	assert.equal(guestSend(domain, second), 0)
	assert.ok(isPending(domain, first))
	assert.equal(closePort(domain, second), 0)
	assert.ok(!isPending(domain, second), 'a closed port is not pending')
	assert.equal(guestSend(domain, first), 0, 'an event on an unbound port is dropped')
	assert.equal(bindLoopback(domain, first), second)
})

test('bindLoopback() returns -EINVAL for a port that waits for another domain, is free, or does not exist', () => {
	const domain = testDomain()
	const offered = allocUnbound(domain, 0)
	for (const port of [offered, 9, 0, 100_000]) assert.equal(bindLoopback(domain, port), -XEN_EINVAL)
	assert.equal(allocUnbound(domain, 0), offered + 1, 'no port leaks')
})

test('guestSend() returns -EINVAL for free, reserved and VIRQ ports', () => {
	const domain = testDomain()
	for (const port of [0, 7, 5000, bindVirq(domain, VIRQ_DEBUG, 0)]) assert.equal(guestSend(domain, port), -XEN_EINVAL)
})

test('bindVcpu() moves unbound, interdomain and global VIRQ ports, and refuses IPIs and per-vCPU VIRQs', () => {
	const domain = testDomain({ vcpus: 2 })
	const console = bindVirq(domain, VIRQ_CONSOLE, 0)
	assert.equal(bindVcpu(domain, console, 1), 0)
	raiseVirq(domain, 0, VIRQ_CONSOLE)
	assert.deepEqual([upcallPending(domain, 0), upcallPending(domain, 1)], [0, 1])
	assert.equal(bindVcpu(domain, allocUnbound(domain, 0), 1), 0)
	assert.equal(bindVcpu(domain, bindIpi(domain, 0), 1), -XEN_EINVAL)
	assert.equal(bindVcpu(domain, bindVirq(domain, VIRQ_TIMER, 0), 1), -XEN_EINVAL)
	assert.equal(bindVcpu(domain, console, 2), -XEN_ENOENT)
	assert.equal(bindVcpu(domain, 50, 0), -XEN_EINVAL)
})

test('closePort() of a global VIRQ that was moved frees the VIRQ for binding again', () => {
	const domain = testDomain({ vcpus: 2 })
	const port = bindVirq(domain, VIRQ_CONSOLE, 0)
	bindVcpu(domain, port, 1)
	closePort(domain, port)
	assert.equal(bindVirq(domain, VIRQ_CONSOLE, 0), port)
})

test('setPriority() needs the FIFO ABI and a port in use', () => {
	const domain = testDomain()
	assert.equal(setPriority(domain, bindIpi(domain, 0), 3), -XEN_ENOSYS)
	assert.equal(setPriority(domain, 4000, 3), -XEN_EINVAL)
	const vcpu = testVcpu(domain)
	new DataView(vcpu.cpu.machine.memory.buffer).setBigUint64(domain.machine.frameAddress(2), 3n, true)
	assert.equal(eventChannelHypercall.handler?.(vcpu, hypercallArgs(E.EVTCHNOP_init_control, 0x2000)), 0)
	assert.equal(setPriority(domain, 1, 3), 0)
	assert.equal(setPriority(domain, 1, 16), -XEN_EINVAL)
	assert.equal(setPriority(domain, 9, 3), -XEN_EACCES)
})

test('sendToPort() ignores free and reserved ports', () => {
	const domain = testDomain()
	for (const port of [0, 3, 99_999]) sendToPort(domain, port)
	assert.equal(upcallPending(domain), 0)
})

// ---- the hypercall ---------------------------------------------------------------------------------------------------------

function guest(domain: Domain) {
	const vcpu = testVcpu(domain)
	const view = new DataView(domain.machine.memory.buffer, domain.machine.frameAddress(1), 4096)
	const call = (command: number, address = 0x1000) => eventChannelHypercall.handler?.(vcpu, hypercallArgs(command, address))
	return { view, call }
}

test('EVTCHNOP_alloc_unbound fills in the port and returns -EPERM for dom0, -ESRCH for others', () => {
	const { view, call } = guest(testDomain({ domid: 7 }))
	view.setUint16(0, DOMID_SELF, true)
	assert.equal(call(E.EVTCHNOP_alloc_unbound), 0)
	assert.equal(view.getUint32(4, true), 1)
	view.setUint16(0, 7, true)
	assert.equal(call(E.EVTCHNOP_alloc_unbound), 0)
	view.setUint16(0, 0, true)
	assert.equal(call(E.EVTCHNOP_alloc_unbound), -XEN_EPERM)
	view.setUint16(0, 8, true)
	assert.equal(call(E.EVTCHNOP_alloc_unbound), -XEN_ESRCH)
})

test('EVTCHNOP_status describes ports, and -EINVAL beyond those that exist', () => {
	const domain = testDomain()
	const { view, call } = guest(domain)
	allocUnbound(domain, 0)
	bindVirq(domain, VIRQ_DEBUG, 0)
	const status = (port: number) => {
		view.setUint16(0, DOMID_SELF, true)
		view.setUint32(4, port, true)
		return call(E.EVTCHNOP_status) || [view.getUint32(8, true), view.getUint32(16, true) & 0xffff]
	}
	assert.deepEqual(status(1), [E.EVTCHNSTAT_unbound, 0])
	assert.deepEqual(status(2), [E.EVTCHNSTAT_virq, VIRQ_DEBUG])
	assert.equal((status(63) as number[])[0], E.EVTCHNSTAT_closed)
	assert.equal(status(64), -XEN_EINVAL)
})

test('event_channel_op returns -EFAULT for an argument that is not mapped, -ENOSYS for a command that does not exist', () => {
	const { call } = guest(testDomain())
	assert.equal(call(E.EVTCHNOP_send, 0x5000_0000), -XEN_EFAULT)
	assert.equal(call(E.EVTCHNOP_send, -0x8000_0000_0000), -XEN_EFAULT)
	assert.equal(call(E.EVTCHNOP_send, 2 ** 62), -XEN_EFAULT)
	assert.equal(call(77), -XEN_ENOSYS)
	assert.equal(call(-1), -XEN_ENOSYS)
})

test('EVTCHNOP_reset closes every port, unbinds VIRQs and returns to the 2-level ABI', () => {
	const domain = testDomain()
	const { view, call } = guest(domain)
	view.setBigUint64(0, 3n, true)
	view.setUint32(8, 0, true)
	view.setUint32(12, 0, true)
	assert.equal(call(E.EVTCHNOP_init_control), 0)
	assert.equal(view.getUint8(16), E.EVTCHN_FIFO_LINK_BITS)
	assert.equal(call(E.EVTCHNOP_init_control), -XEN_EINVAL, 'the vCPU has a control block')
	assert.equal(call(E.EVTCHNOP_expand_array), 0)
	bindVirq(domain, VIRQ_TIMER, 0)
	allocUnbound(domain, 0)
	view.setUint16(0, DOMID_SELF, true)
	assert.equal(call(E.EVTCHNOP_reset), 0)
	assert.equal(describeEventChannels(domain).length, 3)
	const port = bindVirq(domain, VIRQ_TIMER, 0)
	raiseVirq(domain, 0, VIRQ_TIMER)
	assert.ok(isPending(domain, port), 'in shared_info again')
})

test('describeEventChannels() prints ports as debug key e of Xen does', () => {
	const domain = testDomain()
	allocUnbound(domain, 0)
	bindVirq(domain, VIRQ_TIMER, 0)
	assert.deepEqual(describeEventChannels(domain).slice(3), ['       1 [0/0/0]: s=2 n=0 x=0 d=0', '       2 [0/0/0]: s=5 n=0 x=0 v=0'])
})
