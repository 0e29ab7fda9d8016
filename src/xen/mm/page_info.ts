/**
 * What the hypervisor knows of each frame, and the rules that keep a PV guest inside its machine.
 *
 * A PV guest runs on page tables that it owns and the processor walks as they are. Xen keeps that safe with two counts a frame:
 *
 *   general count   references to the frame: one while it is allocated (PAGE_ALLOCATED), one for each present entry of a
 *                   validated page table that names it, for each pin, base pointer, GDT slot, and for whoever works with it.
 *                   At 0 the frame goes back to the free frames: zeroed, unowned, its accesses fault.
 *   type count      how many of those references depend on the frame being of its present type.
 *
 * A frame has one type at a time, and changes it only while its type count is 0:
 *
 *   L1..L4          a page table of that level. On 0 -> 1 its 512 entries are checked and each takes its references (validation);
 *                   on 1 -> 0 they are dropped again. An Ln entry holds an L(n-1) type reference, hence no cycle can exist and
 *                   recursion is at most four deep.
 *   seg_desc        a page of the GDT: its descriptors have been checked.
 *   writable        some L1 entry maps it writable.
 *
 * It follows that a frame is never mapped writable while the processor uses it as a page table or descriptor page, and that no
 * page table entry names a frame that the guest does not own.
 *
 * Grants. A backend writes to a granted frame from another thread. It counts its intent in layout.writablePins before it looks at the
 * frame's type; getType() sets the new type before it looks at that count; so of two that meet at least one gives way.
 *
 * Stale translations. Dropping the last writable mapping from the page tables does not drop it from a TLB. So when the writable
 * type's count falls to 0 the frame is stamped with the TLB epoch (a counter of complete flushes of what is cached for writing), and
 * when it then becomes a page table or a descriptor page while the epoch is still the same, that is flushed first. Frames typed
 * L1..L4 carry FRAME_HOOK, so that the processor never caches them writable.
 * A processor remembers the translations of page tables that are not loaded, and those that are loaded when the guest flushes more than
 * it need. They must be as good as fresh: a version (CB_MM_VERSION and the words after it; TableVersions) grows with every change of a
 * present entry that takes something away, and with every page table that goes out of use, and what was remembered under an older
 * version is not used. Tables that no L4 slot of the upper half leads to, being without PAGE_HIGH, concern the lower half alone. A table
 * has PAGE_HIGH from when it is first linked below such a slot or a table that has it until its type is taken anew: whatever a
 * table with PAGE_HIGH leads to has it too.
 *
 * Hypervisor frames. shared_info and the grant frames are owned by the guest and special: their writable type count starts at 1
 * for good, so they can be mapped, but never become page tables and are never freed. Xen's GDT page, the M2P table and the
 * page tables that map it have no owner: the guest cannot name them in an entry.
 *
 * Counts are u32 and cannot overflow: at most 2^20 frames of 512 entries exist.
 *
 * Locking: one vCPU's thread at a time changes page info and page tables; other threads only read types (as above). The processor sets accessed and dirty bits besides.
 * That thread is also where the processor itself writes common entries, and keeps these counts (books.ts).
 * More than one running vCPU needs: a lock over every hypercall of this folder and protectedWrite() (CB_MM_LOCK is reserved
 * for it), compare-and-exchange for entries whose accessed/dirty bits must survive, and a TLB shootdown in flushTlb().
 */
import { InternalError } from '../../base/errors.ts'
import * as L from '../../x86/core/layout.ts'
import { FRAME_ABSENT, FRAME_CODE } from '../../x86/core/layout.ts'
import type { TableVersions } from '../../x86/cpu.ts'
import { type MachineMemory, PAGE_SIZE } from '../../x86/machine_memory.ts'
import type { Domain } from '../domain.ts'
import { PAGE_INFO_SIZE } from '../machine_layout.ts'
import { CB_CURRENT_FRAMES, CB_FRAME_LIMIT, CB_MM, controlWord } from '../vcpu_shared.ts'

// ---- one entry: four u32 words ---------------------------------------------------------------------------------------------

/** Type in bits 0..2, PAGE_VALIDATED, PAGE_PINNED, and from bit 8 the TLB epoch when the last writable mapping went. */
export const PI_TYPE = L.BOOK_TYPE / 4
export const PI_TYPE_COUNT = L.BOOK_TYPE_COUNT / 4
export const PI_COUNT = L.BOOK_COUNT / 4
/** PAGE_ALLOCATED, PAGE_OWNED, PAGE_SPECIAL. */
export const PI_FLAGS = L.BOOK_FLAGS / 4
export const PI_WORDS = PAGE_INFO_SIZE / 4

