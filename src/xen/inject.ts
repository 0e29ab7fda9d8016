import { vcpu_info } from '../abi/xen.ts'
import { CPU_CR2 } from '../x86/core/layout.ts'
import { bounce } from './bounce.ts'
import type { VcpuContext } from './vcpu.ts'

export const TRAP_divide_error = 0
export const TRAP_debug = 1
export const TRAP_nmi = 2
export const TRAP_int3 = 3
export const TRAP_overflow = 4
export const TRAP_invalid_op = 6
export const TRAP_no_device = 7
export const TRAP_stack_error = 12
export const TRAP_gp_fault = 13
export const TRAP_page_fault = 14

/** Vectors that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP. */
const HAS_ERROR_CODE = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17) | (1 << 21)
const PFEC_user_mode = 4
const NAMES =
	'divide error,debug,nmi,int3,overflow,bounds,invalid opcode,device not available,double fault,coprocessor segment,invalid tss,segment not present,stack error,general protection fault,page fault,spurious interrupt,coprocessor error,alignment check,machine check,simd error'.split(
		',',
	)

/** Delivers exception `vector` through the guest's trap table. RIP is the one to push. CPU_CR2 is set for a page fault. */
export function injectException(vcpu: VcpuContext, vector: number, errorCode = 0): void {
	const { cpu } = vcpu
	const hasErrorCode = vector < 32 && (HAS_ERROR_CODE & (1 << vector)) !== 0
	let error = errorCode
	if (vector === TRAP_page_fault) {
		setGuestCr2(vcpu, cpu.field(CPU_CR2), cpu.field(CPU_CR2 + 4))
		// Both modes run in ring 3: the guest is told which of its own modes faulted.
		error = vcpu.kernelMode ? error & ~PFEC_user_mode : error | PFEC_user_mode
	}
	const gate = vcpu.traps.gates[vector] as (typeof vcpu.traps.gates)[number]
	if (gate.address === 0) {
		vcpu.log('error', `Unhandled: vec ${vector}, ${NAMES[vector] ?? '???'}[${error.toString(16).padStart(4, '0')}]`)
	}
	bounce(vcpu, gate, hasErrorCode ? error : undefined)
}

/** vcpu_info.arch.cr2, where a PV guest reads CR2. */
export function setGuestCr2(vcpu: VcpuContext, lo: number, hi: number): void {
	const words = vcpu.domain.machine.u32
	const at = (vcpu.vcpuInfo + vcpu_info.at.arch) >>> 2
	words[at] = lo
	words[at + 1] = hi
}

/** #GP(errorCode) at the current RIP. */
export function injectGp(vcpu: VcpuContext, errorCode = 0): void {
	injectException(vcpu, TRAP_gp_fault, errorCode)
}

/** Delivers what is pending before guest code runs on: an NMI, then the event upcall. */
export function deliverPending(vcpu: VcpuContext): void {
	if (vcpu.takeNmi()) {
		const gate = vcpu.traps.gates[TRAP_nmi] as (typeof vcpu.traps.gates)[number]
		if (gate.address !== 0) {
			bounce(vcpu, gate)
			vcpu.traps.nmiMasked = true
		}
	}
	if (eventsDeliverable(vcpu)) bounce(vcpu, { address: vcpu.traps.event.address, masksEvents: true })
}

/** Whether an event upcall is pending and not masked. */
export function eventsDeliverable(vcpu: VcpuContext): boolean {
	const bytes = vcpu.domain.machine.u8
	return (
		bytes[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] === 0 &&
		Atomics.load(bytes, vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_pending) !== 0
	)
}
