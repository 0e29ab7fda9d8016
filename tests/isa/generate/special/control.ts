// Jumps, calls, returns and software interrupts.

import * as map from '../../memory_map.ts'
import type { CaseBuilder } from '../builder.ts'
import { littleEndian } from '../values.ts'
import { placeStack, RCX, RSP, type Special } from './common.ts'

/** An address to go to: in the code region, or now and then where nothing can be fetched. */
function codeTarget(b: CaseBuilder): bigint {
	const { random } = b
	if (random.oneIn(20)) return BigInt(map.CODE_VA + random.pick([map.CODE_SIZE, -1, map.CODE_SIZE + 0x1234]))
	if (random.oneIn(30)) return BigInt(map.DATA_VA + random.below(0x1000))
	return BigInt(map.CODE_VA + random.below(map.CODE_SIZE - 1))
}

export const jumpRelative: Special = (b) => {
	const short = b.encoding.immediates[0] === 'jb'
	if (!b.compat && b.operandSize === 2) return false
	b.addImmediate(0n, short ? 1 : 4)
	const next = BigInt(b.rip + b.length)
	const displacement = short ? BigInt((b.random.u32() << 24) >> 24) : codeTarget(b) - next
	b.replaceImmediate(displacement, short ? 1 : 4)
	if (b.encoding.key === 'E8') placeStack(b, 0)
	return true
}
export const loop: Special = (b) => {
	const address32 = b.compat || b.random.oneIn(4)
	if (address32 && !b.compat) b.addPrefix(0x67)
	const high = address32 ? BigInt(b.random.u32()) << 32n : 0n
	b.setGpr(RCX, BigInt(b.random.pick([0, 1, 2, 1000])) | high)
	return jumpRelative(b, 'reg')
}
/** CALL and JMP through a register or memory. */
export const jumpIndirect: Special = (b, form) => {
	const size = b.compat ? 4 : 8
	if (b.operandSize === 2) return false
	const digit = b.encoding.modrm as number
	const register = b.pickRegister()
	// A bad target and a bad stack at once: either may be reported.
	const wild = b.random.oneIn(40) && !b.compat && register !== RSP
	if (!wild && !(form === 'reg' && register === RSP)) placeStack(b, 0)
	const target = wild ? 0x8765_0000_0000_0000n : codeTarget(b)
	if (form === 'reg') {
		b.putRegister(register, size, target)
		b.addRegisterOperand(digit, register)
	} else b.poke(b.addMemoryOperand(digit, size), littleEndian(target, size))
	return true
}
export const returnNear: Special = (b) => {
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
export const farMemory: Special = (b) => {
	if (b.operandSize !== 4) return false
	placeStack(b, 0)
	const address = b.addMemoryOperand(b.encoding.modrm as number, 6)
	// A bad stack and a bad selector at once: either may be reported. And a far call's target decides how wide the stack is.
	if (b.memoryRegisters.has(RSP) || b.gpr(RSP) >> 32n) return false
	b.poke(address, littleEndian((farSelector(b) << 32n) | farOffset(b), 6))
	return true
}
export const farImmediate: Special = (b) => {
	if (b.operandSize !== 4) return false
	placeStack(b, 0)
	b.addImmediate(farOffset(b), 4)
	b.addImmediate(farSelector(b), 2)
	return true
}
export const returnFar: Special = (b) => {
	const size = b.operandSize
	if (size === 2) return false
	const at = placeStack(b, size * 2)
	if (!b.isMapped(at, size * 2)) return false
	b.poke(at, littleEndian((farSelector(b) << BigInt(size * 8)) | farOffset(b), size * 2))
	if (b.encoding.immediates.length > 0) b.addImmediate(BigInt(b.random.pick([0, 8, 0x18])), 2)
	return true
}
export const returnFromInterrupt: Special = (b) => {
	const size = b.operandSize
	if (size === 2) return false
	const flags = BigInt(b.random.u32() & 0xed7)
	const stackPointer = BigInt(map.DATA_VA + b.random.below(0x2000))
	const selector = b.random.oneIn(10) ? farSelector(b) : b.compat ? 0x23n : BigInt(b.random.pick([0x23, 0x33, 0x33]))
	const frame = [farOffset(b), selector, flags, stackPointer, BigInt(b.random.oneIn(12) ? 0x33 : map.USER_DS)]
	const at = placeStack(b, size * frame.length)
	// In which order the frame is read, and so where it faults, is the processor's choice.
	if (!b.isMapped(at, size * frame.length)) return false
	for (const [i, word] of frame.entries()) b.poke(at + BigInt(i * size), littleEndian(word, size))
	return true
}
export const softwareInterrupt: Special = (b) => {
	const vector = b.random.oneIn(3) ? b.random.pick([3, 4]) : b.random.below(256)
	b.addImmediate(BigInt(vector === 0x80 ? 0x81 : vector), 1)
	return true
}
