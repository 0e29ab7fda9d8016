import { InternalError } from '../../base/errors.ts'
import type { Domain } from '../domain.ts'
import { ENTRIES, PTE_ACCESSED, PTE_HI_NX, PTE_PRESENT, PTE_USER } from './page_tables.ts'

/**
 * The machine-to-physical table: an 8-byte PFN for each MFN, all ones where the frame is no one's (INVALID_M2P_ENTRY) or the
 * hypervisor's. Frames from layout.m2pMfn on hold it; the tables from layout.m2pTablesMfn (L3, L2, then L1s) map it, read-only
 * and not executable, into slot 256 of a guest's L4, at MACH2PHYS_VIRT_START.
 */
export function initialiseM2p(domain: Domain, initialFrames: number): void {
	const { layout, machine } = domain
	const { u32 } = machine
	const table = machine.frameAddress(layout.m2pMfn) >>> 2
	u32.fill(0xffff_ffff, table, table + layout.m2pFrames * 1024)
	for (let mfn = 0; mfn < initialFrames; mfn++) {
		u32[table + mfn * 2] = mfn
		u32[table + mfn * 2 + 1] = 0
	}

	const l1Tables = layout.m2pTableFrames - 2
	if (l1Tables > ENTRIES) throw new InternalError('the M2P table exceeds one L2')
	const entry = (tableMfn: number, index: number, mfn: number, hi: number) => {
		const at = (machine.frameAddress(tableMfn) >>> 2) + index * 2
		u32[at] = (mfn << 12) | PTE_PRESENT | PTE_USER | PTE_ACCESSED
		u32[at + 1] = hi
	}
	const l2 = layout.m2pTablesMfn + 1
	entry(layout.m2pTablesMfn, 0, l2, 0)
	for (let n = 0; n < l1Tables; n++) entry(l2, n, l2 + 1 + n, 0)
	for (let n = 0; n < layout.m2pFrames; n++) entry(l2 + 1 + Math.floor(n / ENTRIES), n % ENTRIES, layout.m2pMfn + n, PTE_HI_NX)
}
