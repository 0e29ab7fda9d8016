import { FIRST_RESERVED_GDT_PAGE, FLAT_KERNEL_CS } from '../../abi/xen.ts'

/** Descriptors in a page. */
export const DESCRIPTORS = 512
const FIRST_RESERVED_GDT_ENTRY = FIRST_RESERVED_GDT_PAGE * DESCRIPTORS

/** High word of a descriptor (Intel SDM vol. 3 3.4.5, 5.8.3.1). */
const PRESENT = 0x8000
const DPL_SHIFT = 13
const DPL_MASK = 3 << DPL_SHIFT
const CODE_OR_DATA = 0x1000
const SYSTEM_TYPE = 0xf00
const CALL_GATE = 0xc00
const GATE_RESERVED = 0xff

/**
 * Checks the descriptor at u32[at], u32[at + 1] for use by a guest whose kernel and user run in ring 3, and corrects its privilege
 * level. False when it may not be in a descriptor table.
 *
 * Allowed: anything not present; code and data segments (DPL becomes 3); type 0 (second half of a call gate); call gates to a
 * segment that the guest may have, with DPL forced to 0 so that their use faults.
 */
export function checkDescriptor(u32: Uint32Array, at: number): boolean {
	const high = u32[at + 1]
	if ((high & PRESENT) === 0) return true
	if (high & CODE_OR_DATA) {
		u32[at + 1] = high | DPL_MASK
		return true
	}
	if ((high & SYSTEM_TYPE) === 0) return true
	if ((high & SYSTEM_TYPE) !== CALL_GATE) return false
	const low = u32[at]
	const selector = low >>> 16
	if (!mayBeGateTarget(selector) || (high & GATE_RESERVED) !== 0) return false
	u32[at] = (low & 0xffff) | ((selector | 3) << 16)
	u32[at + 1] = high & ~DPL_MASK
	return true
}

/** A segment of the guest's GDT or LDT, or Xen's flat kernel code segment. */
function mayBeGateTarget(selector: number): boolean {
	return selector >>> 3 < FIRST_RESERVED_GDT_ENTRY || (selector & 4) !== 0 || selector === FLAT_KERNEL_CS
}

/** Checks and corrects a page of descriptors that starts at u32[first]. */
export function checkDescriptors(u32: Uint32Array, first: number): boolean {
	for (let n = 0; n < DESCRIPTORS; n++) if (!checkDescriptor(u32, first + n * 2)) return false
	return true
}
