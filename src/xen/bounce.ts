/**
 * Entering the guest's kernel: exceptions, events, NMIs and system calls all push the same frame on the kernel's stack
 *
 *   rcx, r11, (error code), rip, cs | saved_upcall_mask << 32, rflags, rsp, ss        (lowest address first)
 *
 * and continue at the handler with flat selectors. Whoever bounces has the guest's registers, RIP included, as the frame is to
 * show them. RFLAGS.IF is always set in the processor: the guest's interrupt flag is vcpu_info.evtchn_upcall_mask.
 */
import {
	FLAT_KERNEL_CS,
	FLAT_KERNEL_SS,
	HYPERVISOR_VIRT_END,
	HYPERVISOR_VIRT_START,
	VMASST_TYPE_architectural_iopl,
	vcpu_info,
} from '../abi/xen.ts'
import {
	CPU_CODE64,
	CPU_CR3_USER,
	CPU_KERNEL_GS_BASE,
	CPU_RFLAGS,
	CPU_RIP,
	CPU_SELECTORS,
	SLOT_CS_BASE,
	SLOT_GS_BASE,
	SLOT_SS_BASE,
} from '../x86/core/layout.ts'
import { type Gva, R11, RCX, RSP } from '../x86/cpu.ts'
import { isCanonical, writeWords } from './guest_access.ts'
import { CS, SS } from './segments.ts'
import type { Callback } from './trap_state.ts'
import type { VcpuContext } from './vcpu.ts'
import { vmAssist } from './vm_assist.ts'

export const EFLAGS_TF = 1 << 8
export const EFLAGS_IF = 1 << 9
export const EFLAGS_DF = 1 << 10
export const EFLAGS_IOPL = 3 << 12
export const EFLAGS_NT = 1 << 14
export const EFLAGS_RF = 1 << 16
export const EFLAGS_VM = 1 << 17
export const EFLAGS_AC = 1 << 18
const CLEARED_ON_ENTRY = EFLAGS_AC | EFLAGS_VM | EFLAGS_RF | EFLAGS_NT | EFLAGS_TF

/** Words of the largest frame: eight quadwords. */
const frame = new Uint32Array(16)

/** Enters the guest's kernel at `target`; `errorCode` is pushed when given. Crashes the domain when it cannot. */
export function bounce(vcpu: VcpuContext, target: Callback, errorCode?: number): void {
	const { cpu } = vcpu
	const fromKernel = vcpu.kernelMode
	const cs = fromKernel ? cpu.selector(CS) & ~3 : cpu.selector(CS)
	if (!fromKernel) toggleGuestMode(vcpu)
	const top = floor16(fromKernel ? cpu.get(RSP) : vcpu.traps.kernelSp)
	// As Xen checks it: the frame may not reach into the hypervisor's range, nor start just above it.
	if (!isCanonical(top - 1) || (top > HYPERVISOR_VIRT_START && top < HYPERVISOR_VIRT_END + 64)) {
		vcpu.crash(`create_bounce_frame: bad stack pointer ${hex(top)}`)
	}

	const info = vcpu.domain.machine.u8
	const maskAt = vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask
	const savedMask = info[maskAt] as number
	if (target.masksEvents) info[maskAt] = 1

	let n = 0
	const push = (lo: number, hi: number) => {
		frame[n++] = lo
		frame[n++] = hi
	}
	push(cpu.lo(RCX), cpu.hi(RCX))
	push(cpu.lo(R11), cpu.hi(R11))
	if (errorCode !== undefined) push(errorCode, 0)
	push(cpu.field(CPU_RIP), cpu.field(CPU_RIP + 4))
	push(cs, savedMask)
	push(guestRflags(vcpu, savedMask), 0)
	push(cpu.lo(RSP), cpu.hi(RSP))
	push(cpu.selector(SS), 0)
	const bytes = n * 4
	const sp = top - bytes
	if (!writeWords(cpu, sp, frame, n)) vcpu.crash(`domain_crash_sync called from create_bounce_frame: page fault at ${hex(sp)}`)
	if (target.address === 0) vcpu.crash('create_bounce_frame: no handler (bad bounce ip)')

	cpu.setField(CPU_RFLAGS, (cpu.rflags & ~CLEARED_ON_ENTRY) >>> 0)
	cpu.set(RSP, sp)
	cpu.rip = target.address
	setFlatCode(vcpu, FLAT_KERNEL_CS)
	setFlatStack(vcpu, FLAT_KERNEL_SS)
}

/** RFLAGS as the guest sees it: IF from its upcall mask, IOPL as it was set where the guest asked to be shown it. */
export function guestRflags(vcpu: VcpuContext, upcallMask: number): number {
	let flags = vcpu.cpu.rflags & ~(EFLAGS_IF | EFLAGS_IOPL)
	if (upcallMask === 0) flags |= EFLAGS_IF
	if (vmAssist(vcpu.domain, VMASST_TYPE_architectural_iopl)) flags |= vcpu.traps.iopl
	return flags >>> 0
}

/** Switches between the guest's kernel and user mode: page tables, TLB, and the GS base with the inactive one. */
export function toggleGuestMode(vcpu: VcpuContext): void {
	const { cpu } = vcpu
	const gs = cpu.state + SLOT_GS_BASE
	const other = cpu.state + CPU_KERNEL_GS_BASE
	const words = cpu.machine.u32
	for (let half = 0; half < 8; half += 4) {
		const word = words[(gs + half) >>> 2] as number
		words[(gs + half) >>> 2] = words[(other + half) >>> 2] as number
		words[(other + half) >>> 2] = word
	}
	cpu.setKernelMode(!vcpu.kernelMode)
	if (vcpu.kernelMode) vcpu.timers.onKernelEntry()
}

/** Whether the guest has given user page tables, without which it cannot go to user mode. */
export function hasUserTables(vcpu: VcpuContext): boolean {
	return vcpu.cpu.field(CPU_CR3_USER) !== 0
}

/** Loads CS with one of Xen's flat 64-bit code selectors, without reading the descriptor. */
export function setFlatCode(vcpu: VcpuContext, selector: number): void {
	const { cpu } = vcpu
	cpu.machine.u16[(cpu.state + CPU_SELECTORS + CS * 2) >>> 1] = selector
	cpu.setField(CPU_CODE64, 1)
	cpu.setWide(SLOT_CS_BASE, 0)
}

/** Loads SS with Xen's flat stack selector, without reading the descriptor. */
export function setFlatStack(vcpu: VcpuContext, selector: number): void {
	const { cpu } = vcpu
	cpu.machine.u16[(cpu.state + CPU_SELECTORS + SS * 2) >>> 1] = selector
	cpu.setWide(SLOT_SS_BASE, 0)
}

function floor16(address: Gva): Gva {
	return Math.floor(address / 16) * 16
}

/** An address as Xen prints it: 16 hexadecimal digits. */
export function hex(address: number): string {
	return BigInt.asUintN(64, BigInt(Number.isFinite(address) ? Math.trunc(address) : 0))
		.toString(16)
		.padStart(16, '0')
}
