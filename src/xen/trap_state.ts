import { SWITCH_KERNEL_SP, SWITCH_STACK_SELECTOR, SWITCH_SYSCALL_ENTRY, SWITCH_SYSCALL_MASKS } from '../x86/core/layout.ts'
import type { Cpu, Gva } from '../x86/cpu.ts'
import { HOLD_NMI, holdSwitches, isHeld, setSwitchGate } from './ring_switch.ts'

/** TI_GET_DPL, TI_GET_IF of struct trap_info.flags. */
const TI_DPL_MASK = 3
const TI_IF = 4

/** One entry of the virtual IDT. `address` 0: no handler. */
export interface TrapGate {
	readonly address: Gva
	readonly cs: number
	readonly dpl: number
	/** Events are masked while the handler starts. */
	readonly masksEvents: boolean
}

/** A callback into the guest's kernel; `address` 0: none. */
export interface Callback {
	readonly address: Gva
	readonly masksEvents: boolean
}

/** Vectors of exceptions are below this. */
const EXCEPTIONS = 32
const NO_GATE: TrapGate = { address: 0, cs: 0, dpl: 0, masksEvents: false }
const NO_CALLBACK: Callback = { address: 0, masksEvents: false }

/** Exceptions that are always ours to deliver: NMI, #UD (may be Xen's CPUID prefix), #NM (clears CR0.TS). */
const OURS: ReadonlySet<number> = new Set([2, 6, 7])

/**
 * Where a vCPU's guest kernel wants its traps and callbacks, and its kernel stack. What the processor needs to switch by itself is told it, or kept with it
 * (ring_switch.ts). Used by the vCPU's own thread only.
 */
export class TrapState {
	private readonly cpu: Cpu
	readonly gates: TrapGate[] = new Array(256).fill(NO_GATE)
	event: Callback = NO_CALLBACK
	failsafe: Callback = NO_CALLBACK
	syscall32: Callback = NO_CALLBACK
	sysenter: Callback = NO_CALLBACK
	/** EFLAGS.IOPL as the guest set it through PHYSDEVOP_set_iopl, in place (bits 12, 13). */
	iopl = 0
	/** PHYSDEVOP_set_iobitmap: linear address of the bitmap in the kernel's address space, and the ports that it covers. */
	ioBitmap: Gva = 0
	ioBitmapPorts = 0

	constructor(cpu: Cpu) {
		this.cpu = cpu
	}

	get syscall(): Callback {
		return { address: this.cpu.wide(SWITCH_SYSCALL_ENTRY), masksEvents: this.cpu.field(SWITCH_SYSCALL_MASKS) !== 0 }
	}
	set syscall({ address, masksEvents }: Callback) {
		this.cpu.setWide(SWITCH_SYSCALL_ENTRY, address)
		this.cpu.setField(SWITCH_SYSCALL_MASKS, masksEvents ? 1 : 0)
	}

	/** Virtual TSS: stack used when user mode is left. Any 64-bit value; the bounce checks it. */
	get kernelSp(): number {
		return this.cpu.wide(SWITCH_KERNEL_SP)
	}
	set kernelSp(value: number) {
		this.cpu.setWide(SWITCH_KERNEL_SP, value)
	}
	get kernelSs(): number {
		return this.cpu.field(SWITCH_STACK_SELECTOR)
	}
	set kernelSs(selector: number) {
		this.cpu.setField(SWITCH_STACK_SELECTOR, selector)
	}

	/** An NMI is being handled: no other until the next iret. */
	get nmiMasked(): boolean {
		return isHeld(this.cpu, HOLD_NMI)
	}
	set nmiMasked(masked: boolean) {
		if (masked !== this.nmiMasked) holdSwitches(this.cpu.machine, this.cpu.index, HOLD_NMI, masked)
	}

	setGate(vector: number, flags: number, cs: number, address: Gva): void {
		const masksEvents = (flags & TI_IF) !== 0
		this.gates[vector] = { address, cs, dpl: flags & TI_DPL_MASK, masksEvents }
		if (vector < EXCEPTIONS && !OURS.has(vector)) setSwitchGate(this.cpu, vector, address, masksEvents)
	}
	clearGates(): void {
		for (let vector = 0; vector < this.gates.length; vector++) this.clearGate(vector)
	}
	clearGate(vector: number): void {
		this.gates[vector] = NO_GATE
		if (vector < EXCEPTIONS) setSwitchGate(this.cpu, vector, 0, false)
	}
}
