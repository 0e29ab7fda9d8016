import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FLAT_KERNEL_CS } from '../abi/xen.ts'
import * as L from '../x86/core/layout.ts'
import { RAX, RBX, RCX, RDX, RSP } from '../x86/cpu.ts'
import { cpuid } from './cpuid.ts'
import { GUEST_CR0, GUEST_CR4, handleCpuid, handleInvalidOpcode, handlePrivileged } from './emulate_privileged.ts'
import { TRAP_gp_fault, TRAP_invalid_op } from './inject.ts'
import { initialiseMemory } from './mm/memory.ts'
import { testDomain, testVcpu } from './testing.ts'
import type { VcpuContext } from './vcpu.ts'

const HANDLER = -0x7e00_0000
const RIP = 0x1000
const LENGTH = 2

function makeVcpu(): VcpuContext & { readonly lines: string[] } {
	const domain = testDomain()
	initialiseMemory(domain, domain.description.maxFrames)
	const vcpu = testVcpu(domain)
	vcpu.cpu.rip = RIP
	vcpu.cpu.rflags = 0x202
	vcpu.cpu.set(RSP, 0x8000)
	vcpu.traps.kernelSp = 0x8000
	vcpu.cpu.setField(L.CPU_CR0, GUEST_CR0)
	vcpu.cpu.setField(L.CPU_CR4, GUEST_CR4)
	vcpu.cpu.setField(L.CPU_INSN_LENGTH, LENGTH)
	vcpu.traps.setGate(TRAP_gp_fault, 0, FLAT_KERNEL_CS, HANDLER)
	vcpu.traps.setGate(TRAP_invalid_op, 0, FLAT_KERNEL_CS, HANDLER + 6)
	return vcpu
}

/** Runs one privileged instruction. 'done', or the handler's exception. */
function privileged(vcpu: VcpuContext, operation: number, fields: Readonly<Record<number, number>> = {}): 'done' | '#GP' | '#UD' {
	vcpu.cpu.rip = RIP
	vcpu.cpu.setField(L.CPU_PRIV_OP, operation)
	for (const [field, value] of Object.entries(fields)) vcpu.cpu.setField(Number(field), value)
	handlePrivileged(vcpu)
	if (vcpu.cpu.rip === RIP + LENGTH) return 'done'
	return vcpu.cpu.rip === HANDLER ? '#GP' : '#UD'
}

const control = (number: number, register: number) => ({ [L.CPU_PRIV_REG]: (number << 8) | register })

test('CPUID names the vendor, x86-64-v2 and the hypervisor', () => {
	const text = (words: readonly number[]) => Buffer.from(new Uint32Array(words).buffer).toString()
	const [, ebx, ecx, edx] = cpuid(0, 0)
	assert.equal(text([ebx, edx, ecx]), 'AuthenticAMD')
	const v2 = (1 << 0) | (1 << 9) | (1 << 13) | (1 << 19) | (1 << 20) | (1 << 23)
	assert.equal(cpuid(1, 0)[2] & v2, v2)
	assert.equal(cpuid(1, 0)[2] & (1 << 27), 0, 'no OSXSAVE')
	assert.equal(cpuid(0x8000_0001, 0)[2] & 1, 1, 'LAHF in long mode')
	assert.equal(text(cpuid(0x4000_0000, 0).slice(1)), 'XenVMMXenVMM')
	assert.equal(cpuid(0x4000_0001, 0)[0], (4 << 16) | 17)
	assert.deepEqual(cpuid(0x1234_5678, 0), [0, 0, 0, 0])
	assert.match(text([0x8000_0002, 0x8000_0003, 0x8000_0004].flatMap((leaf) => [...cpuid(leaf, 0)])), /^Xenotype x86-64-v2 virtual CPU\0+$/)
})

test('CPUID and its Xen-prefixed form answer alike and step over themselves', () => {
	const vcpu = makeVcpu()
	vcpu.cpu.set(RAX, 0x4000_0000)
	handleCpuid(vcpu)
	const plain = [vcpu.cpu.get(RAX), vcpu.cpu.lo(RBX), vcpu.cpu.lo(RCX), vcpu.cpu.lo(RDX)]
	assert.equal(vcpu.cpu.rip, RIP + LENGTH)
	vcpu.cpu.rip = RIP
	vcpu.cpu.set(RAX, 0x4000_0000)
	vcpu.domain.machine.u8.set([0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2], vcpu.domain.machine.frameBase + RIP)
	handleInvalidOpcode(vcpu)
	assert.deepEqual([vcpu.cpu.get(RAX), vcpu.cpu.lo(RBX), vcpu.cpu.lo(RCX), vcpu.cpu.lo(RDX)], plain)
	assert.equal(vcpu.cpu.rip, RIP + 7)
})

