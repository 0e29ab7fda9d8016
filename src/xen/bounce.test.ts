import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FLAT_KERNEL_CS, FLAT_KERNEL_SS, HYPERVISOR_VIRT_START, iret_context, VGCF_in_syscall, vcpu_info } from '../abi/xen.ts'
import { CPU_CODE64, CPU_CR2, CPU_CR3_USER, CPU_KERNEL_GS_BASE, CPU_SELECTORS, SLOT_GS_BASE } from '../x86/core/layout.ts'
import { R11, RAX, RCX, RSP } from '../x86/cpu.ts'
import { bounce } from './bounce.ts'
import { handleSoftwareInterrupt, handleSyscall } from './exceptions.ts'
import { HYPERCALL_NO_RESULT } from './hypercall_row.ts'
import { deliverPending, injectException, TRAP_gp_fault, TRAP_page_fault } from './inject.ts'
import { iretHypercall } from './iret.ts'
import { CS, SS } from './segments.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'
import { DomainCrashed, type VcpuContext } from './vcpu.ts'

const STACK = 0x8000
const HANDLER = -0x7e00_0000

function makeVcpu(): VcpuContext & { readonly lines: string[] } {
	const vcpu = testVcpu(testDomain())
	setSelectors(vcpu, FLAT_KERNEL_CS, FLAT_KERNEL_SS)
	vcpu.cpu.setField(CPU_CODE64, 1)
	vcpu.cpu.rip = 0x1234
	vcpu.cpu.rflags = 0x246
	vcpu.cpu.set(RSP, STACK)
	vcpu.cpu.set(RCX, 0x11)
	vcpu.cpu.set(R11, 0x22)
	vcpu.traps.kernelSp = STACK
	return vcpu
}

function setSelectors(vcpu: VcpuContext, cs: number, ss: number): void {
	const { u16 } = vcpu.cpu.machine
	u16[(vcpu.cpu.state + CPU_SELECTORS + CS * 2) >>> 1] = cs
	u16[(vcpu.cpu.state + CPU_SELECTORS + SS * 2) >>> 1] = ss
}

function enterUser(vcpu: VcpuContext): void {
	vcpu.cpu.setKernelMode(false)
	setSelectors(vcpu, 0x33, 0x2b)
	vcpu.cpu.set(RSP, 0x4000)
	vcpu.cpu.setField(CPU_CR3_USER, 5)
}

/** The quadwords at the guest's RSP. */
function frame(vcpu: VcpuContext, count: number): bigint[] {
	const at = (vcpu.domain.machine.frameBase + vcpu.cpu.get(RSP)) / 8
	return Array.from(vcpu.domain.machine.u64.subarray(at, at + count))
}

function mask(vcpu: VcpuContext): number {
	return vcpu.domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] as number
}
function setMask(vcpu: VcpuContext, value: number): void {
	vcpu.domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = value
}

test('bounce() within the kernel pushes rcx, r11, rip, cs, rflags, rsp, ss below the present stack pointer', () => {
	const vcpu = makeVcpu()
	bounce(vcpu, { address: HANDLER, masksEvents: false })
	assert.equal(vcpu.cpu.get(RSP), STACK - 56)
	assert.deepEqual(frame(vcpu, 7), [0x11n, 0x22n, 0x1234n, 0xe030n, 0x246n, BigInt(STACK), 0xe02bn])
	assert.equal(vcpu.cpu.rip, HANDLER)
})

test('bounce() pushes the error code between r11 and rip', () => {
	const vcpu = makeVcpu()
	bounce(vcpu, { address: HANDLER, masksEvents: false }, 0x18)
	assert.equal(vcpu.cpu.get(RSP), STACK - 64)
	assert.deepEqual(frame(vcpu, 4), [0x11n, 0x22n, 0x18n, 0x1234n])
})

test('bounce() saves the upcall mask in bits 32 up of CS, shows it as RFLAGS.IF, and sets it for a gate that masks events', () => {
	const vcpu = makeVcpu()
	bounce(vcpu, { address: HANDLER, masksEvents: true })
	assert.equal(mask(vcpu), 1)
	assert.equal(frame(vcpu, 5)[4], 0x246n)
	bounce(vcpu, { address: HANDLER, masksEvents: false })
	assert.equal(frame(vcpu, 5)[3], 0x1_0000_e030n)
	assert.equal(frame(vcpu, 5)[4], 0x046n)
})

test('bounce() clears TF, NT, RF and AC and keeps the rest of RFLAGS', () => {
	const vcpu = makeVcpu()
	vcpu.cpu.rflags = 0x0005_4746
	bounce(vcpu, { address: HANDLER, masksEvents: false })
	assert.equal(vcpu.cpu.rflags, 0x0000_0646)
	assert.equal(frame(vcpu, 5)[4], 0x0005_4746n)
})

