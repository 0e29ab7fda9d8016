import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSPC, XEN_EPERM, XEN_ESRCH } from '../abi/errno.ts'
import * as S from '../abi/sched.ts'
import { __HYPERVISOR_sched_op, vcpu_info } from '../abi/xen.ts'
import { allocUnbound, sendToPort } from './event_channel.ts'
import { dispatch } from './hypercall_table.ts'
import { anyPortPending } from './sched.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'
import { VS_POLLING, vcpuWord } from './vcpu_shared.ts'

const ARGUMENT = 0x3000
const PORTS = 0x4000

function setUp() {
	const domain = testDomain()
	const ends: number[] = []
	const vcpu = testVcpu(domain, 0, { onShutdown: (reason) => void ends.push(reason) })
	const view = new DataView(domain.machine.memory.buffer, domain.machine.frameBase)
	domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = 1
	const call = (command: number, ...words: number[]) => {
		words.forEach((word, n) => {
			view.setUint32(ARGUMENT + n * 4, word, true)
		})
		return dispatch(vcpu, __HYPERVISOR_sched_op, hypercallArgs(command, ARGUMENT))
	}
	const poll = (ports: number[], count = ports.length) => {
		ports.forEach((port, n) => {
			view.setUint32(PORTS + n * 4, port, true)
		})
		return call(S.SCHEDOP_poll, PORTS, 0, count, 0, 0, 0)
	}
	const polling = () => domain.machine.u32[vcpuWord(domain, 0, VS_POLLING)]
	return { domain, vcpu, ends, call, poll, polling }
}

test('SCHEDOP_block enables events and puts the vCPU to sleep', () => {
	const { domain, vcpu, call } = setUp()
	assert.equal(call(S.SCHEDOP_block), 0)
	assert.equal(vcpu.blocked, true)
	assert.equal(domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask], 0)
})

test('SCHEDOP_shutdown reports its reason once', () => {
	const { ends, call } = setUp()
	assert.equal(call(S.SCHEDOP_shutdown, S.SHUTDOWN_reboot), 0)
	assert.equal(call(S.SCHEDOP_shutdown, S.SHUTDOWN_crash), 0)
	assert.deepEqual(ends, [S.SHUTDOWN_reboot])
})

test('SCHEDOP_shutdown_code replaces the reason of the shutdown that follows', () => {
	const { ends, call } = setUp()
	call(S.SCHEDOP_shutdown_code, S.SHUTDOWN_suspend)
	call(S.SCHEDOP_shutdown_code, S.SHUTDOWN_crash)
	call(S.SCHEDOP_shutdown, S.SHUTDOWN_poweroff)
	assert.deepEqual(ends, [S.SHUTDOWN_suspend])
})

test('SCHEDOP_poll sleeps until one of its ports is pending, masked upcall or not', () => {
	const { domain, vcpu, poll, polling } = setUp()
	const ports = [allocUnbound(domain, 0), allocUnbound(domain, 0)]
	assert.equal(poll(ports), 0)
	assert.deepEqual([vcpu.blocked, polling(), anyPortPending(vcpu)], [true, 1, false])
	sendToPort(domain, ports[1] as number)
	assert.equal(anyPortPending(vcpu), true)
})

test('SCHEDOP_poll returns at once when a port is pending already', () => {
	const { domain, vcpu, poll, polling } = setUp()
	const port = allocUnbound(domain, 0)
	sendToPort(domain, port)
	assert.equal(poll([port]), 0)
	assert.deepEqual([vcpu.blocked, polling()], [false, 0])
})

test('SCHEDOP_poll is -EINVAL for more than 128 ports or a port that does not exist', () => {
	const { poll, polling } = setUp()
	assert.equal(poll([1], 129), -XEN_EINVAL)
	assert.equal(poll([100_000]), -XEN_EINVAL)
	assert.equal(polling(), 0)
})

test('SCHEDOP_watchdog hands out two watchdogs, then -ENOSPC; one that is due shuts the domain down', () => {
	const { vcpu, call, ends } = setUp()
	assert.deepEqual([call(S.SCHEDOP_watchdog, 0, 5), call(S.SCHEDOP_watchdog, 0, 9), call(S.SCHEDOP_watchdog, 0, 9)], [1, 2, -XEN_ENOSPC])
	assert.equal(call(S.SCHEDOP_watchdog, 1, 0), 0)
	assert.equal(call(S.SCHEDOP_watchdog, 1, 3), -XEN_EINVAL)
	assert.equal(call(S.SCHEDOP_watchdog, 3, 3), -XEN_EINVAL)
	vcpu.timers.fire(8e9)
	assert.deepEqual(ends, [])
	vcpu.timers.fire(9e9)
	assert.deepEqual(ends, [S.SHUTDOWN_watchdog])
})

test('a domU shuts down no other domain and pins nothing', () => {
	const { vcpu, call } = setUp()
	assert.equal(call(S.SCHEDOP_remote_shutdown, 0, 0), -XEN_EPERM)
	assert.equal(call(S.SCHEDOP_remote_shutdown, 9, 0), -XEN_ESRCH)
	assert.equal(call(S.SCHEDOP_pin_override, 0), -XEN_EPERM)
	assert.equal(dispatch(vcpu, __HYPERVISOR_sched_op, hypercallArgs(S.SCHEDOP_shutdown, 2 ** 46)), -XEN_EFAULT)
})
