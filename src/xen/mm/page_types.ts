/**
 * Type references: validation of page tables on the first, invalidation on the last. The rules are at the head of page_info.ts.
 * Errors are values: 0, or a negative errno as Xen gives it.
 */
import { XEN_EBUSY, XEN_EINVAL, XEN_EPERM } from '../../abi/errno.ts'
import { InternalError } from '../../base/errors.ts'
import { FRAME_HOOK } from '../../x86/core/layout.ts'
import type { Domain } from '../domain.ts'
import { isPinnedWritable } from '../grant_pin.ts'
import { controlWord } from '../vcpu_shared.ts'
import { checkDescriptors } from './descriptor_check.ts'
import {
	CB_MM_M2P_STRICT,
	EPOCH_SHIFT,
	type FrameHost,
	PAGE_HIGH,
	PAGE_OWNED,
	PAGE_VALIDATED,
	PageInfo,
	PI_COUNT,
	PI_FLAGS,
	PI_TYPE,
	PI_TYPE_COUNT,
	TYPE_L1,
	TYPE_L3,
	TYPE_L4,
	TYPE_MASK,
	TYPE_SEG_DESC,
	TYPE_WRITABLE,
} from './page_info.ts'
import {
	adjustL1Hi,
	adjustL1Lo,
	adjustUpperLo,
	ENTRIES,
	entryFrame,
	FIRST_XEN_SLOT,
	isInvalidMfn,
	L1_DISALLOWED,
	LAST_XEN_SLOT,
	M2P_SLOT,
	PTE_ACCESSED,
	PTE_PRESENT,
	PTE_RW,
	PTE_USER,
	UPPER_DISALLOWED,
} from './page_tables.ts'

/** L4 slots from here on map the upper half of the address space. */
const FIRST_HIGH_SLOT = 256

/** An entry that failed validation. */
export interface RefusedEntry {
	readonly level: number
	readonly table: number
	readonly index: number
	readonly lo: number
	readonly hi: number
}

export class PageTypes extends PageInfo {
	/** The entry at which the last validation failed, the lowest one of nested tables; for the log, which clears it. */
	refusedEntry: RefusedEntry | null = null
	readonly #m2pStrict: number

	constructor(domain: Domain, host: FrameHost) {
		super(domain, host)
		this.#m2pStrict = controlWord(domain, CB_MM_M2P_STRICT)
	}

	/** Index in u32 of a frame's first word. */
	words(mfn: number): number {
		return this.machine.frameAddress(mfn) >>> 2
	}

	/** The frame that a u32 index lies in. */
	frameOfWord(at: number): number {
		return (at * 4 - this.machine.frameBase) >>> 12
	}

	/** Whether the frame is in use as its present type, its contents checked. */
	isInUse(mfn: number): boolean {
		const at = this.at(mfn)
		return this.u32[at + PI_TYPE_COUNT] !== 0 && (this.u32[at + PI_TYPE] & PAGE_VALIDATED) !== 0
	}

	/** Takes a general and a type reference; -EINVAL when the guest does not own the frame (`mfn` may be -1), or as getType(). */
	getPageAndType(mfn: number, type: number): number {
		if (!this.getPage(mfn)) return -XEN_EINVAL
		const rc = this.getType(mfn, type)
		if (rc !== 0) this.putPage(mfn)
		return rc
	}

	putPageAndType(mfn: number): void {
		this.putType(mfn)
		this.putPage(mfn)
	}

	/**
	 * Takes a type reference; the caller holds a general one. -EINVAL when the frame is in use as another type; on 0 -> 1 what
	 * validation says (nothing has changed then but flags that Xen adds to entries).
	 */
	getType(mfn: number, type: number): number {
		const { u32 } = this
		const at = this.at(mfn)
		const word = u32[at + PI_TYPE]
		const count = u32[at + PI_TYPE_COUNT]
		if (count !== 0) {
			if ((word & TYPE_MASK) !== type || (word & PAGE_VALIDATED) === 0) return -XEN_EINVAL
			u32[at + PI_TYPE_COUNT] = count + 1
			return 0
		}
		if ((word & (TYPE_MASK | PAGE_VALIDATED)) === (type | PAGE_VALIDATED)) {
			u32[at + PI_TYPE_COUNT] = 1
			return 0
		}
		if ((word & TYPE_MASK) === TYPE_WRITABLE && word >>> EPOCH_SHIFT === this.epoch) this.flushWriteTlb()
		Atomics.store(u32, at + PI_TYPE_COUNT, 1)
		Atomics.store(u32, at + PI_TYPE, type)
		const rc = type === TYPE_WRITABLE ? 0 : isPinnedWritable(this.domain, mfn) ? -XEN_EINVAL : this.#validate(mfn, type)
		if (rc !== 0) {
			u32[at + PI_TYPE_COUNT] = 0
			u32[at + PI_TYPE] = 0
			return rc
		}
		u32[at + PI_TYPE] |= PAGE_VALIDATED
		if (type <= TYPE_L4) this.setAttribute(mfn, FRAME_HOOK)
		return 0
	}

