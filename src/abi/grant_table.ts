// Grant tables. Source: xen/include/public/grant_table.h (interface of Xen 4.17).
import { struct, u16, u32, u64 } from './struct.ts'

// ---- entries -------------------------------------------------------------------------------------------------------------

export const GNTTAB_NR_RESERVED_ENTRIES = 8
export const GNTTAB_RESERVED_CONSOLE = 0
export const GNTTAB_RESERVED_XENSTORE = 1

export const GTF_invalid = 0
export const GTF_permit_access = 1
export const GTF_accept_transfer = 2
export const GTF_transitive = 3
export const GTF_type_mask = 3
export const GTF_readonly = 1 << 2
export const GTF_reading = 1 << 3
export const GTF_writing = 1 << 4
export const GTF_PWT = 1 << 5
export const GTF_PCD = 1 << 6
export const GTF_PAT = 1 << 7
export const GTF_sub_page = 1 << 8
export const GTF_transfer_committed = 1 << 2
export const GTF_transfer_completed = 1 << 3

/** flags and domid change as one 32-bit word: flags in the low half. */
export const grant_entry_v1 = struct('grant_table.h: struct grant_entry_v1', 8, {
	flags: u16(0, 'both'),
	domid: u16(2, 'guest'),
	frame: u32(4, 'both'),
})
export const grant_entry_v2_full_page = struct('grant_table.h: union grant_entry_v2.full_page', 16, {
	flags: u16(0, 'guest'),
	domid: u16(2, 'guest'),
	pad0: u32(4, 'guest'),
	frame: u64(8, 'guest'),
})
export const grant_entry_v2_sub_page = struct('grant_table.h: union grant_entry_v2.sub_page', 16, {
	flags: u16(0, 'guest'),
	domid: u16(2, 'guest'),
	page_off: u16(4, 'guest'),
	length: u16(6, 'guest'),
	frame: u64(8, 'guest'),
})
export const grant_entry_v2_transitive = struct('grant_table.h: union grant_entry_v2.transitive', 12, {
	flags: u16(0, 'guest'),
	domid: u16(2, 'guest'),
	trans_domid: u16(4, 'guest'),
	pad0: u16(6, 'guest'),
	gref: u32(8, 'guest'),
})
/** Bytes of a grant_status_t: GTF_reading and GTF_writing of a version 2 entry, written by Xen. */
export const GRANT_STATUS_SIZE = 2

// ---- operations ------------------------------------------------------------------------------------------------------------

export const GNTTABOP_map_grant_ref = 0
export const GNTTABOP_unmap_grant_ref = 1
export const GNTTABOP_setup_table = 2
export const GNTTABOP_dump_table = 3
export const GNTTABOP_transfer = 4
export const GNTTABOP_copy = 5
export const GNTTABOP_query_size = 6
export const GNTTABOP_unmap_and_replace = 7
export const GNTTABOP_set_version = 8
export const GNTTABOP_get_status_frames = 9
export const GNTTABOP_get_version = 10
export const GNTTABOP_swap_grant_ref = 11
export const GNTTABOP_cache_flush = 12

export const GNTMAP_device_map = 1 << 0
export const GNTMAP_host_map = 1 << 1
export const GNTMAP_readonly = 1 << 2
export const GNTMAP_application_map = 1 << 3
export const GNTMAP_contains_pte = 1 << 4

export const GNTCOPY_source_gref = 1 << 0
export const GNTCOPY_dest_gref = 1 << 1

export const GNTTAB_CACHE_CLEAN = 1 << 0
export const GNTTAB_CACHE_INVAL = 1 << 1
export const GNTTAB_CACHE_SOURCE_GREF = 0x8000_0000

export const GNTST_okay = 0
export const GNTST_general_error = -1
export const GNTST_bad_domain = -2
export const GNTST_bad_gntref = -3
export const GNTST_bad_handle = -4
export const GNTST_bad_virt_addr = -5
export const GNTST_bad_dev_addr = -6
export const GNTST_no_device_space = -7
export const GNTST_permission_denied = -8
export const GNTST_bad_page = -9
export const GNTST_bad_copy_arg = -10
export const GNTST_address_too_big = -11
export const GNTST_eagain = -12
export const GNTST_no_space = -13

