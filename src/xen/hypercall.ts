import { CPU_RFLAGS, CPU_RIP } from '../x86/core/layout.ts'
import { R8, R9, R10, R11, RAX, RCX, RDI, RDX, RSI } from '../x86/cpu.ts'
import type { HypercallArgs } from './hypercall_args.ts'
import { HYPERCALL_NO_RESULT, HYPERCALL_PREEMPTED } from './hypercall_row.ts'
import { dispatch } from './hypercall_table.ts'
import type { VcpuContext } from './vcpu.ts'

const ARGUMENT_REGISTERS = [RDI, RSI, RDX, R10, R8, R9] as const
/** Bytes of the SYSCALL instruction. */
const SYSCALL_LENGTH = 2

/** SYSCALL from the guest's kernel: the number in EAX, arguments in RDI, RSI, RDX, R10, R8, R9. RIP is past the instruction. */
export function enterHypercall(vcpu: VcpuContext): void {
	const { cpu } = vcpu
	// What the instruction itself leaves behind.
	cpu.setHalves(RCX, cpu.field(CPU_RIP), cpu.field(CPU_RIP + 4))
	cpu.setHalves(R11, cpu.field(CPU_RFLAGS), 0)

	// RAX is an unsigned long: a value above 32 bits is no hypercall.
	const number = cpu.hi(RAX) === 0 ? cpu.lo(RAX) : -1
	const args = vcpu.hypercallArgs
	for (let n = 0; n < 6; n++) {
		const register = ARGUMENT_REGISTERS[n] as number
		args[n * 2] = cpu.lo(register)
		args[n * 2 + 1] = cpu.hi(register)
	}
	const result = dispatch(vcpu, number, args)
	if (result === HYPERCALL_NO_RESULT) return
	if (result === HYPERCALL_PREEMPTED) return restart(vcpu, number, args)
	cpu.set(RAX, result)
}

/** Has the guest execute the same SYSCALL again with what is left to do. */
function restart(vcpu: VcpuContext, number: number, args: HypercallArgs): void {
	const { cpu } = vcpu
	cpu.setHalves(RAX, number, 0)
	for (let n = 0; n < 6; n++) cpu.setHalves(ARGUMENT_REGISTERS[n] as number, args[n * 2] as number, args[n * 2 + 1] as number)
	cpu.rip -= SYSCALL_LENGTH
}