test("a plain ud2 is the guest's #UD", () => {
	const vcpu = makeVcpu()
	vcpu.domain.machine.u8.set([0x0f, 0x0b], vcpu.domain.machine.frameBase + RIP)
	handleInvalidOpcode(vcpu)
	assert.equal(vcpu.cpu.rip, HANDLER + 6)
})

test('ports answer all ones, but only as the IOPL allows; the 8254 answers 0', () => {
	const vcpu = makeVcpu()
	const input = (port: number, size: number) => privileged(vcpu, L.PRIV_IN, { [L.CPU_PRIV_PORT]: port, [L.CPU_PRIV_SIZE]: size })
	assert.equal(input(0x71, 1), '#GP')
	vcpu.traps.iopl = 1 << 12
	vcpu.cpu.setHalves(RAX, 0x1234_5600, 7)
	assert.equal(input(0x71, 1), 'done')
	assert.deepEqual([vcpu.cpu.lo(RAX), vcpu.cpu.hi(RAX)], [0x1234_56ff, 7])
	assert.equal(input(0x42, 1), 'done')
	assert.equal(vcpu.cpu.lo(RAX), 0x1234_5600)
	assert.equal(input(0xcf8, 4), 'done')
	assert.deepEqual([vcpu.cpu.lo(RAX), vcpu.cpu.hi(RAX)], [0xffff_ffff, 0])
	vcpu.cpu.setKernelMode(false)
	assert.equal(input(0x71, 1), '#GP')
})

test('user space may use a port that the kernel opened in its bitmap', () => {
	const vcpu = makeVcpu()
	vcpu.domain.machine.u8.fill(0xff, vcpu.domain.machine.frameBase + 0x3000, vcpu.domain.machine.frameBase + 0x3100)
	vcpu.domain.machine.u8[vcpu.domain.machine.frameBase + 0x3000 + 0x70 / 8] = 0xfd
	vcpu.traps.ioBitmap = 0x3000
	vcpu.traps.ioBitmapPorts = 0x400
	vcpu.cpu.setKernelMode(false)
	const input = (port: number, size: number) => privileged(vcpu, L.PRIV_IN, { [L.CPU_PRIV_PORT]: port, [L.CPU_PRIV_SIZE]: size })
	assert.equal(input(0x71, 1), 'done')
	assert.equal(input(0x71, 2), '#GP')
})

test('RDMSR shows EFER and the bases, WRMSR sets canonical bases and refuses LSTAR', () => {
	const vcpu = makeVcpu()
	const rdmsr = (msr: number) => {
		vcpu.cpu.setHalves(RCX, msr, 0)
		return privileged(vcpu, L.PRIV_RDMSR)
	}
	const wrmsr = (msr: number, lo: number, hi: number) => {
		vcpu.cpu.setHalves(RCX, msr, 0)
		vcpu.cpu.setHalves(RAX, lo, 0)
		vcpu.cpu.setHalves(RDX, hi, 0)
		return privileged(vcpu, L.PRIV_WRMSR)
	}
	assert.equal(rdmsr(0xc000_0080), 'done')
	assert.deepEqual([vcpu.cpu.get(RAX), vcpu.cpu.get(RDX)], [0xd01, 0])
	assert.equal(wrmsr(0xc000_0080, 0xd01, 0), 'done')
	assert.equal(wrmsr(0xc000_0080, 0x501, 0), '#GP')
	assert.equal(wrmsr(0xc000_0102, 0x1000, 0xffff_8880), 'done')
	assert.equal(rdmsr(0xc000_0102), 'done')
	assert.deepEqual([vcpu.cpu.lo(RAX), vcpu.cpu.lo(RDX)], [0x1000, 0xffff_8880])
	assert.equal(wrmsr(0xc000_0100, 0, 0x1234_0000), '#GP')
	assert.equal(wrmsr(0xc000_0082, 0, 0), '#GP')
	assert.equal(rdmsr(0x1234), '#GP')
	vcpu.cpu.setKernelMode(false)
	assert.equal(rdmsr(0xc000_0080), '#GP')
})

test('an unknown RDMSR reads 0 while the guest has no #GP handler', () => {
	const vcpu = makeVcpu()
	vcpu.traps.clearGate(TRAP_gp_fault)
	vcpu.cpu.setHalves(RCX, 0x1234, 0)
	assert.equal(privileged(vcpu, L.PRIV_RDMSR), 'done')
	assert.deepEqual(vcpu.lines, ['d1v0 faking RDMSR 0x00001234'])
})

