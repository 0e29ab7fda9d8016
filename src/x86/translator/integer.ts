import { ARITHMETIC } from './integer/arithmetic.ts'
import { BITS } from './integer/bits.ts'
import { MOVE } from './integer/move.ts'
import { MULTIPLY } from './integer/multiply.ts'
import type { Emitter } from './integer/operands.ts'
import { SHIFT } from './integer/shift.ts'
import { STACK } from './integer/stack.ts'

export { emitCall, emitIndirect, emitReturn } from './integer/control.ts'

/** Emitters of the integer instructions that do not end a block. */
export const INTEGER: Readonly<Record<string, Emitter>> = {
	...ARITHMETIC,
	...SHIFT,
	...MULTIPLY,
	...BITS,
	...MOVE,
	...STACK,
	NOP: () => true,
	PAUSE: () => true,
}
