import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_ENXIO, XEN_ETIME } from '../abi/errno.ts'
import * as V from '../abi/vcpu.ts'
import { RUNSTATE_blocked, RUNSTATE_running } from '../abi/vcpu.ts'
import {
	__HYPERVISOR_set_timer_op,
	__HYPERVISOR_vcpu_op,
	VIRQ_TIMER,
	VMASST_TYPE_runstate_update_flag,
	vcpu_info,
	vcpu_time_info,
} from '../abi/xen.ts'
import { bindVirq } from './event_channel.ts'
import { portOps } from './event_delivery.ts'
import { dispatch } from './hypercall_table.ts'
import { initialiseRunstate, readRunstate, setRunstate } from './runstate.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'
import { updateTime } from './time.ts'
import { CB_VM_ASSIST, controlWord } from './vcpu_shared.ts'

const ARGUMENT = 0x3000

function setUp() {
	const domain = testDomain()
	const clock = { now: 5_000_000 }
	initialiseRunstate(domain, 0, 0)
	const vcpu = testVcpu(domain, 0, { now_ns: () => clock.now })
	const port = bindVirq(domain, VIRQ_TIMER, 0)
	const view = new DataView(domain.machine.memory.buffer, domain.machine.frameBase)
	const call = (command: number, fields: readonly bigint[] = [], target = 0) => {
		fields.forEach((field, n) => {
			view.setBigUint64(ARGUMENT + n * 8, field, true)
		})
		return dispatch(vcpu, __HYPERVISOR_vcpu_op, hypercallArgs(command, target, ARGUMENT))
	}
	const takeTimer = () => {
		const pending = portOps(domain).isPending(domain, port)
		portOps(domain).clearPending(domain, port)
		return pending
	}
	return { domain, clock, vcpu, view, call, takeTimer }
}

test('vcpu_op is -ENOENT for a vCPU that the domain does not have, -ENOSYS for an unknown operation', () => {
	const { call } = setUp()
	assert.equal(call(V.VCPUOP_is_up, [], 1), -XEN_ENOENT)
	assert.equal(call(99), -XEN_ENOSYS)
})

test('set_singleshot_timer raises VIRQ_TIMER once when its time has come', () => {
	const { call, vcpu, clock, takeTimer } = setUp()
	assert.equal(call(V.VCPUOP_set_singleshot_timer, [6_000_000n, 0n]), 0)
	assert.equal(vcpu.timers.nextDeadline_ns, 6_000_000)
	vcpu.timers.fire(clock.now)
	assert.equal(takeTimer(), false)
	vcpu.timers.fire(6_000_000)
	assert.equal(takeTimer(), true)
	vcpu.timers.fire(7_000_000)
	assert.equal(takeTimer(), false)
})

test('set_singleshot_timer with VCPU_SSHOTTMR_future is -ETIME for a time that has passed', () => {
	const { call } = setUp()
	assert.equal(call(V.VCPUOP_set_singleshot_timer, [4_000_000n, BigInt(V.VCPU_SSHOTTMR_future)]), -XEN_ETIME)
	assert.equal(call(V.VCPUOP_set_singleshot_timer, [4_000_000n, 0n]), 0)
})

test('set_periodic_timer refuses periods below a millisecond, and skips the periods it missed', () => {
	const { call, vcpu, takeTimer } = setUp()
	assert.equal(call(V.VCPUOP_set_periodic_timer, [999_999n]), -XEN_EINVAL)
	assert.equal(call(V.VCPUOP_set_periodic_timer, [1_000_000n]), 0)
	vcpu.timers.fire(9_500_000)
	assert.equal(takeTimer(), true)
	assert.equal(vcpu.timers.nextDeadline_ns, 10_000_000)
	assert.equal(call(V.VCPUOP_stop_periodic_timer), 0)
	assert.equal(vcpu.timers.nextDeadline_ns, Number.POSITIVE_INFINITY)
})

test('set_timer_op stops the timer with 0 and takes a huge deadline for 100 ms', () => {
	const { vcpu, clock } = setUp()
	dispatch(vcpu, __HYPERVISOR_set_timer_op, hypercallArgs(2 ** 60))
	assert.equal(vcpu.timers.nextDeadline_ns, clock.now + 100_000_000)
	dispatch(vcpu, __HYPERVISOR_set_timer_op, hypercallArgs(0))
	assert.equal(vcpu.timers.nextDeadline_ns, Number.POSITIVE_INFINITY)
})

