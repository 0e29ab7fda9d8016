import type { IsaCase, Outcome } from './case.ts'
import { DF, FX_FSW, FX_MXCSR, FX_ST, STATE_FX, STATE_RFLAGS, STATUS_FLAGS, viewOf } from './state.ts'

const ID = 1 << 21
/** Flags that are compared: RF, IF, IOPL and the like belong to whoever delivers the exception. */
const COMPARED_FLAGS = STATUS_FLAGS | DF | ID

/**
 * Gives what isn't compared the value it had before the instruction: undefined flags and condition codes, x87 opcode and pointers,
 * MXCSR's mask, padding. Two outcomes agree when they are equal after this.
 */
export function normalise(test: IsaCase, outcome: Outcome): Outcome {
	const { state } = outcome
	const before = viewOf(test.state)
	const view = viewOf(state)
	const flags = COMPARED_FLAGS & ~test.undefinedFlags
	view.setUint32(STATE_RFLAGS, (before.getUint32(STATE_RFLAGS, true) & ~flags) | (view.getUint32(STATE_RFLAGS, true) & flags), true)
	const status = STATE_FX + FX_FSW
	const undefinedStatus = test.undefinedStatus
	view.setUint16(status, (view.getUint16(status, true) & ~undefinedStatus) | (before.getUint16(status, true) & undefinedStatus), true)
	keep(test.state, state, STATE_FX + 5, FX_MXCSR - 5)
	keep(test.state, state, STATE_FX + FX_MXCSR + 4, 4)
	for (let i = 0; i < 8; i++) keep(test.state, state, STATE_FX + FX_ST + i * 16 + 10, 6)
	// Linux reports every fault on an address of the kernel's half as a protection violation.
	return outcome.cr2 >> 63n ? { ...outcome, error: outcome.error | 1 } : outcome
}

function keep(before: Uint8Array, after: Uint8Array, at: number, length: number): void {
	for (let i = at; i < at + length; i++) after[i] = before[i] as number
}
