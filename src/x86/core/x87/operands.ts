// What an x87 instruction works on: a register of the stack, an operand in memory, a result.

import { REC_MODRM } from '../layout'
import * as soft from '../softfloat'
import * as f80 from '../softfloat80'
import { conclude, isEmpty, NAN_SE, NAN_SIG, pop, push, setSt, st, stackFault } from './state'

/** The register that a push fills, by its index from the top. */
export const INDEX_NEW: u32 = 7

// @ts-ignore: decorator
@inline
export function selector(rec: usize): u32 {
	return (<u32>load<u8>(rec, REC_MODRM) >> 3) & 7
}
// @ts-ignore: decorator
@inline
export function stackIndex(rec: usize): u32 {
	return <u32>load<u8>(rec, REC_MODRM) & 7
}
// @ts-ignore: decorator
@inline
export function seOf(i: u32): u32 {
	return <u32>load<u16>(st(i), 8)
}
// @ts-ignore: decorator
@inline
export function sigOf(i: u32): u64 {
	return load<u64>(st(i))
}

/** Pushes, unless the stack is full or an unmasked exception came up. */
export function pushResult(se: u32, sig: u64): void {
	if (!isEmpty(INDEX_NEW)) {
		soft.clearFlags()
		stackFault(true)
		se = NAN_SE
		sig = NAN_SIG
	}
	if (conclude()) push(se, sig)
}

/** a is ST(0); kinds are the ModRM.reg of D8 (and of DC and DE, whose reversed mnemonics make up for the swapped destination). */
export function arithmetic(kind: u32, seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	switch (kind) {
		case 0:
			return f80.add80(seA, sigA, seB, sigB, 0)
		case 1:
			return f80.multiply80(seA, sigA, seB, sigB)
		case 4:
			return f80.add80(seA, sigA, seB, sigB, 1)
		case 5:
			return f80.add80(seB, sigB, seA, sigA, 1)
		case 6:
			return f80.divide80(seA, sigA, seB, sigB)
		default:
			return f80.divide80(seB, sigB, seA, sigA)
	}
}

/** Masked stack underflow: ST(i) becomes the default NaN, then the stack is popped. */
export function storeNanAfterUnderflow(i: u32, pops: u32): void {
	soft.clearFlags()
	stackFault(false)
	if (!conclude()) return
	setSt(i, NAN_SE, NAN_SIG)
	while (pops--) pop()
}
