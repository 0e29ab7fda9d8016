/** HYPERVISOR_grant_table_op: a domain's own table, and what it may do with others' (copying and mapping: grant_copy.ts, grant_map.ts). */
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from '../abi/errno.ts'
import * as G from '../abi/grant_table.ts'
import { __HYPERVISOR_grant_table_op, DOMID_SELF } from '../abi/xen.ts'
import { PAGE_SHIFT, PAGE_SIZE } from '../x86/machine_memory.ts'
import { foreignDomainError } from './event_channel.ts'
import { copyOne } from './grant_copy.ts'
import { GT_FRAMES, GT_STATUS_FRAMES, GT_VERSION, grantWord, withGrants } from './grant_entries.ts'
import { mapOne, unmapAndReplaceOne, unmapOne } from './grant_map.ts'
import { growTable, setVersion, swapEntries } from './grant_version.ts'
import { guestRangeOk, readGuest, viewGva, writeGuest, writeGuestBytes } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { dispatchSubop, HYPERCALL_PREEMPTED, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

/** Bits of the command above this are a continuation's; a guest leaves them 0 but for GNTTABOP_cache_flush. */
const GNTTABOP_CMD_MASK = 0xfff

type Operation = (vcpu: VcpuContext, argument: DataView, address: number) => number

function row(name: string, handler: (vcpu: VcpuContext, args: HypercallArgs) => number, note?: string): SubopRow {
	return note === undefined ? { name, status: 'implemented', handler } : { name, status: 'implemented', handler, note }
}

/** An operation on exactly one structure; the count must be 1 when `counted`. The operation writes back what it must. */
function single(size: number, counted: boolean, operation: Operation) {
	return (vcpu: VcpuContext, args: HypercallArgs): number => {
		if (counted && argU32(args, 2) !== 1) return -XEN_EINVAL
		const address = argNumber(args, 1)
		const argument = readGuest(vcpu, address, size)
		return argument ? operation(vcpu, argument, address) : -XEN_EFAULT
	}
}

/**
 * An operation on each of `count` structures, whose bytes [from, from + length) are written back each time. Errors go
 * into the structure's status; an `operation` that returns a negative errno stops. Interrupted between structures when needed.
 */
function each(size: number, from: number, length: number, operation: (vcpu: VcpuContext, argument: DataView) => unknown) {
	return (vcpu: VcpuContext, args: HypercallArgs): number => {
		const count = argU32(args, 2)
		const first = argNumber(args, 1)
		if (!guestRangeOk(first, count * size)) return -XEN_EFAULT
		for (let n = 0; n < count; n++) {
			const address = first + n * size
			if (n > 0 && vcpu.preemptPending()) return continueAt(args, address, count - n)
			const argument = readGuest(vcpu, address, size)
			if (!argument) return -XEN_EFAULT
			const rc = operation(vcpu, argument)
			if (typeof rc === 'number' && rc !== 0) return rc
			if (length > 0 && !writeGuest(vcpu, address, argument, from, length)) return -XEN_EFAULT
		}
		return 0
	}
}

function continueAt(args: HypercallArgs, address: number, count: number): number {
	setArg(args, 1, address)
	args[4] = count
	return HYPERCALL_PREEMPTED
}

const isSelf = (vcpu: VcpuContext, domid: number) => domid === DOMID_SELF || domid === vcpu.domain.domid
/** The status of an operation on another domain's table. */
const foreignStatus = (domid: number) => (foreignDomainError(domid) === -XEN_ESRCH ? G.GNTST_bad_domain : G.GNTST_permission_denied)

/** Writes frame numbers to the guest's list. */
function listFrames(vcpu: VcpuContext, list: number, firstMfn: number, count: number): number {
	const frames = new Uint32Array(count * 2)
	for (let n = 0; n < count; n++) frames[n * 2] = firstMfn + n
	return writeGuestBytes(vcpu, list, new Uint8Array(frames.buffer)) ? G.GNTST_okay : G.GNTST_bad_virt_addr
}

const setupTable: Operation = (vcpu, argument, address) => {
	const at = G.gnttab_setup_table.at
	const { domain } = vcpu
	const domid = argument.getUint16(at.dom, true)
	const frames = argument.getUint32(at.nr_frames, true)
	const list = viewGva(argument, at.frame_list)
	if (!guestRangeOk(list, frames * 8)) return -XEN_EFAULT
	let status = foreignStatus(domid)
	if (isSelf(vcpu, domid)) {
		const grown = withGrants(domain, () => growTable(domain, frames))
		status = grown ? listFrames(vcpu, list, domain.layout.grantMfn, frames) : G.GNTST_general_error
	}
	argument.setInt16(at.status, status, true)
	return writeGuest(vcpu, address, argument, at.status, 2) ? 0 : -XEN_EFAULT
}

const getStatusFrames: Operation = (vcpu, argument, address) => {
	const at = G.gnttab_get_status_frames.at
	const { domain } = vcpu
	const domid = argument.getUint16(at.dom, true)
	const frames = argument.getUint32(at.nr_frames, true)
	const list = viewGva(argument, at.frame_list)
	if (!guestRangeOk(list, frames * 8)) return -XEN_EFAULT
	let status = foreignStatus(domid)
	if (isSelf(vcpu, domid)) {
		const enough = frames <= grantWord(domain, GT_STATUS_FRAMES)
		status = enough ? listFrames(vcpu, list, domain.layout.grantStatusMfn, frames) : G.GNTST_general_error
	}
	argument.setInt16(at.status, status, true)
	return writeGuest(vcpu, address, argument, at.status, 2) ? 0 : -XEN_EFAULT
}

const querySize: Operation = (vcpu, argument, address) => {
	const at = G.gnttab_query_size.at
	const domid = argument.getUint16(at.dom, true)
	const self = isSelf(vcpu, domid)
	if (self) {
		argument.setUint32(at.nr_frames, grantWord(vcpu.domain, GT_FRAMES), true)
		argument.setUint32(at.max_nr_frames, vcpu.domain.description.maxGrantFrames, true)
	}
	argument.setInt16(at.status, self ? G.GNTST_okay : foreignStatus(domid), true)
	return writeGuest(vcpu, address, argument) ? 0 : -XEN_EFAULT
}

const setTableVersion: Operation = (vcpu, argument, address) => {
	const rc = setVersion(vcpu, argument.getUint32(0, true))
	argument.setUint32(0, grantWord(vcpu.domain, GT_VERSION), true)
	return writeGuest(vcpu, address, argument) ? rc : -XEN_EFAULT
}

const getTableVersion: Operation = (vcpu, argument, address) => {
	const at = G.gnttab_get_version.at
	const domid = argument.getUint16(at.dom, true)
	if (!isSelf(vcpu, domid)) return foreignDomainError(domid)
	argument.setUint32(at.version, grantWord(vcpu.domain, GT_VERSION), true)
	return writeGuest(vcpu, address, argument, at.version, 4) ? 0 : -XEN_EFAULT
}

function swapOne(vcpu: VcpuContext, argument: DataView): void {
	const at = G.gnttab_swap_grant_ref.at
	const status = swapEntries(vcpu.domain, argument.getUint32(at.ref_a, true), argument.getUint32(at.ref_b, true))
	argument.setInt16(at.status, status, true)
}

/** Checks its argument; caches are coherent, so there is nothing to do. Every frame here is the caller's own. */
function flushOne(vcpu: VcpuContext, argument: DataView): number {
	const at = G.gnttab_cache_flush.at
	const offset = argument.getUint16(at.offset, true)
	const length = argument.getUint16(at.length, true)
	const operation = argument.getUint32(at.op, true)
	if (offset >= PAGE_SIZE || offset + length > PAGE_SIZE) return -XEN_EINVAL
	if (operation & ~(G.GNTTAB_CACHE_INVAL | G.GNTTAB_CACHE_CLEAN)) return -XEN_EINVAL
	if (length === 0 || operation === 0) return 0
	const mfn = Math.floor(argument.getUint32(at.a, true) / PAGE_SIZE) + argument.getUint32(at.a + 4, true) * 2 ** (32 - PAGE_SHIFT)
	if (mfn >= vcpu.domain.machine.frames) return -XEN_EINVAL
	return vcpu.mm.types.isOwned(mfn) ? 0 : -XEN_EPERM
}

/** The page never leaves its domain, which the ABI calls "not a valid page for this". */
function transferOne(_: VcpuContext, argument: DataView): void {
	argument.setInt16(G.gnttab_transfer.at.status, G.GNTST_bad_page, true)
}

export const grantTableSubops: Readonly<Record<number, SubopRow>> = {
	[G.GNTTABOP_map_grant_ref]: row(
		'GNTTABOP_map_grant_ref',
		each(G.gnttab_map_grant_ref.size, 0, G.gnttab_map_grant_ref.size, mapOne),
		"the caller's own grants only; another domain's pages cannot be mapped: GNTST_bad_domain",
	),
	[G.GNTTABOP_unmap_grant_ref]: row(
		'GNTTABOP_unmap_grant_ref',
		each(G.gnttab_unmap_grant_ref.size, G.gnttab_unmap_grant_ref.at.status, 2, unmapOne),
	),
	[G.GNTTABOP_setup_table]: row('GNTTABOP_setup_table', single(G.gnttab_setup_table.size, true, setupTable)),
	[G.GNTTABOP_dump_table]: { name: 'GNTTABOP_dump_table', status: 'refused', errno: XEN_ENOSYS, note: 'as Xen 4.17' },
	[G.GNTTABOP_transfer]: row(
		'GNTTABOP_transfer',
		each(G.gnttab_transfer.size, G.gnttab_transfer.at.status, 2, transferOne),
		'pages do not change domains: GNTST_bad_page, and the caller keeps the page',
	),
	[G.GNTTABOP_copy]: row(
		'GNTTABOP_copy',
		each(G.gnttab_copy.size, G.gnttab_copy.at.status, 2, copyOne),
		"between the caller's own frames and grants; another domain's: GNTST_bad_domain or GNTST_bad_gntref",
	),
	[G.GNTTABOP_query_size]: row('GNTTABOP_query_size', single(G.gnttab_query_size.size, true, querySize)),
	[G.GNTTABOP_unmap_and_replace]: row(
		'GNTTABOP_unmap_and_replace',
		each(G.gnttab_unmap_and_replace.size, G.gnttab_unmap_and_replace.at.status, 2, unmapAndReplaceOne),
	),
	[G.GNTTABOP_set_version]: row('GNTTABOP_set_version', single(G.gnttab_set_version.size, false, setTableVersion)),
	[G.GNTTABOP_get_status_frames]: row('GNTTABOP_get_status_frames', single(G.gnttab_get_status_frames.size, true, getStatusFrames)),
	[G.GNTTABOP_get_version]: row('GNTTABOP_get_version', single(G.gnttab_get_version.size, false, getTableVersion)),
	[G.GNTTABOP_swap_grant_ref]: row(
		'GNTTABOP_swap_grant_ref',
		each(G.gnttab_swap_grant_ref.size, G.gnttab_swap_grant_ref.at.status, 2, swapOne),
	),
	[G.GNTTABOP_cache_flush]: row('GNTTABOP_cache_flush', each(G.gnttab_cache_flush.size, 0, 0, flushOne)),
}

export const grantTableHypercall: HypercallRow = {
	number: __HYPERVISOR_grant_table_op,
	name: 'grant_table_op',
	source: 'grant_table.h: HYPERVISOR_grant_table_op',
	status: 'implemented',
	subops: grantTableSubops,
	handler: (vcpu, args) => {
		const command = argU32(args, 0)
		if (argU32(args, 2) > 0x7fff_ffff) return -XEN_EINVAL
		if ((command & GNTTABOP_CMD_MASK) !== G.GNTTABOP_cache_flush && command > GNTTABOP_CMD_MASK) return -XEN_EINVAL
		return dispatchSubop(vcpu, grantTableSubops, command & GNTTABOP_CMD_MASK, args)
	},
}
