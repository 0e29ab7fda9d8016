// What of the domain control interface is in a saved domain. Source: xen/include/public/domctl.h.
import { struct, u8, u16, u32, u64 } from './struct.ts'

/** XEN_DOMCTL_PFINFO_*, the four bits at the top of a page's type: a page table's level, with LPINTAB when it is pinned, or one of the others. */
export const XEN_DOMCTL_PFINFO_NOTAB = 0x0
export const XEN_DOMCTL_PFINFO_L1TAB = 0x1
export const XEN_DOMCTL_PFINFO_L4TAB = 0x4
export const XEN_DOMCTL_PFINFO_LPINTAB = 0x8
export const XEN_DOMCTL_PFINFO_BROKEN = 0xd
export const XEN_DOMCTL_PFINFO_XALLOC = 0xe
export const XEN_DOMCTL_PFINFO_XTAB = 0xf

export const ext_vcpucontext = struct('domctl.h: struct xen_domctl_ext_vcpucontext', 64, {
	vcpu: u32(0),
	size: u32(4),
	syscall32_callback_eip: u64(8),
	sysenter_callback_eip: u64(16),
	syscall32_callback_cs: u16(24),
	sysenter_callback_cs: u16(26),
	syscall32_disables_events: u8(28),
	sysenter_disables_events: u8(29),
	/** struct hvm_vmce_vcpu. */
	mcg_cap: u64(32),
	mci_ctl2_bank0: u64(40),
	mci_ctl2_bank1: u64(48),
	mcg_ext_ctl: u64(56),
})
