import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
	CALLBACKF_mask_events,
	CALLBACKOP_register,
	CALLBACKOP_unregister,
	CALLBACKTYPE_event,
	CALLBACKTYPE_nmi,
	CALLBACKTYPE_syscall,
	XENNMI_register_callback,
} from '../abi/callback.ts'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from '../abi/errno.ts'
import * as X from '../abi/xen.ts'
import { CPU_CR0, CPU_KERNEL_GS_BASE, SLOT_FS_BASE, SLOT_GS_BASE } from '../x86/core/layout.ts'
import { dispatch } from './hypercall_table.ts'
import { TRAP_nmi } from './inject.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'

const LIST = 0x3000
const HANDLER = -0x7e00_0000

function setUp() {
	const loaded: number[] = []
	const vcpu = testVcpu(testDomain(), 0, {
		core: {
			loadSegment: (_, selector) => {
				loaded.push(selector)
				vcpu.cpu.setWide(SLOT_GS_BASE, selector * 0x1000)
				return selector === 0x63 ? 0 : 1
			},
		},
	})
	const view = new DataView(vcpu.domain.machine.memory.buffer, vcpu.domain.machine.frameBase)
	const call = (number: number, ...args: number[]) => dispatch(vcpu, number, hypercallArgs(...args))
	/** A struct trap_info or callback_register: small fields in the first word, an address in the second. */
	const write = (n: number, head: number, address: number) => {
		view.setUint32(LIST + n * 16, head, true)
		view.setBigInt64(LIST + n * 16 + 8, BigInt(address), true)
	}
	return { vcpu, call, write, loaded }
}

test('set_trap_table installs the gates up to the one with address 0, and a null list clears all', () => {
	const { vcpu, call, write } = setUp()
	write(0, 14 | (4 << 8) | (0xe030 << 16), HANDLER)
	write(1, 3 | (3 << 8) | (0xe033 << 16), HANDLER + 3)
	write(2, 5, 0)
	assert.equal(call(X.__HYPERVISOR_set_trap_table, LIST), 0)
	assert.deepEqual(vcpu.traps.gates[14], { address: HANDLER, cs: 0xe033, dpl: 0, masksEvents: true })
	assert.deepEqual(vcpu.traps.gates[3], { address: HANDLER + 3, cs: 0xe033, dpl: 3, masksEvents: false })
	assert.equal(call(X.__HYPERVISOR_set_trap_table, 0), 0)
	assert.equal(vcpu.traps.gates[14]?.address, 0)
})

test('set_trap_table is -EINVAL for an address that is not canonical, -EFAULT for a list that cannot be read', () => {
	const { call, write } = setUp()
	write(0, 14, 2 ** 48)
	assert.equal(call(X.__HYPERVISOR_set_trap_table, LIST), -XEN_EINVAL)
	assert.equal(call(X.__HYPERVISOR_set_trap_table, 2 ** 46), -XEN_EFAULT)
})

test('callback_op registers callbacks with their flag; only the NMI one can be taken back', () => {
	const { vcpu, call, write } = setUp()
	write(0, CALLBACKTYPE_syscall | (CALLBACKF_mask_events << 16), HANDLER)
	assert.equal(call(X.__HYPERVISOR_callback_op, CALLBACKOP_register, LIST), 0)
	assert.deepEqual(vcpu.traps.syscall, { address: HANDLER, masksEvents: true })
	write(0, CALLBACKTYPE_nmi, HANDLER + 2)
	assert.equal(call(X.__HYPERVISOR_callback_op, CALLBACKOP_register, LIST), 0)
	assert.equal(vcpu.traps.gates[TRAP_nmi]?.address, HANDLER + 2)
	assert.equal(call(X.__HYPERVISOR_callback_op, CALLBACKOP_unregister, LIST), 0)
	assert.equal(vcpu.traps.gates[TRAP_nmi]?.address, 0)
	write(0, CALLBACKTYPE_event, HANDLER)
	assert.equal(call(X.__HYPERVISOR_callback_op, CALLBACKOP_unregister, LIST), -XEN_EINVAL)
	write(0, 99, HANDLER)
	assert.equal(call(X.__HYPERVISOR_callback_op, CALLBACKOP_register, LIST), -XEN_ENOSYS)
	write(0, CALLBACKTYPE_event, 2 ** 48)
	assert.equal(call(X.__HYPERVISOR_callback_op, CALLBACKOP_register, LIST), -XEN_EINVAL)
	assert.equal(call(X.__HYPERVISOR_callback_op, 7, LIST), -XEN_ENOSYS)
})

