/**
 * Pinning a grant: the one way by which another domain (or the domain itself) comes to a granted frame.
 *
 * A pin checks the guest's entry, reports GTF_reading and GTF_writing to the guest, and counts in the active entry; the entry's
 * frame and range are read when it is first pinned and hold until it is no longer pinned.
 *
 * Writable pins and page tables. A frame that is pinned for writing must not become a page table or descriptor page meanwhile, and
 * the pin may come from another thread than the vCPU's that changes frame types. Each side makes its claim visible, then looks at
 * the other's, with sequentially consistent accesses: pinFrame() increments the frame's count, then reads its type;
 * src/xen/mm sets the type, then reads the count (isPinnedWritable()). At least one of two that meet gives way.
 */
import {
	GNTST_bad_gntref,
	GNTST_bad_page,
	GNTST_general_error,
	GNTST_okay,
	GTF_permit_access,
	GTF_reading,
	GTF_readonly,
	GTF_sub_page,
	GTF_type_mask,
	GTF_writing,
	grant_entry_v2_full_page,
	grant_entry_v2_sub_page,
} from '../abi/grant_table.ts'
import type { Domain } from './domain.ts'
import {
	ACT_DOMID,
	ACT_MFN,
	ACT_PIN,
	ACT_RANGE,
	activeEntry,
	GT_VERSION,
	grantEntries,
	grantWord,
	sharedEntry,
	statusWord,
	WHOLE_PAGE,
	withGrants,
} from './grant_entries.ts'
import { GRANT_ACTIVE_SIZE, PAGE_INFO_SIZE } from './machine_layout.ts'
import { PAGE_OWNED, PI_FLAGS, PI_TYPE, PI_TYPE_COUNT, TYPE_MASK, TYPE_NONE, TYPE_SEG_DESC, TYPE_WRITABLE } from './mm/page_info.ts'

/** Counters of ACT_PIN are a byte each; the top bit of one that is set would overflow soon. */
const PIN_WRITE = 1
const PIN_READ = 1 << 8
const PIN_WRITE_MASK = 0xff
const overflows = (pin: number, increment: number) => (pin & (increment << 7)) !== 0

/** The guest may change its entry faster than we can exchange it: it gets that many tries. */
const RETRIES = 5

/** A grant that is pinned; to be given back with unpinGrant(). */
export interface GrantPin {
	readonly ref: number
	readonly readonly: boolean
	readonly mfn: number
	/** Bytes of the frame that are granted. */
	readonly start: number
	readonly length: number
}

/** Pins grant `ref` of `domain` for `domid`; `mapping`: for mapping, which a sub-page grant does not allow. A GNTST_* error otherwise. */
export function pinGrant(domain: Domain, ref: number, domid: number, readonly: boolean, mapping: boolean): GrantPin | number {
	return withGrants(domain, () => {
		if (ref >= grantEntries(domain)) return GNTST_bad_gntref
		const { u32 } = domain.machine
		const act = activeEntry(domain, ref)
		const pin = u32[act + ACT_PIN] as number
		const increment = readonly ? PIN_READ : PIN_WRITE
		if (pin !== 0) {
			const partial = u32[act + ACT_RANGE] !== WHOLE_PAGE
			if (u32[act + ACT_DOMID] !== domid || overflows(pin, increment) || (mapping && partial)) return GNTST_general_error
		}
		const status = claimEntry(domain, ref, act, domid, readonly, mapping)
		if (status !== GNTST_okay) return status
		const mfn = u32[act + ACT_MFN] as number
		if (!readonly && !pinFrame(domain, mfn)) {
			reduceStatus(domain, ref, readonly)
			return GNTST_general_error
		}
		u32[act + ACT_PIN] = pin + increment
		const range = u32[act + ACT_RANGE] as number
		return { ref, readonly, mfn, start: range >>> 16, length: range & 0xffff }
	})
}

/** Gives a pin back. */
export function unpinGrant(domain: Domain, pin: GrantPin): void {
	withGrants(domain, () => {
		const act = activeEntry(domain, pin.ref)
		domain.machine.u32[act + ACT_PIN] -= pin.readonly ? PIN_READ : PIN_WRITE
		if (!pin.readonly) unpinFrame(domain, pin.mfn)
		reduceStatus(domain, pin.ref, pin.readonly)
	})
}

/** Reports the access to the guest and, for the first pin, reads what is granted. */
function claimEntry(domain: Domain, ref: number, act: number, domid: number, readonly: boolean, mapping: boolean): number {
	const pin = domain.machine.u32[act + ACT_PIN] as number
	if (pin !== 0 && (readonly || (pin & PIN_WRITE_MASK) !== 0)) return GNTST_okay
	const expected = pin === 0 ? domid : -1
	const versionOne = grantWord(domain, GT_VERSION) === 1
	const status = versionOne ? setStatusV1(domain, ref, expected, readonly, mapping) : setStatusV2(domain, ref, expected, readonly, mapping)
	if (status !== GNTST_okay || pin !== 0) return status
	const { frame, range } = versionOne ? targetV1(domain, ref) : targetV2(domain, ref)
	if (!isOwnedFrame(domain, frame)) {
		reduceStatus(domain, ref, readonly)
		return GNTST_bad_page
	}
	const { u32 } = domain.machine
	u32[act + ACT_DOMID] = domid
	u32[act + ACT_MFN] = frame
	u32[act + ACT_RANGE] = range
	return GNTST_okay
}

