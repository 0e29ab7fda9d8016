/**
 * Privileged instructions of the guest's kernel, which runs in ring 3: emulated as Xen does, or refused with #GP(0). Its user
 * space may use only CPUID and the ports its kernel has opened.
 */

import { XEN_ENODEV } from '../abi/errno.ts'
import { vcpu_info } from '../abi/xen.ts'
import {
	CPU_CR0,
	CPU_CR2,
	CPU_CR3_KERNEL,
	CPU_CR4,
	CPU_INSN_LENGTH,
	CPU_PRIV_OP,
	CPU_PRIV_PORT,
	CPU_PRIV_REG,
	CPU_PRIV_SIZE,
	PRIV_CLI,
	PRIV_CLTS,
	PRIV_IN,
	PRIV_INS,
	PRIV_OUT,
	PRIV_OUTS,
	PRIV_RDMSR,
	PRIV_READ_CR,
	PRIV_READ_DR,
	PRIV_STI,
	PRIV_WBINVD,
	PRIV_WRITE_CR,
	PRIV_WRITE_DR,
	PRIV_WRMSR,
	PRIV_XGETBV,
	PRIV_XSETBV,
} from '../x86/core/layout.ts'
import { RAX, RBX, RCX, RDX } from '../x86/cpu.ts'
import { EFLAGS_RF, EFLAGS_TF } from './bounce.ts'
import { cpuid } from './cpuid.ts'
import { readDebugRegister, writeDebugRegister } from './debug_registers.ts'
import { copyFromGuest } from './guest_access.ts'
import { injectException, injectGp, setGuestCr2, TRAP_debug, TRAP_invalid_op, TRAP_page_fault } from './inject.ts'
import { ioplAllows, portsAllowed, readPort, stringIo, writePort } from './io_ports.ts'
import { readMsr, writeMsr } from './msr.ts'
import { setTaskSwitched } from './traps.ts'
import type { VcpuContext } from './vcpu.ts'

const CR0_TS = 8
/** PG AM WP NE ET MP PE: what Xen runs with; a guest can change TS only. */
export const GUEST_CR0 = 0x8005_0033
/** PAE MCE OSFXSR OSXMMEXCPT: what a guest sees of Xen's. */
export const GUEST_CR4 = 0x660
/** DE, TSD: what a guest sets itself. */
export const CR4_GUEST_MASK = 0xc
const DR6 = 6
const DR6_SINGLE_STEP = 0x4000
const PFEC_PROT_NONE = 0
const PFEC_WRITE = 2

/** ud2; .ascii "xen"; cpuid. */
const FORCED_CPUID = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2] as const

/** EXIT_CPUID: RIP is the instruction. */
export function handleCpuid(vcpu: VcpuContext): void {
	answerCpuid(vcpu)
	retire(vcpu, vcpu.cpu.field(CPU_INSN_LENGTH))
}

/** #UD at RIP: Xen's prefixed CPUID is answered, anything else is the guest's. */
export function handleInvalidOpcode(vcpu: VcpuContext): void {
	const bytes = copyFromGuest(vcpu.cpu, vcpu.cpu.rip, FORCED_CPUID.length)
	if (!bytes || !FORCED_CPUID.every((byte, n) => bytes[n] === byte)) return injectException(vcpu, TRAP_invalid_op)
	answerCpuid(vcpu)
	retire(vcpu, FORCED_CPUID.length)
}

function answerCpuid(vcpu: VcpuContext): void {
	const { cpu } = vcpu
	const [eax, ebx, ecx, edx] = cpuid(cpu.lo(RAX), cpu.lo(RCX))
	cpu.setHalves(RAX, eax, 0)
	cpu.setHalves(RBX, ebx, 0)
	cpu.setHalves(RCX, ecx, 0)
	cpu.setHalves(RDX, edx, 0)
}

/** EXIT_PRIVILEGED: RIP is the instruction. */
export function handlePrivileged(vcpu: VcpuContext): void {
	const length = vcpu.cpu.field(CPU_INSN_LENGTH)
	switch (emulate(vcpu, vcpu.cpu.field(CPU_PRIV_OP))) {
		case DONE:
			return retire(vcpu, length)
		case REFUSED:
			return injectGp(vcpu)
		case UNDEFINED:
			return injectException(vcpu, TRAP_invalid_op)
	}
}

/** What became of an instruction; HANDLED: RIP and exceptions have been seen to. */
const DONE = 0
const REFUSED = 1
const UNDEFINED = 2
const HANDLED = 3

function emulate(vcpu: VcpuContext, operation: number): number {
	switch (operation) {
		case PRIV_IN:
		case PRIV_OUT:
			return portIo(vcpu, operation === PRIV_IN)
		case PRIV_INS:
		case PRIV_OUTS:
			return repeatedIo(vcpu, operation === PRIV_INS)
		case PRIV_CLI:
		case PRIV_STI:
			// Allowed by IOPL, but without effect: the upcall mask is the guest's to change.
			return ioplAllows(vcpu) ? DONE : REFUSED
		case PRIV_XGETBV:
		case PRIV_XSETBV:
			// CR4.OSXSAVE cannot be set.
			return UNDEFINED
	}
	if (!vcpu.kernelMode) return REFUSED
	switch (operation) {
		case PRIV_RDMSR:
			return rdmsr(vcpu)
		case PRIV_WRMSR:
			return writeMsr(vcpu, vcpu.cpu.lo(RCX), vcpu.cpu.lo(RAX), vcpu.cpu.lo(RDX)) ? DONE : REFUSED
		case PRIV_READ_CR:
			return readControlRegister(vcpu)
		case PRIV_WRITE_CR:
			return writeControlRegister(vcpu)
		case PRIV_READ_DR:
			return readDebug(vcpu)
		case PRIV_WRITE_DR:
			return writeDebug(vcpu)
		case PRIV_CLTS:
			setTaskSwitched(vcpu, false)
			return DONE
		case PRIV_WBINVD:
			return DONE
		default:
			return REFUSED
	}
}

