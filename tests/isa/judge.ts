import { type IsaCase, type JudgedCase, type Outcome, VECTOR_HANG } from './case.ts'
import { runNative } from './native.ts'
import { normalise } from './normalise.ts'
import { FX_FSW, STATE_FX, viewOf } from './state.ts'
import { undefinedWhenInvalid } from './undefined.ts'

const STACK_FAULT = 12
const PAGE_FAULT = 14
/** Whether a conversion that raises it has already ended x87 mode differs. */
const SIMD_EXCEPTION = 19
const INVALID = 1
/** Stored and loaded in parts: which part faults first is the processor's choice. */
const IMAGES = /^(FXSAVE|FXRSTOR|FNSAVE|FRSTOR|FNSTENV|FLDENV) /

/** Runs the cases natively. Leaves out those that didn't end, and where processors may differ in how. */
export function judge(cases: readonly IsaCase[]): JudgedCase[] {
	const outcomes = runNative(cases)
	return cases.map((test, i) => judged(test, outcomes[i] as Outcome)).filter(({ case: test, outcome }) => isComparable(test, outcome))
}

function isComparable(test: IsaCase, { vector }: Outcome): boolean {
	// A stack segment's limit, which our processor doesn't check.
	if (vector === STACK_FAULT && test.compat) return false
	if (vector === SIMD_EXCEPTION && test.label.startsWith('MMX_')) return false
	return vector !== VECTOR_HANG && !(vector === PAGE_FAULT && IMAGES.test(test.label))
}

function judged(test: IsaCase, outcome: Outcome): JudgedCase {
	const invalid = (viewOf(outcome.state).getUint8(STATE_FX + FX_FSW) & INVALID) !== 0
	const more = invalid ? undefinedWhenInvalid(test.label.split(' ')[0] as string) : 0
	if (more === 0) return { case: test, outcome }
	const amended = { ...test, undefinedStatus: test.undefinedStatus | more }
	return { case: amended, outcome: normalise(amended, outcome) }
}
