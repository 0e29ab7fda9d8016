import type { Gva } from '../x86/cpu.ts'

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

const NO_GATE: TrapGate = { address: 0, cs: 0, dpl: 0, masksEvents: false }
const NO_CALLBACK: Callback = { address: 0, masksEvents: false }

/** Where a vCPU's guest kernel wants its traps and callbacks, and its kernel stack. Used by the vCPU's own thread only. */
export class TrapState {
	readonly gates: TrapGate[] = new Array(256).fill(NO_GATE)
	event: Callback = NO_CALLBACK
	failsafe: Callback = NO_CALLBACK
	syscall: Callback = NO_CALLBACK
	syscall32: Callback = NO_CALLBACK
	sysenter: Callback = NO_CALLBACK
	/** Virtual TSS: stack used when user mode is left. Any 64-bit value; the bounce checks it. */
	kernelSs = 0
	kernelSp = 0
	/** EFLAGS.IOPL as the guest set it through PHYSDEVOP_set_iopl, in place (bits 12, 13). */
	iopl = 0
	/** PHYSDEVOP_set_iobitmap: linear address of the bitmap in the kernel's address space, and the ports that it covers. */
	ioBitmap: Gva = 0
	ioBitmapPorts = 0
	/** An NMI is being handled: no other until the next iret. */
	nmiMasked = false

	setGate(vector: number, flags: number, cs: number, address: Gva): void {
		this.gates[vector] = { address, cs, dpl: flags & TI_DPL_MASK, masksEvents: (flags & TI_IF) !== 0 }
	}
	clearGates(): void {
		this.gates.fill(NO_GATE)
	}
	clearGate(vector: number): void {
		this.gates[vector] = NO_GATE
	}
}