	/** Drops a type reference; the caller holds a general one beside it. */
	putType(mfn: number): void {
		const { u32 } = this
		const at = this.at(mfn)
		const count = u32[at + PI_TYPE_COUNT]
		if (count === 0) throw new InternalError(`frame ${mfn} has no type reference to drop`)
		if (count > 1) {
			u32[at + PI_TYPE_COUNT] = count - 1
			return
		}
		const type = u32[at + PI_TYPE] & TYPE_MASK
		if (type === TYPE_WRITABLE) {
			u32[at + PI_TYPE] = TYPE_WRITABLE | PAGE_VALIDATED | (this.epoch << EPOCH_SHIFT)
		} else if (type !== TYPE_SEG_DESC) {
			// Not valid while its entries go, and still of this type: nothing can take it for something else meanwhile.
			this.renewVersion((u32[at + PI_TYPE] & PAGE_HIGH) === 0)
			if (type === TYPE_L4) this.forgetRoot(mfn)
			u32[at + PI_TYPE] = type
			this.clearAttribute(mfn, FRAME_HOOK)
			if (type === TYPE_L1) this.#dropL1(mfn, ENTRIES)
			else this.#dropUpper(mfn, type, ENTRIES)
		}
		u32[at + PI_TYPE_COUNT] = 0
	}

	// ---- references held by entries -----------------------------------------------------------------------------------------------

	/**
	 * Takes the references of a present L1 entry: -EINVAL for flags that are not allowed or INVALID_MFN, -EPERM for a frame that
	 * the machine does not have (as I/O memory), -EBUSY for one that is not the guest's or cannot be writable.
	 */
	getFromL1(lo: number, hi: number): number {
		if (lo & L1_DISALLOWED) return -XEN_EINVAL
		const mfn = entryFrame(lo, hi)
		if (mfn < 0 || mfn >= this.frames) return isInvalidMfn(lo, hi) ? -XEN_EINVAL : -XEN_EPERM
		const { u32 } = this
		const at = this.at(mfn)
		if ((u32[at + PI_FLAGS] & PAGE_OWNED) === 0) return -XEN_EBUSY
		if (lo & PTE_RW && this.getType(mfn, TYPE_WRITABLE) !== 0) return -XEN_EBUSY
		u32[at + PI_COUNT]++
		return 0
	}

	/** Drops the references of an entry that a validated L1 held. */
	putFromL1(lo: number): void {
		if ((lo & PTE_PRESENT) === 0) return
		const mfn = lo >>> 12
		if (lo & PTE_RW) this.putType(mfn)
		this.putPage(mfn)
	}

	/** Takes the references of a present entry of a table of `level` 2..4. -EINVAL, or what validating the table below says. */
	getFromUpper(lo: number, hi: number, level: number): number {
		if (lo & UPPER_DISALLOWED) return -XEN_EINVAL
		return this.getPageAndType(entryFrame(lo, hi), level - 1)
	}

	putFromUpper(lo: number): void {
		if (lo & PTE_PRESENT) this.putPageAndType(lo >>> 12)
	}

	// ---- validation ----------------------------------------------------------------------------------------------------------------

