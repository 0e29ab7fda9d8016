import { SIF_MOD_START_PFN, SIF_VIRT_P2M_4TOOLS } from '../abi/xen.ts'
import { discard } from '../base/bytes.ts'
import type { Gva } from '../x86/cpu.ts'
import { type MachineMemory, PAGE_SIZE } from '../x86/machine_memory.ts'
import { writeHypercallPage } from '../xen/hypercall_page.ts'
import { InitialTables } from './initial_tables.ts'
import { extractKernel } from './kernel/bzimage.ts'
import { ImageError } from './kernel/image_error.ts'
import { parseXenImage, type XenImage } from './kernel/xen_image.ts'
import { DomainTooSmall, PageAllocator } from './page_allocator.ts'
import { writeStartInfo } from './start_info.ts'

export interface DomainBuild {
	/** The guest's RAM must be zero. */
	readonly machine: MachineMemory
	/** A bzImage or an ELF image, compressed or not. */
	readonly kernel: Uint8Array
	readonly ramdisk?: Uint8Array | undefined
	/** At most 1023 bytes of it are given to the guest. */
	readonly commandLine: string
	/** Frames that the domain starts with, mfn 0 up; at most machine.shape.ramFrames. */
	readonly frames: number
	readonly storePort: number
	readonly consolePort: number
	readonly sharedInfoMfn: number
	/** SIF_* besides those that follow from the kernel. */
	readonly flags?: number
}

export interface BuiltDomain {
	/** RIP, RSP and RSI of the first vCPU. */
	readonly entry: Gva
	readonly stackPointer: Gva
	readonly startInfoVa: Gva
	/** The L4, to be pinned and loaded in CR3. */
	readonly l4Mfn: number
	/** Every initial page table, the L4 first. */
	readonly pageTableMfns: readonly number[]
	readonly startInfoMfn: number
	readonly storeMfn: number
	readonly consoleMfn: number
	readonly nrPages: number
	/** XENFEAT_* bits that the kernel supports, and that it requires. */
	readonly supportedFeatures: number
	readonly requiredFeatures: number
	/** What the kernel's notes say. */
	readonly image: Omit<XenImage, 'segments'>
	readonly layout: DomainLayout
}

/** Where the domain builder put things, in pfns; for the log and for tests. */
export interface DomainLayout {
	readonly kernel: PageRange
	readonly ramdisk: PageRange | null
	readonly startInfo: number
	readonly store: number
	readonly console: number
	/** Tables of the initial mapping. */
	readonly pageTables: PageRange
	readonly bootStack: number
	/** Pages of the initial mapping, from pfn 0. */
	readonly mappedPages: number
	/** The P2M, and with INIT_P2M the tables that map it. */
	readonly p2m: PageRange
	readonly p2mVa: Gva
}

export interface PageRange {
	readonly pfn: number
	readonly pages: number
}

const P2M_ENTRY_BYTES = 8
/** xc_dom: the initial mapping leaves at least this much free, and ends on a multiple of MAPPING_UNIT. */
const MAPPING_PADDING_PAGES = (512 << 10) / PAGE_SIZE
const MAPPING_UNIT = 4 << 20
/** L4 slots 256 to 271. */
const HYPERVISOR_START = -(2 ** 47)
const HYPERVISOR_END = -(2 ** 47) + 16 * 2 ** 39

/**
 * Builds a PV domain in its machine as libxc does: kernel, ramdisk, P2M, start_info, the rings' pages, page tables and stack, mfn n being
 * pfn n. The page tables are written but not validated: pinning the L4 is for the hypervisor. Registers are for the caller to set.
 *
 * Throws ImageError when the kernel can't be loaded, DomainTooSmall when the domain has too little memory for it.
 */
export function buildDomain(build: DomainBuild): BuiltDomain {
	const { machine, frames } = build
	const vmlinux = extractKernel(build.kernel, frames * PAGE_SIZE)
	const image = parseXenImage(vmlinux)
	checkAddresses(image, frames)
	const pages = new PageAllocator(frames)
	const tables = new InitialTables()
	const layout = layOut(image, build, pages, tables)
	loadKernel(machine, image)
	// Unless it is the caller's own.
	if (vmlinux.buffer !== build.kernel.buffer) discard(vmlinux)
	if (layout.ramdisk !== null) machine.u8.set(build.ramdisk!, machine.frameAddress(layout.ramdisk.pfn))
	writeP2m(machine, layout.p2m.pfn, frames)
	tables.write(machine)
	fillHypercallPage(machine, image, layout)
	const flags = (build.flags ?? 0) | SIF_VIRT_P2M_4TOOLS | (ramdiskIsUnmapped(image, build) ? SIF_MOD_START_PFN : 0)
	writeStartInfo(machine.framePage(layout.startInfo), { build, image, layout, flags })
	const va = (pfn: number) => image.virtBase + pfn * PAGE_SIZE
	return {
		entry: image.entry,
		stackPointer: va(layout.bootStack + 1),
		startInfoVa: va(layout.startInfo),
		l4Mfn: layout.pageTables.pfn,
		pageTableMfns: tables.pfns(),
		startInfoMfn: layout.startInfo,
		storeMfn: layout.store,
		consoleMfn: layout.console,
		nrPages: frames,
		supportedFeatures: image.supportedFeatures,
		requiredFeatures: image.requiredFeatures,
		image,
		layout,
	}
}

