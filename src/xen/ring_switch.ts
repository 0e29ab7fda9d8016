/**
 * What the processor is told so that it can enter and leave the guest's kernel without us (x86/core/ring_switch.ts). bounce.ts and iret.ts are the complete way, to
 * which it falls back; both must leave the same state.
 *
 * Locking: SWITCH_HOLD is changed by atomic operations, as other vCPUs of the domain may set HOLD_IOPL. All else is the vCPU's own thread's.
 */
import {
	__HYPERVISOR_fpu_taskswitch,
	__HYPERVISOR_iret,
	__HYPERVISOR_set_segment_base,
	__HYPERVISOR_stack_switch,
	FLAT_KERNEL_CS,
	FLAT_KERNEL_SS,
	FLAT_RING3_CS32,
	FLAT_RING3_CS64,
	FLAT_RING3_SS64,
	HYPERVISOR_VIRT_END,
	HYPERVISOR_VIRT_START,
	vcpu_info,
} from '../abi/xen.ts'
import * as L from '../x86/core/layout.ts'
import type { Cpu, Gva } from '../x86/cpu.ts'
import type { MachineMemory } from '../x86/machine_memory.ts'
import type { Domain } from './domain.ts'
import { CB_HYPERCALL_COUNTS, controlWord } from './vcpu_shared.ts'

/** Every switch is ours: for tests of the one way against the other. */
export const HOLD_ALL = 1
/** An NMI is being handled: its iret opens NMIs again. */
export const HOLD_NMI = 2
/** Areas in guest memory wait for the kernel to be entered. */
export const HOLD_AREAS = 4
/** VMASST_TYPE_architectural_iopl: frames show IOPL. */
export const HOLD_IOPL = 8

const SERVICES: readonly (readonly [number: number, service: number])[] = [
	[__HYPERVISOR_iret, L.SERVICE_RETURN],
	[__HYPERVISOR_stack_switch, L.SERVICE_STACK_SWITCH],
	[__HYPERVISOR_set_segment_base, L.SERVICE_SEGMENT_BASE],
	[__HYPERVISOR_fpu_taskswitch, L.SERVICE_TASK_SWITCHED],
]

/** Of a new vCPU. */
export function initialiseRingSwitch(domain: Domain, cpu: Cpu): void {
	const { u8, u16 } = domain.machine
	const selectors = [
		[L.SWITCH_KERNEL_CS, FLAT_KERNEL_CS],
		[L.SWITCH_KERNEL_SS, FLAT_KERNEL_SS],
		[L.SWITCH_USER_CS, FLAT_RING3_CS64],
		[L.SWITCH_USER_SS, FLAT_RING3_SS64],
		[L.SWITCH_USER_CS32, FLAT_RING3_CS32],
	] as const
	for (const [offset, selector] of selectors) u16[(cpu.state + offset) >>> 1] = selector
	for (const [number, service] of SERVICES) u8[cpu.state + L.SWITCH_SERVICES + number] = service
	cpu.setWide(L.SWITCH_HOLE_START, HYPERVISOR_VIRT_START)
	cpu.setWide(L.SWITCH_HOLE_END, HYPERVISOR_VIRT_END)
	cpu.setField(L.SWITCH_COUNTS, controlWord(domain, CB_HYPERCALL_COUNTS) * 4)
}

/** `info`: host address of the vCPU's vcpu_info from now on. */
export function setSwitchVcpuInfo(cpu: Cpu, info: number): void {
	cpu.setField(L.SWITCH_EVENT_MASK, info + vcpu_info.at.evtchn_upcall_mask)
	cpu.setField(L.SWITCH_EVENT_PENDING, info + vcpu_info.at.evtchn_upcall_pending)
	cpu.setField(L.SWITCH_FAULT_ADDRESS, info + vcpu_info.at.arch)
}

/** The processor delivers exception `vector` (0..31) at `address`; 0: we do. */
export function setSwitchGate(cpu: Cpu, vector: number, address: Gva, masksEvents: boolean): void {
	cpu.setWide(L.SWITCH_GATES + vector * 8, address)
	const masks = cpu.field(L.SWITCH_GATE_MASKS)
	cpu.setField(L.SWITCH_GATE_MASKS, (masksEvents ? masks | (1 << vector) : masks & ~(1 << vector)) >>> 0)
}

/** Has every switch made by us, or no longer for this reason. */
export function holdSwitches(machine: MachineMemory, vcpu: number, reason: number, on: boolean): void {
	const word = (machine.vcpuState(vcpu) + L.SWITCH_HOLD) >>> 2
	if (on) Atomics.or(machine.u32, word, reason)
	else Atomics.and(machine.u32, word, ~reason)
}

export function isHeld(cpu: Cpu, reason: number): boolean {
	return (cpu.field(L.SWITCH_HOLD) & reason) !== 0
}
