/** Descriptor tables: HYPERVISOR_set_gdt, HYPERVISOR_update_descriptor, MMUEXT_SET_LDT. */
import { XEN_EFAULT, XEN_EINVAL } from '../../abi/errno.ts'
import { __HYPERVISOR_set_gdt, __HYPERVISOR_update_descriptor, FIRST_RESERVED_GDT_PAGE } from '../../abi/xen.ts'
import { CPU_GDT_FRAMES, CPU_GDT_LIMIT, CPU_LDT_BASE, CPU_LDT_LIMIT } from '../../x86/core/layout.ts'
import type { Cpu } from '../../x86/cpu.ts'
import { PAGE_SIZE } from '../../x86/machine_memory.ts'
import type { Domain } from '../domain.ts'
import { argHi, argNumber, argU32, type HypercallArgs } from '../hypercall_args.ts'
import type { HypercallRow } from '../hypercall_row.ts'
import type { VcpuContext } from '../vcpu.ts'
import { checkDescriptor, DESCRIPTORS } from './descriptor_check.ts'
import { isGuestAddress } from './mod_entry.ts'
import { TYPE_SEG_DESC, TYPE_WRITABLE } from './page_info.ts'

const MAX_GDT_ENTRIES = FIRST_RESERVED_GDT_PAGE * DESCRIPTORS
const MAX_LDT_ENTRIES = 8192
const DESCRIPTOR_SIZE = 8
/** The guest's pages and Xen's one. A page that the guest has not set is absent. */
const GDT_LIMIT = (FIRST_RESERVED_GDT_PAGE + 1) * PAGE_SIZE - 1

/** Xen's page of every GDT (selectors 0xe000 up): index, low and high word. Those of ring 0 are there as in Xen, of no use to a guest. */
const XEN_DESCRIPTORS: readonly (readonly [index: number, low: number, high: number])[] = [
	[1, 0x0000_ffff, 0x00af_9b00], // 0xe008 ring 0 code, 64-bit
	[2, 0x0000_ffff, 0x00cf_9300], // 0xe010 ring 0 data
	[4, 0x0000_ffff, 0x00cf_fb00], // 0xe023 FLAT_RING3_CS32
	[5, 0x0000_ffff, 0x00cf_f300], // 0xe02b FLAT_RING3_DS32, SS32
	[6, 0x0000_ffff, 0x00af_fb00], // 0xe033 FLAT_RING3_CS64
	[12, 0x0000_0000, 0x0000_9100], // 0xe060 number of the CPU as its limit
]

/** Fills Xen's page of the GDT of a new domain. */
export function initialiseXenGdtPage(domain: Domain): void {
	const { machine, layout } = domain
	const page = machine.frameAddress(layout.gdtMfn) >>> 2
	for (const [index, low, high] of XEN_DESCRIPTORS) {
		machine.u32[page + index * 2] = low
		machine.u32[page + index * 2 + 1] = high
	}
}

/** Puts Xen's page into a vCPU's GDT. */
export function installXenGdtPage(domain: Domain, cpu: Cpu): void {
	cpu.setField(CPU_GDT_FRAMES + FIRST_RESERVED_GDT_PAGE * 4, domain.machine.frameAddress(domain.layout.gdtMfn))
	cpu.setField(CPU_GDT_LIMIT, GDT_LIMIT)
}

/** MFN of the vCPU's GDT page `n`, or -1 when it is absent. */
export function gdtFrame(vcpu: VcpuContext, n: number): number {
	const host = vcpu.cpu.field(CPU_GDT_FRAMES + n * 4)
	return host === 0 ? -1 : vcpu.mm.types.frameOfWord(host >>> 2)
}

/**
 * Replaces the vCPU's GDT by `entries` descriptors in the given frames (-1: no such frame). -EINVAL, and the old one stays, when a
 * frame cannot be a descriptor page.
 */