/** Whether an entry's header permits the access. `domid` -1: pinned already, so that only GTF_readonly counts. */
function permits(header: number, domid: number, readonly: boolean, mapping: boolean): boolean {
	if (!readonly && header & GTF_readonly) return false
	if (domid === -1) return true
	const mask = mapping ? GTF_type_mask | GTF_sub_page : GTF_type_mask
	return (header & mask) === GTF_permit_access && header >>> 16 === domid
}

function setStatusV1(domain: Domain, ref: number, domid: number, readonly: boolean, mapping: boolean): number {
	const { u32 } = domain.machine
	const entry = sharedEntry(domain, ref)
	let header = Atomics.load(u32, entry)
	for (let attempt = 0; attempt < RETRIES; attempt++) {
		if (!permits(header, domid, readonly, mapping)) return GNTST_general_error
		const flags = readonly ? GTF_reading : GTF_reading | GTF_writing
		const found = Atomics.compareExchange(u32, entry, header, header | flags)
		if (found === header) return GNTST_okay
		header = found
	}
	return GNTST_general_error
}

/** Version 2: the status is set first, then the header is looked at again, as the guest looks at them in the opposite order. */
function setStatusV2(domain: Domain, ref: number, domid: number, readonly: boolean, mapping: boolean): number {
	const { u32, u16 } = domain.machine
	const entry = sharedEntry(domain, ref)
	if (!permits(Atomics.load(u32, entry), domid, readonly, mapping)) return GNTST_general_error
	Atomics.or(u16, statusWord(domain, ref), readonly ? GTF_reading : GTF_reading | GTF_writing)
	if (permits(Atomics.load(u32, entry), domid, readonly, mapping)) return GNTST_okay
	reduceStatus(domain, ref, readonly)
	return GNTST_general_error
}

interface Target {
	readonly frame: number
	readonly range: number
}

function targetV1(domain: Domain, ref: number): Target {
	return { frame: Atomics.load(domain.machine.u32, sharedEntry(domain, ref) + 1), range: WHOLE_PAGE }
}

function targetV2(domain: Domain, ref: number): Target {
	const { u32 } = domain.machine
	const entry = sharedEntry(domain, ref)
	const at = grant_entry_v2_full_page.at.frame >> 2
	const frame = (u32[entry + at + 1] as number) * 4294967296 + (u32[entry + at] as number)
	if ((Atomics.load(u32, entry) & GTF_sub_page) === 0) return { frame, range: WHOLE_PAGE }
	const bounds = u32[entry + (grant_entry_v2_sub_page.at.page_off >> 2)] as number
	return { frame, range: ((bounds & 0xffff) << 16) | (bounds >>> 16) }
}

/** Takes back what the guest is told, as far as no pin needs it any more. */
function reduceStatus(domain: Domain, ref: number, readonly: boolean): void {
	const pin = domain.machine.u32[activeEntry(domain, ref) + ACT_PIN] as number
	const clear = (pin === 0 ? GTF_reading : 0) | (!readonly && (pin & PIN_WRITE_MASK) === 0 ? GTF_writing : 0)
	if (clear !== 0) Atomics.and(domain.machine.u16, statusWord(domain, ref), ~clear)
}

// ---- frames ------------------------------------------------------------------------------------------------------------------

/** Index in machine.u32 of a frame's page info. */
const pageInfo = (domain: Domain, mfn: number) => domain.at(domain.layout.pageInfo + mfn * PAGE_INFO_SIZE) >>> 2
const pinWord = (domain: Domain, mfn: number) => domain.at(domain.layout.writablePins + mfn * 4) >>> 2

/** Whether the domain owns a frame; `mfn` may be any number. */
function isOwnedFrame(domain: Domain, mfn: number): boolean {
	return mfn < domain.machine.frames && (Atomics.load(domain.machine.u32, pageInfo(domain, mfn) + PI_FLAGS) & PAGE_OWNED) !== 0
}

/**
 * Counts a writable pin of a frame; false when the frame is in use as a page table, or was last used as a descriptor page (which
 * keeps its validation).
 */
function pinFrame(domain: Domain, mfn: number): boolean {
	const { u32 } = domain.machine
	Atomics.add(u32, pinWord(domain, mfn), 1)
	const info = pageInfo(domain, mfn)
	const type = Atomics.load(u32, info + PI_TYPE) & TYPE_MASK
	if (type === TYPE_NONE || type === TYPE_WRITABLE) return true
	if (type !== TYPE_SEG_DESC && Atomics.load(u32, info + PI_TYPE_COUNT) === 0) return true
	unpinFrame(domain, mfn)
	return false
}

function unpinFrame(domain: Domain, mfn: number): void {
	Atomics.sub(domain.machine.u32, pinWord(domain, mfn), 1)
}

/** Whether another domain may be writing to a frame, so that it must not become a page table. See the file's head. */
export function isPinnedWritable(domain: Domain, mfn: number): boolean {
	return Atomics.load(domain.machine.u32, pinWord(domain, mfn)) !== 0
}

if (GRANT_ACTIVE_SIZE !== 16) throw new Error('active grant layout')
