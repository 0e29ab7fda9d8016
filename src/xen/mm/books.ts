/**
 * What the processor is told so that it can write common page table entries without us (x86/core/table_updates.ts): mmu_update of one entry, update_va_mapping, and
 * stores to L1 tables. mmu_update.ts, update_va_mapping.ts and writable_pagetables.ts are the complete way, to which it falls back; both must leave the same state.
 */
import { __HYPERVISOR_mmu_update, __HYPERVISOR_update_va_mapping, DOMID_SELF } from '../../abi/xen.ts'
import * as L from '../../x86/core/layout.ts'
import type { Cpu } from '../../x86/cpu.ts'
import type { Domain } from '../domain.ts'
import { controlWord } from '../vcpu_shared.ts'
import { CB_MM_EPOCH, CB_MM_VERSION } from './page_info.ts'
import { L1_DISALLOWED, PTE_HI_GUEST_KERNEL, UNCOUNTED_HI, UNCOUNTED_LO } from './page_tables.ts'

/** Of a new vCPU. One of several keeps no books: it would need the lock that page_info.ts names. */
export function giveBooks(domain: Domain, cpu: Cpu): void {
	if (domain.description.vcpus > 1) return
	const { u8, u32 } = domain.machine
	cpu.setField(L.BOOKS, domain.at(domain.layout.pageInfo))
	cpu.setField(L.BOOKS_VERSIONS, controlWord(domain, CB_MM_VERSION) * 4)
	cpu.setField(L.BOOKS_EPOCH, controlWord(domain, CB_MM_EPOCH) * 4)
	cpu.setField(L.BOOKS_SELF, DOMID_SELF)
	const setMask = (field: number, lo: number, hi: number) => u32.set([lo, hi], (cpu.state + field) >>> 2)
	setMask(L.BOOKS_JUDGED, L1_DISALLOWED, 0)
	setMask(L.BOOKS_UNCOUNTED, UNCOUNTED_LO, UNCOUNTED_HI)
	setMask(L.BOOKS_KERNEL, 0, PTE_HI_GUEST_KERNEL)
	u8[cpu.state + L.SWITCH_SERVICES + __HYPERVISOR_mmu_update] = L.SERVICE_UPDATE_ENTRY
	u8[cpu.state + L.SWITCH_SERVICES + __HYPERVISOR_update_va_mapping] = L.SERVICE_UPDATE_MAPPING
}
