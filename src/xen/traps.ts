import {
	CALLBACKF_mask_events,
	CALLBACKOP_register,
	CALLBACKOP_unregister,
	CALLBACKTYPE_event,
	CALLBACKTYPE_failsafe,
	CALLBACKTYPE_nmi,
	CALLBACKTYPE_syscall,
	CALLBACKTYPE_syscall32,
	CALLBACKTYPE_sysenter,
	callback_register,
	callback_unregister,
	XENNMI_register_callback,
	XENNMI_unregister_callback,
	xennmi_callback,
} from '../abi/callback.ts'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from '../abi/errno.ts'
import {
	__HYPERVISOR_callback_op,
	__HYPERVISOR_fpu_taskswitch,
	__HYPERVISOR_nmi_op,
	__HYPERVISOR_set_callbacks,
	__HYPERVISOR_set_segment_base,
	__HYPERVISOR_set_trap_table,
	__HYPERVISOR_stack_switch,
	FLAT_KERNEL_CS,
	SEGBASE_FS,
	SEGBASE_GS_KERNEL,
	SEGBASE_GS_USER,
	SEGBASE_GS_USER_SEL,
	trap_info,
} from '../abi/xen.ts'
import { CPU_CR0, CPU_KERNEL_GS_BASE, SLOT_FS_BASE, SLOT_GS_BASE } from '../x86/core/layout.ts'
import type { Gva } from '../x86/cpu.ts'
import { isCanonical } from './guest_access.ts'
import { readGuest, viewGva } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { dispatchSubop, HYPERCALL_PREEMPTED, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import { TRAP_nmi } from './inject.ts'
import { GS } from './segments.ts'
import type { TrapState } from './trap_state.ts'
import type { VcpuContext } from './vcpu.ts'

/** TI_SET_IF in struct trap_info.flags. */
const TI_IF = 4
const CR0_TS = 8

/** A list of struct trap_info that ends with address 0; a null list clears the table. -EFAULT, -EINVAL (address not canonical). */
function setTrapTable(vcpu: VcpuContext, args: HypercallArgs): number {
	const list = argNumber(args, 0)
	if (list === 0) {
		vcpu.traps.clearGates()
		return 0
	}
	for (let address = list; ; address += trap_info.size) {
		const view = readGuest(vcpu, address, trap_info.size)
		if (!view) return -XEN_EFAULT
		const handler = viewGva(view, trap_info.at.address)
		if (handler === 0) return 0
		if (!isCanonical(handler)) return -XEN_EINVAL
		vcpu.traps.setGate(
			view.getUint8(trap_info.at.vector),
			view.getUint8(trap_info.at.flags),
			view.getUint16(trap_info.at.cs, true) | 3,
			handler,
		)
		if (vcpu.preemptPending()) {
			setArg(args, 0, address + trap_info.size)
			return HYPERCALL_PREEMPTED
		}
	}
}

function registerCallback(traps: TrapState, type: number, flags: number, address: Gva): number {
	if (!isCanonical(address)) return -XEN_EINVAL
	const callback = { address, masksEvents: (flags & CALLBACKF_mask_events) !== 0 }
	switch (type) {
		case CALLBACKTYPE_event:
			traps.event = callback
			return 0
		case CALLBACKTYPE_failsafe:
			traps.failsafe = callback
			return 0
		case CALLBACKTYPE_syscall:
			traps.syscall = callback
			return 0
		case CALLBACKTYPE_syscall32:
			traps.syscall32 = callback
			return 0
		case CALLBACKTYPE_sysenter:
			traps.sysenter = callback
			return 0
		case CALLBACKTYPE_nmi:
			return registerNmi(traps, address)
		default:
			return -XEN_ENOSYS
	}
}

function registerNmi(traps: TrapState, address: Gva): number {
	if (!isCanonical(address)) return -XEN_EINVAL
	traps.setGate(TRAP_nmi, TI_IF, FLAT_KERNEL_CS, address)
	return 0
}

function callbackRegister(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), callback_register.size)
	if (!view) return -XEN_EFAULT
	const at = callback_register.at
	return registerCallback(vcpu.traps, view.getUint16(at.type, true), view.getUint16(at.flags, true), viewGva(view, at.address))
}

/** Only the NMI callback can be taken back; -EINVAL for the others. */
function callbackUnregister(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), callback_unregister.size)
	if (!view) return -XEN_EFAULT
	switch (view.getUint16(callback_unregister.at.type, true)) {
		case CALLBACKTYPE_nmi:
			vcpu.traps.clearGate(TRAP_nmi)
			return 0
		case CALLBACKTYPE_event:
		case CALLBACKTYPE_failsafe:
		case CALLBACKTYPE_syscall:
		case CALLBACKTYPE_syscall32:
		case CALLBACKTYPE_sysenter:
			return -XEN_EINVAL
		default:
			return -XEN_ENOSYS
	}
}

/** The old form: event, failsafe and system call entry at once; addresses that are not canonical are left out, as in Xen. */
function setCallbacks(vcpu: VcpuContext, args: HypercallArgs): number {
	registerCallback(vcpu.traps, CALLBACKTYPE_event, 0, argNumber(args, 0))
	registerCallback(vcpu.traps, CALLBACKTYPE_failsafe, 0, argNumber(args, 1))
	registerCallback(vcpu.traps, CALLBACKTYPE_syscall, 0, argNumber(args, 2))
	return 0
}

