// Memory operations. Source: xen/include/public/memory.h (interface of Xen 4.17).
import { embed, struct, u16, u32, u64 } from './struct.ts'

export const XENMEM_increase_reservation = 0
export const XENMEM_decrease_reservation = 1
export const XENMEM_maximum_ram_page = 2
export const XENMEM_current_reservation = 3
export const XENMEM_maximum_reservation = 4
export const XENMEM_machphys_mfn_list = 5
export const XENMEM_populate_physmap = 6
export const XENMEM_add_to_physmap = 7
export const XENMEM_memory_map = 9
export const XENMEM_machine_memory_map = 10
export const XENMEM_exchange = 11
export const XENMEM_machphys_mapping = 12
export const XENMEM_set_memory_map = 13
export const XENMEM_maximum_gpfn = 14
export const XENMEM_remove_from_physmap = 15
export const XENMEM_set_pod_target = 16
export const XENMEM_get_pod_target = 17
export const XENMEM_get_sharing_freed_pages = 18
export const XENMEM_get_sharing_shared_pages = 19
export const XENMEM_paging_op = 20
export const XENMEM_access_op = 21
export const XENMEM_sharing_op = 22
export const XENMEM_add_to_physmap_batch = 23
export const XENMEM_claim_pages = 24
export const XENMEM_machphys_compat_mfn_list = 25
export const XENMEM_get_vnumainfo = 26
export const XENMEM_reserved_device_memory_map = 27
export const XENMEM_acquire_resource = 28

/** The command is in the low bits; a continuation's first extent above. Source: xen/include/xen/hypercall.h, MEMOP_EXTENT_SHIFT. */
export const MEMOP_EXTENT_SHIFT = 6
export const MEMOP_CMD_MASK = 63

/** Low byte of mem_flags: the allocated frames' addresses must fit in so many bits (0: any). */
export const XENMEMF_address_bits_mask = 0xff
export const XENMEMF_populate_on_demand = 1 << 16
export const XENMEMF_exact_node_request = 1 << 17
export const XENMEMF_vnode = 1 << 18

/** Source: xen/arch/x86/include/asm/e820.h. */
export const E820_RAM = 1

export const xen_memory_reservation = struct('memory.h: struct xen_memory_reservation', 32, {
	extent_start: u64(0, 'guest'),
	nr_extents: u64(8, 'guest'),
	extent_order: u32(16, 'guest'),
	mem_flags: u32(20, 'guest'),
	domid: u16(24, 'guest'),
})
export const xen_memory_exchange = struct('memory.h: struct xen_memory_exchange', 72, {
	in: embed(0, xen_memory_reservation.size, 'guest'),
	out: embed(32, xen_memory_reservation.size, 'guest'),
	nr_exchanged: u64(64, 'both'),
})
export const xen_memory_domain = struct('memory.h: struct xen_memory_domain', 2, { domid: u16(0, 'guest') })
export const xen_machphys_mfn_list = struct('memory.h: struct xen_machphys_mfn_list', 24, {
	max_extents: u32(0, 'guest'),
	extent_start: u64(8, 'guest'),
	nr_extents: u32(16, 'xen'),
})
export const xen_machphys_mapping = struct('memory.h: struct xen_machphys_mapping', 24, {
	v_start: u64(0),
	v_end: u64(8),
	max_mfn: u64(16),
})
export const xen_memory_map = struct('memory.h: struct xen_memory_map', 16, { nr_entries: u32(0, 'both'), buffer: u64(8, 'guest') })
/** Packed. Source: xen/arch/x86/include/asm/e820.h, struct e820entry. */
export const E820_ENTRY_SIZE = 20
export const xen_vnuma_topology_info = struct('memory.h: struct xen_vnuma_topology_info', 40, {
	domid: u16(0, 'guest'),
	pad: u16(2, 'guest'),
	nr_vnodes: u32(4, 'both'),
	nr_vcpus: u32(8, 'both'),
	nr_vmemranges: u32(12, 'both'),
	vdistance: u64(16, 'guest'),
	vcpu_to_vnode: u64(24, 'guest'),
	vmemrange: u64(32, 'guest'),
})
