// Source: xen/include/public/version.h (interface of Xen 4.17).
import { struct, u8, u32, u64 } from './struct.ts'

export const XENVER_version = 0
export const XENVER_extraversion = 1
export const XENVER_compile_info = 2
export const XENVER_capabilities = 3
export const XENVER_changeset = 4
export const XENVER_platform_parameters = 5
export const XENVER_get_features = 6
export const XENVER_pagesize = 7
export const XENVER_guest_handle = 8
export const XENVER_commandline = 9
export const XENVER_build_id = 10

export const XEN_EXTRAVERSION_LEN = 16
export const XEN_CAPABILITIES_INFO_LEN = 1024
export const XEN_CHANGESET_INFO_LEN = 64

export const xen_compile_info = struct('version.h: struct xen_compile_info', 144, {
	compiler: u8(0, 'xen', 64),
	compile_by: u8(64, 'xen', 16),
	compile_domain: u8(80, 'xen', 32),
	compile_date: u8(112, 'xen', 32),
})
export const xen_platform_parameters = struct('version.h: struct xen_platform_parameters', 8, { virt_start: u64(0, 'xen') })
export const xen_feature_info = struct('version.h: struct xen_feature_info', 8, { submap_idx: u32(0, 'guest'), submap: u32(4, 'xen') })
