import * as map from '../../memory_map.ts'
import type { CaseBuilder } from '../builder.ts'
import { addOperands, type Operands } from '../operands.ts'

/** Builds the instruction; false when this machine or this case has nothing to compare. */
export type Special = (b: CaseBuilder, form: 'reg' | 'mem') => boolean

export const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7] as const

/** The generic operands, then a change of the values they have. */
export function then(after: (b: CaseBuilder, operands: Operands) => boolean | undefined, immediate?: (b: CaseBuilder) => bigint): Special {
	return (b, form) => {
		const operands = addOperands(b, form, immediate)
		return after(b, operands) ?? true
	}
}

/** Selectors of the host's GDT, and some that don't belong to user mode. */
export const SELECTORS = [0, 3, 0x08, 0x10, 0x18, 0x1b, 0x20, 0x23, 0x28, 0x2b, 0x30, 0x33]

/** Moves the stack pointer now and then: unaligned, across a page, somewhere that faults. `reach`: bytes that are read above it. */
export function placeStack(b: CaseBuilder, reach: number, register: number = RSP): bigint {
	const { random } = b
	const where = random.below(4)
	if (where === 0) b.setGpr(register, b.pickTarget(Math.max(reach, 8), !b.compat && random.oneIn(2)) + (reach ? 0n : 8n))
	else if (where === 1) b.setGpr(register, BigInt(map.DATA_VA + random.pick([0x1000, 0x2000]) + random.below(32) - 16))
	else if (register !== RSP) b.setGpr(register, BigInt(map.DATA_VA + 0x1000 + random.below(0x1000)))
	return b.gpr(register)
}