test('register_vcpu_info moves vcpu_info once, keeps its content and marks every event pending', () => {
	const { call, vcpu, domain } = setUp()
	domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = 1
	assert.equal(call(V.VCPUOP_register_vcpu_info, [7n, 4090n]), -XEN_ENXIO)
	assert.equal(call(V.VCPUOP_register_vcpu_info, [1_000_000n, 64n]), -XEN_EINVAL)
	assert.equal(call(V.VCPUOP_register_vcpu_info, [7n, 64n]), 0)
	assert.equal(vcpu.vcpuInfo, domain.machine.frameAddress(7) + 64)
	assert.deepEqual(Array.from(domain.machine.u8.subarray(vcpu.vcpuInfo, vcpu.vcpuInfo + 2)), [1, 1])
	assert.equal(domain.machine.u64[(vcpu.vcpuInfo + vcpu_info.at.evtchn_pending_sel) / 8], 2n ** 64n - 1n)
	assert.equal(call(V.VCPUOP_register_vcpu_info, [8n, 64n]), -XEN_EINVAL)
})

test('vcpu_time_info has an even version and a scale of one tick a nanosecond', () => {
	const { vcpu, domain } = setUp()
	updateTime(vcpu)
	const view = new DataView(domain.machine.memory.buffer, vcpu.vcpuInfo + vcpu_info.at.time)
	assert.equal(view.getUint32(vcpu_time_info.at.version, true) % 2, 0)
	assert.equal(view.getBigUint64(vcpu_time_info.at.tsc_timestamp, true), view.getBigUint64(vcpu_time_info.at.system_time, true))
	const delta = 12_345n
	const mul = BigInt(view.getUint32(vcpu_time_info.at.tsc_to_system_mul, true))
	assert.equal(((delta << BigInt(view.getInt8(vcpu_time_info.at.tsc_shift))) * mul) >> 32n, delta)
})

test('run states add up to the time that has passed', () => {
	const { vcpu, domain, clock } = setUp()
	setRunstate(vcpu, RUNSTATE_running)
	clock.now = 8_000_000
	setRunstate(vcpu, RUNSTATE_blocked)
	const { state, times_ns } = readRunstate(domain, 0, 10_000_000)
	assert.equal(state, RUNSTATE_blocked)
	assert.deepEqual(times_ns, [3_000_000, 0, 2_000_000, 5_000_000])
})

test('the registered run state area is written when the vCPU runs again, without XEN_RUNSTATE_UPDATE at the end', () => {
	const { vcpu, domain, call, clock, view } = setUp()
	domain.machine.u32[controlWord(domain, CB_VM_ASSIST)] = 1 << VMASST_TYPE_runstate_update_flag
	assert.equal(call(V.VCPUOP_register_runstate_memory_area, [0x5000n]), 0)
	clock.now = 9_000_000
	setRunstate(vcpu, RUNSTATE_running)
	assert.equal(view.getUint32(0x5000, true), RUNSTATE_running)
	assert.equal(view.getBigUint64(0x5008, true), 9_000_000n)
	assert.equal(view.getBigUint64(0x5010 + 3 * 8, true), 9_000_000n)
})

test('an area that cannot be written while user mode runs is written on the next entry to the kernel', () => {
	const { vcpu, call, clock, view } = setUp()
	call(V.VCPUOP_register_runstate_memory_area, [0x5000n])
	vcpu.cpu.setKernelMode(false)
	clock.now = 9_000_000
	setRunstate(vcpu, RUNSTATE_running)
	assert.notEqual(view.getBigUint64(0x5008, true), 9_000_000n)
	vcpu.cpu.setKernelMode(true)
	vcpu.timers.onKernelEntry()
	assert.equal(view.getBigUint64(0x5008, true), 9_000_000n)
})

test('vcpu_op is -EFAULT when its argument cannot be read', () => {
	const { vcpu } = setUp()
	for (const command of [V.VCPUOP_set_singleshot_timer, V.VCPUOP_register_vcpu_info, V.VCPUOP_get_runstate_info]) {
		assert.equal(dispatch(vcpu, __HYPERVISOR_vcpu_op, hypercallArgs(command, 0, 2 ** 46)), -XEN_EFAULT)
	}
})
