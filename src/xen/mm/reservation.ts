/** XENMEM_increase_reservation, decrease_reservation, populate_physmap and exchange: frames that a guest gives back and gets. */
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOMEM, XEN_EPERM, XEN_ESRCH } from '../../abi/errno.ts'
import {
	MEMOP_EXTENT_SHIFT,
	XENMEM_decrease_reservation,
	XENMEM_increase_reservation,
	XENMEM_populate_physmap,
	XENMEMF_address_bits_mask,
	XENMEMF_exact_node_request,
	XENMEMF_populate_on_demand,
	xen_memory_exchange,
	xen_memory_reservation,
} from '../../abi/memory.ts'
import { DOMID_SELF } from '../../abi/xen.ts'
import { PAGE_SHIFT } from '../../x86/machine_memory.ts'
import { argNumber, type HypercallArgs } from '../hypercall_args.ts'
import { HYPERCALL_PREEMPTED } from '../hypercall_row.ts'
import type { VcpuContext } from '../vcpu.ts'
import type { MmState } from './mm_state.ts'
import { PAGE_SPECIAL } from './page_info.ts'
import type { PageTypes } from './page_types.ts'

/** Largest extent a domain without devices may ask for: 2^9 frames (Xen's memop-max-order). */
const MAX_ORDER = 9
/** Above this Xen cannot encode a continuation. */
const MAX_EXTENTS = 0xffff_ffff >>> MEMOP_EXTENT_SHIFT
const CHECK_MASK = 31
const PFN_SIZE = 8
const U64 = 4294967296

interface Reservation {
	readonly extents: number
	readonly count: number
	readonly order: number
	readonly flags: number
	readonly domid: number
}

/** Copies a xen_memory_reservation; null on a fault. */
function readReservation(mm: MmState, va: number): Reservation | null {
	if (!mm.fetch(va, xen_memory_reservation.size)) return null
	const [startLo, startHi, countLo, countHi, order, flags, domid] = mm.request
	return { extents: (startHi | 0) * U64 + startLo, count: countHi * U64 + countLo, order, flags, domid: domid & 0xffff }
}

/** Whether a domid names the caller. Others are out of a domU's reach. */
export function isSelf(mm: MmState, domid: number): boolean {
	return domid === DOMID_SELF || domid === mm.vcpu.domain.domid
}

/** First frame above those whose addresses fit in the bits that mem_flags ask for; 0 when none could. */
function addressLimit(types: PageTypes, flags: number): number {
	const bits = flags & XENMEMF_address_bits_mask
	if (bits === 0) return types.ramFrames
	return bits <= PAGE_SHIFT ? 0 : Math.min(types.ramFrames, 2 ** (bits - PAGE_SHIFT))
}

/** Serves extent number `index`; false ends the operation before it. */
type ServeExtent = (mm: MmState, reservation: Reservation, index: number) => boolean

/** Returns the number of extents done, for whatever reason it stops. */
export function changeReservation(vcpu: VcpuContext, args: HypercallArgs): number {
	const { mm } = vcpu
	const operation = args[0] & (2 ** MEMOP_EXTENT_SHIFT - 1)
	const start = Math.floor((args[1] * U64 + args[0]) / 2 ** MEMOP_EXTENT_SHIFT)
	const r = readReservation(mm, argNumber(args, 1))
	if (!r || r.count > MAX_EXTENTS || start >= r.count || !isSelf(mm, r.domid)) return start
	if (addressLimit(mm.types, r.flags) === 0 || r.order > MAX_ORDER) return start
	if (r.extents !== 0 && !mm.isGuestArray(r.extents, r.count, PFN_SIZE)) return start
	const serve = SERVE[operation] as ServeExtent

	let done = start
	let result = -1
	while (done < r.count) {
		if (done !== start && (done & CHECK_MASK) === 0 && vcpu.preemptPending()) {
			args[0] = operation + done * 2 ** MEMOP_EXTENT_SHIFT
			result = HYPERCALL_PREEMPTED
			break
		}
		if (!serve(mm, r, done)) break
		done++
	}
	mm.types.settle()
	return result === HYPERCALL_PREEMPTED ? result : done
}

const SERVE: Readonly<Record<number, ServeExtent>> = {
	[XENMEM_increase_reservation]: increase,
	[XENMEM_decrease_reservation]: decrease,
	[XENMEM_populate_physmap]: populate,
}

function increase(mm: MmState, r: Reservation, index: number): boolean {
	const mfn = mm.types.allocate(r.order, -1, addressLimit(mm.types, r.flags))
	return mfn >= 0 && (r.extents === 0 || mm.storeU64(r.extents + index * PFN_SIZE, mfn, 0))
}

function decrease(mm: MmState, r: Reservation, index: number): boolean {
	if (!mm.fetch(r.extents + index * PFN_SIZE, PFN_SIZE)) return false
	const { types } = mm
	const first = mm.request[1] === 0 ? mm.request[0] : -1
	if (first < 0) return false
	for (let n = 0; n < 2 ** r.order; n++) {
		if (!types.isOwned(first + n) || types.flags(first + n) & PAGE_SPECIAL) return false
		types.dropAllocation(first + n)
	}
	return true
}

function populate(mm: MmState, r: Reservation, index: number): boolean {
	const at = r.extents + index * PFN_SIZE
	if (r.flags & XENMEMF_populate_on_demand || !mm.fetch(at, PFN_SIZE)) return false
	const [lo, hi] = mm.request
	const mfn = mm.types.allocate(r.order, hi === 0 ? lo : -1, addressLimit(mm.types, r.flags))
	if (mfn < 0) return false
	setM2pRange(mm.types, mfn, r.order, lo, hi)
	return mm.storeU64(at, mfn, 0)
}

