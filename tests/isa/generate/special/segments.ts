// Segment, control and debug registers.

import { integer, littleEndian } from '../values.ts'
import { SELECTORS, type Special, then } from './common.ts'

export const selectorOperand = then((b, { rmRegister, address }) => {
	if (b.encoding.attributes.has('o64')) return
	const selector = BigInt(b.random.pick(SELECTORS))
	if (rmRegister !== undefined) b.putRegister(rmRegister, 2, selector)
	else b.poke(address as bigint, littleEndian(selector, 2))
})
export const loadFarPointer: Special = (b) => {
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

/** A selector register that MOV may name: not CS as a destination except to see #UD. */
export const fromSegment: Special = (b, form) => {
	const segment = b.random.below(6)
	if (form === 'reg') b.addRegisterOperand(segment, b.pickRegister())
	else b.addMemoryOperand(segment, 2)
	return true
}
export const toSegment: Special = (b, form) => {
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
export const controlRegister: Special = (b, form) => {
	if (form === 'mem') return false
	const isDebug = /0F 2[13]/.test(b.encoding.key)
	b.addRegisterOperand(b.random.pick(isDebug ? [0, 1, 2, 3, 6, 7] : [0, 2, 3, 4]), b.pickRegister())
	return true
}