export const TYPE_NONE = 0
export const TYPE_L1 = L.BOOK_TABLE
export const TYPE_L2 = 2
export const TYPE_L3 = 3
export const TYPE_L4 = 4
export const TYPE_SEG_DESC = 5
export const TYPE_WRITABLE = L.BOOK_WRITABLE
export const TYPE_MASK = L.BOOK_TYPE_MASK
export const PAGE_VALIDATED = L.BOOK_VALID
/** The guest has pinned the frame as a page table (MMUEXT_PIN_*): one general and one type reference. */
export const PAGE_PINNED = 16
/** A page table that L4 slots of the upper half may lead to. */
export const PAGE_HIGH = L.BOOK_HIGH
export const EPOCH_SHIFT = L.BOOK_EPOCH_SHIFT
const EPOCH_MASK = 0xff_ffff

/** The guest has not given the frame back. */
export const PAGE_ALLOCATED = 1
/** The guest is the owner (not so: free frames, and those that are the hypervisor's alone). */
export const PAGE_OWNED = L.BOOK_OWNED
/** Hypervisor memory shared with the guest. */
export const PAGE_SPECIAL = 4

// ---- words of the control block, from CB_MM ----------------------------------------------------------------------------------

/** u32 TLB epoch: complete flushes of the domain's TLBs for writing. */
export const CB_MM_EPOCH = CB_MM
/** u32 frame where the next search for a free one starts. */
export const CB_MM_HINT = CB_MM + 4
/** u32: 1 while VMASST_TYPE_m2p_strict is enabled. */
export const CB_MM_M2P_STRICT = CB_MM + 8
/** u32 lock word, for more than one running vCPU. */
export const CB_MM_LOCK = CB_MM + 12
/** u32 three times: grow whenever a translation that a processor may remember loses something (TableVersions, in its order). */
export const CB_MM_VERSION = CB_MM + 16

/** What page info needs of the processor. */
export interface FrameHost {
	/** Drops all translations that the guest's processors cache. */
	flushTlb(): void
	/** Drops those for writing. */
	flushWriteTlb(): void
	/** Drops those that may be stale under the present versions. */
	flushStale(): void
	/** Forgets what is remembered of an L4 that is one no more. */
	forgetRoot(mfn: number): void
	/** Drops decoded code of a frame that was written. */
	invalidateFrame(mfn: number): void
}

/** The table of all frames; general references, allocation and release. */
export class PageInfo implements TableVersions {
	readonly domain: Domain
	readonly machine: MachineMemory
	readonly u32: Uint32Array
	/** Frames in the machine, hypervisor's included. */
	readonly frames: number
	readonly ramFrames: number
	/** A frame was freed, and a TLB may still translate to it: to be flushed before the guest runs on or the frame is reused. */
	flushPending = false
	readonly #host: FrameHost
	readonly #table: number
	readonly #pins: number
	readonly #epoch: number
	readonly #version: number

	constructor(domain: Domain, host: FrameHost) {
		this.domain = domain
		this.machine = domain.machine
		this.u32 = domain.machine.u32
		this.frames = domain.machine.frames
		this.ramFrames = domain.layout.ramFrames
		this.#host = host
		this.#table = domain.at(domain.layout.pageInfo) >>> 2
		this.#pins = domain.at(domain.layout.writablePins) >>> 2
		this.#epoch = controlWord(domain, CB_MM_EPOCH)
		this.#version = controlWord(domain, CB_MM_VERSION)
	}

	/** Index in u32 of a frame's entry. The caller has checked mfn < frames. */
	at(mfn: number): number {
		return this.#table + mfn * PI_WORDS
	}

	/** The frame that a 64-bit value names, or -1 when the machine has none such. */
	frame(lo: number, hi: number): number {
		return hi === 0 && lo < this.frames ? lo : -1
	}

	type(mfn: number): number {
		return this.u32[this.at(mfn)] & TYPE_MASK
	}
	typeCount(mfn: number): number {
		return this.u32[this.at(mfn) + PI_TYPE_COUNT]
	}
	count(mfn: number): number {
		return this.u32[this.at(mfn) + PI_COUNT]
	}
	flags(mfn: number): number {
		return this.u32[this.at(mfn) + PI_FLAGS]
	}

	/** Takes a general reference; false when the guest does not own such a frame. `mfn` may be -1. */
	getPage(mfn: number): boolean {
		if (mfn < 0 || mfn >= this.frames) return false
		const at = this.at(mfn)
		if ((this.u32[at + PI_FLAGS] & PAGE_OWNED) === 0) return false
		this.u32[at + PI_COUNT]++
		return true
	}