	#validate(mfn: number, type: number): number {
		if (type === TYPE_L1) return this.#validateL1(mfn)
		if (type <= TYPE_L4) return this.#validateUpper(mfn, type)
		if (type !== TYPE_SEG_DESC) throw new InternalError(`no such frame type: ${type}`)
		return checkDescriptors(this.u32, this.words(mfn)) ? 0 : -XEN_EINVAL
	}

	/** Index in u32 of the next present entry from `at` on, or `end`: most entries of most tables are absent. */
	#nextPresent(at: number, end: number): number {
		const { u32 } = this
		let next = at
		while (next + 6 < end && ((u32[next] | u32[next + 2] | u32[next + 4] | u32[next + 6]) & PTE_PRESENT) === 0) next += 8
		while (next < end && (u32[next] & PTE_PRESENT) === 0) next += 2
		return next
	}

	#validateL1(mfn: number): number {
		const { u32 } = this
		const first = this.words(mfn)
		const end = first + ENTRIES * 2
		for (let at = this.#nextPresent(first, end); at < end; at = this.#nextPresent(at + 2, end)) {
			const lo = u32[at]
			const hi = u32[at + 1]
			const rc = this.getFromL1(lo, hi)
			if (rc !== 0) {
				this.refusedEntry ??= { level: TYPE_L1, table: mfn, index: (at - first) >>> 1, lo, hi }
				this.#dropL1(mfn, (at - first) >>> 1)
				return rc
			}
			u32[at] = adjustL1Lo(lo, hi)
			u32[at + 1] = adjustL1Hi(lo, hi)
		}
		return 0
	}

	#dropL1(mfn: number, count: number): void {
		const first = this.words(mfn)
		const end = first + count * 2
		for (let at = this.#nextPresent(first, end); at < end; at = this.#nextPresent(at + 2, end)) this.putFromL1(this.u32[at])
	}

	/** A validated table of `level` 1..3 is linked where the upper half of the address space may lead to it. */
	markHigh(mfn: number, level: number): void {
		const { u32 } = this
		const at = this.at(mfn) + PI_TYPE
		if (u32[at] & PAGE_HIGH) return
		u32[at] |= PAGE_HIGH
		if (level === TYPE_L1) return
		const first = this.words(mfn)
		for (let n = 0; n < ENTRIES; n++) {
			const lo = u32[first + n * 2]
			if (lo & PTE_PRESENT) this.markHigh(lo >>> 12, level - 1)
		}
	}

	/** Whether entry `n` of a table in use is met at addresses of the lower half alone. */
	isLow(table: number, level: number, n: number): boolean {
		return level === TYPE_L4 ? n < FIRST_HIGH_SLOT : (this.u32[this.at(table) + PI_TYPE] & PAGE_HIGH) === 0
	}

	#validateUpper(mfn: number, level: number): number {
		const { u32 } = this
		const first = this.words(mfn)
		const end = first + ENTRIES * 2
		for (let at = this.#nextPresent(first, end); at < end; at = this.#nextPresent(at + 2, end)) {
			const n = (at - first) >>> 1
			if (isXenSlot(level, n)) continue
			const lo = u32[at]
			const rc = this.getFromUpper(lo, u32[at + 1], level)
			if (rc !== 0) {
				this.refusedEntry ??= { level, table: mfn, index: n, lo, hi: u32[at + 1] }
				this.#dropUpper(mfn, level, n)
				return rc
			}
			u32[at] = adjustUpperLo(lo, level)
			if (level === TYPE_L4 && n >= FIRST_HIGH_SLOT) this.markHigh(entryFrame(lo, u32[at + 1]), TYPE_L3)
		}
		if (level === TYPE_L4) this.#fillXenSlots(first)
		return 0
	}

	#dropUpper(mfn: number, level: number, count: number): void {
		const first = this.words(mfn)
		const end = first + count * 2
		for (let at = this.#nextPresent(first, end); at < end; at = this.#nextPresent(at + 2, end))
			if (!isXenSlot(level, (at - first) >>> 1)) this.putFromUpper(this.u32[at])
	}

	// ---- Xen's slots of an L4 ---------------------------------------------------------------------------------------------------------

	/** Writes all of Xen's slots over whatever the guest left there. Without m2p_strict the M2P appears with use as the kernel's. */
	#fillXenSlots(first: number): void {
		this.u32.fill(0, first + FIRST_XEN_SLOT * 2, first + (LAST_XEN_SLOT + 1) * 2)
		if (this.u32[this.#m2pStrict] !== 0) this.#setM2pSlot(first, true)
	}

	#setM2pSlot(first: number, mapped: boolean): void {
		const at = first + M2P_SLOT * 2
		if (!mapped && this.u32[at] !== 0) this.renewVersion(false)
		this.u32[at] = mapped ? (this.domain.layout.m2pTablesMfn << 12) | PTE_PRESENT | PTE_USER | PTE_ACCESSED : 0
		this.u32[at + 1] = 0
	}

	/** A validated L4 comes into use as the guest kernel's: it maps the M2P table from now on. */
	useAsKernelRoot(mfn: number): void {
		if (this.u32[this.#m2pStrict] === 0) this.#setM2pSlot(this.words(mfn), true)
	}

	/** A validated L4 comes into use as the guest user's: with m2p_strict the M2P table is hidden from it. */
	useAsUserRoot(mfn: number): void {
		if (this.u32[this.#m2pStrict] !== 0) this.#setM2pSlot(this.words(mfn), false)
	}
}

/** Whether entry `n` of a table of `level` is out of the guest's reach. */
export function isXenSlot(level: number, n: number): boolean {
	return level === TYPE_L4 && n >= FIRST_XEN_SLOT && n <= LAST_XEN_SLOT
}
