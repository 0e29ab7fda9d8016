/**
 * GNTTABOP_map_grant_ref and its opposites, as far as a domU can: grants in its own table, granted to itself. A vCPU's thread
 * reaches no other domain's memory, so another domain's pages cannot be mapped.
 *
 * A mapping is an entry of the domain's mapping table, its index the handle: flags (0: free), ref. The grant lock guards them.
 * The page table entry that a host mapping writes holds its own references, as any entry; the pin is the grant's.
 */
import * as G from '../abi/grant_table.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { withGrants } from './grant_entries.ts'
import { type GrantPin, pinGrant, unpinGrant } from './grant_pin.ts'
import { viewGva, viewU64 } from './guest_struct.ts'
import { MAPTRACK_ENTRIES, MAPTRACK_SIZE } from './machine_layout.ts'
import { findL1Entry, modL1Entry } from './mm/mod_entry.ts'
import { TYPE_L1 } from './mm/page_info.ts'
import { PTE_ACCESSED, PTE_DIRTY, PTE_HI_NX, PTE_PRESENT, PTE_RW, PTE_USER } from './mm/page_tables.ts'
import type { VcpuContext } from './vcpu.ts'

/** Words of a mapping. */
const MAP_FLAGS = 0
const MAP_REF = 1
const MAP_MFN = 2

/** A grant table of dom0 with one frame, none of whose entries grants a domU anything. */
const DOM0_GRANTS = 512

/** What another domain's grant answers a domU: dom0's grant nothing, other domUs' tables are out of reach. */
export function foreignGrantStatus(domid: number, ref: number): number {
	if (domid !== 0) return G.GNTST_bad_domain
	return ref < DOM0_GRANTS ? G.GNTST_general_error : G.GNTST_bad_gntref
}

/** Index in machine.u32 of a mapping. */
const mapping = (vcpu: VcpuContext, handle: number) => vcpu.domain.at(vcpu.domain.layout.maptrack + handle * MAPTRACK_SIZE) >>> 2

/** Takes a free handle, -1 when all are in use. */
function takeHandle(vcpu: VcpuContext, flags: number, pin: GrantPin): number {
	const { u32 } = vcpu.domain.machine
	return withGrants(vcpu.domain, () => {
		for (let handle = 0; handle < MAPTRACK_ENTRIES; handle++) {
			const at = mapping(vcpu, handle)
			if (u32[at + MAP_FLAGS] !== 0) continue
			u32[at + MAP_FLAGS] = flags
			u32[at + MAP_REF] = pin.ref
			u32[at + MAP_MFN] = pin.mfn
			return handle
		}
		return -1
	})
}

// ---- page table entries ------------------------------------------------------------------------------------------------------

/** Where a host mapping's entry is: its table, and its index in machine.u32. */
interface Slot {
	readonly table: number
	readonly at: number
}

/** The entry for a linear address, or at a machine address (GNTMAP_contains_pte); null when there is no L1 table there. */
function findSlot(vcpu: VcpuContext, address: number, flags: number): Slot | null {
	const { types, kernelRoot } = vcpu.mm
	const { machine } = vcpu.domain
	if ((flags & G.GNTMAP_contains_pte) === 0) {
		const at = findL1Entry(types, kernelRoot, address)
		return at === -1 ? null : { at, table: Math.floor((at * 4 - machine.frameBase) / PAGE_SIZE) }
	}
	const table = Math.floor(address / PAGE_SIZE)
	if (address % 8 !== 0 || !types.isOwned(table)) return null
	if (types.type(table) !== TYPE_L1 || !types.isInUse(table)) return null
	return { table, at: (machine.frameAddress(table) + (address % PAGE_SIZE)) >>> 2 }
}

function entryFor(mfn: number, flags: number): number {
	const rights = (flags & G.GNTMAP_readonly ? 0 : PTE_RW) | (flags & G.GNTMAP_application_map ? PTE_USER : 0)
	const available = ((flags >>> 16) & 7) << 9
	return ((mfn << 12) | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | rights | available) >>> 0
}

/** Writes the entry of a host mapping; false when it cannot be. */
function writeEntry(vcpu: VcpuContext, address: number, mfn: number, flags: number): boolean {
	const slot = findSlot(vcpu, address, flags)
	if (!slot) return false
	const rc = modL1Entry(vcpu.mm.types, slot.table, slot.at, entryFor(mfn, flags), PTE_HI_NX, false, false)
	vcpu.mm.flushTlb()
	return rc === 0
}