function setM2pRange(types: PageTypes, mfn: number, order: number, lo: number, hi: number): void {
	for (let n = 0; n < 2 ** order; n++) types.setM2p(mfn + n, lo + n, lo + n >= U64 ? hi + 1 : hi)
}

// ---- exchange ------------------------------------------------------------------------------------------------------------------

const NR_EXCHANGED = xen_memory_exchange.at.nr_exchanged

/** Swaps extents for others of another size, chunk by chunk; stores in nr_exchanged how many input extents were taken. */
export function exchange(vcpu: VcpuContext, args: HypercallArgs): number {
	const { mm } = vcpu
	if (args[1] !== 0 || args[0] >>> MEMOP_EXTENT_SHIFT !== 0) return -XEN_EINVAL
	const va = argNumber(args, 1)
	const input = readReservation(mm, va + xen_memory_exchange.at.in)
	const output = readReservation(mm, va + xen_memory_exchange.at.out)
	if (!input || !output || !mm.fetch(va + NR_EXCHANGED, 8)) return -XEN_EFAULT
	const before = mm.request[1] * U64 + mm.request[0]
	const refused = checkExchange(mm, input, output, before)
	if (refused !== 0) return mm.storeU64(va + NR_EXCHANGED, before % U64, Math.floor(before / U64)) ? refused : -XEN_EFAULT
	if (before === input.count) return 0

	// One chunk is as many extents of either side as make up the larger of the two.
	const perChunk = 2 ** Math.max(0, output.order - input.order)
	let chunk = Math.floor(before / perChunk)
	let rc = 0
	for (const first = chunk; chunk < Math.floor(input.count / perChunk); chunk++) {
		if (chunk !== first && vcpu.preemptPending()) {
			rc = HYPERCALL_PREEMPTED
			break
		}
		rc = exchangeChunk(mm, input, output, chunk, perChunk)
		if (rc !== 0) break
	}
	mm.types.settle()
	return mm.storeU64(va + NR_EXCHANGED, rc === 0 ? input.count : chunk * perChunk, 0) ? rc : -XEN_EFAULT
}

function checkExchange(mm: MmState, input: Reservation, output: Reservation, before: number): number {
	if (Math.max(input.order, output.order) > MAX_ORDER) return -XEN_EPERM
	if (before > input.count || input.domid !== output.domid) return -XEN_EINVAL
	if (input.count * 2 ** input.order !== output.count * 2 ** output.order) return -XEN_EINVAL
	if (!mm.isGuestArray(input.extents, input.count, PFN_SIZE)) return -XEN_EFAULT
	if (!mm.isGuestArray(output.extents, output.count, PFN_SIZE)) return -XEN_EFAULT
	if (output.flags & XENMEMF_exact_node_request) return -XEN_EINVAL
	return isSelf(mm, input.domid) ? 0 : -XEN_ESRCH
}

function exchangeChunk(mm: MmState, input: Reservation, output: Reservation, chunk: number, inputs: number): number {
	const stolen: number[] = []
	const got: number[] = []
	const rc = stealChunk(mm, input, chunk * inputs, inputs, stolen)
	const outputs = (inputs * 2 ** input.order) / 2 ** output.order
	const complete = rc === 0 && allocateChunk(mm, output, outputs, got)
	if (!complete) {
		// Put everything back as it was: nothing that was taken has been touched.
		for (const first of got) for (let n = 0; n < 2 ** output.order; n++) mm.types.steal(first + n)
		for (const mfn of stolen) mm.types.assign(mfn)
		return rc === 0 ? -XEN_ENOMEM : rc
	}
	for (const mfn of stolen) {
		mm.types.zero(mfn)
		mm.types.setM2p(mfn, 0xffff_ffff, 0xffff_ffff)
	}
	return publishChunk(mm, output, chunk * outputs, got)
}

function stealChunk(mm: MmState, input: Reservation, firstExtent: number, count: number, stolen: number[]): number {
	for (let extent = firstExtent; extent < firstExtent + count; extent++) {
		if (!mm.fetch(input.extents + extent * PFN_SIZE, PFN_SIZE)) return -XEN_EFAULT
		const first = mm.types.frame(mm.request[0], mm.request[1])
		for (let n = 0; n < 2 ** input.order; n++) {
			if (first < 0 || !mm.types.steal(first + n)) return -XEN_EINVAL
			stolen.push(first + n)
		}
	}
	return 0
}

function allocateChunk(mm: MmState, output: Reservation, count: number, got: number[]): boolean {
	const limit = addressLimit(mm.types, output.flags)
	for (let n = 0; n < count; n++) {
		const first = mm.types.allocate(output.order, -1, limit)
		if (first < 0) return false
		got.push(first)
	}
	return true
}

function publishChunk(mm: MmState, output: Reservation, firstExtent: number, got: readonly number[]): number {
	let rc = 0
	for (const [n, mfn] of got.entries()) {
		const at = output.extents + (firstExtent + n) * PFN_SIZE
		if (!mm.fetch(at, PFN_SIZE)) {
			rc = -XEN_EFAULT
			continue
		}
		setM2pRange(mm.types, mfn, output.order, mm.request[0], mm.request[1])
		if (!mm.storeU64(at, mfn, 0)) rc = -XEN_EFAULT
	}
	return rc
}
