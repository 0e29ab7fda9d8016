import { FLAT_KERNEL_CS, FLAT_KERNEL_DS, FLAT_KERNEL_SS, vcpu_info } from '../abi/xen.ts'
import { CPU_CR0, CPU_CR4, CPU_DR, CPU_FCW, CPU_FTW, CPU_MXCSR, CPU_SELECTORS } from '../x86/core/layout.ts'
import { type CpuHost, type Gva, RSI, RSP } from '../x86/cpu.ts'
import { hex, setFlatCode, setFlatStack } from './bounce.ts'
import { GUEST_CR0, GUEST_CR4 } from './emulate_privileged.ts'
import { writePageTable } from './mm/writable_pagetables.ts'
import { DS, ES, FS, GS } from './segments.ts'
import { readTsc, updateTime } from './time.ts'
import type { VcpuContext } from './vcpu.ts'
import { restoreVcpu, type SavedContext } from './vcpu_restore.ts'
import { VS_ONLINE, vcpuWord } from './vcpu_shared.ts'

/** How a new domain's first vCPU starts: what the domain builder and XEN_DOMCTL_setvcpucontext say of it. Plain data. */
export interface InitialContext {
	/** First instruction of the guest's kernel. */
	readonly entry: Gva
	readonly stackPointer: Gva
	/** Linear address of struct start_info, handed over in RSI. */
	readonly startInfoVa: Gva
	/** The L4 that the builder made; its tables are validated before the vCPU runs. */
	readonly l4Mfn: number
}

const RFLAGS_INITIAL = 0x202
const FCW_INITIAL = 0x37f
const MXCSR_INITIAL = 0x1f80
const DR6_INITIAL = 0xffff_0ff0
const DR7_INITIAL = 0x400

/** Puts a fresh vCPU into the state that it starts in. Crashes the domain when that breaks a rule, of src/xen/mm above all. */
export function startVcpu(vcpu: VcpuContext, context: InitialContext | SavedContext): void {
	if ('pins' in context) restoreVcpu(vcpu, context)
	else initialiseVcpu(vcpu, context)
}

function initialiseVcpu(vcpu: VcpuContext, context: InitialContext): void {
	const { cpu, domain } = vcpu
	cpu.setKernelMode(true)
	cpu.setField(CPU_CR0, GUEST_CR0)
	cpu.setField(CPU_CR4, GUEST_CR4)
	cpu.setWide(CPU_DR + 4 * 8, DR6_INITIAL)
	cpu.setWide(CPU_DR + 5 * 8, DR7_INITIAL)
	const { u16, u8 } = cpu.machine
	u16[(cpu.state + CPU_FCW) >>> 1] = FCW_INITIAL
	u8[cpu.state + CPU_FTW] = 0
	cpu.setField(CPU_MXCSR, MXCSR_INITIAL)
	setFlatCode(vcpu, FLAT_KERNEL_CS)
	setFlatStack(vcpu, FLAT_KERNEL_SS)
	for (const register of [ES, DS, FS, GS]) u16[(cpu.state + CPU_SELECTORS + register * 2) >>> 1] = FLAT_KERNEL_DS

	cpu.rip = context.entry
	cpu.rflags = RFLAGS_INITIAL
	cpu.set(RSP, context.stackPointer)
	cpu.set(RSI, context.startInfoVa)
	vcpu.traps.kernelSs = FLAT_KERNEL_SS
	vcpu.traps.kernelSp = context.stackPointer

	u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = 1
	updateTime(vcpu)
	const rc = vcpu.mm.adoptInitialTables(context.l4Mfn)
	if (rc !== 0) vcpu.crash(`initial page tables refused: errno ${-rc}`)
	Atomics.store(domain.machine.u32, vcpuWord(domain, vcpu.index, VS_ONLINE), 1)
}

/** What the processor asks of the hypervisor. `vcpu` is asked at each call, since the processor is made before its context. */
export function cpuHost(vcpu: () => VcpuContext): CpuHost {
	const reported = new Set<string>()
	return {
		readTsc: () => readTsc(vcpu().clock),
		random32: () => vcpu().host.random32(),
		protectedWrite: (maddr, size, lo, hi) => writePageTable(vcpu(), maddr, size, lo, hi),
		undefinedInstruction(rip, bytes) {
			const text = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
			// ud2 is meant (a kernel's BUG, Xen's CPUID prefix); others are named once each, by their first bytes.
			const key = text.slice(0, 11)
			if (text.startsWith('0f 0b') || reported.has(key) || reported.size >= REPORTED_MAX) return
			reported.add(key)
			vcpu().log('warning', `undefined instruction ${text} at ${hex(rip)}`)
		},
	}
}

const REPORTED_MAX = 256