	/** Drops a general reference; the last one frees the frame. */
	putPage(mfn: number): void {
		const at = this.at(mfn) + PI_COUNT
		const count = this.u32[at]
		if (count === 0) throw new InternalError(`frame ${mfn} has no reference to drop`)
		this.u32[at] = count - 1
		if (count === 1) this.#release(mfn)
	}

	/** Whether the guest owns the frame. `mfn` may be -1. */
	isOwned(mfn: number): boolean {
		return mfn >= 0 && mfn < this.frames && (this.flags(mfn) & PAGE_OWNED) !== 0
	}

	/** Whether a backend may be writing to the frame, from any thread (see grant_pin.ts). */
	isPinnedWritable(mfn: number): boolean {
		return Atomics.load(this.u32, this.#pins + mfn) !== 0
	}

	/** The epoch as stamped into type words. */
	get epoch(): number {
		return this.u32[this.#epoch] & EPOCH_MASK
	}

	/** Drops all cached translations and starts a new epoch. */
	flushTlb(): void {
		this.u32[this.#epoch]++
		this.flushPending = false
		this.#host.flushTlb()
	}

	/** Drops what is cached for writing and starts a new epoch. */
	flushWriteTlb(): void {
		this.u32[this.#epoch]++
		this.#host.flushWriteTlb()
	}

	/** Drops all cached translations that may be stale, and starts a new epoch. */
	flushStale(): void {
		if (this.flushPending) return this.flushTlb()
		this.u32[this.#epoch]++
		this.#host.flushStale()
	}

	get all(): number {
		return this.u32[this.#version]
	}
	get low(): number {
		return this.u32[this.#version + 1]
	}
	get writes(): number {
		return this.u32[this.#version + 2]
	}
	/** A present entry has lost something, or a page table is no longer one. */
	renewVersion(isLow: boolean): void {
		this.u32[this.#version + (isLow ? 1 : 0)]++
	}
	/** A present entry has lost what only writing needs. */
	renewWriteVersion(): void {
		this.u32[this.#version + 2]++
	}

	forgetRoot(mfn: number): void {
		this.#host.forgetRoot(mfn)
	}

	/** To be called before the guest runs on. */
	settle(): void {
		if (this.flushPending) this.flushTlb()
	}

	/** The hypervisor has written to a frame that may hold decoded code. */
	written(mfn: number): void {
		if (this.machine.u8[this.machine.attributeAddress(mfn)] & FRAME_CODE) this.#host.invalidateFrame(mfn)
	}

	zero(mfn: number): void {
		this.machine.framePage(mfn).fill(0)
		this.written(mfn)
	}

	setAttribute(mfn: number, bit: number): void {
		Atomics.or(this.machine.u8, this.machine.attributeAddress(mfn), bit)
	}
	clearAttribute(mfn: number, bit: number): void {
		Atomics.and(this.machine.u8, this.machine.attributeAddress(mfn), ~bit)
	}

	// ---- allocation ------------------------------------------------------------------------------------------------------------

	get currentFrames(): number {
		return this.u32[controlWord(this.domain, CB_CURRENT_FRAMES)]
	}

	/** Frames that the guest may own, at most the machine's. */
	get frameLimit(): number {
		return Math.min(this.u32[controlWord(this.domain, CB_FRAME_LIMIT)], this.ramFrames)
	}

	isFree(mfn: number): boolean {
		return mfn < this.ramFrames && this.count(mfn) === 0
	}

	/** Makes the guest own a free frame: one reference, allocated, no type. Its contents are zeroes already. */
	assign(mfn: number): void {
		const at = this.at(mfn)
		this.u32[at + PI_TYPE] = TYPE_NONE
		this.u32[at + PI_TYPE_COUNT] = 0
		this.u32[at + PI_COUNT] = 1
		this.u32[at + PI_FLAGS] = PAGE_ALLOCATED | PAGE_OWNED
		this.clearAttribute(mfn, FRAME_ABSENT)
		this.u32[controlWord(this.domain, CB_CURRENT_FRAMES)]++
	}

	/**
	 * Finds 2^order free, aligned, adjacent frames below `limit`, at `wanted` if they are free there, and gives them to the guest.
	 * Returns the first, or -1: none, or the domain is at its limit.
	 */
	allocate(order: number, wanted: number, limit: number): number {
		const size = 2 ** order
		if (this.currentFrames + size > this.frameLimit) return -1
		const first = this.#areFree(wanted, size, limit) ? wanted : this.#search(size, limit)
		if (first < 0) return -1
		this.settle()
		for (let mfn = first; mfn < first + size; mfn++) this.assign(mfn)
		return first
	}

	#search(size: number, limit: number): number {
		const hint = controlWord(this.domain, CB_MM_HINT)
		const end = Math.min(limit, this.ramFrames)
		const start = this.u32[hint] < end ? Math.ceil(this.u32[hint] / size) * size : 0
		for (let mfn = start; mfn + size <= end; mfn += size) if (this.#areFree(mfn, size, end)) return this.#found(hint, mfn, size)
		for (let mfn = 0; mfn < start && mfn + size <= end; mfn += size) if (this.#areFree(mfn, size, end)) return this.#found(hint, mfn, size)
		return -1
	}

	#found(hint: number, mfn: number, size: number): number {
		this.u32[hint] = mfn + size
		return mfn
	}

	#areFree(first: number, size: number, limit: number): boolean {
		if (first < 0 || first % size !== 0 || first + size > Math.min(limit, this.ramFrames)) return false
		for (let mfn = first; mfn < first + size; mfn++) if (this.count(mfn) !== 0 || this.isPinnedWritable(mfn)) return false
		return true
	}

	/** The guest gives an allocated frame back: it is freed with its last mapping. */
	dropAllocation(mfn: number): void {
		const at = this.at(mfn) + PI_FLAGS
		if ((this.u32[at] & PAGE_ALLOCATED) === 0) return
		this.u32[at] &= ~PAGE_ALLOCATED
		this.putPage(mfn)
	}

	/** Frees an allocated frame that nothing refers to, contents kept (XENMEM_exchange). False when something does. */
	steal(mfn: number): boolean {
		if (!this.isOwned(mfn)) return false
		const at = this.at(mfn)
		const flags = this.u32[at + PI_FLAGS]
		if (flags & PAGE_SPECIAL || (flags & PAGE_ALLOCATED) === 0 || this.u32[at + PI_COUNT] !== 1) return false
		this.u32[at + PI_COUNT] = 0
		this.#disown(mfn)
		return true
	}

	#release(mfn: number): void {
		this.#disown(mfn)
		this.zero(mfn)
		this.setM2p(mfn, 0xffff_ffff, 0xffff_ffff)
	}

	#disown(mfn: number): void {
		const at = this.at(mfn)
		if (this.u32[at + PI_TYPE_COUNT] !== 0) throw new InternalError(`frame ${mfn} is freed while in use as type ${this.type(mfn)}`)
		this.u32[at + PI_TYPE] = TYPE_NONE
		this.u32[at + PI_FLAGS] = 0
		this.setAttribute(mfn, FRAME_ABSENT)
		this.u32[controlWord(this.domain, CB_CURRENT_FRAMES)]--
		this.flushPending = true
	}

	/** Sets a frame's entry in the machine-to-physical table, to the PFN or INVALID_M2P_ENTRY (all ones). */
	setM2p(mfn: number, lo: number, hi: number): void {
		const at = (this.machine.frameAddress(this.domain.layout.m2pMfn) + mfn * 8) >>> 2
		this.u32[at] = lo
		this.u32[at + 1] = hi
	}
}

/**
 * Sets up page info for a new domain whose memory is still all zeroes: the guest owns frames 0 .. initialFrames - 1 and is
 * shared the special frames. To be called once, before anything else here.
 */
export function initialisePageInfo(domain: Domain, initialFrames: number): void {
	const pages = new PageInfo(domain, { flushTlb() {}, flushWriteTlb() {}, flushStale() {}, forgetRoot() {}, invalidateFrame() {} })
	const { layout } = domain
	if (initialFrames > layout.ramFrames) throw new InternalError(`${initialFrames} frames do not fit in a machine of ${layout.ramFrames}`)
	pages.u32[controlWord(domain, CB_FRAME_LIMIT)] = layout.ramFrames
	for (let mfn = 0; mfn < initialFrames; mfn++) pages.assign(mfn)
	for (let mfn = initialFrames; mfn < layout.ramFrames; mfn++) pages.setAttribute(mfn, FRAME_ABSENT)
	const share = (mfn: number, count: number) => {
		for (let n = 0; n < count; n++) shareWithGuest(pages, mfn + n)
	}
	share(layout.sharedInfoMfn, 1)
	share(layout.grantMfn, domain.description.maxGrantFrames)
	share(layout.grantStatusMfn, layout.grantStatusFrames)
}

function shareWithGuest(pages: PageInfo, mfn: number): void {
	const at = pages.at(mfn)
	pages.u32[at + PI_TYPE] = TYPE_WRITABLE | PAGE_VALIDATED
	pages.u32[at + PI_TYPE_COUNT] = 1
	pages.u32[at + PI_COUNT] = 1
	pages.u32[at + PI_FLAGS] = PAGE_ALLOCATED | PAGE_OWNED | PAGE_SPECIAL
}

if (PAGE_SIZE !== 4096 || PAGE_INFO_SIZE !== L.BOOK_SIZE) throw new Error('page info layout')
