// Instructions that use the stack and don't leave it by a jump.

import * as map from '../../memory_map.ts'
import type { CaseBuilder } from '../builder.ts'
import { addOperands } from '../operands.ts'
import { integer, littleEndian } from '../values.ts'
import { placeStack, RBP, RSP, SELECTORS, type Special } from './common.ts'

function stackWidth(b: CaseBuilder): number {
	return b.operandSize === 2 ? 2 : b.compat ? 4 : 8
}

export const push: Special = (b, form) => {
	if (!b.memoryRegisters.has(RSP)) placeStack(b, 0)
	addOperands(b, form)
	return true
}
export const pop: Special = (b, form) => {
	const at = placeStack(b, stackWidth(b))
	b.poke(at, littleEndian(integer(b.random, 8), stackWidth(b)))
	addOperands(b, form)
	return true
}
export const popSegment: Special = (b) => {
	const at = placeStack(b, stackWidth(b))
	b.poke(at, littleEndian((b.random.u64() << 16n) | BigInt(b.random.pick(SELECTORS)), stackWidth(b)))
	return true
}
/** Trap, nested task and alignment check would change what the host does next. */
export const popFlags: Special = (b) => {
	const value = BigInt(b.random.u32() & ~0x0004_4100)
	b.poke(placeStack(b, stackWidth(b)), littleEndian(value & 0x3f_ffffn, stackWidth(b)))
	return true
}
export const pushAll: Special = (b) => {
	placeStack(b, 0)
	return true
}
export const popAll: Special = (b) => {
	const at = placeStack(b, 32)
	b.poke(at, b.random.bytes(32))
	// Which registers have been loaded when one can't be is the processor's choice.
	return b.isMapped(at, 32)
}
export const enter: Special = (b) => {
	const { random } = b
	b.addImmediate(BigInt(random.pick([0, 8, 0x20, 0x101])), 2)
	const level = random.oneIn(2) ? 0 : random.below(4)
	b.addImmediate(BigInt(level | (random.oneIn(4) ? 0xe0 : 0)), 1)
	placeStack(b, 0)
	b.setGpr(RBP, BigInt(map.DATA_VA + 0x1000 + random.below(0x1000)))
	return true
}
export const leave: Special = (b) => {
	placeStack(b, stackWidth(b), RBP)
	return true
}
