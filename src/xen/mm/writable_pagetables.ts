/**
 * Writable page tables (VMASST_TYPE_writable_pagetables): a guest maps its page tables read-only, and a write through such a
 * mapping is checked and done as if it had asked for it. Only L1 tables can be written so; Xen emulates the write whether or not
 * the assist is enabled, and so do we.
 */
import type { VcpuContext } from '../vcpu.ts'
import { hex64 } from './mm_state.ts'
import { modL1Entry } from './mod_entry.ts'
import { TYPE_L1 } from './page_info.ts'

/**
 * CpuHost.protectedWrite(): a write of `size` bytes (1, 2, 4, 8; value hi:lo) to machine address `maddr`, whose frame is marked
 * FRAME_HOOK. True when it has been done; false (nothing changed) when the guest is to get its #PF: not an L1 table, not
 * aligned, or an entry that is not allowed. May drop decoded code, and flushes the TLBs when the old entry was the last to hold a frame
 * that the guest had given back.
 */
export function writePageTable(vcpu: VcpuContext, maddr: number, size: number, lo: number, hi: number): boolean {
	const { types } = vcpu.mm
	const mfn = types.frame(maddr >>> 12, 0)
	if (!types.isOwned(mfn) || !types.isInUse(mfn) || types.type(mfn) !== TYPE_L1) return false
	if (maddr & (size - 1)) return false
	const at = types.words(mfn) + ((maddr & 0xff8) >>> 2)
	let newLo = lo >>> 0
	let newHi = hi >>> 0
	if (size < 8) {
		const upper = (maddr & 4) !== 0
		const merged = size === 4 ? newLo : mergeWord(types.u32[upper ? at + 1 : at], maddr, size, lo)
		newLo = upper ? types.u32[at] : merged
		newHi = upper ? merged : types.u32[at + 1]
	}
	const rc = modL1Entry(types, mfn, at, newLo, newHi, false, false)
	types.settle()
	if (rc !== 0) vcpu.mm.logRefusal(`write of ${hex64(newLo, newHi)} to page table entry at 0x${maddr.toString(16)}`, rc)
	return rc === 0
}

/** A word with one or two of its bytes replaced. */
function mergeWord(word: number, maddr: number, size: number, value: number): number {
	const shift = (maddr & 3) * 8
	const mask = (size === 1 ? 0xff : 0xffff) << shift
	return ((word & ~mask) | ((value << shift) & mask)) >>> 0
}
