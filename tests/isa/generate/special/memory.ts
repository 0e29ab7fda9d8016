// Addresses that ModRM doesn't give, state images, and what SSE reads beside its operands.

import * as map from '../../memory_map.ts'
import type { CaseBuilder } from '../builder.ts'
import { addOperands } from '../operands.ts'
import { float80, integer, littleEndian, vector } from '../values.ts'
import { RAX, RBX, RDI, RDX, type Special, then } from './common.ts'

export const tableLookup: Special = (b) => {
	const { address32, segmentBase } = b.useAddressing()
	const target = b.pickTarget(1, !address32 && b.random.oneIn(2))
	const al = b.gpr(RAX) & 255n
	b.setGpr(RBX, BigInt.asUintN(address32 ? 32 : 64, target - segmentBase - al))
	return true
}
export const absoluteMove: Special = (b) => {
	const size = b.encoding.key === 'A0' || b.encoding.key === 'A2' ? 1 : b.operandSize
	const { address32, segmentBase } = b.useAddressing()
	const target = b.pickTarget(size, !address32 && b.random.oneIn(2))
	b.addImmediate(BigInt.asUintN(address32 ? 32 : 64, target - segmentBase), address32 ? 4 : 8)
	b.poke(target, littleEndian(integer(b.random, size), size))
	b.fillRegister(RAX, size)
	return true
}
export const bound: Special = (b) => {
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
export const fxsave: Special = (b) => {
	imageAt(b, 512, 64)
	b.epilogue = zeroFields([8, 12, 16, 20, 28, ...Array.from({ length: 24 }, (_, i) => 416 + i * 4)]).concat([0x66, 0xc7, 0x43, 6, 0, 0])
	return true
}
export const fxrstor: Special = (b) => {
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
export const storeEnvironment: Special = (b) => {
	const registers = b.encoding.key === 'DD /6' ? 80 : 0
	imageAt(b, environmentSize(b) + registers, 1)
	const pointers = b.operandSize === 2 ? [6, 10] : [12, 16, 20, 24]
	b.epilogue = zeroFields(pointers)
	return true
}
export const loadEnvironment: Special = (b, form) => {
	if (form === 'reg') {
		addOperands(b, form)
		return true
	}
	const registers = b.encoding.key === 'DD /4' ? Array.from({ length: 8 }, () => [...float80(b.random)]).flat() : []
	const width = b.operandSize === 2 ? 2 : 4
	const words = [0x7f | (b.random.below(16) << 8), (b.random.below(8) << 11) | (b.random.u32() & 0x477f & ~0x3f), b.random.u32() & 0xffff]
	const image = new Uint8Array(environmentSize(b) + registers.length)
	for (const [i, word] of words.entries()) image.set(littleEndian(BigInt(word), 2), i * width)
	image.set(registers, environmentSize(b))
	b.poke(imageAt(b, image.length, 1), image)
	return true
}
export const loadMxcsr = then((b, { address }) => {
	b.poke(address as bigint, littleEndian(BigInt(b.random.oneIn(8) ? b.random.u32() : b.random.u32() & 0xffff), 4))
})

/** Lengths of the explicit-length string comparisons. */
export const explicitStrings = then((b) => {
	for (const register of [RAX, RDX])
		if (!b.memoryRegisters.has(register))
			b.putRegister(register, 8, BigInt.asUintN(64, BigInt(b.random.oneIn(4) ? b.random.below(1000) - 500 : b.random.below(20))))
	if (b.random.oneIn(2)) textStrings(b)
})
export const implicitStrings = then((b) => {
	if (b.random.oneIn(2)) textStrings(b)
})
/** Few different bytes and a terminator, so that matches and zeros are found. */
function textStrings(b: CaseBuilder): void {
	const text = () => b.random.bytes(16).map((byte) => (byte & 0x38 ? 0x61 + (byte & 3) : 0))
	for (let register = 0; register < 16; register++) b.putXmm(register, text())
}
/** Where a masked store faults is the processor's choice, so it doesn't here. */
export const maskMove: Special = (b, form) => {
	addOperands(b, form)
	const { address32, segmentBase } = b.useAddressing()
	const high = !address32 && b.random.oneIn(2)
	const target = BigInt((high ? map.HIGH_VA : map.DATA_VA) + b.random.below(map.READ_ONLY_OFFSET - 16))
	b.setGpr(RDI, BigInt.asUintN(address32 ? 32 : 64, target - segmentBase))
	return true
}
/** Whether CVTPI2PS with a memory operand ends x87 mode differs between processors. Its opcode has other meanings with a prefix. */
export const convertPackedIntegers: Special = (b, form) => {
	if (form === 'mem' && b.encoding.prefix === 0) return false
	addOperands(b, form)
	return true
}
export const blendByXmm0 = then((b) => {
	b.putXmm(0, vector(b.random))
})

/** Processors differ on the register form of AMD's PREFETCH. */
export const memoryOnly: Special = (b, form) => {
	if (form === 'mem') addOperands(b, form)
	return form === 'mem'
}
