import {
	__HYPERVISOR_iret,
	FLAT_RING3_CS32,
	FLAT_RING3_CS64,
	FLAT_RING3_SS64,
	iret_context,
	VGCF_in_syscall,
	VMASST_TYPE_architectural_iopl,
	vcpu_info,
} from '../abi/xen.ts'
import { CPU_RIP } from '../x86/core/layout.ts'
import { R11, RAX, RCX, RSP } from '../x86/cpu.ts'
import { EFLAGS_IF, EFLAGS_IOPL, EFLAGS_VM, hasUserTables, setFlatCode, setFlatStack, toggleGuestMode } from './bounce.ts'
import { readWords } from './guest_access.ts'
import { HYPERCALL_NO_RESULT, type HypercallRow } from './hypercall_row.ts'
import { injectException, TRAP_gp_fault, TRAP_stack_error } from './inject.ts'
import { SS } from './segments.ts'
import type { VcpuContext } from './vcpu.ts'
import { vmAssist } from './vm_assist.ts'

const at = iret_context.at
/** The frame being returned by: copied once, then looked at. One thread has one vCPU, and an iret is never inside another. */
const saved = new Uint32Array(iret_context.size / 4)
const lo = (offset: number) => saved[offset >> 2] as number
const hi = (offset: number) => saved[(offset >> 2) + 1] as number

/**
 * Returns from the guest's kernel by the frame at RSP (struct iret_context): to user mode when its CS has RPL 3, else within
 * the kernel. A frame that cannot be read crashes the domain; a selector that cannot be loaded raises #GP or #SS at the target.
 */
function iret(vcpu: VcpuContext): number {
	const { cpu } = vcpu
	if (!readWords(cpu, cpu.get(RSP), saved)) vcpu.crash('Fault while reading IRET context from guest stack')

	if ((lo(at.cs) & 3) === 3) {
		if (!hasUserTables(vcpu)) vcpu.crash('Guest switching to user mode with no user page tables')
		toggleGuestMode(vcpu)
	}
	const rflags = lo(at.rflags)
	if (vmAssist(vcpu.domain, VMASST_TYPE_architectural_iopl)) vcpu.traps.iopl = rflags & EFLAGS_IOPL
	cpu.setField(CPU_RIP, lo(at.rip))
	cpu.setField(CPU_RIP + 4, hi(at.rip))
	cpu.rflags = ((rflags & RFLAGS_WRITABLE) | EFLAGS_IF | RFLAGS_FIXED) >>> 0
	cpu.setHalves(RSP, lo(at.rsp), hi(at.rsp))
	cpu.setHalves(RAX, lo(at.rax), hi(at.rax))
	vcpu.domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = rflags & EFLAGS_IF ? 0 : 1
	vcpu.traps.nmiMasked = false

	const cs = (lo(at.cs) & 0xffff) | 3
	if (lo(at.flags) & VGCF_in_syscall) return sysret(vcpu, cs)
	cpu.setHalves(R11, lo(at.r11), hi(at.r11))
	cpu.setHalves(RCX, lo(at.rcx), hi(at.rcx))
	loadSelectors(vcpu, cs, (lo(at.ss) & 0xffff) | 3)
	return HYPERCALL_NO_RESULT
}

/** Bits of RFLAGS that an iret can change: all defined ones but VM, IOPL, and IF, which is always set. */
const RFLAGS_WRITABLE = 0x0027_4dd5 & ~(EFLAGS_IF | EFLAGS_VM | EFLAGS_IOPL)
const RFLAGS_FIXED = 2

/** The SYSRET path: RCX and R11 are lost to RIP and RFLAGS, CS and SS are the flat ones. */
function sysret(vcpu: VcpuContext, cs: number): number {
	const { cpu } = vcpu
	cpu.setHalves(RCX, cpu.field(CPU_RIP), cpu.field(CPU_RIP + 4))
	cpu.setHalves(R11, cpu.rflags, 0)
	if (cs === FLAT_RING3_CS32) loadSelectors(vcpu, FLAT_RING3_CS32, FLAT_RING3_SS64)
	else {
		setFlatCode(vcpu, FLAT_RING3_CS64)
		setFlatStack(vcpu, FLAT_RING3_SS64)
	}
	return HYPERCALL_NO_RESULT
}

function loadSelectors(vcpu: VcpuContext, cs: number, ss: number): void {
	const { cpu } = vcpu
	if (cs === FLAT_RING3_CS64) setFlatCode(vcpu, cs)
	else if (!cpu.loadCodeSegment(cs)) return injectException(vcpu, TRAP_gp_fault, cs & ~3)
	if (ss === FLAT_RING3_SS64) setFlatStack(vcpu, ss)
	else if (!cpu.loadSegment(SS, ss)) injectException(vcpu, ss > 3 ? TRAP_stack_error : TRAP_gp_fault, ss & ~3)
}

export const iretHypercall: HypercallRow = {
	number: __HYPERVISOR_iret,
	name: 'iret',
	source: 'arch-x86/xen-x86_64.h: HYPERVISOR_iret, struct iret_context',
	status: 'implemented',
	handler: iret,
}
