import { ARITHMETIC } from './integer/arithmetic.ts'
import { ATOMIC, withLock } from './integer/atomic.ts'
import { BITS } from './integer/bits.ts'
import { DIVIDE } from './integer/divide.ts'
import { FLAG_MOVES } from './integer/flag_moves.ts'
import { MOVE } from './integer/move.ts'
import { MULTIPLY } from './integer/multiply.ts'
import type { Emitter } from './integer/operands.ts'
import { SHIFT } from './integer/shift.ts'
import { STACK } from './integer/stack.ts'
import { STRINGS } from './integer/strings.ts'
import { timestamp } from './integer/timestamp.ts'

export { emitCall, emitDispatch, emitIndirect, finishReturn, peekReturn } from './integer/control.ts'

/** Emitters of the integer instructions that do not end a block. */
export const INTEGER: Readonly<Record<string, Emitter>> = {
	...withLock(ARITHMETIC),
	...ATOMIC,
	...DIVIDE,
	...SHIFT,
	...MULTIPLY,
	...BITS,
	...MOVE,
	...STACK,
	...STRINGS,
	...FLAG_MOVES,
	RDTSC: timestamp,
	NOP: () => true,
	PAUSE: () => true,
	// All of them order as MFENCE does.
	FENCE: (r) => {
		r.code.fence()
		return true
	},
}