test('set_callbacks sets the three old callbacks and leaves out addresses that are not canonical', () => {
	const { vcpu, call } = setUp()
	assert.equal(call(X.__HYPERVISOR_set_callbacks, HANDLER, 2 ** 48, HANDLER + 1), 0)
	assert.deepEqual([vcpu.traps.event.address, vcpu.traps.failsafe.address, vcpu.traps.syscall.address], [HANDLER, 0, HANDLER + 1])
})

test('nmi_op registers a handler that masks events', () => {
	const { vcpu, call } = setUp()
	new DataView(vcpu.domain.machine.memory.buffer, vcpu.domain.machine.frameBase).setBigInt64(LIST, BigInt(HANDLER), true)
	assert.equal(call(X.__HYPERVISOR_nmi_op, XENNMI_register_callback, LIST), 0)
	assert.deepEqual(vcpu.traps.gates[TRAP_nmi], { address: HANDLER, cs: X.FLAT_KERNEL_CS, dpl: 0, masksEvents: true })
})

test('set_segment_base sets FS, GS and the inactive user GS, and refuses what is not canonical or unknown', () => {
	const { vcpu, call } = setUp()
	assert.equal(call(X.__HYPERVISOR_set_segment_base, X.SEGBASE_FS, 0x1000), 0)
	assert.equal(call(X.__HYPERVISOR_set_segment_base, X.SEGBASE_GS_USER, 0x2000), 0)
	assert.equal(call(X.__HYPERVISOR_set_segment_base, X.SEGBASE_GS_KERNEL, -0x3000), 0)
	assert.deepEqual(
		[SLOT_FS_BASE, CPU_KERNEL_GS_BASE, SLOT_GS_BASE].map((slot) => vcpu.cpu.wide(slot)),
		[0x1000, 0x2000, -0x3000],
	)
	assert.equal(call(X.__HYPERVISOR_set_segment_base, X.SEGBASE_FS, 2 ** 48), -XEN_EINVAL)
	assert.equal(call(X.__HYPERVISOR_set_segment_base, 9, 0), -XEN_EINVAL)
})

test("SEGBASE_GS_USER_SEL loads the user GS beside the kernel's; one that cannot be loaded becomes null", () => {
	const { vcpu, call, loaded } = setUp()
	vcpu.cpu.setWide(SLOT_GS_BASE, -0x3000)
	assert.equal(call(X.__HYPERVISOR_set_segment_base, X.SEGBASE_GS_USER_SEL, 0x50), 0)
	assert.deepEqual([vcpu.cpu.wide(SLOT_GS_BASE), vcpu.cpu.wide(CPU_KERNEL_GS_BASE)], [-0x3000, 0x53 * 0x1000])
	assert.equal(call(X.__HYPERVISOR_set_segment_base, X.SEGBASE_GS_USER_SEL, 0x60), 0)
	assert.deepEqual(loaded, [0x53, 0x63, 0])
	assert.equal(vcpu.cpu.wide(SLOT_GS_BASE), -0x3000)
})

test('fpu_taskswitch sets and clears CR0.TS; stack_switch forces RPL 3', () => {
	const { vcpu, call } = setUp()
	call(X.__HYPERVISOR_fpu_taskswitch, 1)
	assert.equal(vcpu.cpu.field(CPU_CR0) & 8, 8)
	call(X.__HYPERVISOR_fpu_taskswitch, 0)
	assert.equal(vcpu.cpu.field(CPU_CR0) & 8, 0)
	call(X.__HYPERVISOR_stack_switch, 0xe028, -0x4000)
	assert.deepEqual([vcpu.traps.kernelSs, vcpu.traps.kernelSp], [0xe02b, -0x4000])
})

test('vm_assist is -EINVAL for an unknown assist and -ENOSYS for an unknown command', () => {
	const { call } = setUp()
	assert.equal(call(X.__HYPERVISOR_vm_assist, X.VMASST_CMD_enable, X.VMASST_TYPE_writable_pagetables), 0)
	assert.equal(call(X.__HYPERVISOR_vm_assist, X.VMASST_CMD_enable, X.VMASST_TYPE_m2p_strict), 0)
	assert.equal(call(X.__HYPERVISOR_vm_assist, X.VMASST_CMD_enable, 7), -XEN_EINVAL)
	assert.equal(call(X.__HYPERVISOR_vm_assist, 5, X.VMASST_TYPE_writable_pagetables), -XEN_ENOSYS)
})
