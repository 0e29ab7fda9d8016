/** Model-specific registers, as Xen 4.17 shows them to a PV domU on an AMD processor. */
import { CPU_KERNEL_GS_BASE, SLOT_FS_BASE, SLOT_GS_BASE } from '../x86/core/layout.ts'
import { XEN_HYPERCALL_MSR } from './cpuid.ts'
import { isCanonical } from './guest_access.ts'
import { writeHypercallPage } from './hypercall_page.ts'
import { TRAP_gp_fault } from './inject.ts'
import { TYPE_WRITABLE } from './mm/page_info.ts'
import { readTsc } from './time.ts'
import type { VcpuContext } from './vcpu.ts'

const MSR_IA32_TSC = 0x10
const MSR_APIC_BASE = 0x1b
const MSR_AMD_PATCHLEVEL = 0x8b
const MSR_INTEL_PLATFORM_INFO = 0xce
const MSR_INTEL_MISC_FEATURES_ENABLES = 0x140
const MSR_IA32_MPERF = 0xe7
const MSR_IA32_APERF = 0xe8
const MSR_IA32_MCG_CAP = 0x179
const MSR_IA32_MCG_STATUS = 0x17a
const MSR_IA32_MCG_CTL = 0x17b
const MSR_IA32_CR_PAT = 0x277
const MSR_IA32_PERF_CAPABILITIES = 0x345
const MSR_EFER = 0xc000_0080
const MSR_FS_BASE = 0xc000_0100
const MSR_GS_BASE = 0xc000_0101
const MSR_SHADOW_GS_BASE = 0xc000_0102
const MSR_K8_HWCR = 0xc001_0015
const MSR_AMD64_NB_CFG = 0xc001_001f
const MSR_AMD64_DE_CFG = 0xc001_1029

/** SCE, LME, LMA, NXE. */
const EFER = 0xd01
/** Enabled, at its default address; the boot processor. */
const APIC_BASE = 0xfee0_0800
const APIC_BASE_BSP = 0x100
const PATCHLEVEL_HI = 0x0100_0065
/** XEN_MSR_PAT: WB WT UC- UC WC WP UC UC. */
const XEN_MSR_PAT = [0x0007_0406, 0x0000_0501] as const
const GUEST_MC_BANKS = 2
const DE_CFG_LFENCE_SERIALISE = 2

type Halves = readonly [lo: number, hi: number]

/** Registers that read as a constant. */
const CONSTANT: ReadonlyMap<number, Halves> = new Map<number, Halves>([
	[MSR_AMD_PATCHLEVEL, [0, PATCHLEVEL_HI]],
	[MSR_INTEL_PLATFORM_INFO, [0, 0]],
	[MSR_INTEL_MISC_FEATURES_ENABLES, [0, 0]],
	[MSR_IA32_MCG_CAP, [GUEST_MC_BANKS, 0]],
	[MSR_IA32_MCG_STATUS, [0, 0]],
	[MSR_IA32_MCG_CTL, [0, 0]],
	[MSR_IA32_CR_PAT, XEN_MSR_PAT],
	[MSR_IA32_PERF_CAPABILITIES, [0, 0]],
	[MSR_EFER, [EFER, 0]],
	[MSR_K8_HWCR, [0, 0]],
	[MSR_AMD64_NB_CFG, [0, 0]],
	[MSR_AMD64_DE_CFG, [DE_CFG_LFENCE_SERIALISE, 0]],
])

const between = (msr: number, first: number, last: number) => msr >= first && msr <= last
/** K7 performance counters, FID/VID and P-state registers: read as zero, writes are dropped. */
const isIgnored = (msr: number) =>
	between(msr, 0xc001_0000, 0xc001_0007) ||
	between(msr, 0xc001_0041, 0xc001_0042) ||
	between(msr, 0xc001_0061, 0xc001_006b) ||
	between(msr, 0xc001_0200, 0xc001_020b)
/** Control, status, address and miscellaneous register of each machine check bank. */
const isMachineCheckBank = (msr: number) => between(msr, 0x400, 0x400 + GUEST_MC_BANKS * 4 - 1)

/** The base registers: the slot of the processor that holds each. The guest's kernel reads them, so GS is its own. */
const BASES: ReadonlyMap<number, number> = new Map([
	[MSR_FS_BASE, SLOT_FS_BASE],
	[MSR_GS_BASE, SLOT_GS_BASE],
	[MSR_SHADOW_GS_BASE, CPU_KERNEL_GS_BASE],
])

/** RDMSR by the guest's kernel; undefined: #GP(0). */
export function readMsr(vcpu: VcpuContext, msr: number): Halves | undefined {
	const constant = CONSTANT.get(msr)
	if (constant) return constant
	const base = BASES.get(msr)
	if (base !== undefined) return [vcpu.cpu.field(base), vcpu.cpu.field(base + 4)]
	if (msr === MSR_IA32_TSC) {
		const tsc = readTsc(vcpu.clock)
		return [tsc % 4294967296, Math.floor(tsc / 4294967296)]
	}
	if (msr === MSR_APIC_BASE) return [APIC_BASE | (vcpu.index === 0 ? APIC_BASE_BSP : 0), 0]
	if (isIgnored(msr) || isMachineCheckBank(msr)) return [0, 0]
	// Early in its boot a kernel has no handler yet for the #GP that it expects.
	if (vcpu.traps.gates[TRAP_gp_fault]?.address === 0 && msr >>> 16 !== XEN_HYPERCALL_MSR >>> 16) {
		vcpu.log('warning', `faking RDMSR 0x${hex8(msr)}`)
		return [0, 0]
	}
	vcpu.log('debug', `RDMSR 0x${hex8(msr)} unimplemented`)
	return undefined
}

/** WRMSR by the guest's kernel; false: #GP(0). */
export function writeMsr(vcpu: VcpuContext, msr: number, lo: number, hi: number): boolean {
	const base = BASES.get(msr)
	if (base !== undefined) {
		const value = (hi | 0) * 4294967296 + lo
		if (isCanonical(value)) vcpu.cpu.setWide(base, value)
		return isCanonical(value)
	}
	switch (msr) {
		case XEN_HYPERCALL_MSR:
			return fillHypercallPage(vcpu, lo, hi)
		case MSR_EFER:
			// Linux writes back what it has read.
			return lo === EFER && hi === 0
		case MSR_INTEL_MISC_FEATURES_ENABLES:
			return lo === 0 && hi === 0
		case MSR_K8_HWCR:
		case MSR_AMD64_NB_CFG:
		case MSR_AMD64_DE_CFG:
		case MSR_IA32_MPERF:
		case MSR_IA32_APERF:
		case MSR_IA32_MCG_STATUS:
			return true
	}
	if (isIgnored(msr) || isMachineCheckBank(msr)) return true
	vcpu.log('debug', `WRMSR 0x${hex8(msr)} val 0x${hex8(hi)}${hex8(lo)} unimplemented`)
	return false
}

/** Writes the hypercall page into the frame that the value names; its low twelve bits must be 0. */
function fillHypercallPage(vcpu: VcpuContext, lo: number, hi: number): boolean {
	const { types } = vcpu.mm
	const mfn = types.frame(((hi << 20) | (lo >>> 12)) >>> 0, hi >>> 12)
	if ((lo & 0xfff) !== 0 || types.getPageAndType(mfn, TYPE_WRITABLE) !== 0) return false
	writeHypercallPage(vcpu.domain.machine.framePage(mfn))
	types.written(mfn)
	types.putPageAndType(mfn)
	return true
}

function hex8(value: number): string {
	return (value >>> 0).toString(16).padStart(8, '0')
}
