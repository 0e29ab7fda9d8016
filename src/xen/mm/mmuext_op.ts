/** HYPERVISOR_mmuext_op: pins, base pointers, TLB and cache flushes, the LDT, whole pages. */
import { XEN_EACCES, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP } from '../../abi/errno.ts'
import * as X from '../../abi/xen.ts'
import { PAGE_SIZE } from '../../x86/machine_memory.ts'
import { argU32, type HypercallArgs } from '../hypercall_args.ts'
import type { HypercallRow, SubopRow } from '../hypercall_row.ts'
import type { VcpuContext } from '../vcpu.ts'
import { setLdt } from './descriptors.ts'
import { FOREIGN_SELF, type MmState } from './mm_state.ts'
import { type Batch, serveBatch } from './mmu_update.ts'
import { isGuestAddress } from './mod_entry.ts'
import { PAGE_PINNED, PI_TYPE, TYPE_L1, TYPE_L2, TYPE_L3, TYPE_L4, TYPE_WRITABLE } from './page_info.ts'

/** The request being served, in mm.request: u32 cmd, then u64 arg1 and arg2. */
const ARG1 = X.mmuext_op.at.arg1 >> 2
const ARG2 = X.mmuext_op.at.arg2 >> 2

function mmuextOp(vcpu: VcpuContext, args: HypercallArgs): number {
	const owner = vcpu.mm.foreign(argU32(args, 3))
	if (owner < 0) return owner
	if (owner !== FOREIGN_SELF) return -XEN_EINVAL
	return serveBatch(vcpu, args, OPERATIONS)
}

/** One operation may be a whole address space to validate: other work is looked for before each. */
const OPERATIONS: Batch = { name: 'mmuext_op', requestSize: X.mmuext_op.size, requestsPerCheck: 1, serve }

function serve(vcpu: VcpuContext, mm: MmState): number {
	const { request, types } = mm
	switch (request[0]) {
		case X.MMUEXT_PIN_L1_TABLE:
			return pin(mm, frame1(mm), TYPE_L1)
		case X.MMUEXT_PIN_L2_TABLE:
			return pin(mm, frame1(mm), TYPE_L2)
		case X.MMUEXT_PIN_L3_TABLE:
			return pin(mm, frame1(mm), TYPE_L3)
		case X.MMUEXT_PIN_L4_TABLE:
			return pin(mm, frame1(mm), TYPE_L4)
		case X.MMUEXT_UNPIN_TABLE:
			return unpin(mm, frame1(mm))
		case X.MMUEXT_NEW_BASEPTR:
			return mm.newKernelRoot(frame1(mm))
		case X.MMUEXT_NEW_USER_BASEPTR:
			return mm.newUserRoot(frame1(mm))
		case X.MMUEXT_TLB_FLUSH_LOCAL:
		case X.MMUEXT_TLB_FLUSH_ALL:
			mm.flushTlb()
			return 0
		case X.MMUEXT_INVLPG_LOCAL:
		case X.MMUEXT_INVLPG_ALL:
			mm.flushPage(word64(mm, ARG1))
			return 0
		case X.MMUEXT_TLB_FLUSH_MULTI:
		case X.MMUEXT_INVLPG_MULTI:
			return flushSome(mm, request[0] === X.MMUEXT_TLB_FLUSH_MULTI, word64(mm, ARG1), word64(mm, ARG2))
		case X.MMUEXT_FLUSH_CACHE:
			return -XEN_EACCES
		case X.MMUEXT_FLUSH_CACHE_GLOBAL:
			return -XEN_EINVAL
		case X.MMUEXT_SET_LDT:
			return setLdt(vcpu, word64(mm, ARG1), request[ARG2])
		case X.MMUEXT_CLEAR_PAGE:
			return clearPage(mm, frame1(mm))
		case X.MMUEXT_COPY_PAGE:
			return copyPage(mm, frame1(mm), types.frame(request[ARG2], request[ARG2 + 1]))
		case X.MMUEXT_MARK_SUPER:
		case X.MMUEXT_UNMARK_SUPER:
			return -XEN_EOPNOTSUPP
		default:
			return -XEN_ENOSYS
	}
}

/** arg1 as a frame number; -1 when the machine has none such. */
function frame1(mm: MmState): number {
	return mm.types.frame(mm.request[ARG1], mm.request[ARG1 + 1])
}

/** A linear address: exact where it is canonical. */
function word64(mm: MmState, at: number): number {
	return (mm.request[at + 1] | 0) * 4294967296 + mm.request[at]
}

/** -EINVAL when the frame is not the guest's, cannot be of this type, or is pinned already. */
function pin(mm: MmState, mfn: number, type: number): number {
	const { types } = mm
	const rc = types.getPageAndType(mfn, type)
	if (rc !== 0) return rc
	const at = types.at(mfn) + PI_TYPE
	if (types.u32[at] & PAGE_PINNED) {
		types.putPageAndType(mfn)
		return -XEN_EINVAL
	}
	types.u32[at] |= PAGE_PINNED
	return 0
}

