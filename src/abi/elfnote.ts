// Notes by which a kernel tells Xen how it wants to be loaded. Source: xen/include/public/elfnote.h.

export const XEN_ELFNOTE_NAME = 'Xen'

export const XEN_ELFNOTE_INFO = 0
export const XEN_ELFNOTE_ENTRY = 1
export const XEN_ELFNOTE_HYPERCALL_PAGE = 2
export const XEN_ELFNOTE_VIRT_BASE = 3
export const XEN_ELFNOTE_PADDR_OFFSET = 4
export const XEN_ELFNOTE_XEN_VERSION = 5
export const XEN_ELFNOTE_GUEST_OS = 6
export const XEN_ELFNOTE_GUEST_VERSION = 7
export const XEN_ELFNOTE_LOADER = 8
export const XEN_ELFNOTE_PAE_MODE = 9
export const XEN_ELFNOTE_FEATURES = 10
export const XEN_ELFNOTE_BSD_SYMTAB = 11
export const XEN_ELFNOTE_HV_START_LOW = 12
export const XEN_ELFNOTE_L1_MFN_VALID = 13
export const XEN_ELFNOTE_SUSPEND_CANCEL = 14
export const XEN_ELFNOTE_INIT_P2M = 15
export const XEN_ELFNOTE_MOD_START_PFN = 16
export const XEN_ELFNOTE_SUPPORTED_FEATURES = 17
export const XEN_ELFNOTE_PHYS32_ENTRY = 18
export const XEN_ELFNOTE_PHYS32_RELOC = 19
export const XEN_ELFNOTE_MAX = XEN_ELFNOTE_PHYS32_RELOC

/** How a note's contents are read: a number of 1, 2, 4 or 8 bytes, a string, or an array with a form of its own. */
export type NoteKind = 'number' | 'string' | 'array'

/** Every note by its number: its name without the prefix, and the kind of its contents. */
export const XEN_ELFNOTES: readonly (readonly [name: string, kind: NoteKind])[] = [
	['INFO', 'string'],
	['ENTRY', 'number'],
	['HYPERCALL_PAGE', 'number'],
	['VIRT_BASE', 'number'],
	['PADDR_OFFSET', 'number'],
	['XEN_VERSION', 'string'],
	['GUEST_OS', 'string'],
	['GUEST_VERSION', 'string'],
	['LOADER', 'string'],
	['PAE_MODE', 'string'],
	['FEATURES', 'string'],
	['BSD_SYMTAB', 'string'],
	['HV_START_LOW', 'number'],
	['L1_MFN_VALID', 'array'],
	['SUSPEND_CANCEL', 'number'],
	['INIT_P2M', 'number'],
	['MOD_START_PFN', 'number'],
	['SUPPORTED_FEATURES', 'number'],
	['PHYS32_ENTRY', 'number'],
	['PHYS32_RELOC', 'array'],
]

/** Names in the FEATURES string (features.h without XENFEAT_), and their bits. */
export const ELFNOTE_FEATURE_NAMES: Readonly<Record<string, number>> = {
	writable_page_tables: 0,
	writable_descriptor_tables: 1,
	auto_translated_physmap: 2,
	supervisor_mode_kernel: 3,
	pae_pgdir_above_4gb: 4,
	hvm_callback_vector: 8,
	dom0: 11,
}
