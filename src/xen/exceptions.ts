import { FLAT_RING3_CS32, FLAT_RING3_CS64, FLAT_RING3_SS64 } from '../abi/xen.ts'
import {
	CPU_CODE64,
	CPU_CR0,
	CPU_EXC_ERROR,
	CPU_EXC_VECTOR,
	CPU_INSN_LENGTH,
	CPU_RFLAGS,
	CPU_RIP,
	CPU_SELECTORS,
} from '../x86/core/layout.ts'
import { R11, RCX } from '../x86/cpu.ts'
import { bounce, EFLAGS_DF, setFlatCode, setFlatStack } from './bounce.ts'
import { enterHypercall } from './hypercall.ts'
import { injectException, injectGp, TRAP_int3, TRAP_invalid_op, TRAP_no_device, TRAP_overflow } from './inject.ts'
import { CS } from './segments.ts'
import type { VcpuContext } from './vcpu.ts'

const LEGACY_SYSCALL_VECTOR = 0x80
const CR0_TS = 8
/** Error code of #GP for a refused INT n: vector << 3 with the IDT bit. */
const X86_XEC_IDT = 2

/** EXIT_EXCEPTION. #UD goes to emulate_privileged.ts first, for Xen's CPUID prefix. */
export function handleException(vcpu: VcpuContext): void {
	const { cpu } = vcpu
	const vector = cpu.field(CPU_EXC_VECTOR)
	injectException(vcpu, vector, cpu.field(CPU_EXC_ERROR))
	// Xen's do_device_not_available(): the guest need not clear TS itself.
	if (vector === TRAP_no_device) cpu.setField(CPU_CR0, cpu.field(CPU_CR0) & ~CR0_TS)
}

/** INT n (EXIT_SOFTINT): RIP is past the instruction. */
export function handleSoftwareInterrupt(vcpu: VcpuContext): void {
	const { cpu } = vcpu
	const vector = cpu.field(CPU_EXC_VECTOR)
	const gate = vcpu.traps.gates[vector] as (typeof vcpu.traps.gates)[number]
	// Gates 3 and 4 are open to everyone, as is 0x80 when it has a handler; the guest's DPL decides for the others.
	if (vector === TRAP_int3 || vector === TRAP_overflow) return injectException(vcpu, vector)
	const permitted = (vector === LEGACY_SYSCALL_VECTOR && gate.address !== 0) || gate.dpl >= (vcpu.kernelMode ? 1 : 3)
	if (permitted) {
		if (gate.address === 0) vcpu.log('error', `Unhandled: vec ${vector}, ???[0000]`)
		return bounce(vcpu, gate)
	}
	cpu.rip -= cpu.field(CPU_INSN_LENGTH)
	injectGp(vcpu, (vector << 3) | X86_XEC_IDT)
}

/** SYSCALL (EXIT_SYSCALL): a hypercall from the guest's kernel, a system call from its user space. RIP is past it. */
export function handleSyscall(vcpu: VcpuContext): void {
	const { cpu } = vcpu
	const code64 = cpu.field(CPU_CODE64) !== 0
	if (code64 && vcpu.kernelMode) return enterHypercall(vcpu)

	const { traps } = vcpu
	const target = code64 ? traps.syscall : traps.syscall32
	if (target.address === 0) {
		cpu.rip -= 2
		return injectException(vcpu, TRAP_invalid_op)
	}
	cpu.setHalves(RCX, cpu.field(CPU_RIP), cpu.field(CPU_RIP + 4))
	cpu.setHalves(R11, cpu.field(CPU_RFLAGS), 0)
	// The instruction saves no selectors: Xen pushes the flat ones of the entry point that was taken.
	if (code64) setFlatCode(vcpu, FLAT_RING3_CS64)
	else cpu.machine.u16[(cpu.state + CPU_SELECTORS + CS * 2) >>> 1] = FLAT_RING3_CS32
	setFlatStack(vcpu, FLAT_RING3_SS64)
	// Xen takes VGCF_syscall_disables_events for both entry points.
	bounce(vcpu, { address: target.address, masksEvents: traps.syscall.masksEvents })
	cpu.setField(CPU_RFLAGS, (cpu.rflags & ~EFLAGS_DF) >>> 0)
}
