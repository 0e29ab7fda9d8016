// Instructions whose operands need more than random values: what they address, jump to, divide or count must be chosen with care.
// Keyed by Encoding.key (opcode bytes and ModRM digit), so that nothing here depends on how the opcode table names operations.

import * as map from '../memory_map.ts'
import { DF } from '../state.ts'
import type { CaseBuilder } from './builder.ts'
import { addOperands, type Operands } from './operands.ts'
import { float80, integer, littleEndian, vector } from './values.ts'

/** Builds the instruction; false when this machine or this case has nothing to compare. */
export type Special = (b: CaseBuilder, form: 'reg' | 'mem') => boolean

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7] as const

function skip(): boolean {
	return false
}

/** The generic operands, then a change of the values they have. */
function then(after: (b: CaseBuilder, operands: Operands) => boolean | undefined, immediate?: (b: CaseBuilder) => bigint): Special {
	return (b, form) => {
		const operands = addOperands(b, form, immediate)
		return after(b, operands) ?? true
	}
}

// ---- arithmetic ------------------------------------------------------------------------------------------------------

/** Dividends whose quotient fits three times in four. */
const divide = then((b, { rmRegister, address, size }) => {
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

const multiply = then((b, { size }) => {
	b.putRegister(RAX, size, integer(b.random, size))
})

/** A bit offset in a register reaches beyond the operand; it stays inside the data region here. */
const bitTest = then((b, { regField, rmRegister, address, size }) => {
	if (rmRegister !== undefined) return
	const offset = BigInt(Number(address) % 0x8000 < 0x2000 ? b.random.below(0x4000) : -b.random.below(0x4000))
	if (b.memoryRegisters.has(regField)) return
	b.putRegister(regField, size, BigInt.asUintN(size * 8, offset))
})

const compareExchange = then((b, { rmRegister, address, size }) => {
	if (b.memoryRegisters.has(RAX)) return
	const there = rmRegister !== undefined ? b.readRegister(rmRegister, size) : b.peek(address as bigint, size)
	b.putRegister(RAX, size, there !== undefined && b.random.oneIn(2) ? there : integer(b.random, size))
})

const compareExchangePair: Special = (b) => {
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
const doubleShiftImmediate = then(
	() => undefined,
	(b) => BigInt(b.operandSize === 2 ? b.random.below(17) : b.random.below(72)),
)
const doubleShiftByCl = then((b) => {
	if (b.memoryRegisters.has(RCX)) return b.operandSize !== 2
	b.putRegister(RCX, 1, BigInt(b.operandSize === 2 ? b.random.below(17) : b.random.below(72)))
	return true
})
const byCl: Special = (b, form) => {
	addOperands(b, form)
	if (!b.memoryRegisters.has(RCX)) b.state[RCX * 8] = b.random.oneIn(4) ? b.random.u32() & 255 : b.random.below(40)
	return true
}
const shiftImmediate = then(
	() => undefined,
	(b) => BigInt(b.random.oneIn(4) ? b.random.below(256) : b.random.below(40)),
)
const byteSwap = then((b) => b.operandSize !== 2)
/** LAHF and SAHF; AAM by zero divides. */
const accumulator = then(
	(b) => {
		b.putRegister(RAX, 2, integer(b.random, 2))
	},
	(b) => (b.random.oneIn(2) ? 10n : integer(b.random, 1)),
)

// ---- strings -----------------------------------------------------------------------------------------------------------

const string: Special = (b) => {
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
		if (backwards && random.oneIn(2)) target += BigInt(size * count)
		const garbage = width === 32 && !b.compat ? BigInt(random.u32()) << 32n : 0n
		b.setGpr(register, BigInt.asUintN(width, target - base) | garbage)
		if (random.oneIn(2)) b.poke(target, littleEndian(integer(random, size), size))
	}
	if (random.oneIn(6)) b.setGpr(RDI, b.gpr(RSI) + BigInt(random.below(9) - 4))
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

// ---- stack ---------------------------------------------------------------------------------------------------------------

/** Moves the stack pointer now and then: unaligned, across a page, somewhere that faults. `reach`: bytes that are read above it. */
function placeStack(b: CaseBuilder, reach: number, register: number = RSP): bigint {
	const { random } = b
	const where = random.below(4)
	if (where === 0) b.setGpr(register, b.pickTarget(Math.max(reach, 8), !b.compat && random.oneIn(2)) + (reach ? 0n : 8n))
	else if (where === 1) b.setGpr(register, BigInt(map.DATA_VA + random.pick([0x1000, 0x2000]) + random.below(32) - 16))
	else if (register !== RSP) b.setGpr(register, BigInt(map.DATA_VA + 0x1000 + random.below(0x1000)))
	return b.gpr(register)
}

function stackWidth(b: CaseBuilder): number {
	return b.operandSize === 2 ? 2 : b.compat ? 4 : 8
}

const push: Special = (b, form) => {
	if (!b.memoryRegisters.has(RSP)) placeStack(b, 0)
	addOperands(b, form)
	return true
}
const pop: Special = (b, form) => {
	const at = placeStack(b, stackWidth(b))
	b.poke(at, littleEndian(integer(b.random, 8), stackWidth(b)))
	addOperands(b, form)
	return true
}
const SELECTORS = [0, 3, 0x08, 0x10, 0x18, 0x1b, 0x20, 0x23, 0x28, 0x2b, 0x30, 0x33]
const popSegment: Special = (b) => {
	const at = placeStack(b, stackWidth(b))
	b.poke(at, littleEndian((b.random.u64() << 16n) | BigInt(b.random.pick(SELECTORS)), stackWidth(b)))
	return true
}
/** Trap, nested task and alignment check would change what the host does next. */
const popFlags: Special = (b) => {
	const value = BigInt(b.random.u32() & ~0x0004_4100)
	b.poke(placeStack(b, stackWidth(b)), littleEndian(value & 0x3f_ffffn, stackWidth(b)))
	return true
}
const pushAll: Special = (b) => {
	placeStack(b, 0)
	return true
}
const popAll: Special = (b) => {
	b.poke(placeStack(b, 32), b.random.bytes(32))
	return true
}
const enter: Special = (b) => {
	const { random } = b
	b.addImmediate(BigInt(random.pick([0, 8, 0x20, 0x101])), 2)
	const level = random.oneIn(2) ? 0 : random.below(4)
	b.addImmediate(BigInt(level | (random.oneIn(4) ? 0xe0 : 0)), 1)
	placeStack(b, 0)
	b.setGpr(RBP, BigInt(map.DATA_VA + 0x1000 + random.below(0x1000)))
	return true
}
const leave: Special = (b) => {
	placeStack(b, stackWidth(b), RBP)
	return true
}

// ---- control transfer ---------------------------------------------------------------------------------------------------

/** An address to go to: in the code region, or now and then where nothing can be fetched. */
function codeTarget(b: CaseBuilder): bigint {
	const { random } = b
	if (random.oneIn(20)) return BigInt(map.CODE_VA + random.pick([map.CODE_SIZE, -1, map.CODE_SIZE + 0x1234]))
	if (random.oneIn(30)) return BigInt(map.DATA_VA + random.below(0x1000))
	return BigInt(map.CODE_VA + random.below(map.CODE_SIZE - 1))
}

const jumpRelative: Special = (b) => {
	const short = b.encoding.immediates[0] === 'jb'
	if (!b.compat && b.operandSize === 2) return false
	b.addImmediate(0n, short ? 1 : 4)
	const next = BigInt(b.rip + b.length)
	const displacement = short ? BigInt((b.random.u32() << 24) >> 24) : codeTarget(b) - next
	b.replaceImmediate(displacement, short ? 1 : 4)
	if (b.encoding.key === 'E8') placeStack(b, 0)
	return true
}
const loop: Special = (b) => {
	const address32 = b.compat || b.random.oneIn(4)
	if (address32 && !b.compat) b.addPrefix(0x67)
	const high = address32 ? BigInt(b.random.u32()) << 32n : 0n
	b.setGpr(RCX, BigInt(b.random.pick([0, 1, 2, 1000])) | high)
	return jumpRelative(b, 'reg')
}
/** CALL and JMP through a register or memory. */
const jumpIndirect: Special = (b, form) => {
	const size = b.compat ? 4 : 8
	if (b.operandSize === 2) return false
	const digit = b.encoding.modrm as number
	const target = littleEndian(b.random.oneIn(40) && !b.compat ? 0x8765_0000_0000_0000n : codeTarget(b), size)
	if (form === 'reg') {
		const register = b.pickRegister()
		if (register !== RSP) placeStack(b, 0)
		b.putRegister(
			register,
			size,
			BigInt.asUintN(
				64,
				target.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
			),
		)
		b.addRegisterOperand(digit, register)
	} else {
		placeStack(b, 0)
		b.poke(b.addMemoryOperand(digit, size), target)
	}
	return true
}
const returnNear: Special = (b) => {
	if (b.operandSize === 2) return false
	const size = b.compat ? 4 : 8
	b.poke(placeStack(b, size), littleEndian(b.random.oneIn(40) && !b.compat ? 0x8765_0000_0000_0000n : codeTarget(b), size))
	if (b.encoding.immediates.length > 0) b.addImmediate(BigInt(b.random.pick([0, 8, 0x18, 0x7ff0, 0xfff8])), 2)
	return true
}

/** A code segment to go to: mostly one of the two that user mode may enter. */
function farSelector(b: CaseBuilder): bigint {
	const { random } = b
	if (random.oneIn(8)) return BigInt(random.pick([0, 3, 0x10, 0x13, 0x2b, 0x18]))
	return BigInt(random.oneIn(2) ? map.USER_CS32 : map.USER_CS64)
}
/** Far transfers land on int3 in either mode. 16-bit offsets can't reach the code region. */
function farOffset(b: CaseBuilder): bigint {
	return BigInt(map.CODE_VA + b.random.below(map.CODE_SIZE - 1))
}
const farMemory: Special = (b) => {
	if (b.operandSize !== 4) return false
	placeStack(b, 0)
	const address = b.addMemoryOperand(b.encoding.modrm as number, 6)
	b.poke(address, littleEndian((farSelector(b) << 32n) | farOffset(b), 6))
	return true
}
const farImmediate: Special = (b) => {
	if (b.operandSize !== 4) return false
	placeStack(b, 0)
	b.addImmediate(farOffset(b), 4)
	b.addImmediate(farSelector(b), 2)
	return true
}
const returnFar: Special = (b) => {
	const size = b.operandSize
	if (size === 2) return false
	b.poke(placeStack(b, size * 2), littleEndian((farSelector(b) << BigInt(size * 8)) | farOffset(b), size * 2))
	if (b.encoding.immediates.length > 0) b.addImmediate(BigInt(b.random.pick([0, 8, 0x18])), 2)
	return true
}
const returnFromInterrupt: Special = (b) => {
	const size = b.operandSize
	if (size === 2) return false
	const flags = BigInt(b.random.u32() & 0xed7)
	const stackPointer = BigInt(map.DATA_VA + b.random.below(0x2000))
	const selector = b.random.oneIn(10) ? farSelector(b) : b.compat ? 0x23n : BigInt(b.random.pick([0x23, 0x33, 0x33]))
	const frame = [farOffset(b), selector, flags, stackPointer, BigInt(b.random.oneIn(12) ? 0x33 : map.USER_DS)]
	const at = placeStack(b, size * frame.length)
	for (const [i, word] of frame.entries()) b.poke(at + BigInt(i * size), littleEndian(word, size))
	return true
}
const softwareInterrupt: Special = (b) => {
	const vector = b.random.oneIn(3) ? b.random.pick([3, 4]) : b.random.below(256)
	b.addImmediate(BigInt(vector === 0x80 ? 0x81 : vector), 1)
	return true
}

// ---- segments, tables, special memory -----------------------------------------------------------------------------------

const selectorOperand = then((b, { rmRegister, address }) => {
	if (b.encoding.attributes.has('o64')) return
	const selector = BigInt(b.random.pick(SELECTORS))
	if (rmRegister !== undefined) b.putRegister(rmRegister, 2, selector)
	else b.poke(address as bigint, littleEndian(selector, 2))
})
const loadFarPointer: Special = (b) => {
	const offsetSize = b.operandSize === 8 ? 4 : b.operandSize
	// AMD ignores REX.W here, Intel reads a 64-bit offset.
	if (b.operandSize === 8) return false
	const register = b.pickRegister()
	const address = b.addMemoryOperand(register, offsetSize + 2)
	b.poke(
		address,
		littleEndian((BigInt(b.random.pick(SELECTORS)) << BigInt(offsetSize * 8)) | integer(b.random, offsetSize), offsetSize + 2),
	)
	return true
}
const tableLookup: Special = (b) => {
	const { address32, segmentBase } = b.useAddressing()
	const target = b.pickTarget(1, !address32 && b.random.oneIn(2))
	const al = b.gpr(RAX) & 255n
	b.setGpr(RBX, BigInt.asUintN(address32 ? 32 : 64, target - segmentBase - al))
	return true
}
const absoluteMove: Special = (b) => {
	const size = b.encoding.key === 'A0' || b.encoding.key === 'A2' ? 1 : b.operandSize
	const { address32, segmentBase } = b.useAddressing()
	const target = b.pickTarget(size, !address32 && b.random.oneIn(2))
	b.addImmediate(BigInt.asUintN(address32 ? 32 : 64, target - segmentBase), address32 ? 4 : 8)
	b.poke(target, littleEndian(integer(b.random, size), size))
	b.fillRegister(RAX, size)
	return true
}
const bound: Special = (b) => {
	const size = b.operandSize
	const register = b.pickRegister()
	b.fillRegister(register, size)
	const address = b.addMemoryOperand(register, size * 2)
	b.poke(address, littleEndian(integer(b.random, size), size))
	b.poke(address + BigInt(size), littleEndian(integer(b.random, size), size))
	return true
}

/** Zeroes 4 bytes at [RBX + offset] each: fields that processors fill differently. RBX holds the operand's address. */
function zeroFields(offsets: readonly number[]): number[] {
	return offsets.flatMap((offset) => [0xc7, 0x83, ...littleEndian(BigInt(offset), 4), 0, 0, 0, 0])
}

function imageAt(b: CaseBuilder, size: number, alignment: number): bigint {
	const aligned = !b.random.oneIn(10)
	let target = b.pickTarget(16, false)
	if (target >= BigInt(map.DATA_VA) && target < BigInt(map.DATA_VA + map.READ_ONLY_OFFSET - size))
		target -= aligned ? target % BigInt(alignment) : 0n
	else if (b.random.oneIn(2)) target = BigInt(map.DATA_VA + 0x1000)
	b.setGpr(RBX, target)
	b.addFixedModrm(((b.encoding.modrm as number) << 3) | 3)
	return target
}
/** FXSAVE: x87 pointers and opcode, MXCSR's mask, and reserved bytes are cleared afterwards. */
const fxsave: Special = (b) => {
	imageAt(b, 512, 64)
	b.epilogue = zeroFields([8, 12, 16, 20, 28, ...Array.from({ length: 24 }, (_, i) => 416 + i * 4)]).concat([0x66, 0xc7, 0x43, 6, 0, 0])
	return true
}
const fxrstor: Special = (b) => {
	const image = new Uint8Array(512)
	const from = b.random.below(map.DATA_SIZE - 512)
	image.set(map.BACKGROUND.subarray(from, from + 416))
	for (let i = 6; i < 24; i++) image[i] = 0
	const view = new DataView(image.buffer)
	view.setUint16(0, 0x37f, true)
	view.setUint16(2, b.random.below(8) << 11, true)
	view.setUint32(24, b.random.oneIn(10) ? b.random.u32() : 0x1f80 | (b.random.below(8) << 13), true)
	b.poke(imageAt(b, 512, 64), image)
	return true
}
/** Bytes of an x87 environment: 14 with a 16-bit operand size, else 28. */
function environmentSize(b: CaseBuilder): number {
	return b.operandSize === 2 ? 14 : 28
}
/** FNSTENV and FNSAVE: instruction and data pointers, selectors and opcode are cleared afterwards. */
const storeEnvironment: Special = (b) => {
	const registers = b.encoding.key === 'DD /6' ? 80 : 0
	imageAt(b, environmentSize(b) + registers, 1)
	const pointers = b.operandSize === 2 ? [6, 10] : [12, 16, 20, 24]
	b.epilogue = zeroFields(pointers)
	return true
}
const loadEnvironment: Special = (b) => {
	const registers = b.encoding.key === 'DD /4' ? Array.from({ length: 8 }, () => [...float80(b.random)]).flat() : []
	const width = b.operandSize === 2 ? 2 : 4
	const words = [0x7f | (b.random.below(16) << 8), (b.random.below(8) << 11) | (b.random.u32() & 0x477f & ~0x3f), b.random.u32() & 0xffff]
	const image = new Uint8Array(environmentSize(b) + registers.length)
	for (const [i, word] of words.entries()) image.set(littleEndian(BigInt(word), 2), i * width)
	image.set(registers, environmentSize(b))
	b.poke(imageAt(b, image.length, 1), image)
	return true
}
const loadMxcsr = then((b, { address }) => {
	b.poke(address as bigint, littleEndian(BigInt(b.random.oneIn(8) ? b.random.u32() : b.random.u32() & 0xffff), 4))
})

/** Lengths of the explicit-length string comparisons. */
const explicitStrings = then((b) => {
	for (const register of [RAX, RDX])
		if (!b.memoryRegisters.has(register))
			b.putRegister(register, 8, BigInt.asUintN(64, BigInt(b.random.oneIn(4) ? b.random.below(1000) - 500 : b.random.below(20))))
	if (b.random.oneIn(2)) textStrings(b)
})
const implicitStrings = then((b) => {
	if (b.random.oneIn(2)) textStrings(b)
})
/** Few different bytes and a terminator, so that matches and zeros are found. */
function textStrings(b: CaseBuilder): void {
	const text = () => b.random.bytes(16).map((byte) => (byte & 0x38 ? 0x61 + (byte & 3) : 0))
	for (let register = 0; register < 16; register++) b.putXmm(register, text())
}
const maskMove: Special = (b, form) => {
	addOperands(b, form)
	const { address32, segmentBase } = b.useAddressing()
	const target = b.pickTarget(16, !address32 && b.random.oneIn(2))
	b.setGpr(RDI, BigInt.asUintN(address32 ? 32 : 64, target - segmentBase))
	return true
}
const blendByXmm0 = then((b) => {
	b.putXmm(0, vector(b.random))
})
/** A selector register that MOV may name: not CS as a destination except to see #UD. */
const fromSegment: Special = (b, form) => {
	const segment = b.random.below(6)
	if (form === 'reg') b.addRegisterOperand(segment, b.pickRegister())
	else b.addMemoryOperand(segment, 2)
	return true
}
const toSegment: Special = (b, form) => {
	const segment = b.random.oneIn(20) ? b.random.pick([1, 6, 7]) : b.random.pick([0, 2, 3, 4, 5])
	const selector = BigInt(b.random.pick(SELECTORS))
	if (form === 'reg') {
		const register = b.pickRegister()
		b.putRegister(register, 2, selector)
		b.addRegisterOperand(segment, register)
	} else b.poke(b.addMemoryOperand(segment, 2), littleEndian(selector, 2))
	return true
}

/** ModRM.mod doesn't count, and an absent register may raise #UD or #GP: only registers that exist, in register form. */
const controlRegister: Special = (b, form) => {
	if (form === 'mem') return false
	const isDebug = /0F 2[13]/.test(b.encoding.key)
	b.addRegisterOperand(b.random.pick(isDebug ? [0, 1, 2, 3, 6, 7] : [0, 2, 3, 4]), b.pickRegister())
	return true
}
/** Processors differ on the register form of AMD's PREFETCH. */
const memoryOnly: Special = (b, form) => {
	if (form === 'mem') addOperands(b, form)
	return form === 'mem'
}

const keys = (pattern: string, digits: readonly number[] = []): string[] =>
	digits.length > 0 ? digits.map((digit) => `${pattern} /${digit}`) : pattern.split(',')
const hexRange = (prefix: string, from: number, to: number): string[] =>
	Array.from({ length: to - from + 1 }, (_, i) => `${prefix}${(from + i).toString(16).toUpperCase().padStart(2, '0')}`)
const FIRST_SHIFT = [0, 1, 2, 3, 4, 5, 6, 7]

const TABLE: readonly (readonly [keys: readonly string[], special: Special])[] = [
	// System calls, what counts time or names the processor, what Linux emulates (UMIP), and what depends on CR4.
	[keys('0F 05,0F 34,0F 31,0F 01 F9,0F A2,0F 01 D0,0F 01 D1,F1,0F 33'), skip],
	[[...keys('0F 00', [0, 1]), ...keys('0F 01', [0, 1, 4])], skip],
	[[...keys('F6', [6, 7]), ...keys('F7', [6, 7])], divide],
	[[...keys('F6', [4, 5]), ...keys('F7', [4, 5])], multiply],
	[keys('0F A3,0F AB,0F B3,0F BB'), bitTest],
	[keys('0F B0,0F B1'), compareExchange],
	[['0F C7 /1'], compareExchangePair],
	[keys('0F A4,0F AC'), doubleShiftImmediate],
	[keys('0F A5,0F AD'), doubleShiftByCl],
	[[...keys('D2', FIRST_SHIFT), ...keys('D3', FIRST_SHIFT)], byCl],
	[[...keys('C0', FIRST_SHIFT), ...keys('C1', FIRST_SHIFT)], shiftImmediate],
	[['0F C8'], byteSwap],
	[keys('9E,9F,27,2F,37,3F,D4,D5,D6'), accumulator],
	[[...hexRange('', 0xa4, 0xa7), ...hexRange('', 0xaa, 0xaf)], string],
	[keys('50,68,6A,9C,FF /6'), push],
	[keys('58,8F /0'), pop],
	[keys('07,17,1F,0F A1,0F A9'), popSegment],
	[keys('06,0E,16,1E,0F A0,0F A8'), pushAll],
	[['9D'], popFlags],
	[['60'], pushAll],
	[['61'], popAll],
	[['C8'], enter],
	[['C9'], leave],
	[[...hexRange('', 0x70, 0x7f), ...hexRange('0F ', 0x80, 0x8f), ...keys('E8,E9,EB')], jumpRelative],
	[hexRange('', 0xe0, 0xe3), loop],
	[keys('FF', [2, 4]), jumpIndirect],
	[keys('C2,C3'), returnNear],
	[keys('FF', [3, 5]), farMemory],
	[keys('9A,EA'), farImmediate],
	[keys('CA,CB'), returnFar],
	[['CF'], returnFromInterrupt],
	[['CD'], softwareInterrupt],
	[[...keys('0F 02,0F 03,63'), ...keys('0F 00', [2, 3, 4, 5])], selectorOperand],
	[keys('C4,C5,0F B2,0F B4,0F B5'), loadFarPointer],
	[['8C'], fromSegment],
	[['8E'], toSegment],
	[keys('0F 20,0F 21,0F 22,0F 23'), controlRegister],
	[['0F 0D'], memoryOnly],
	[['D7'], tableLookup],
	[keys('A0,A1,A2,A3'), absoluteMove],
	[['62'], bound],
	[['0F AE /0'], fxsave],
	[['0F AE /1'], fxrstor],
	[['0F AE /2'], loadMxcsr],
	[keys('D9 /6,DD /6'), storeEnvironment],
	[keys('D9 /4,DD /4'), loadEnvironment],
	[keys('0F 3A 60,0F 3A 61'), explicitStrings],
	[keys('0F 3A 62,0F 3A 63'), implicitStrings],
	[['0F F7'], maskMove],
	[keys('0F 38 10,0F 38 14,0F 38 15'), blendByXmm0],
]

const SPECIALS: ReadonlyMap<string, Special> = new Map(TABLE.flatMap(([list, special]) => list.map((key) => [key, special] as const)))

/** Nothing about this encoding can be compared. */
export function isSkipped(key: string): boolean {
	return SPECIALS.get(key) === skip
}

export function specialFor(key: string): Special | undefined {
	return SPECIALS.get(key)
}
