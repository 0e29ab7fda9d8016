// Operands of divisions, shifts, bit tests and exchanges.

import { addOperands } from '../operands.ts'
import { integer, littleEndian } from '../values.ts'
import { RAX, RCX, RDX, type Special, then } from './common.ts'

/** Dividends whose quotient fits three times in four. */
export const divide = then((b, { rmRegister, address, size }) => {
	if (b.memoryRegisters.has(RAX) || b.memoryRegisters.has(RDX)) return
	const divisor = rmRegister !== undefined ? b.readRegister(rmRegister, size) : b.peek(address as bigint, size)
	if (divisor === undefined || divisor === 0n || b.random.oneIn(4)) {
		b.putRegister(RAX, Math.max(2, size), integer(b.random, Math.max(2, size)))
		return
	}
	const bits = BigInt(size * 8)
	const signed = b.encoding.key.endsWith('/7')
	const d = signed ? BigInt.asIntN(size * 8, divisor) : divisor
	const q = signed ? BigInt.asIntN(size * 8, integer(b.random, size)) : integer(b.random, size)
	const magnitude = d < 0n ? -d : d
	const dividend = q * d + (b.random.u64() % magnitude) * (q * d < 0n ? -1n : 1n)
	if (size === 1) {
		if (rmRegister !== 0 && rmRegister !== 4) b.putRegister(RAX, 2, dividend)
		return
	}
	if (rmRegister !== RAX) b.putRegister(RAX, size, BigInt.asUintN(size * 8, dividend))
	if (rmRegister !== RDX) b.putRegister(RDX, size, BigInt.asUintN(size * 8, dividend >> bits))
})

export const multiply = then((b, { size }) => {
	if (b.memoryRegisters.has(RAX)) return
	b.putRegister(RAX, size, integer(b.random, size))
})

/** A bit offset in a register reaches beyond the operand; it stays inside the data region here. */
export const bitTest = then((b, { regField, rmRegister, address, size }) => {
	if (rmRegister !== undefined) return
	const offset = BigInt(Number(address) % 0x8000 < 0x2000 ? b.random.below(0x4000) : -b.random.below(0x4000))
	if (b.memoryRegisters.has(regField)) return
	b.putRegister(regField, size, BigInt.asUintN(size * 8, offset))
})

export const compareExchange = then((b, { rmRegister, address, size }) => {
	if (b.memoryRegisters.has(RAX)) return
	const there = rmRegister !== undefined ? b.readRegister(rmRegister, size) : b.peek(address as bigint, size)
	b.putRegister(RAX, size, there !== undefined && b.random.oneIn(2) ? there : integer(b.random, size))
})

export const compareExchangePair: Special = (b) => {
	const half = b.operandSize
	const address = b.addMemoryOperand(1, half * 2)
	b.poke(address, littleEndian(integer(b.random, half), half))
	for (const [register, at] of [
		[RAX, 0],
		[RDX, half],
	] as const) {
		if (b.memoryRegisters.has(register)) continue
		const there = b.peek(address + BigInt(at), half)
		b.putRegister(register, half, there !== undefined && !b.random.oneIn(3) ? there : integer(b.random, half))
	}
	return true
}

/** Counts above the operand's width leave the result itself undefined. */
export const doubleShiftImmediate = then(
	() => undefined,
	(b) => BigInt(b.operandSize === 2 ? b.random.below(17) : b.random.below(72)),
)
export const doubleShiftByCl = then((b) => {
	if (b.memoryRegisters.has(RCX)) return b.operandSize !== 2
	b.putRegister(RCX, 1, BigInt(b.operandSize === 2 ? b.random.below(17) : b.random.below(72)))
	return true
})
export const byCl: Special = (b, form) => {
	addOperands(b, form)
	if (!b.memoryRegisters.has(RCX)) b.state[RCX * 8] = b.random.oneIn(4) ? b.random.u32() & 255 : b.random.below(40)
	return true
}
export const shiftImmediate = then(
	() => undefined,
	(b) => BigInt(b.random.oneIn(4) ? b.random.below(256) : b.random.below(40)),
)
export const byteSwap = then((b) => b.operandSize !== 2)
/** LAHF and SAHF; AAM by zero divides. */
export const accumulator = then(
	(b) => {
		b.putRegister(RAX, 2, integer(b.random, 2))
	},
	(b) => (b.random.oneIn(2) ? 10n : integer(b.random, 1)),
)
