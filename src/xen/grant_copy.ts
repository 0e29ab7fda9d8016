/** GNTTABOP_copy, as far as a domU can: between frames of its own (DOMID_SELF) and grants in its own table. */
import * as G from '../abi/grant_table.ts'
import { DOMID_SELF } from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { foreignGrantStatus } from './grant_map.ts'
import { type GrantPin, pinGrant, unpinGrant } from './grant_pin.ts'
import { viewU64 } from './guest_struct.ts'
import { TYPE_WRITABLE } from './mm/page_info.ts'
import type { VcpuContext } from './vcpu.ts'

/** One side of a copy, held until released. */
interface Side {
	readonly mfn: number
	/** Bytes of the frame that may be copied. */
	readonly start: number
	readonly end: number
	release(): void
}

/** Serves one struct gnttab_copy: its status tells how it went. */
export function copyOne(vcpu: VcpuContext, argument: DataView): void {
	argument.setInt16(G.gnttab_copy.at.status, copy(vcpu, argument), true)
}

function copy(vcpu: VcpuContext, argument: DataView): number {
	const at = G.gnttab_copy.at
	const flags = argument.getUint16(at.flags, true)
	const fromGrant = (flags & G.GNTCOPY_source_gref) !== 0
	const toGrant = (flags & G.GNTCOPY_dest_gref) !== 0
	const sourceDomid = argument.getUint16(at.source_domid, true)
	const destDomid = argument.getUint16(at.dest_domid, true)
	if ((sourceDomid !== DOMID_SELF && !fromGrant) || (destDomid !== DOMID_SELF && !toGrant)) return G.GNTST_permission_denied

	const source = claim(vcpu, sourceDomid, argument, at.source_u, fromGrant, true)
	if (typeof source === 'number') return source
	const dest = claim(vcpu, destDomid, argument, at.dest_u, toGrant, false)
	if (typeof dest === 'number') {
		source.release()
		return dest
	}
	const length = argument.getUint16(at.len, true)
	const status = move(vcpu, source, argument.getUint16(at.source_offset, true), dest, argument.getUint16(at.dest_offset, true), length)
	source.release()
	dest.release()
	return status
}

function claim(vcpu: VcpuContext, domid: number, argument: DataView, at: number, isGrant: boolean, readonly: boolean): Side | number {
	if (!isGrant) return claimFrame(vcpu, viewU64(argument, at), readonly)
	const ref = argument.getUint32(at, true)
	if (domid !== DOMID_SELF && domid !== vcpu.domain.domid) return foreignGrantStatus(domid, ref)
	const pin = pinGrant(vcpu.domain, ref, vcpu.domain.domid, readonly, false)
	return typeof pin === 'number' ? pin : sideOfPin(vcpu, pin)
}

function sideOfPin(vcpu: VcpuContext, pin: GrantPin): Side {
	return { mfn: pin.mfn, start: pin.start, end: pin.start + pin.length, release: () => unpinGrant(vcpu.domain, pin) }
}

function claimFrame(vcpu: VcpuContext, mfn: number, readonly: boolean): Side | number {
	const { types } = vcpu.mm
	if (mfn >= types.frames || !types.getPage(mfn)) return G.GNTST_bad_page
	if (!readonly && types.getType(mfn, TYPE_WRITABLE) !== 0) {
		types.putPage(mfn)
		return G.GNTST_general_error
	}
	const release = () => (readonly ? types.putPage(mfn) : types.putPageAndType(mfn))
	return { mfn, start: 0, end: PAGE_SIZE, release }
}

function move(vcpu: VcpuContext, source: Side, sourceOffset: number, dest: Side, destOffset: number, length: number): number {
	if (sourceOffset + length > PAGE_SIZE || destOffset + length > PAGE_SIZE) return G.GNTST_bad_copy_arg
	if (sourceOffset < source.start || sourceOffset + length > source.end) return G.GNTST_general_error
	if (destOffset < dest.start || destOffset + length > dest.end) return G.GNTST_general_error
	const { machine } = vcpu.domain
	const from = machine.frameAddress(source.mfn) + sourceOffset
	machine.u8.copyWithin(machine.frameAddress(dest.mfn) + destOffset, from, from + length)
	vcpu.mm.types.written(dest.mfn)
	return G.GNTST_okay
}
