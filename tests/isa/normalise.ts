import type { IsaCase, Outcome } from './case.ts'
import { USER_CS32 } from './memory_map.ts'
import { DF, FX_FSW, FX_MXCSR, FX_ST, STATE_FX, STATE_GPR, STATE_RFLAGS, STATE_SELECTORS, STATUS_FLAGS, viewOf } from './state.ts'

const RSP = 4
const USER_END = 0x7fff_ffff_f000n
const ID = 1 << 21
/** Flags that are compared: RF, IF, IOPL and the like belong to whoever delivers the exception. */
const COMPARED_FLAGS = STATUS_FLAGS | DF | ID

/**
 * Gives what isn't compared the value it had before the instruction: undefined flags and condition codes, x87 opcode and pointers,
 * MXCSR's mask, padding. A return from the kernel makes null selectors zero, and compatibility code has no upper half of RSP. Two outcomes agree when they are equal after this.
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
	if (view.getUint16(STATE_SELECTORS + 2, true) === USER_CS32) view.setUint32(STATE_GPR + RSP * 8 + 4, 0, true)
	for (const segment of [0, 3, 4, 5]) {
		const at = STATE_SELECTORS + segment * 2
		if (view.getUint16(at, true) <= 3) view.setUint16(at, 0, true)
	}
	// Linux reports every fault on an address beyond the user's as a protection violation.
	return outcome.cr2 >= USER_END ? { ...outcome, error: outcome.error | 1 } : outcome
}

function keep(before: Uint8Array, after: Uint8Array, at: number, length: number): void {
	for (let i = at; i < at + length; i++) after[i] = before[i] as number
}