function unpin(mm: MmState, mfn: number): number {
	const { types } = mm
	if (!types.isOwned(mfn)) return -XEN_EINVAL
	const at = types.at(mfn) + PI_TYPE
	if ((types.u32[at] & PAGE_PINNED) === 0) return -XEN_EINVAL
	types.u32[at] &= ~PAGE_PINNED
	types.putPageAndType(mfn)
	return 0
}

function flushSome(mm: MmState, all: boolean, va: number, bitmap: number): number {
	const included = mm.readVcpuMask(bitmap)
	if (included === null) return -XEN_EINVAL
	if (!included) return 0
	if (all) mm.flushTlb()
	else if (isGuestAddress(va)) mm.flushPage(va)
	return 0
}

function clearPage(mm: MmState, mfn: number): number {
	const { types } = mm
	if (types.getPageAndType(mfn, TYPE_WRITABLE) !== 0) return -XEN_EINVAL
	types.zero(mfn)
	types.putPageAndType(mfn)
	return 0
}

function copyPage(mm: MmState, to: number, from: number): number {
	const { types } = mm
	if (!types.isOwned(from) || types.getPageAndType(to, TYPE_WRITABLE) !== 0) return -XEN_EINVAL
	const source = types.machine.frameAddress(from)
	types.machine.u8.copyWithin(types.machine.frameAddress(to), source, source + PAGE_SIZE)
	types.written(to)
	types.putPageAndType(to)
	return 0
}

const implemented = (name: string): SubopRow => ({ name, status: 'implemented' })
const refused = (name: string, errno: number, note: string): SubopRow => ({ name, status: 'refused', errno, note })

export const mmuextOpHypercall: HypercallRow = {
	number: X.__HYPERVISOR_mmuext_op,
	name: 'mmuext_op',
	source: 'xen.h: HYPERVISOR_mmuext_op',
	status: 'implemented',
	handler: mmuextOp,
	subops: {
		[X.MMUEXT_PIN_L1_TABLE]: implemented('MMUEXT_PIN_L1_TABLE'),
		[X.MMUEXT_PIN_L2_TABLE]: implemented('MMUEXT_PIN_L2_TABLE'),
		[X.MMUEXT_PIN_L3_TABLE]: implemented('MMUEXT_PIN_L3_TABLE'),
		[X.MMUEXT_PIN_L4_TABLE]: implemented('MMUEXT_PIN_L4_TABLE'),
		[X.MMUEXT_UNPIN_TABLE]: implemented('MMUEXT_UNPIN_TABLE'),
		[X.MMUEXT_NEW_BASEPTR]: implemented('MMUEXT_NEW_BASEPTR'),
		[X.MMUEXT_TLB_FLUSH_LOCAL]: implemented('MMUEXT_TLB_FLUSH_LOCAL'),
		[X.MMUEXT_INVLPG_LOCAL]: implemented('MMUEXT_INVLPG_LOCAL'),
		[X.MMUEXT_TLB_FLUSH_MULTI]: implemented('MMUEXT_TLB_FLUSH_MULTI'),
		[X.MMUEXT_INVLPG_MULTI]: implemented('MMUEXT_INVLPG_MULTI'),
		[X.MMUEXT_TLB_FLUSH_ALL]: implemented('MMUEXT_TLB_FLUSH_ALL'),
		[X.MMUEXT_INVLPG_ALL]: implemented('MMUEXT_INVLPG_ALL'),
		[X.MMUEXT_FLUSH_CACHE]: refused('MMUEXT_FLUSH_CACHE', XEN_EACCES, 'for domains with devices'),
		[X.MMUEXT_SET_LDT]: implemented('MMUEXT_SET_LDT'),
		[X.MMUEXT_NEW_USER_BASEPTR]: implemented('MMUEXT_NEW_USER_BASEPTR'),
		[X.MMUEXT_CLEAR_PAGE]: implemented('MMUEXT_CLEAR_PAGE'),
		[X.MMUEXT_COPY_PAGE]: implemented('MMUEXT_COPY_PAGE'),
		[X.MMUEXT_FLUSH_CACHE_GLOBAL]: refused('MMUEXT_FLUSH_CACHE_GLOBAL', XEN_EINVAL, 'for domains with devices'),
		[X.MMUEXT_MARK_SUPER]: refused('MMUEXT_MARK_SUPER', XEN_EOPNOTSUPP, 'superpages are not offered'),
		[X.MMUEXT_UNMARK_SUPER]: refused('MMUEXT_UNMARK_SUPER', XEN_EOPNOTSUPP, 'superpages are not offered'),
	},
}
