import { copyFromGuest, copyToGuest } from './guest_access.ts'
import { isGuestAddress } from './mm/mod_entry.ts'
import type { VcpuContext } from './vcpu.ts'

/** Whether a PV guest may name these addresses in a hypercall: canonical and outside Xen's own range. `size` >= 0. */
export function guestRangeOk(va: number, size: number): boolean {
	return isGuestAddress(va) && isGuestAddress(va + Math.max(size, 1) - 1)
}

/** A private copy of `size` bytes at `va`, or null (-EFAULT). */
export function readGuest(vcpu: VcpuContext, va: number, size: number): DataView | null {
	if (!guestRangeOk(va, size)) return null
	const bytes = copyFromGuest(vcpu.cpu, va, size)
	return bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Writes bytes [from, from + length) of a structure whose copy is `view` back to the structure at `va`. False on a fault. */
export function writeGuest(vcpu: VcpuContext, va: number, view: DataView, from = 0, length = view.byteLength - from): boolean {
	if (!guestRangeOk(va + from, length)) return false
	return copyToGuest(vcpu.cpu, va + from, new Uint8Array(view.buffer, view.byteOffset + from, length))
}

/** Writes bytes to the guest; false on a fault. */
export function writeGuestBytes(vcpu: VcpuContext, va: number, bytes: Uint8Array): boolean {
	return guestRangeOk(va, bytes.length) && copyToGuest(vcpu.cpu, va, bytes)
}

/** A u64 field as a number: exact below 2^53, larger ones stay larger than any frame number or count. */
export function viewU64(view: DataView, offset: number): number {
	return view.getUint32(offset + 4, true) * 4294967296 + view.getUint32(offset, true)
}

/** A u64 field that holds an address, as a signed number (see Gva). */
export function viewGva(view: DataView, offset: number): number {
	return view.getInt32(offset + 4, true) * 4294967296 + view.getUint32(offset, true)
}
