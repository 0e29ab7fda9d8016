/**
 * Changes of one entry in a page table that is in use. `at` is the index in u32 of the entry's low half, inside frame `table`.
 * Each takes the new entry's references before it drops the old one's, so a refused change leaves everything as it was.
 */
import { XEN_EBUSY, XEN_EINVAL, XEN_EPERM } from '../../abi/errno.ts'
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../../abi/xen.ts'
import { TYPE_L1, TYPE_L4 } from './page_info.ts'
import {
	adjustL1Hi,
	adjustL1Lo,
	adjustUpperLo,
	entryFrame,
	entryIndex,
	isInvalidMfn,
	L1_DISALLOWED,
	PTE_ACCESSED,
	PTE_DIRTY,
	PTE_HI_FRAME,
	PTE_HI_NX,
	PTE_PRESENT,
	PTE_RW,
	UNCOUNTED_HI,
	UNCOUNTED_LO,
	UPPER_DISALLOWED,
} from './page_tables.ts'
import { isXenSlot, type PageTypes } from './page_types.ts'

const ACCESSED_DIRTY = PTE_ACCESSED | PTE_DIRTY
const FOR_WRITING = PTE_RW | PTE_DIRTY

const LOSES_NOTHING = 0
const LOSES_WRITING = 1
const LOSES_ANYTHING = 2

/**
 * Replaces an entry of a validated table of `level`, as Xen's mod_l1_entry() .. mod_l4_entry() do.
 * `preserveAd`: the present accessed and dirty bits stay set. `ioOnly`: the new entry may only name I/O memory (DOMID_IO).
 * 0 or a negative errno: -EINVAL for Xen's own slots; else as getFromL1() and getFromUpper().
 */
export function modEntry(
	types: PageTypes,
	level: number,
	table: number,
	at: number,
	lo: number,
	hi: number,
	preserveAd: boolean,
	ioOnly: boolean,
): number {
	if (level === TYPE_L1) return modL1Entry(types, table, at, lo, hi, preserveAd, ioOnly)
	// Only entries of L1 tables may be meant for another owner's frames.
	return ioOnly ? -XEN_EINVAL : modUpperEntry(types, level, table, at, lo, hi, preserveAd)
}

export function modL1Entry(
	types: PageTypes,
	table: number,
	at: number,
	lo: number,
	hi: number,
	preserveAd: boolean,
	ioOnly: boolean,
): number {
	const { u32 } = types
	const oldLo = u32[at]
	const keep = preserveAd ? oldLo & ACCESSED_DIRTY : 0
	if ((lo & PTE_PRESENT) === 0) {
		store(types, TYPE_L1, table, at, lo | keep, hi)
	} else {
		if (lo & L1_DISALLOWED) return -XEN_EINVAL
		const newLo = adjustL1Lo(lo, hi)
		const newHi = adjustL1Hi(lo, hi)
		if (countsAlike(oldLo, u32[at + 1], newLo, newHi)) return store(types, TYPE_L1, table, at, newLo | keep, newHi)
		const rc = ioOnly ? refuseIo(types, lo, hi) : types.getFromL1(newLo, newHi)
		if (rc !== 0) return rc
		store(types, TYPE_L1, table, at, newLo | keep, newHi)
	}
	types.putFromL1(oldLo)
	return 0
}

/** Why a domain without devices may not map a frame as I/O memory. */
function refuseIo(types: PageTypes, lo: number, hi: number): number {
	const mfn = entryFrame(lo, hi)
	if (mfn >= 0 && mfn < types.frames) return -XEN_EBUSY
	return isInvalidMfn(lo, hi) ? -XEN_EINVAL : -XEN_EPERM
}

function modUpperEntry(types: PageTypes, level: number, table: number, at: number, lo: number, hi: number, preserveAd: boolean): number {
	const { u32 } = types
	if (isXenSlot(level, (at - types.words(table)) >>> 1)) return -XEN_EINVAL
	const oldLo = u32[at]
	const keep = preserveAd ? oldLo & ACCESSED_DIRTY : 0
	if ((lo & PTE_PRESENT) === 0) {
		store(types, level, table, at, lo | keep, hi)
	} else {
		if (lo & UPPER_DISALLOWED) return -XEN_EINVAL
		const newLo = adjustUpperLo(lo, level)
		if (countsAlike(oldLo, u32[at + 1], newLo, hi)) return store(types, level, table, at, newLo | keep, hi)
		const rc = types.getFromUpper(newLo, hi, level)
		if (rc !== 0) return rc
		if (!types.isLow(table, level, (at - types.words(table)) >>> 1)) types.markHigh(newLo >>> 12, level - 1)
		store(types, level, table, at, newLo | keep, hi)
	}
	types.putFromUpper(oldLo)
	return 0
}

/** What remembered translations by the old entry may have that the new one does not give: nothing, only what writing needs, or anything. */
function loss(oldLo: number, oldHi: number, lo: number, hi: number): number {
	if ((oldLo & PTE_PRESENT) === 0) return LOSES_NOTHING
	const frame = (oldLo ^ lo) & ~0xfff || (oldHi ^ hi) & PTE_HI_FRAME
	const bits = oldLo & ~lo & 0xfff
	if (frame !== 0 || (bits & ~FOR_WRITING) !== 0 || (hi & ~oldHi & PTE_HI_NX) !== 0) return LOSES_ANYTHING
	return bits === 0 ? LOSES_NOTHING : LOSES_WRITING
}

/** Whether two entries hold the same references. */
function countsAlike(oldLo: number, oldHi: number, lo: number, hi: number): boolean {
	return ((oldLo ^ lo) & ~UNCOUNTED_LO) === 0 && ((oldHi ^ hi) & ~UNCOUNTED_HI) === 0
}

function store(types: PageTypes, level: number, table: number, at: number, lo: number, hi: number): 0 {
	const lost = loss(types.u32[at], types.u32[at + 1], lo, hi)
	if (lost === LOSES_ANYTHING) types.renewVersion(types.isLow(table, level, (at - types.words(table)) >>> 1))
	else if (lost === LOSES_WRITING) types.renewWriteVersion()
	types.u32[at] = lo
	types.u32[at + 1] = hi
	types.written(table)
	return 0
}

/** Whether the guest may have `va` in its part of the address space (Xen's __addr_ok()). */
export function isGuestAddress(va: number): boolean {
	return va >= HYPERVISOR_VIRT_END && va < -HYPERVISOR_VIRT_START
}

/** Index in u32 of the L1 entry for `va` in the tables under a validated L4, or -1 when there is no L1 table for it. */
export function findL1Entry(types: PageTypes, root: number, va: number): number {
	if (!isGuestAddress(va)) return -1
	const { u32 } = types
	let table = root
	for (let level = TYPE_L4; level > TYPE_L1; level--) {
		const lo = u32[types.words(table) + entryIndex(va, level) * 2]
		if ((lo & PTE_PRESENT) === 0) return -1
		table = lo >>> 12
	}
	return types.words(table) + entryIndex(va, TYPE_L1) * 2
}
