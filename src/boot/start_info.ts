import { start_info, XEN_GUEST_MAGIC_X86_64 } from '../abi/start_info.ts'
import { MAX_GUEST_CMDLINE } from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { DomainBuild, DomainLayout } from './domain_builder.ts'
import type { XenImage } from './kernel/xen_image.ts'

interface StartInfo {
	readonly build: DomainBuild
	readonly image: XenImage
	readonly layout: DomainLayout
	/** SIF_*. */
	readonly flags: number
}

const field = start_info.at
const utf8 = new TextEncoder()

/** Fills the start_info page (zero before), as libxc does for a new domU. */
export function writeStartInfo(page: Uint8Array, { build, image, layout, flags }: StartInfo): void {
	const view = new DataView(page.buffer, page.byteOffset, PAGE_SIZE)
	const u64 = (offset: number, value: number) => view.setBigInt64(offset, BigInt(value), true)
	const va = (pfn: number) => image.virtBase + pfn * PAGE_SIZE
	page.set(utf8.encode(XEN_GUEST_MAGIC_X86_64), field.magic)
	u64(field.nr_pages, build.frames)
	u64(field.shared_info, build.sharedInfoMfn * PAGE_SIZE)
	view.setUint32(field.flags, flags, true)
	u64(field.store_mfn, layout.store)
	view.setUint32(field.store_evtchn, build.storePort, true)
	u64(field.console_domU_mfn, layout.console)
	view.setUint32(field.console_domU_evtchn, build.consolePort, true)
	u64(field.pt_base, va(layout.pageTables.pfn))
	u64(field.nr_pt_frames, layout.pageTables.pages)
	u64(field.mfn_list, layout.p2mVa)
	if (layout.ramdisk !== null) {
		const unmapped = layout.ramdisk.pfn >= layout.mappedPages
		u64(field.mod_start, unmapped ? layout.ramdisk.pfn : va(layout.ramdisk.pfn))
		u64(field.mod_len, unmapped ? layout.ramdisk.pages * PAGE_SIZE : build.ramdisk!.length)
	}
	page.set(utf8.encode(build.commandLine).subarray(0, MAX_GUEST_CMDLINE - 1), field.cmd_line)
	if (image.initP2m !== null) {
		u64(field.first_p2m_pfn, layout.p2m.pfn)
		u64(field.nr_p2m_frames, layout.p2m.pages)
	}
}