test('bounce() from user mode switches to the kernel, its GS base and its stack', () => {
	const vcpu = makeVcpu()
	enterUser(vcpu)
	vcpu.cpu.setWide(SLOT_GS_BASE, 0x7000)
	vcpu.cpu.setWide(CPU_KERNEL_GS_BASE, -0x1000)
	bounce(vcpu, { address: HANDLER, masksEvents: false })
	assert.equal(vcpu.kernelMode, true)
	assert.equal(vcpu.cpu.wide(SLOT_GS_BASE), -0x1000)
	assert.equal(vcpu.cpu.wide(CPU_KERNEL_GS_BASE), 0x7000)
	assert.equal(vcpu.cpu.get(RSP), STACK - 56)
	assert.deepEqual(frame(vcpu, 7).slice(3), [0x33n, 0x246n, 0x4000n, 0x2bn])
	assert.equal(vcpu.cpu.selector(CS), FLAT_KERNEL_CS)
	assert.equal(vcpu.cpu.selector(SS), FLAT_KERNEL_SS)
})

test('bounce() aligns the frame to 16 bytes', () => {
	const vcpu = makeVcpu()
	vcpu.cpu.set(RSP, STACK + 8)
	bounce(vcpu, { address: HANDLER, masksEvents: false })
	assert.equal(vcpu.cpu.get(RSP), STACK - 56)
	assert.equal(frame(vcpu, 6)[5], BigInt(STACK + 8))
})

test('bounce() crashes the domain when the stack is not mapped, not canonical, in the hypervisor, or there is no handler', () => {
	for (const stack of [0x7fff_f000, 2 ** 48, HYPERVISOR_VIRT_START + 0x1000]) {
		const vcpu = makeVcpu()
		vcpu.cpu.set(RSP, stack)
		assert.throws(() => bounce(vcpu, { address: HANDLER, masksEvents: false }), DomainCrashed)
	}
	assert.throws(() => bounce(makeVcpu(), { address: 0, masksEvents: false }), DomainCrashed)
})

test('injectException() reports CR2 in vcpu_info and tells kernel from user faults by the U bit', () => {
	const vcpu = makeVcpu()
	vcpu.traps.setGate(TRAP_page_fault, 4, FLAT_KERNEL_CS, HANDLER)
	vcpu.cpu.setWide(CPU_CR2, -0x2000)
	injectException(vcpu, TRAP_page_fault, 6)
	assert.equal(frame(vcpu, 3)[2], 2n)
	assert.equal(vcpu.domain.machine.u64[(vcpu.vcpuInfo + vcpu_info.at.arch) / 8], BigInt.asUintN(64, -0x2000n))
	enterUser(vcpu)
	injectException(vcpu, TRAP_page_fault, 2)
	assert.equal(frame(vcpu, 3)[2], 6n)
})

test('INT n goes to the guest when the gate lets its mode, else it is #GP(n << 3 | 2) at the instruction', () => {
	const vcpu = makeVcpu()
	vcpu.traps.setGate(TRAP_gp_fault, 0, FLAT_KERNEL_CS, HANDLER)
	vcpu.traps.setGate(0x40, 3, FLAT_KERNEL_CS, HANDLER + 0x40)
	vcpu.traps.setGate(0x41, 1, FLAT_KERNEL_CS, HANDLER + 0x41)
	const interrupt = (vector: number) => {
		vcpu.cpu.set(RSP, STACK)
		enterUser(vcpu)
		vcpu.cpu.rip = 0x1002
		vcpu.cpu.setField(0x140, vector)
		vcpu.cpu.setField(0x150, 2)
		handleSoftwareInterrupt(vcpu)
	}
	interrupt(0x40)
	assert.equal(vcpu.cpu.rip, HANDLER + 0x40)
	assert.equal(frame(vcpu, 3)[2], 0x1002n)
	interrupt(0x41)
	assert.equal(vcpu.cpu.rip, HANDLER)
	assert.deepEqual(frame(vcpu, 4).slice(2), [0x20an, 0x1000n])
})

test('SYSCALL from user mode enters the syscall callback with RIP in RCX, RFLAGS in R11 and flat selectors in the frame', () => {
	const vcpu = makeVcpu()
	enterUser(vcpu)
	vcpu.cpu.rflags = 0x646
	vcpu.traps.syscall = { address: HANDLER, masksEvents: true }
	handleSyscall(vcpu)
	assert.deepEqual(frame(vcpu, 7), [0x1234n, 0x646n, 0x1234n, 0xe033n, 0x646n, 0x4000n, 0xe02bn])
	assert.equal(mask(vcpu), 1)
	assert.equal(vcpu.cpu.rflags & 0x400, 0)
})