test("WRMSR to Xen's MSR fills a hypercall page in a frame of the guest's, and no other", () => {
	const vcpu = makeVcpu()
	vcpu.cpu.setHalves(RCX, 0x4000_0000, 0)
	vcpu.cpu.setHalves(RDX, 0, 0)
	vcpu.cpu.setHalves(RAX, 0x5000, 0)
	assert.equal(privileged(vcpu, L.PRIV_WRMSR), 'done')
	const page = vcpu.domain.machine.framePage(5)
	assert.deepEqual(Array.from(page.subarray(32, 46)), [0x51, 0x41, 0x53, 0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3])
	vcpu.cpu.setHalves(RAX, 0x5001, 0)
	assert.equal(privileged(vcpu, L.PRIV_WRMSR), '#GP')
	vcpu.cpu.setHalves(RAX, 0xffff_f000, 0)
	assert.equal(privileged(vcpu, L.PRIV_WRMSR), '#GP')
})

test('of CR0 only TS can be changed; CR4 keeps what Xen shows and takes DE and TSD', () => {
	const vcpu = makeVcpu()
	vcpu.cpu.set(RAX, GUEST_CR0 | 8)
	vcpu.cpu.setHalves(RAX, vcpu.cpu.lo(RAX), 0)
	assert.equal(privileged(vcpu, L.PRIV_WRITE_CR, control(0, RAX)), 'done')
	assert.equal(vcpu.cpu.field(L.CPU_CR0) & 8, 8)
	assert.equal(privileged(vcpu, L.PRIV_CLTS), 'done')
	assert.equal(vcpu.cpu.field(L.CPU_CR0) & 8, 0)
	vcpu.cpu.set(RAX, 0)
	assert.equal(privileged(vcpu, L.PRIV_WRITE_CR, control(0, RAX)), '#GP')
	vcpu.cpu.set(RAX, 0x1_00ff)
	assert.equal(privileged(vcpu, L.PRIV_WRITE_CR, control(4, RAX)), 'done')
	assert.equal(privileged(vcpu, L.PRIV_READ_CR, control(4, RBX)), 'done')
	assert.equal(vcpu.cpu.get(RBX), GUEST_CR4 | 0xc)
	assert.equal(privileged(vcpu, L.PRIV_READ_CR, control(8, RBX)), '#GP')
})

test('CLI and STI do nothing where the IOPL allows them, HLT is #GP, XGETBV #UD', () => {
	const vcpu = makeVcpu()
	assert.equal(privileged(vcpu, L.PRIV_CLI), '#GP')
	vcpu.traps.iopl = 1 << 12
	assert.equal(privileged(vcpu, L.PRIV_CLI), 'done')
	assert.equal(privileged(vcpu, L.PRIV_HLT), '#GP')
	assert.equal(privileged(vcpu, L.PRIV_XGETBV), '#UD')
	assert.equal(privileged(vcpu, L.PRIV_WBINVD), 'done')
})

test('DR7 refuses general detect, DR0 a hypervisor address; DR4 is DR6 unless CR4.DE', () => {
	const vcpu = makeVcpu()
	const write = (number: number, lo: number, hi = 0) => {
		vcpu.cpu.setHalves(RAX, lo, hi)
		return privileged(vcpu, L.PRIV_WRITE_DR, control(number, RAX))
	}
	assert.equal(write(7, 0x2000), '#GP')
	assert.equal(write(7, 0x1), 'done')
	assert.equal(write(0, 0, 0xffff_8000), '#GP')
	assert.equal(write(0, 0x1000), 'done')
	assert.equal(write(6, 0, 1), '#GP')
	assert.equal(privileged(vcpu, L.PRIV_READ_DR, control(7, RBX)), 'done')
	assert.equal(vcpu.cpu.get(RBX), 0x401)
	assert.equal(write(4, 0), 'done')
	vcpu.cpu.setField(L.CPU_CR4, GUEST_CR4 | 8)
	assert.equal(write(4, 0), '#UD')
})

test('a single-stepping guest gets #DB after an emulated instruction, with DR6.BS', () => {
	const vcpu = makeVcpu()
	vcpu.traps.setGate(1, 0, FLAT_KERNEL_CS, HANDLER + 1)
	vcpu.cpu.rflags = 0x302
	handleCpuid(vcpu)
	assert.equal(vcpu.cpu.rip, HANDLER + 1)
	assert.equal(vcpu.cpu.field(L.CPU_DR + 4 * 8) & 0x4000, 0x4000)
})
