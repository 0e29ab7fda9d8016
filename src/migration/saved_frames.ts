/** Which frames a domain that is saved has, by the PFNs that its guest knows them by, and what the guest's own structures say of them. The guest may have written anything there. */
import { arch_shared_info, shared_info } from '../abi/xen.ts'
import type { Domain } from '../xen/domain.ts'
import { isCanonical } from '../xen/guest_access.ts'
import {
	PAGE_OWNED,
	PAGE_PINNED,
	PAGE_SPECIAL,
	PAGE_VALIDATED,
	PI_FLAGS,
	PI_TYPE,
	PI_TYPE_COUNT,
	PI_WORDS,
	TYPE_L1,
	TYPE_L4,
	TYPE_MASK,
} from '../xen/mm/page_info.ts'
import { ENTRIES, entryFrame, entryIndex, PTE_HI_FRAME, PTE_PRESENT } from '../xen/mm/page_tables.ts'
import { isXenSlot } from '../xen/mm/page_types.ts'
import { P2M_ENTRIES } from './records.ts'
import { CannotSave } from './stream_error.ts'

/** Where PFNs end: more than any machine has. */
const NO_PFN = 0xffff_ffff

export class SavedFrames {
	/** By PFN. */
	readonly mfns: Uint32Array
	/** PFNs that there are, ascending. */
	readonly pfns: Uint32Array
	private readonly domain: Domain
	/** By MFN; NO_PFN for frames that are not the guest's. */
	private readonly byMfn: Uint32Array

	constructor(domain: Domain) {
		this.domain = domain
		const { machine, layout } = domain
		const { u32 } = machine
		const m2p = machine.frameAddress(layout.m2pMfn) >>> 2
		this.byMfn = new Uint32Array(layout.ramFrames).fill(NO_PFN)
		this.mfns = new Uint32Array(layout.ramFrames).fill(NO_PFN)
		for (let mfn = 0; mfn < layout.ramFrames; mfn++) {
			const flags = u32[this.info(mfn) + PI_FLAGS] as number
			if ((flags & PAGE_OWNED) === 0 || (flags & PAGE_SPECIAL) !== 0) continue
			const [pfn, hi] = [u32[m2p + mfn * 2] as number, u32[m2p + mfn * 2 + 1] as number]
			// A frame that the guest has no number for: it is on its way to or from the balloon.
			if (hi === NO_PFN && pfn === NO_PFN) continue
			if (hi !== 0 || pfn >= layout.ramFrames)
				throw new CannotSave(`its frame 0x${mfn.toString(16)} is its page 0x${pfn.toString(16)}, beyond its memory`)
			if (this.mfns[pfn] !== NO_PFN) throw new CannotSave(`two of its frames are its page 0x${pfn.toString(16)}`)
			this.mfns[pfn] = mfn
			this.byMfn[mfn] = pfn
		}
		this.pfns = Uint32Array.from([...this.mfns.keys()].filter((pfn) => this.mfns[pfn] !== NO_PFN))
	}

	/** The PFN of a frame that the guest has named. Throws CannotSave when it is none of its own. */
	pfn(mfn: number, what: string): number {
		return this.find(mfn) ?? refuse(mfn, what)
	}

	/** The PFN of a frame; undefined when it is not the guest's. */
	find(mfn: number): number | undefined {
		const pfn = this.byMfn[mfn]
		return pfn === NO_PFN ? undefined : pfn
	}

	/** Level 1..4 of a frame that is in use as a page table, with 8 when it is pinned; else 0. */
	tableType(mfn: number): number {
		const { u32 } = this.domain.machine
		const at = this.info(mfn)
		const word = u32[at + PI_TYPE] as number
		const type = word & TYPE_MASK
		const isTable = type >= TYPE_L1 && type <= TYPE_L4 && (word & PAGE_VALIDATED) !== 0 && u32[at + PI_TYPE_COUNT] !== 0
		return isTable ? type | (word & PAGE_PINNED ? 8 : 0) : 0
	}

	/** How many pages the guest's P2M describes, and the PFNs of the pages that hold it. */
	p2m(): { readonly entries: number; readonly pages: number[] } {
		const { machine, layout } = this.domain
		const at = machine.frameAddress(layout.sharedInfoMfn) + shared_info.at.arch
		const view = new DataView(machine.memory.buffer, at, arch_shared_info.size)
		const entries = view.getBigUint64(arch_shared_info.at.max_pfn, true)
		const root = view.getBigUint64(arch_shared_info.at.p2m_cr3, true)
		const address = Number(view.getBigInt64(arch_shared_info.at.p2m_vaddr, true))
		if (root === 0n)
			throw new CannotSave('its kernel does not tell where its table of frames is (arch_shared_info.p2m_cr3): Linux does since 4.4')
		// Pages that were never there may be described as well, up to as many again.
		const most = BigInt(layout.ramFrames) * 2n + BigInt(P2M_ENTRIES)
		if (entries === 0n || entries > most) throw new CannotSave(`its table of frames is of ${entries} pages (arch_shared_info.max_pfn)`)
		const pages = Math.ceil(Number(entries) / P2M_ENTRIES)
		if (!isCanonical(address) || address % 4096 !== 0 || !isCanonical(address + pages * 4096 - 1))
			throw new CannotSave('its table of frames is at no address (arch_shared_info.p2m_vaddr)')
		const l4 = Number((root >> 12n) & 0xffff_ffffn)
		return {
			entries: Number(entries),
			pages: Array.from({ length: pages }, (_, n) => this.pfn(this.walk(l4, address + n * 4096), 'a page of its table of frames')),
		}
	}

	/** The frame that a linear address is mapped to. Throws CannotSave when it is not. */
	private walk(root: number, address: number): number {
		const { machine } = this.domain
		let table = root
		for (let level = TYPE_L4; level >= TYPE_L1; level--) {
			this.pfn(table, 'a page table of its table of frames')
			const at = (machine.frameAddress(table) >>> 2) + entryIndex(address, level) * 2
			const [lo, hi] = [machine.u32[at] as number, machine.u32[at + 1] as number]
			if ((lo & PTE_PRESENT) === 0) throw new CannotSave('its table of frames is not mapped')
			table = entryFrame(lo, hi)
		}
		return table
	}

	private info(mfn: number): number {
		return (this.domain.at(this.domain.layout.pageInfo) >>> 2) + mfn * PI_WORDS
	}
}

function refuse(mfn: number, what: string): never {
	throw new CannotSave(`${what} is frame 0x${mfn.toString(16)}, which is not its own`)
}

/** Puts PFNs for frames into a copy of a page table, and nothing into Xen's slots. */
export function canonicalise(table: Uint32Array, level: number, frames: SavedFrames): void {
	for (let n = 0; n < ENTRIES; n++) {
		const lo = table[n * 2] as number
		if (isXenSlot(level, n)) {
			table[n * 2] = 0
			table[n * 2 + 1] = 0
		} else if (lo & PTE_PRESENT) {
			const mfn = entryFrame(lo, table[n * 2 + 1] as number)
			const pfn = frames.find(mfn) ?? refuse(mfn, `what entry ${n} of a page table of level ${level} maps`)
			table[n * 2] = ((pfn << 12) | (lo & 0xfff)) >>> 0
			table[n * 2 + 1] = (table[n * 2 + 1] as number) & ~PTE_HI_FRAME
		}
	}
}