export function setGdt(vcpu: VcpuContext, frames: readonly number[], entries: number): number {
	const { types } = vcpu.mm
	if (entries > MAX_GDT_ENTRIES || frames.length !== Math.ceil(entries / DESCRIPTORS)) return -XEN_EINVAL
	for (const [n, mfn] of frames.entries()) {
		if (types.getPageAndType(mfn, TYPE_SEG_DESC) === 0) continue
		for (const taken of frames.slice(0, n)) types.putPageAndType(taken)
		return -XEN_EINVAL
	}
	for (let n = 0; n < FIRST_RESERVED_GDT_PAGE; n++) {
		const old = gdtFrame(vcpu, n)
		vcpu.cpu.setField(CPU_GDT_FRAMES + n * 4, n < frames.length ? types.machine.frameAddress(frames[n]) : 0)
		if (old >= 0) types.putPageAndType(old)
	}
	return 0
}

function setGdtHandler(vcpu: VcpuContext, args: HypercallArgs): number {
	const { mm } = vcpu
	const list = argNumber(args, 0)
	const entries = argU32(args, 1)
	if (entries > MAX_GDT_ENTRIES) return -XEN_EINVAL
	const frames: number[] = []
	for (let n = 0; n < Math.ceil(entries / DESCRIPTORS); n++) {
		if (!mm.fetch(list + n * 8, 8)) return -XEN_EFAULT
		frames.push(mm.types.frame(mm.request[0], mm.request[1]))
	}
	const rc = setGdt(vcpu, frames, entries)
	if (rc === 0) mm.flushTlb()
	return rc
}

const descriptor = new Uint32Array(2)

/** -EINVAL: not aligned, a descriptor that may not be, or a frame that is not the guest's or is in use as a page table. */
function updateDescriptor(vcpu: VcpuContext, args: HypercallArgs): number {
	const { types } = vcpu.mm
	const lo = argU32(args, 0)
	const hi = argHi(args, 0)
	descriptor[0] = argU32(args, 1)
	descriptor[1] = argHi(args, 1)
	if (lo & (DESCRIPTOR_SIZE - 1) || !checkDescriptor(descriptor, 0)) return -XEN_EINVAL
	const mfn = types.frame(((hi << 20) | (lo >>> 12)) >>> 0, hi >>> 12)
	if (!types.isOwned(mfn)) return -XEN_EINVAL
	const type = types.type(mfn) === TYPE_SEG_DESC ? TYPE_SEG_DESC : TYPE_WRITABLE
	if (types.getPageAndType(mfn, type) !== 0) return -XEN_EINVAL
	const at = types.words(mfn) + ((lo & 0xff8) >>> 2)
	types.u32[at] = descriptor[0]
	types.u32[at + 1] = descriptor[1]
	types.written(mfn)
	types.putPageAndType(mfn)
	return 0
}

/** MMUEXT_SET_LDT: `entries` descriptors at linear address `base`; the processor reads them through the kernel's page tables. */
export function setLdt(vcpu: VcpuContext, base: number, entries: number): number {
	if (entries > MAX_LDT_ENTRIES || (entries !== 0 && (base % PAGE_SIZE !== 0 || !isGuestAddress(base)))) return -XEN_EINVAL
	vcpu.cpu.setWide(CPU_LDT_BASE, entries === 0 ? 0 : base)
	vcpu.cpu.setField(CPU_LDT_LIMIT, entries === 0 ? 0 : entries * DESCRIPTOR_SIZE - 1)
	return 0
}

export const setGdtHypercall: HypercallRow = {
	number: __HYPERVISOR_set_gdt,
	name: 'set_gdt',
	source: 'arch-x86/xen.h: HYPERVISOR_set_gdt',
	status: 'implemented',
	handler: setGdtHandler,
}

export const updateDescriptorHypercall: HypercallRow = {
	number: __HYPERVISOR_update_descriptor,
	name: 'update_descriptor',
	source: 'xen.h: HYPERVISOR_update_descriptor',
	status: 'implemented',
	handler: updateDescriptor,
}