/** Steps over an emulated instruction; a single-stepping guest gets its #DB. */
function retire(vcpu: VcpuContext, length: number): void {
	const { cpu } = vcpu
	cpu.rip += length
	const flags = cpu.rflags
	cpu.rflags = (flags & ~EFLAGS_RF) >>> 0
	if ((flags & EFLAGS_TF) === 0) return
	writeDebugRegister(vcpu, DR6, ((readDebugRegister(vcpu, DR6) ?? 0) | DR6_SINGLE_STEP) >>> 0, 0)
	injectException(vcpu, TRAP_debug)
}

function portNumber(vcpu: VcpuContext): number {
	const port = vcpu.cpu.field(CPU_PRIV_PORT)
	return port === 0xffff_ffff ? vcpu.cpu.lo(RDX) & 0xffff : port
}

function portIo(vcpu: VcpuContext, input: boolean): number {
	const { cpu } = vcpu
	const port = portNumber(vcpu)
	const size = cpu.field(CPU_PRIV_SIZE)
	if (!portsAllowed(vcpu, port, size)) return REFUSED
	if (!input) writePort(vcpu, port, size, cpu.lo(RAX))
	else {
		const value = readPort(port, size)
		if (size === 4) cpu.setHalves(RAX, value, 0)
		else cpu.setHalves(RAX, ((cpu.lo(RAX) & ~((1 << (size * 8)) - 1)) | value) >>> 0, cpu.hi(RAX))
	}
	return DONE
}

function repeatedIo(vcpu: VcpuContext, input: boolean): number {
	const { cpu } = vcpu
	const size = cpu.field(CPU_PRIV_SIZE)
	const port = cpu.lo(RDX) & 0xffff
	if (!portsAllowed(vcpu, port, size)) return REFUSED
	const code = copyFromGuest(cpu, cpu.rip, cpu.field(CPU_INSN_LENGTH)) ?? new Uint8Array(0)
	const result = stringIo(vcpu, input, port, size, code.includes(0xf3) || code.includes(0xf2))
	if ('done' in result) return result.done ? DONE : HANDLED
	cpu.setWide(CPU_CR2, result.fault)
	injectException(vcpu, TRAP_page_fault, result.write ? PFEC_WRITE : PFEC_PROT_NONE)
	return HANDLED
}

function rdmsr(vcpu: VcpuContext): number {
	const value = readMsr(vcpu, vcpu.cpu.lo(RCX))
	if (!value) return REFUSED
	vcpu.cpu.setHalves(RAX, value[0], 0)
	vcpu.cpu.setHalves(RDX, value[1], 0)
	return DONE
}

/** Number of the control or debug register, and the general register, of a MOV. */
function movOperands(vcpu: VcpuContext): { number: number; register: number } {
	const operands = vcpu.cpu.field(CPU_PRIV_REG)
	return { number: (operands >>> 8) & 15, register: operands & 15 }
}

function readControlRegister(vcpu: VcpuContext): number {
	const { cpu } = vcpu
	const { number, register } = movOperands(vcpu)
	const cr2 = (vcpu.vcpuInfo + vcpu_info.at.arch) >>> 2
	switch (number) {
		case 0:
			cpu.setHalves(register, (GUEST_CR0 | (cpu.field(CPU_CR0) & CR0_TS)) >>> 0, 0)
			return DONE
		case 2:
			cpu.setHalves(register, cpu.machine.u32[cr2] as number, cpu.machine.u32[cr2 + 1] as number)
			return DONE
		case 3: {
			const mfn = cpu.field(CPU_CR3_KERNEL)
			cpu.setHalves(register, mfn << 12, mfn >>> 20)
			return DONE
		}
		case 4:
			cpu.setHalves(register, cpu.field(CPU_CR4), 0)
			return DONE
		default:
			return REFUSED
	}
}

function writeControlRegister(vcpu: VcpuContext): number {
	const { cpu } = vcpu
	const { number, register } = movOperands(vcpu)
	const lo = cpu.lo(register)
	const hi = cpu.hi(register)
	switch (number) {
		case 0:
			if (hi !== 0 || ((lo ^ GUEST_CR0) & ~CR0_TS) !== 0) {
				vcpu.log('warning', 'Attempt to change unmodifiable CR0 flags')
				return REFUSED
			}
			setTaskSwitched(vcpu, (lo & CR0_TS) !== 0)
			return DONE
		case 2:
			setGuestCr2(vcpu, lo, hi)
			return DONE
		case 3:
			return vcpu.mm.newKernelRoot(vcpu.mm.types.frame(((hi << 20) | (lo >>> 12)) >>> 0, hi >>> 12)) === 0 ? DONE : REFUSED
		case 4:
			cpu.setField(CPU_CR4, GUEST_CR4 | (lo & CR4_GUEST_MASK))
			return DONE
		default:
			return REFUSED
	}
}

function readDebug(vcpu: VcpuContext): number {
	const { number, register } = movOperands(vcpu)
	const value = readDebugRegister(vcpu, number)
	if (value === undefined) return UNDEFINED
	vcpu.cpu.set(register, value)
	return DONE
}

function writeDebug(vcpu: VcpuContext): number {
	const { number, register } = movOperands(vcpu)
	const result = writeDebugRegister(vcpu, number, vcpu.cpu.lo(register), vcpu.cpu.hi(register))
	return result === 0 ? DONE : result === -XEN_ENODEV ? UNDEFINED : REFUSED
}
