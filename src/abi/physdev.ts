// Physical devices, as far as a domU may ask. Source: xen/include/public/physdev.h (interface of Xen 4.17).
import { struct, u32, u64 } from './struct.ts'

export const PHYSDEVOP_IRQ_UNMASK_NOTIFY = 4
export const PHYSDEVOP_irq_status_query = 5
export const PHYSDEVOP_set_iopl = 6
export const PHYSDEVOP_set_iobitmap = 7
export const PHYSDEVOP_apic_read = 8
export const PHYSDEVOP_apic_write = 9
export const PHYSDEVOP_alloc_irq_vector = 10
export const PHYSDEVOP_free_irq_vector = 11
export const PHYSDEVOP_eoi = 12
export const PHYSDEVOP_map_pirq = 13
export const PHYSDEVOP_unmap_pirq = 14
export const PHYSDEVOP_manage_pci_add = 15
export const PHYSDEVOP_manage_pci_remove = 16
export const PHYSDEVOP_pirq_eoi_gmfn_v1 = 17
export const PHYSDEVOP_restore_msi = 19
export const PHYSDEVOP_manage_pci_add_ext = 20
export const PHYSDEVOP_setup_gsi = 21
export const PHYSDEVOP_get_free_pirq = 23
export const PHYSDEVOP_pci_mmcfg_reserved = 24
export const PHYSDEVOP_pci_device_add = 25
export const PHYSDEVOP_pci_device_remove = 26
export const PHYSDEVOP_restore_msi_ext = 27
export const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28
export const PHYSDEVOP_dbgp_op = 29
export const PHYSDEVOP_prepare_msix = 30
export const PHYSDEVOP_release_msix = 31

export const XENIRQSTAT_needs_eoi = 1 << 0
export const XENIRQSTAT_shared = 1 << 1

export const physdev_set_iopl = struct('physdev.h: struct physdev_set_iopl', 4, { iopl: u32(0, 'guest') })
export const physdev_set_iobitmap = struct('physdev.h: struct physdev_set_iobitmap', 16, {
	bitmap: u64(0, 'guest'),
	nr_ports: u32(8, 'guest'),
})
export const physdev_irq_status_query = struct('physdev.h: struct physdev_irq_status_query', 8, {
	irq: u32(0, 'guest'),
	flags: u32(4, 'xen'),
})
export const physdev_eoi = struct('physdev.h: struct physdev_eoi', 4, { irq: u32(0, 'guest') })