function nmiRegister(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), xennmi_callback.size)
	if (!view) return -XEN_EFAULT
	return registerNmi(vcpu.traps, viewGva(view, xennmi_callback.at.handler_address))
}

function stackSwitch(vcpu: VcpuContext, args: HypercallArgs): number {
	vcpu.traps.kernelSs = (argU32(args, 0) & 0xffff) | 3
	vcpu.traps.kernelSp = argNumber(args, 1)
	return 0
}

function fpuTaskswitch(vcpu: VcpuContext, args: HypercallArgs): number {
	setTaskSwitched(vcpu, argU32(args, 0) !== 0)
	return 0
}

/** Sets or clears CR0.TS. */
export function setTaskSwitched(vcpu: VcpuContext, set: boolean): void {
	const cr0 = vcpu.cpu.field(CPU_CR0)
	vcpu.cpu.setField(CPU_CR0, (set ? cr0 | CR0_TS : cr0 & ~CR0_TS) >>> 0)
}

/** Bases must be canonical (-EINVAL). The guest's kernel is running: GS is the kernel's, the user's is the inactive one. */
function setSegmentBase(vcpu: VcpuContext, args: HypercallArgs): number {
	const { cpu } = vcpu
	const base = argNumber(args, 1)
	const which = argU32(args, 0)
	if (which === SEGBASE_GS_USER_SEL) return setUserGsSelector(vcpu, argU32(args, 1))
	const slot = which === SEGBASE_FS ? SLOT_FS_BASE : which === SEGBASE_GS_USER ? CPU_KERNEL_GS_BASE : SLOT_GS_BASE
	if (which > SEGBASE_GS_KERNEL || !isCanonical(base)) return -XEN_EINVAL
	cpu.setWide(slot, base)
	return 0
}

/** Loads GS for user mode; a selector that cannot be loaded becomes null, and the call succeeds all the same, as in Xen. */
function setUserGsSelector(vcpu: VcpuContext, base_lo: number): number {
	const { cpu } = vcpu
	const kernelBase = cpu.wide(SLOT_GS_BASE)
	const raw = base_lo & 0xffff
	const selector = raw > 3 ? raw | 3 : raw
	if (!cpu.loadSegment(GS, selector)) cpu.loadSegment(GS, 0)
	cpu.setWide(CPU_KERNEL_GS_BASE, cpu.wide(SLOT_GS_BASE))
	cpu.setWide(SLOT_GS_BASE, kernelBase)
	return 0
}

const callbackSubops: Readonly<Record<number, SubopRow>> = {
	[CALLBACKOP_register]: { name: 'CALLBACKOP_register', status: 'implemented', handler: callbackRegister },
	[CALLBACKOP_unregister]: { name: 'CALLBACKOP_unregister', status: 'implemented', handler: callbackUnregister },
}

const nmiSubops: Readonly<Record<number, SubopRow>> = {
	[XENNMI_register_callback]: { name: 'XENNMI_register_callback', status: 'implemented', handler: nmiRegister },
	[XENNMI_unregister_callback]: {
		name: 'XENNMI_unregister_callback',
		status: 'implemented',
		handler: (vcpu) => {
			vcpu.traps.clearGate(TRAP_nmi)
			return 0
		},
	},
}

const row = (number: number, name: string, source: string, handler: HypercallRow['handler']): HypercallRow => ({
	number,
	name,
	source,
	status: 'implemented',
	...(handler && { handler }),
})

export const trapHypercalls: readonly HypercallRow[] = [
	row(__HYPERVISOR_set_trap_table, 'set_trap_table', 'arch-x86/xen.h: HYPERVISOR_set_trap_table', setTrapTable),
	row(__HYPERVISOR_stack_switch, 'stack_switch', 'arch-x86/xen.h: HYPERVISOR_stack_switch', stackSwitch),
	row(__HYPERVISOR_set_callbacks, 'set_callbacks', 'xen.h: __HYPERVISOR_set_callbacks', setCallbacks),
	row(__HYPERVISOR_fpu_taskswitch, 'fpu_taskswitch', 'arch-x86/xen.h: HYPERVISOR_fpu_taskswitch', fpuTaskswitch),
	row(__HYPERVISOR_set_segment_base, 'set_segment_base', 'arch-x86/xen-x86_64.h: HYPERVISOR_set_segment_base', setSegmentBase),
	{
		...row(__HYPERVISOR_callback_op, 'callback_op', 'callback.h: HYPERVISOR_callback_op', (vcpu, args) =>
			dispatchSubop(vcpu, callbackSubops, argU32(args, 0), args),
		),
		subops: callbackSubops,
	},
	{
		...row(__HYPERVISOR_nmi_op, 'nmi_op', 'nmi.h: HYPERVISOR_nmi_op', (vcpu, args) =>
			dispatchSubop(vcpu, nmiSubops, argU32(args, 0), args),
		),
		subops: nmiSubops,
	},
]
