/**
 * A domain's grant table: the shared entries in frames that the guest maps, and the hypervisor's active entries beside them.
 *
 * Locking: one lock a domain (lockGrants()) guards the table's version and size, the active entries and the mapping table
 * (grant_map.ts). Main thread and vCPU threads take it for short sections. Shared entries and status words are written by the
 * guest as well: a shared entry's flags and domid change together by compare-and-exchange, with a bounded number of retries.
 * Order: mm's structures and CB_MM_LOCK may be taken inside; the event lock is never held together with this one.
 */
import { GNTTAB_NR_RESERVED_ENTRIES, GTF_permit_access, grant_entry_v1 } from '../abi/grant_table.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { Domain } from './domain.ts'
import { GRANT_ACTIVE_SIZE } from './machine_layout.ts'
import { acquire, release } from './spinlock.ts'
import { CB_GRANTS, controlWord } from './vcpu_shared.ts'

const GT_LOCK = CB_GRANTS
/** 1 or 2. */
export const GT_VERSION = CB_GRANTS + 4
/** Frames of shared entries that the guest may use. */
export const GT_FRAMES = CB_GRANTS + 8
/** Frames of status words; 0 in version 1. */
export const GT_STATUS_FRAMES = CB_GRANTS + 12
/** Mappings in use (grant_map.ts). */
export const GT_MAPPINGS = CB_GRANTS + 16

/** Word numbers in an active entry. */
/** Count of writable mappings in bits 0..7, of read-only ones in bits 8..15. */
export const ACT_PIN = 0
/** Domain that has pinned it. */
export const ACT_DOMID = 1
export const ACT_MFN = 2
/** First byte and length of what is granted: start << 16 | length; a whole page is 0 << 16 | 4096. */
export const ACT_RANGE = 3
export const WHOLE_PAGE = PAGE_SIZE

export const ENTRY_SIZE_V1 = grant_entry_v1.size
export const ENTRY_SIZE_V2 = 16

/** Runs `section` with the grant lock held. */
export function withGrants<T>(domain: Domain, section: () => T): T {
	const { i32 } = domain.machine
	const lock = controlWord(domain, GT_LOCK)
	acquire(i32, lock)
	try {
		return section()
	} finally {
		release(i32, lock)
	}
}

export function grantWord(domain: Domain, offset: number): number {
	return Atomics.load(domain.machine.u32, controlWord(domain, offset))
}

export function setGrantWord(domain: Domain, offset: number, value: number): void {
	Atomics.store(domain.machine.u32, controlWord(domain, offset), value)
}

/** Prepares the table of a new domain: version 1, one frame, no entries. */
export function initialiseGrants(domain: Domain): void {
	setGrantWord(domain, GT_VERSION, 1)
	setGrantWord(domain, GT_FRAMES, Math.min(1, domain.description.maxGrantFrames))
}

export function entrySize(domain: Domain): number {
	return grantWord(domain, GT_VERSION) === 1 ? ENTRY_SIZE_V1 : ENTRY_SIZE_V2
}

/** Entries that exist. */
export function grantEntries(domain: Domain): number {
	return (grantWord(domain, GT_FRAMES) * PAGE_SIZE) / entrySize(domain)
}

/** Index in machine.u32 of a shared entry. The caller has checked ref < grantEntries(). */
export function sharedEntry(domain: Domain, ref: number): number {
	return (domain.machine.frameAddress(domain.layout.grantMfn) + ref * entrySize(domain)) >>> 2
}

/** Index in machine.u16 of where Xen reports reading and writing: the flags of a version 1 entry, else the status word. */
export function statusWord(domain: Domain, ref: number): number {
	if (grantWord(domain, GT_VERSION) === 1) return sharedEntry(domain, ref) * 2
	return (domain.machine.frameAddress(domain.layout.grantStatusMfn) >>> 1) + ref
}

/** Index in machine.u32 of an active entry. */
export function activeEntry(domain: Domain, ref: number): number {
	return domain.at(domain.layout.activeGrants + ref * GRANT_ACTIVE_SIZE) >>> 2
}

/** Status frames that serve so many grant frames in version 2. */
export function statusFramesFor(grantFrames: number): number {
	return Math.ceil((((grantFrames * PAGE_SIZE) / ENTRY_SIZE_V2) * 2) / PAGE_SIZE)
}

/**
 * Pre-sets a reserved entry of a domain that does not run yet (GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE): `mfn`, read and
 * write, for `domid`.
 */
export function grantReserved(domain: Domain, ref: number, domid: number, mfn: number): void {
	if (ref >= GNTTAB_NR_RESERVED_ENTRIES) throw new RangeError(`grant ${ref} is not a reserved one`)
	const entry = sharedEntry(domain, ref)
	domain.machine.u32[entry + 1] = mfn
	Atomics.store(domain.machine.u32, entry, (domid << 16) | GTF_permit_access)
}
