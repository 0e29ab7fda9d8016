// x87 comparisons.

import { CF, PF, ZF, setFlags } from '../flags'
import * as f80 from '../softfloat80'
import { C0, C1, C2, C3, conclude, fsw, isEmpty, pop, setConditions, setFsw, stackFault } from './state'
import { seOf, sigOf } from './operands'

function conditionsOf(order: i32): u32 {
	if (order == f80.LESS) return C0
	if (order == f80.EQUAL) return C3
	return order == f80.GREATER ? 0 : C0 | C2 | C3
}

/** Compares ST(0) with a value into C3, C2, C0 and pops. */
export function compareWith(under: bool, se: u32, sig: u64, quiet: bool, pops: u32): void {
	let order = f80.UNORDERED
	if (under) stackFault(false)
	else order = f80.compare80(seOf(0), sigOf(0), se, sig, quiet)
	const proceeds = conclude()
	setConditions(conditionsOf(order))
	if (proceeds) while (pops--) pop()
}

export function compareStack(i: u32, quiet: bool, pops: u32): i32 {
	compareWith(isEmpty(0) || isEmpty(i), seOf(i), sigOf(i), quiet, pops)
	return 0
}

/** FCOMI and kin: the order goes to ZF, PF, CF. C1 changes only with a stack fault. */
export function compareToFlags(i: u32, quiet: bool, pops: u32): i32 {
	let order = f80.UNORDERED
	const kept = fsw() & C1
	const under = isEmpty(0) || isEmpty(i)
	if (under) stackFault(false)
	else order = f80.compare80(seOf(0), sigOf(0), seOf(i), sigOf(i), quiet)
	const proceeds = conclude()
	if (!under) setFsw(fsw() | kept)
	const c = conditionsOf(order)
	setFlags((c & C3 ? ZF : 0) | (c & C2 ? PF : 0) | (c & C0 ? CF : 0))
	if (proceeds) while (pops--) pop()
	return 0
}