function checkAddresses(image: XenImage, frames: number): void {
	if (image.virtBase % PAGE_SIZE !== 0) throw new ImageError(`the kernel's VIRT_BASE is not a multiple of ${PAGE_SIZE}`)
	const needed = Math.ceil(image.end / PAGE_SIZE)
	if (needed > frames) throw new DomainTooSmall('kernel', needed, frames)
	const end = image.virtBase + frames * PAGE_SIZE + MAPPING_UNIT
	if (image.virtBase < HYPERVISOR_END && end > HYPERVISOR_START)
		throw new ImageError("the kernel's VIRT_BASE leaves no room below the addresses that belong to the hypervisor")
}

/** The order in which things follow one another in the domain's memory is xc_dom_build_image()'s. */
function layOut(image: XenImage, build: DomainBuild, pages: PageAllocator, tables: InitialTables): DomainLayout {
	const kernelPfn = Math.floor(image.start / PAGE_SIZE)
	pages.padTo(kernelPfn)
	const kernel = pages.take('kernel', Math.ceil(image.end / PAGE_SIZE) - kernelPfn)
	const ramdiskPages = Math.ceil((build.ramdisk?.length ?? 0) / PAGE_SIZE)
	const unmapped = ramdiskIsUnmapped(image, build)
	const takeRamdisk = () => (ramdiskPages > 0 ? pages.take('ramdisk', ramdiskPages) : null)
	const mappedRamdisk = unmapped ? null : takeRamdisk()
	const p2mPages = Math.ceil((build.frames * P2M_ENTRY_BYTES) / PAGE_SIZE)
	const mappedP2m = image.initP2m === null ? pages.take('P2M', p2mPages) : null
	const startInfo = pages.take('start_info', 1).pfn
	const store = pages.take('xenstore page', 1).pfn
	const console = pages.take('console page', 1).pfn
	const mappedPages = initialMappingPages(image.virtBase, pages.used, tables)
	if (mappedPages > build.frames) throw new DomainTooSmall('initial mapping', mappedPages, build.frames)
	const pageTables = pages.take('page tables', tables.map(image.virtBase, mappedPages, 0, pages.used))
	const bootStack = pages.take('boot stack', 1).pfn
	pages.padTo(mappedPages)
	const ramdisk = unmapped ? takeRamdisk() : mappedRamdisk
	const p2m = mappedP2m ?? takeUnmappedP2m(image.initP2m!, p2mPages, pages, tables)
	const p2mVa = mappedP2m === null ? image.initP2m! : image.virtBase + mappedP2m.pfn * PAGE_SIZE
	return { kernel, ramdisk, startInfo, store, console, pageTables, bootStack, mappedPages, p2m, p2mVa }
}

/** A ramdisk that the kernel can take by its pfn is put outside the initial mapping, which leaves the mapping small. */
function ramdiskIsUnmapped(image: XenImage, build: DomainBuild): boolean {
	return image.modStartPfn && (build.ramdisk?.length ?? 0) > 0
}

/** How many pages from pfn 0 the initial mapping has: what is used, its own tables, the boot stack and padding; alloc_pgtables_pv(). */
function initialMappingPages(virtBase: Gva, usedPages: number, tables: InitialTables): number {
	const extra = 1 + MAPPING_PADDING_PAGES
	const usedEnd = virtBase + usedPages * PAGE_SIZE
	let tablePages = 0
	for (;;) {
		// One more unit where the end is a multiple of it already, as libxc's rounding does.
		const end = (Math.floor((usedEnd + (tablePages + extra) * PAGE_SIZE) / MAPPING_UNIT) + 1) * MAPPING_UNIT
		const mapped = (end - virtBase) / PAGE_SIZE
		tablePages = tables.count(virtBase, mapped)
		if (usedEnd + (tablePages + extra) * PAGE_SIZE <= end) return mapped
	}
}

/** The P2M at the address that the kernel asks for, followed by the tables that map it there. */
function takeUnmappedP2m(va: Gva, p2mPages: number, pages: PageAllocator, tables: InitialTables): PageRange {
	const pfn = pages.used
	const tablePages = tables.map(va, p2mPages, pfn, pfn + p2mPages)
	return pages.take('P2M', p2mPages + tablePages)
}

function loadKernel(machine: MachineMemory, image: XenImage): void {
	for (const segment of image.segments) {
		const at = machine.frameBase + segment.start
		machine.u8.set(segment.data, at)
		// Zero already, unless an earlier segment overlaps.
		machine.u8.fill(0, at + segment.data.length, at + segment.memorySize)
	}
}

function writeP2m(machine: MachineMemory, pfn: number, frames: number): void {
	const at = machine.frameAddress(pfn) >>> 2
	for (let n = 0; n < frames; n++) machine.u32[at + n * 2] = n
}

function fillHypercallPage(machine: MachineMemory, image: XenImage, layout: DomainLayout): void {
	if (image.hypercallPage === null) return
	const pfn = (image.hypercallPage - image.virtBase) / PAGE_SIZE
	if (!Number.isInteger(pfn) || pfn < layout.kernel.pfn || pfn >= layout.kernel.pfn + layout.kernel.pages)
		throw new ImageError("the kernel's HYPERCALL_PAGE is not a page of the kernel")
	writeHypercallPage(machine.framePage(pfn))
}
