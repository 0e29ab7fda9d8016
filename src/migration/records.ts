/**
 * The numbers of Xen's migration streams. Sources: docs/specs/libxc-migration-stream.pandoc (version 3) and docs/specs/libxl-migration-stream.pandoc (version 2) of
 * Xen's repository; for the file's header, struct save_file_header of xl. All is little-endian but for the two headers' first words.
 */

// ---- xl's file ----------------------------------------------------------------------------------------------------------------

export const XL_MAGIC = 'Xen saved domain, xl format\n \0 \r'
/** u32 each: byte order, mandatory flags, optional flags, bytes of optional data; the optional data begins with the u32 length of the configuration. */
export const XL_HEADER_SIZE = 32 + 16
export const XL_BYTEORDER = 0x0102_0304
export const XL_MANDATORY_JSON = 1
export const XL_MANDATORY_STREAMV2 = 2

// ---- libxl's stream -----------------------------------------------------------------------------------------------------------

export const LIBXL_IDENT = 'LibxlFmt'
export const LIBXL_VERSION = 2
export const LIBXL_HEADER_SIZE = 16
export const LIBXL_END = 0
/** The libxc stream follows the record, to its end. */
export const LIBXL_LIBXC_CONTEXT = 1

// ---- libxc's stream -----------------------------------------------------------------------------------------------------------

export const IMAGE_MARKER = 0xffff_ffff_ffff_ffffn
/** "XENF". */
export const IMAGE_ID = 0x5845_4e46
export const IMAGE_VERSION = 3
export const IMAGE_HEADER_SIZE = 24
/** Of the options in both headers. */
export const OPTION_BIG_ENDIAN = 1
export const OPTION_LEGACY = 2

export const DOMAIN_HEADER_SIZE = 16
export const DOMAIN_TYPE_PV = 1

export const RECORD_HEADER_SIZE = 8
/** A record's body, at most; xc's REC_LENGTH_MAX. */
export const RECORD_MAX = 8 * 1024 * 1024
/** Set in the type of a record that may be skipped by who does not know it. */
export const RECORD_OPTIONAL = 0x8000_0000

export const REC_END = 0x00
export const REC_PAGE_DATA = 0x01
export const REC_X86_PV_INFO = 0x02
export const REC_X86_PV_P2M_FRAMES = 0x03
export const REC_X86_PV_VCPU_BASIC = 0x04
export const REC_X86_PV_VCPU_EXTENDED = 0x05
export const REC_X86_PV_VCPU_XSAVE = 0x06
export const REC_SHARED_INFO = 0x07
export const REC_X86_TSC_INFO = 0x08
export const REC_X86_PV_VCPU_MSRS = 0x0c
export const REC_STATIC_DATA_END = 0x10
export const REC_X86_CPUID_POLICY = 0x11
export const REC_X86_MSR_POLICY = 0x12

/** Pages of one PAGE_DATA record, at most. */
export const BATCH_PAGES = 1024
/** Bits 0..51 of a page's entry are its PFN, 60..63 its type. */
export const PFN_MASK = (1n << 52n) - 1n
export const TYPE_SHIFT = 60n
/** Entries of a P2M page. */
export const P2M_ENTRIES = 512