export const gnttab_map_grant_ref = struct('grant_table.h: struct gnttab_map_grant_ref', 32, {
	host_addr: u64(0, 'guest'),
	flags: u32(8, 'guest'),
	ref: u32(12, 'guest'),
	dom: u16(16, 'guest'),
	status: u16(18, 'xen'),
	handle: u32(20, 'xen'),
	dev_bus_addr: u64(24, 'xen'),
})
export const gnttab_unmap_grant_ref = struct('grant_table.h: struct gnttab_unmap_grant_ref', 24, {
	host_addr: u64(0, 'guest'),
	dev_bus_addr: u64(8, 'guest'),
	handle: u32(16, 'guest'),
	status: u16(20, 'xen'),
})
export const gnttab_setup_table = struct('grant_table.h: struct gnttab_setup_table', 24, {
	dom: u16(0, 'guest'),
	nr_frames: u32(4, 'guest'),
	status: u16(8, 'xen'),
	frame_list: u64(16, 'guest'),
})
export const gnttab_dump_table = struct('grant_table.h: struct gnttab_dump_table', 4, { dom: u16(0, 'guest'), status: u16(2, 'xen') })
export const gnttab_transfer = struct('grant_table.h: struct gnttab_transfer', 24, {
	mfn: u64(0, 'guest'),
	domid: u16(8, 'guest'),
	ref: u32(12, 'guest'),
	status: u16(16, 'xen'),
})
/** source.u and dest.u are unions: a grant reference (u32) or a frame number (u64). */
export const gnttab_copy = struct('grant_table.h: struct gnttab_copy', 40, {
	source_u: u64(0, 'guest'),
	source_domid: u16(8, 'guest'),
	source_offset: u16(10, 'guest'),
	dest_u: u64(16, 'guest'),
	dest_domid: u16(24, 'guest'),
	dest_offset: u16(26, 'guest'),
	len: u16(32, 'guest'),
	flags: u16(34, 'guest'),
	status: u16(36, 'xen'),
})
export const gnttab_query_size = struct('grant_table.h: struct gnttab_query_size', 16, {
	dom: u16(0, 'guest'),
	nr_frames: u32(4, 'xen'),
	max_nr_frames: u32(8, 'xen'),
	status: u16(12, 'xen'),
})
export const gnttab_unmap_and_replace = struct('grant_table.h: struct gnttab_unmap_and_replace', 24, {
	host_addr: u64(0, 'guest'),
	new_addr: u64(8, 'guest'),
	handle: u32(16, 'guest'),
	status: u16(20, 'xen'),
})
export const gnttab_set_version = struct('grant_table.h: struct gnttab_set_version', 4, { version: u32(0, 'both') })
export const gnttab_get_status_frames = struct('grant_table.h: struct gnttab_get_status_frames', 16, {
	nr_frames: u32(0, 'guest'),
	dom: u16(4, 'guest'),
	status: u16(6, 'xen'),
	frame_list: u64(8, 'guest'),
})
export const gnttab_get_version = struct('grant_table.h: struct gnttab_get_version', 8, {
	dom: u16(0, 'guest'),
	pad: u16(2, 'guest'),
	version: u32(4, 'xen'),
})
export const gnttab_swap_grant_ref = struct('grant_table.h: struct gnttab_swap_grant_ref', 12, {
	ref_a: u32(0, 'guest'),
	ref_b: u32(4, 'guest'),
	status: u16(8, 'xen'),
})
/** `a` is a union: dev_bus_addr (u64) or ref (u32). */
export const gnttab_cache_flush = struct('grant_table.h: struct gnttab_cache_flush', 16, {
	a: u64(0, 'guest'),
	offset: u16(8, 'guest'),
	length: u16(10, 'guest'),
	op: u32(12, 'guest'),
})
