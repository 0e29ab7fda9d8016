/** dom0's use of a guest's grants, in the control half: what blkback and netback do through gnttab_map_grant_ref and _copy. */
import { GNTST_bad_copy_arg, GNTST_general_error, GNTST_okay } from '../abi/grant_table.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { Domain } from './domain.ts'
import { noteFrameWrite } from './frame_writes.ts'
import { type GrantPin, pinGrant, unpinGrant } from './grant_pin.ts'

const DOM0 = 0

/** A guest's page as a backend sees it, until unmapGrant(). */
export interface MappedGrant extends GrantPin {
	/** Host address of the page in domain.machine.u8 and its fellows. */
	readonly address: number
}

/** Maps the page behind grant `ref` of the guest for dom0. A negative GNTST_* when the guest's entry does not allow it. */
export function mapGrant(domain: Domain, ref: number, readonly: boolean): MappedGrant | number {
	const pin = pinGrant(domain, ref, DOM0, readonly, true)
	return typeof pin === 'number' ? pin : { ...pin, address: domain.machine.frameAddress(pin.mfn) }
}

/**
 * Gives a mapped page back; the caller no longer touches it. A page mapped for writing counts as written:
 * to be called before the guest is told that the data is there (else see grantWritten()).
 */
export function unmapGrant(domain: Domain, mapped: MappedGrant): void {
	if (!mapped.readonly) noteFrameWrite(domain, mapped.mfn)
	unpinGrant(domain, mapped)
}

/** A page that stays mapped has been written, and the guest is about to be told. */
export function grantWritten(domain: Domain, mapped: MappedGrant): void {
	noteFrameWrite(domain, mapped.mfn)
}

/** Copies bytes [offset, offset + target.length) of a granted page. GNTST_okay or an error. */
export function copyFromGrant(domain: Domain, ref: number, offset: number, target: Uint8Array): number {
	return copy(domain, ref, offset, target.length, true, (page) => target.set(page))
}

/** Copies `source` to a granted page at `offset`. GNTST_okay or an error. */
export function copyToGrant(domain: Domain, ref: number, offset: number, source: Uint8Array): number {
	return copy(domain, ref, offset, source.length, false, (page) => page.set(source))
}

function copy(domain: Domain, ref: number, offset: number, length: number, readonly: boolean, move: (page: Uint8Array) => void): number {
	if (offset < 0 || offset + length > PAGE_SIZE) return GNTST_bad_copy_arg
	const pin = pinGrant(domain, ref, DOM0, readonly, false)
	if (typeof pin === 'number') return pin
	const inside = offset >= pin.start && offset + length <= pin.start + pin.length
	if (inside) {
		const address = domain.machine.frameAddress(pin.mfn) + offset
		move(domain.machine.u8.subarray(address, address + length))
		if (!readonly) noteFrameWrite(domain, pin.mfn)
	}
	unpinGrant(domain, pin)
	return inside ? GNTST_okay : GNTST_general_error
}
