/**
 * Page table entries as two u32 halves, and what a PV guest may put in them.
 * Sources: Intel SDM vol. 3 4.5; Xen's public interface documents the rest in arch-x86/xen.h and xen.h (mmu_update).
 */

export const PTE_PRESENT = 0x001
export const PTE_RW = 0x002
export const PTE_USER = 0x004
export const PTE_PWT = 0x008
export const PTE_PCD = 0x010
export const PTE_ACCESSED = 0x020
export const PTE_DIRTY = 0x040
/** PAT in an L1 entry, page size in an L2 or L3 entry. */
export const PTE_PAT = 0x080
export const PTE_PSE = 0x080
export const PTE_GLOBAL = 0x100
/** In the high half. Bits 52..62 are available to software; Xen marks a PV guest's kernel mappings with bit 52. */
export const PTE_HI_GUEST_KERNEL = 0x0010_0000
export const PTE_HI_NX = 0x8000_0000
/** The high half's part of the frame number (bits 32..51 of the entry): always 0 in a valid entry, as a machine is below 4 GiB. */
export const PTE_HI_FRAME = 0x000f_ffff

/** Flags that a domain without devices may not set: cache attributes at L1; those, page size and global above. */
export const L1_DISALLOWED = PTE_PWT | PTE_PCD | PTE_PAT
export const UPPER_DISALLOWED = PTE_PWT | PTE_PCD | PTE_PSE | PTE_GLOBAL

/** Bits whose change needs no new validation: they affect neither the frame nor the rights that are counted. */
export const UNCOUNTED_LO = PTE_USER | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL | 0xe00
export const UNCOUNTED_HI = 0xfff0_0000

export const ENTRIES = 512
/** L4 slots 256..271 are Xen's (0xffff8000_00000000 .. 0xffff8800_00000000); 256 maps the machine-to-physical table. */
export const FIRST_XEN_SLOT = 256
export const LAST_XEN_SLOT = 271
export const M2P_SLOT = 256

/** Linear address bits that an entry of each level (1..4) selects by: entry index = va >> shift & 511. */
export const LEVEL_SHIFT = [0, 12, 21, 30, 39] as const
const LEVEL_SPAN = LEVEL_SHIFT.map((shift) => 2 ** shift)

/** The frame an entry names, or -1 when it is above any machine's. */
export function entryFrame(lo: number, hi: number): number {
	return (hi & PTE_HI_FRAME) === 0 ? lo >>> 12 : -1
}

/** Whether all forty bits of the entry's frame number are set: INVALID_MFN. */
export function isInvalidMfn(lo: number, hi: number): boolean {
	return (hi & PTE_HI_FRAME) === PTE_HI_FRAME && lo >>> 12 === 0xf_ffff
}

/** Index of the entry for a linear address in a table of `level`. */
export function entryIndex(va: number, level: number): number {
	return Math.floor(va / LEVEL_SPAN[level]) & (ENTRIES - 1)
}

/**
 * The low half of a present L1 entry as the processor gets it. Guest kernel and guest user both run in ring 3: every page is a
 * user page; those that the guest meant for its kernel are told apart by PTE_HI_GUEST_KERNEL, all others are global.
 */
export function adjustL1Lo(lo: number, hi: number): number {
	if ((lo & PTE_USER) === 0) return lo | PTE_USER
	return hi & PTE_HI_GUEST_KERNEL ? lo : lo | PTE_GLOBAL
}
/** The high half of it. */
export function adjustL1Hi(lo: number, hi: number): number {
	return lo & PTE_USER ? hi : hi | PTE_HI_GUEST_KERNEL
}
/** The low half of a present entry of `level` 2..4. */
export function adjustUpperLo(lo: number, level: number): number {
	return lo | (level === 4 ? PTE_USER | PTE_ACCESSED : PTE_USER)
}
