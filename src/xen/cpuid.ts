/**
 * The CPUID policy: an x86-64-v2 processor as a PV domU sees it under Xen 4.17 (no XSAVE, no RDTSCP, no x2APIC; FXSAVE only).
 * Used for CPUID with and without Xen's prefix, as on a processor with CPUID faulting.
 */
import { TSC_KHZ } from './time.ts'
import { XEN_VERSION_MAJOR, XEN_VERSION_MINOR } from './version.ts'

export type CpuidLeaf = readonly [eax: number, ebx: number, ecx: number, edx: number]

const NONE: CpuidLeaf = [0, 0, 0, 0]
const XEN_LEAVES = 0x4000_0000
/** XEN_CPUID_MAX_NUM_LEAVES. */
const XEN_LAST_LEAF = 0x4000_0005
/** The MSR that fills a hypercall page. */
export const XEN_HYPERCALL_MSR = 0x4000_0000
/** XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD. */
const FEATURE_PRESERVE_AD = 1
/** Bits of a machine frame number and of an address in it: a domain's machine is below 4 GiB. */
const MACHINE_ADDRESS_BITS = 32

/** Family 15, model 107, stepping 1. */
const SIGNATURE = 0x0006_0fb1
const VENDOR: CpuidLeaf = [0, ascii('Auth'), ascii('cAMD'), ascii('enti')]
const BRAND = 'Xenotype x86-64-v2 virtual CPU'

const bits = (...positions: number[]) => positions.reduce((value, bit) => (value | (1 << bit)) >>> 0, 0)
/** FPU DE TSC MSR PAE MCE CX8 APIC MCA CMOV PAT CLFLUSH MMX FXSR SSE SSE2. */
const LEAF1_EDX = bits(0, 2, 4, 5, 6, 7, 8, 9, 14, 15, 16, 19, 23, 24, 25, 26)
/** SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT RDRAND HYPERVISOR. */
const LEAF1_ECX = bits(0, 9, 13, 19, 20, 23, 30, 31)
/** RDSEED. */
const LEAF7_EBX = bits(18)
/** SYSCALL NX LM. */
const EXTENDED1_EDX = bits(11, 20, 29)
/** LAHF_LM. */
const EXTENDED1_ECX = bits(0)
/** CLFLUSH line of 8 quadwords, one logical processor a package. */
const LEAF1_EBX = 0x0001_0800

const POLICY: ReadonlyMap<number, CpuidLeaf> = new Map<number, CpuidLeaf>([
	[0, [7, VENDOR[1], VENDOR[2], VENDOR[3]]],
	[1, [SIGNATURE, LEAF1_EBX, LEAF1_ECX, LEAF1_EDX]],
	[7, [0, LEAF7_EBX, 0, 0]],
	[0x8000_0000, [0x8000_0008, VENDOR[1], VENDOR[2], VENDOR[3]]],
	[0x8000_0001, [SIGNATURE, 0, EXTENDED1_ECX, EXTENDED1_EDX]],
	[0x8000_0002, brand(0)],
	[0x8000_0003, brand(16)],
	[0x8000_0004, brand(32)],
	// L1 TLBs and caches: 64 KiB each, 64-byte lines, two-way; L2 512 KiB, 16-way.
	[0x8000_0005, [0x01ff_01ff, 0x01ff_01ff, 0x4002_0140, 0x4002_0140]],
	[0x8000_0006, [0, 0x4200_4200, 0x0200_8140, 0]],
	// 40 bits of physical, 48 of linear address.
	[0x8000_0008, [0x0000_3028, 0, 0, 0]],
])

/** Answers CPUID for `leaf` (EAX) and `subleaf` (ECX). Unsigned 32-bit values. */
export function cpuid(leaf: number, subleaf: number): CpuidLeaf {
	if (leaf >= XEN_LEAVES && leaf < XEN_LEAVES + 0x100) return xenLeaf(leaf, subleaf)
	if (leaf === 7 && subleaf !== 0) return NONE
	return POLICY.get(leaf) ?? NONE
}

function xenLeaf(leaf: number, subleaf: number): CpuidLeaf {
	switch (leaf - XEN_LEAVES) {
		case 0:
			return [XEN_LAST_LEAF, ascii('XenV'), ascii('MMXe'), ascii('nVMM')]
		case 1:
			return [(XEN_VERSION_MAJOR << 16) | XEN_VERSION_MINOR, 0, 0, 0]
		case 2:
			return [1, XEN_HYPERCALL_MSR, FEATURE_PRESERVE_AD, 0]
		case 3:
			return timeLeaf(subleaf)
		case 5:
			return subleaf === 0 ? [0, MACHINE_ADDRESS_BITS, 0, 0] : NONE
		default:
			return NONE
	}
}

/** The TSC is not emulated, is safe to read on any CPU (bit 1), and needs no offset. */
function timeLeaf(subleaf: number): CpuidLeaf {
	if (subleaf === 0) return [2, 0, TSC_KHZ, 0]
	return subleaf === 2 ? [TSC_KHZ, 0, 0, 0] : NONE
}

function ascii(text: string): number {
	return [...text].reduce((value, letter, n) => (value | (letter.charCodeAt(0) << (8 * n))) >>> 0, 0)
}

function brand(from: number): CpuidLeaf {
	const word = (n: number) => ascii(BRAND.slice(from + n * 4, from + n * 4 + 4))
	return [word(0), word(1), word(2), word(3)]
}
