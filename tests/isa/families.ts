import type { JudgedCase } from './case.ts'
import { USER_CS32 } from './memory_map.ts'
import { STATE_SELECTORS, viewOf } from './state.ts'

/** Corpus files, by what an instruction does and how it ended. */
export const FAMILIES = ['integer', 'string', 'control', 'sse', 'mmx', 'x87', 'compat32', 'faults', 'decode'] as const
export type Family = (typeof FAMILIES)[number]

const STRINGS = /^(MOVS|CMPS|STOS|LODS|SCAS|INS|OUTS) /
const CONTROL = /^(J[A-Z]+|LOOP|CALL|RET|IRET|INT|PUSH|POP|ENTER|LEAVE)/
const MMX = /^MMX_/
const X87 = /^\S+ (D[89A-F]|9B)( |$)/
const SSE = / [VWU][xdqw]|,[VWU][xdqw]|FXSAVE|FXRSTOR|MXCSR/

/** How the instruction ended when nothing went wrong: at the int3 behind it, or INT3 and INT n themselves. */
export function familyOf({ case: test, outcome }: JudgedCase): Family {
	const started = viewOf(test.state).getUint16(STATE_SELECTORS + 2, true)
	if (test.label.startsWith('bytes ')) return 'decode'
	if (outcome.vector !== 3) return 'faults'
	if (started === USER_CS32) return 'compat32'
	if (/POPCNT/.test(test.label)) return 'integer'
	if (X87.test(test.label)) return 'x87'
	if (MMX.test(test.label)) return 'mmx'
	if (SSE.test(test.label)) return 'sse'
	if (STRINGS.test(test.label)) return 'string'
	return CONTROL.test(test.label) ? 'control' : 'integer'
}
