// The page that a PV guest finds in RSI when it starts. Source: xen/include/public/xen.h, struct start_info.
import { struct, u8, u32, u64 } from './struct.ts'
import { MAX_GUEST_CMDLINE } from './xen.ts'

export const XEN_GUEST_MAGIC_X86_64 = 'xen-3.0-x86_64'

export const start_info = struct('xen.h: struct start_info', 1168, {
	/** "xen-<version>-<platform>", zero-padded. */
	magic: u8(0, 'xen', 32),
	nr_pages: u64(32),
	/** Machine address. */
	shared_info: u64(40),
	/** SIF_*. */
	flags: u32(48),
	store_mfn: u64(56),
	store_evtchn: u32(64),
	console_domU_mfn: u64(72),
	console_domU_evtchn: u32(80),
	/** Virtual address of the L4. */
	pt_base: u64(88),
	nr_pt_frames: u64(96),
	/** Virtual address of the P2M. */
	mfn_list: u64(104),
	/** Virtual address, or with SIF_MOD_START_PFN the pfn, of the ramdisk. */
	mod_start: u64(112),
	/** Bytes. */
	mod_len: u64(120),
	cmd_line: u8(128, 'xen', MAX_GUEST_CMDLINE),
	/** With INIT_P2M: the frames of the P2M and of the page tables that map it. */
	first_p2m_pfn: u64(1152),
	nr_p2m_frames: u64(1160),
})