/** Clears the entry of a host mapping, or moves the entry of `newAddress` there. False when it is not this mapping's. */
function replaceEntry(vcpu: VcpuContext, address: number, mfn: number, flags: number, newAddress: number): boolean {
	const { types } = vcpu.mm
	const slot = findSlot(vcpu, address, flags)
	if (!slot || (newAddress !== 0 && flags & G.GNTMAP_contains_pte)) return false
	const expected = entryFor(mfn, flags)
	const present = types.u32[slot.at] as number
	if (present >>> 12 !== mfn || (present ^ expected) & (PTE_PRESENT | PTE_RW)) return false
	const source = newAddress === 0 ? null : findSlot(vcpu, newAddress, 0)
	if (newAddress !== 0 && !source) return false
	const [lo, hi] = source ? [types.u32[source.at] as number, types.u32[source.at + 1] as number] : [0, 0]
	if (modL1Entry(types, slot.table, slot.at, lo, hi, false, false) !== 0) return false
	if (source && source.at !== slot.at) modL1Entry(types, source.table, source.at, 0, 0, false, false)
	vcpu.mm.flushTlb()
	return true
}

// ---- operations --------------------------------------------------------------------------------------------------------------

/** Serves one struct gnttab_map_grant_ref: fills in status and, when it is GNTST_okay, handle and dev_bus_addr. */
export function mapOne(vcpu: VcpuContext, argument: DataView): void {
	const at = G.gnttab_map_grant_ref.at
	const flags = argument.getUint32(at.flags, true)
	const ref = argument.getUint32(at.ref, true)
	const domid = argument.getUint16(at.dom, true)
	const result = map(vcpu, flags, ref, domid, viewAddress(argument, at.host_addr, flags))
	argument.setInt16(at.status, typeof result === 'number' ? result : G.GNTST_okay, true)
	if (typeof result === 'number') return
	argument.setUint32(at.handle, result.handle, true)
	argument.setUint32(at.dev_bus_addr, result.mfn << 12, true)
	argument.setUint32(at.dev_bus_addr + 4, result.mfn >>> 20, true)
}

/** host_addr: a linear address (signed, as Gva) or a machine address. */
const viewAddress = (argument: DataView, at: number, flags: number) =>
	flags & G.GNTMAP_contains_pte ? viewU64(argument, at) : viewGva(argument, at)

function map(vcpu: VcpuContext, flags: number, ref: number, domid: number, address: number): { handle: number; mfn: number } | number {
	const { domain } = vcpu
	if ((flags & (G.GNTMAP_host_map | G.GNTMAP_device_map)) === 0) return G.GNTST_bad_gntref
	if (domid !== domain.domid) return foreignGrantStatus(domid, ref)
	const pin = pinGrant(domain, ref, domid, (flags & G.GNTMAP_readonly) !== 0, true)
	if (typeof pin === 'number') return pin
	const handle = takeHandle(vcpu, flags, pin)
	if (handle === -1) {
		unpinGrant(domain, pin)
		return G.GNTST_no_space
	}
	if (flags & G.GNTMAP_host_map && !writeEntry(vcpu, address, pin.mfn, flags)) {
		domain.machine.u32[mapping(vcpu, handle) + MAP_FLAGS] = 0
		unpinGrant(domain, pin)
		return G.GNTST_general_error
	}
	return { handle, mfn: pin.mfn }
}

export function unmapOne(vcpu: VcpuContext, argument: DataView): void {
	const at = G.gnttab_unmap_grant_ref.at
	const status = unmap(vcpu, argument.getUint32(at.handle, true), argument, at.host_addr, viewU64(argument, at.dev_bus_addr), 0)
	argument.setInt16(at.status, status, true)
}

export function unmapAndReplaceOne(vcpu: VcpuContext, argument: DataView): void {
	const at = G.gnttab_unmap_and_replace.at
	const status = unmap(vcpu, argument.getUint32(at.handle, true), argument, at.host_addr, 0, viewGva(argument, at.new_addr))
	argument.setInt16(at.status, status, true)
}

/** Undoes the host mapping (when an address is given), the device mapping (likewise), and the handle when neither is left. */
function unmap(vcpu: VcpuContext, handle: number, argument: DataView, hostAddr: number, busAddress: number, newAddress: number): number {
	const { domain } = vcpu
	if (handle >= MAPTRACK_ENTRIES) return G.GNTST_bad_handle
	const { u32 } = domain.machine
	const entry = mapping(vcpu, handle)
	const flags = u32[entry + MAP_FLAGS] as number
	if (flags === 0) return G.GNTST_bad_handle
	const mfn = u32[entry + MAP_MFN] as number
	const address = viewAddress(argument, hostAddr, flags)
	let left = flags
	if (busAddress !== 0 && flags & G.GNTMAP_device_map) {
		if (busAddress !== mfn * PAGE_SIZE) return G.GNTST_bad_dev_addr
		left &= ~G.GNTMAP_device_map
	}
	if (address !== 0 && flags & G.GNTMAP_host_map) {
		if (!replaceEntry(vcpu, address, mfn, flags, newAddress)) return G.GNTST_general_error
		left &= ~G.GNTMAP_host_map
	}
	const done = (left & (G.GNTMAP_host_map | G.GNTMAP_device_map)) === 0
	u32[entry + MAP_FLAGS] = done ? 0 : left
	if (done)
		unpinGrant(domain, { ref: u32[entry + MAP_REF] as number, mfn, readonly: (flags & G.GNTMAP_readonly) !== 0, start: 0, length: 0 })
	return G.GNTST_okay
}