test('SYSCALL from user mode without a callback is #UD at the instruction', () => {
	const vcpu = makeVcpu()
	enterUser(vcpu)
	vcpu.traps.setGate(6, 0, FLAT_KERNEL_CS, HANDLER)
	handleSyscall(vcpu)
	assert.equal(frame(vcpu, 3)[2], 0x1232n)
	assert.equal(vcpu.cpu.rip, HANDLER)
})

test('deliverPending() makes the event upcall only while it is pending and not masked', () => {
	const vcpu = makeVcpu()
	vcpu.traps.event = { address: HANDLER, masksEvents: false }
	setMask(vcpu, 1)
	vcpu.domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_pending] = 1
	deliverPending(vcpu)
	assert.equal(vcpu.cpu.rip, 0x1234)
	setMask(vcpu, 0)
	deliverPending(vcpu)
	assert.equal(vcpu.cpu.rip, HANDLER)
	assert.equal(mask(vcpu), 1)
})

function pushIretFrame(vcpu: VcpuContext, fields: Partial<Record<keyof typeof iret_context.at, bigint>>): void {
	vcpu.cpu.set(RSP, STACK - iret_context.size)
	const at = (vcpu.domain.machine.frameBase + STACK - iret_context.size) / 8
	for (const [name, offset] of Object.entries(iret_context.at)) {
		vcpu.domain.machine.u64[at + offset / 8] = fields[name as keyof typeof fields] ?? 0n
	}
}

test('iret to user mode switches page tables and GS, restores the registers of the frame and the mask from IF', () => {
	const vcpu = makeVcpu()
	vcpu.cpu.setField(CPU_CR3_USER, 5)
	vcpu.cpu.setWide(SLOT_GS_BASE, -0x1000)
	vcpu.cpu.setWide(CPU_KERNEL_GS_BASE, 0x7000)
	setMask(vcpu, 1)
	pushIretFrame(vcpu, { rax: 1n, r11: 2n, rcx: 3n, rip: 0x40_0000n, cs: 0xe033n, rflags: 0x3202n, rsp: 0x7ff0n, ss: 0xe02bn })
	assert.equal(iretHypercall.handler?.(vcpu, hypercallArgs()), HYPERCALL_NO_RESULT)
	assert.deepEqual(
		[vcpu.kernelMode, vcpu.cpu.rip, vcpu.cpu.get(RAX), vcpu.cpu.get(RCX), vcpu.cpu.get(R11), vcpu.cpu.get(RSP)],
		[false, 0x40_0000, 1, 3, 2, 0x7ff0],
	)
	assert.equal(vcpu.cpu.rflags, 0x202)
	assert.equal(vcpu.cpu.wide(SLOT_GS_BASE), 0x7000)
	assert.equal(mask(vcpu), 0)
})

test('iret with VGCF_in_syscall leaves RIP in RCX and RFLAGS in R11, as SYSRET does', () => {
	const vcpu = makeVcpu()
	vcpu.cpu.setField(CPU_CR3_USER, 5)
	pushIretFrame(vcpu, { flags: BigInt(VGCF_in_syscall), rip: 0x40_0000n, cs: 0x33n, rflags: 0x246n, rsp: 0x7ff0n, ss: 0x2bn, rcx: 9n })
	iretHypercall.handler?.(vcpu, hypercallArgs())
	assert.deepEqual([vcpu.cpu.get(RCX), vcpu.cpu.get(R11)], [0x40_0000, 0x246])
	assert.deepEqual([vcpu.cpu.selector(CS), vcpu.cpu.selector(SS)], [0xe033, 0xe02b])
})

test('iret to a selector that cannot be loaded raises #GP with it at the target', () => {
	const domain = testDomain()
	const vcpu = testVcpu(domain, 0, { core: { loadCodeSegment: () => 0, loadSegment: () => 1 } })
	vcpu.cpu.rflags = 0x202
	vcpu.traps.setGate(TRAP_gp_fault, 0, FLAT_KERNEL_CS, HANDLER)
	pushIretFrame(vcpu, { rip: 0x40_0000n, cs: 0x50n, rflags: 0x202n, rsp: 0x6000n, ss: 0xe02bn })
	iretHypercall.handler?.(vcpu, hypercallArgs())
	assert.equal(vcpu.cpu.rip, HANDLER)
	assert.deepEqual(frame(vcpu, 4).slice(2), [0x50n, 0x40_0000n])
})

test('iret crashes the domain when the frame cannot be read or there are no user page tables', () => {
	const unreadable = makeVcpu()
	unreadable.cpu.set(RSP, 0x7fff_0000)
	assert.throws(() => iretHypercall.handler?.(unreadable, hypercallArgs()), /Fault while reading IRET context/)
	const noTables = makeVcpu()
	pushIretFrame(noTables, { cs: 0x33n })
	assert.throws(() => iretHypercall.handler?.(noTables, hypercallArgs()), /no user page tables/)
})
