// String instructions: sources, destinations, counts and directions.

import * as map from '../../memory_map.ts'
import { DF } from '../../state.ts'
import type { CaseBuilder } from '../builder.ts'
import { integer, littleEndian } from '../values.ts'
import { RAX, RCX, RDI, RSI, type Special } from './common.ts'

export const string: Special = (b) => {
	const { random } = b
	const size = /[bB]$/.test(b.encoding.operands[0] as string) ? 1 : b.operandSize
	const { address32, segmentBase } = b.useAddressing()
	const count = random.below(20)
	const width = address32 ? 32 : 64
	const backwards = (b.rflags & DF) !== 0
	for (const [register, base] of [
		[RSI, segmentBase],
		[RDI, 0n],
	] as const) {
		const high = !address32 && random.oneIn(2)
		let target = random.oneIn(4)
			? BigInt((high ? map.HIGH_VA : map.DATA_VA) + random.pick([0x1000, 0x2000, 0x3000]) - random.below(40))
			: b.pickTarget(size, high)
		// Which of its two operands faults first is the processor's choice.
		if (register === RDI && /^A[67]$/.test(b.encoding.key)) target = BigInt(map.DATA_VA + 0x800 + random.below(0x1800))
		if (backwards && random.oneIn(2)) target += BigInt(size * count)
		const garbage = width === 32 && !b.compat ? BigInt(random.u32()) << 32n : 0n
		b.setGpr(register, BigInt.asUintN(width, target - base) | garbage)
		if (random.oneIn(2)) b.poke(target, littleEndian(integer(random, size), size))
	}
	if (random.oneIn(6) && !/^A[67]$/.test(b.encoding.key) && b.isMapped(b.gpr(RSI), 1))
		b.setGpr(RDI, b.gpr(RSI) + BigInt(random.below(9) - 4))
	b.putRegister(RAX, size, integer(random, size))
	const comparing = /^A[67EF]$/.test(b.encoding.key)
	if (comparing && random.oneIn(2)) fillEqualRun(b, size)
	const repeat = random.below(3)
	b.setGpr(RCX, BigInt(count) | (width === 32 && !b.compat && count > 0 ? BigInt(random.u32()) << 32n : 0n))
	if (repeat > 0) b.addPrefix(comparing && repeat === 2 ? 0xf2 : 0xf3)
	return true
}

/** Makes REPE run for a while: the same bytes at both ends, or a run of AL. */
function fillEqualRun(b: CaseBuilder, size: number): void {
	const length = size * b.random.below(8)
	const byte = b.random.u32() & 255
	const run = new Uint8Array(length).fill(byte)
	if (length === 0) return
	b.putRegister(RAX, size, BigInt(`0x${byte.toString(16).padStart(2, '0').repeat(size)}`))
	for (const register of [RSI, RDI]) b.poke(BigInt.asUintN(b.compat ? 32 : 64, b.gpr(register)), run)
}
