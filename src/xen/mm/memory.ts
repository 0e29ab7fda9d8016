/** What the rest of src/xen uses of memory management. */
import type { Domain } from '../domain.ts'
import type { HypercallRow } from '../hypercall_row.ts'
import { initialiseXenGdtPage, setGdtHypercall, updateDescriptorHypercall } from './descriptors.ts'
import { initialiseM2p } from './m2p.ts'
import { memoryOpHypercall } from './memory_op.ts'
import { mmuUpdateHypercall } from './mmu_update.ts'
import { mmuextOpHypercall } from './mmuext_op.ts'
import { initialisePageInfo } from './page_info.ts'
import { updateVaMappingHypercall, updateVaMappingOtherdomainHypercall } from './update_va_mapping.ts'

export const memoryHypercalls: readonly HypercallRow[] = [
	mmuUpdateHypercall,
	setGdtHypercall,
	updateDescriptorHypercall,
	memoryOpHypercall,
	updateVaMappingHypercall,
	updateVaMappingOtherdomainHypercall,
	mmuextOpHypercall,
]

/**
 * Memory management of a new domain whose memory is still all zeroes: page info with frames 0 .. initialFrames - 1 owned by the
 * guest, the machine-to-physical table, Xen's GDT page. To be called once, before a VcpuContext is made; the domain builder then
 * writes the guest's first pages, and MmState.adoptInitialTables() takes its page tables.
 */
export function initialiseMemory(domain: Domain, initialFrames: number): void {
	initialisePageInfo(domain, initialFrames)
	initialiseM2p(domain, initialFrames)
	initialiseXenGdtPage(domain)
}
