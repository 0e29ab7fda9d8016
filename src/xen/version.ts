/** HYPERVISOR_xen_version. The interface is Xen 4.17's; strings that name a build name this project. */
import { XEN_EFAULT, XEN_EINVAL, XEN_EPERM } from '../abi/errno.ts'
import * as V from '../abi/version.ts'
import * as X from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { readGuest, writeGuest, writeGuestBytes } from './guest_struct.ts'
import { argNumber, argU32 } from './hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

export const XEN_VERSION_MAJOR = 4
export const XEN_VERSION_MINOR = 17
/** Follows "4.17"; at most 15 characters. */
export const XEN_EXTRAVERSION = '-xenotype'
export const XEN_CHANGESET = 'xenotype'
/** 64-bit PV guests only. */
export const XEN_CAPABILITIES = 'xen-3.0-x86_64 '
const DENIED = '<denied>'

/** XENFEAT_* bits of submap 0, as an unprivileged 64-bit PV domain sees them on real Xen: 0x000220f0. */
const FEATURES =
	(1 << X.XENFEAT_pae_pgdir_above_4gb) |
	(1 << X.XENFEAT_mmu_pt_update_preserve_ad) |
	(1 << X.XENFEAT_highmem_assist) |
	(1 << X.XENFEAT_gnttab_map_avail_bits) |
	(1 << X.XENFEAT_memory_op_vnode_supported) |
	(1 << X.XENFEAT_direct_mapped)

/** `text` in a field of `size` bytes, zero-filled and terminated. */
function field(size: number, text: string): Uint8Array {
	const bytes = new Uint8Array(size)
	new TextEncoder().encodeInto(text, bytes.subarray(0, size - 1))
	return bytes
}

function answer(name: string, respond: (vcpu: VcpuContext, address: number) => number, note?: string): SubopRow {
	const handler = (vcpu: VcpuContext, args: Uint32Array) => respond(vcpu, argNumber(args, 1))
	return note === undefined ? { name, status: 'implemented', handler } : { name, status: 'implemented', handler, note }
}

/** A row that stores fixed bytes at the argument. */
function bytes(name: string, content: (vcpu: VcpuContext) => Uint8Array, note?: string): SubopRow {
	return answer(name, (vcpu, address) => (writeGuestBytes(vcpu, address, content(vcpu)) ? 0 : -XEN_EFAULT), note)
}

function compileInfo(): Uint8Array {
	const at = V.xen_compile_info.at
	const info = new Uint8Array(V.xen_compile_info.size)
	info.set(field(64, 'xenotype'), at.compiler)
	info.set(field(16, 'xenotype'), at.compile_by)
	info.set(field(32, ''), at.compile_domain)
	info.set(field(32, ''), at.compile_date)
	return info
}

/** The domain's UUID, 16 bytes in the order it is written. */
function domainHandle(vcpu: VcpuContext): Uint8Array {
	return Uint8Array.from(vcpu.domain.description.uuid.replaceAll('-', '').match(/../g) ?? [], (hex) => Number.parseInt(hex, 16))
}

function getFeatures(vcpu: VcpuContext, address: number): number {
	const info = readGuest(vcpu, address, V.xen_feature_info.size)
	if (!info) return -XEN_EFAULT
	if (info.getUint32(V.xen_feature_info.at.submap_idx, true) >= X.XENFEAT_NR_SUBMAPS) return -XEN_EINVAL
	info.setUint32(V.xen_feature_info.at.submap, FEATURES, true)
	return writeGuest(vcpu, address, info) ? 0 : -XEN_EFAULT
}

const virtStart = new Uint8Array(Uint32Array.of(0, 0xffff_8000).buffer)

export const versionSubops: Readonly<Record<number, SubopRow>> = {
	[V.XENVER_version]: answer('XENVER_version', () => (XEN_VERSION_MAJOR << 16) | XEN_VERSION_MINOR),
	[V.XENVER_extraversion]: bytes('XENVER_extraversion', () => field(V.XEN_EXTRAVERSION_LEN, XEN_EXTRAVERSION)),
	[V.XENVER_compile_info]: bytes('XENVER_compile_info', compileInfo),
	[V.XENVER_capabilities]: bytes('XENVER_capabilities', () => field(V.XEN_CAPABILITIES_INFO_LEN, XEN_CAPABILITIES)),
	[V.XENVER_changeset]: bytes('XENVER_changeset', () => field(V.XEN_CHANGESET_INFO_LEN, XEN_CHANGESET)),
	[V.XENVER_platform_parameters]: bytes('XENVER_platform_parameters', () => virtStart),
	[V.XENVER_get_features]: answer('XENVER_get_features', getFeatures),
	[V.XENVER_pagesize]: answer('XENVER_pagesize', (_, address) => (address === 0 ? PAGE_SIZE : -XEN_EINVAL)),
	[V.XENVER_guest_handle]: bytes('XENVER_guest_handle', domainHandle),
	[V.XENVER_commandline]: bytes('XENVER_commandline', () => field(DENIED.length + 1, DENIED), '"<denied>", as for any domU'),
	[V.XENVER_build_id]: { name: 'XENVER_build_id', status: 'refused', errno: XEN_EPERM },
}

export const versionHypercall: HypercallRow = {
	number: X.__HYPERVISOR_xen_version,
	name: 'xen_version',
	source: 'version.h: HYPERVISOR_xen_version',
	status: 'implemented',
	subops: versionSubops,
	handler: (vcpu, args) => dispatchSubop(vcpu, versionSubops, argU32(args, 0), args),
}
