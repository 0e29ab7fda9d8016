// What the architecture leaves undefined (AMD64 Architecture Programmer's Manual volume 3, Intel SDM volume 2): not compared.

import { AF, CF, OF, PF, SF, STATUS_FLAGS, ZF } from './state.ts'

export interface FlagRule {
	/** Operand size in bytes. */
	readonly size: number
	/** Shift or rotate count after masking to 5 or 6 bits, else 0. */
	readonly count: number
}

type Rule = number | ((operand: FlagRule) => number)

const rotate: Rule = ({ count }) => (count > 1 ? OF : 0)
const shift: Rule = ({ count, size }) => (count === 0 ? 0 : AF | (count > 1 ? OF : 0) | (count >= size * 8 ? CF : 0))
const arithmeticShift: Rule = ({ count }) => (count === 0 ? 0 : AF | (count > 1 ? OF : 0))
const doubleShift: Rule = ({ count }) => (count === 0 ? 0 : AF | (count > 1 ? OF : 0))

/** By operation, the part of its name before any '_'. */
const RULES: Record<string, Rule> = {
	AND: AF,
	OR: AF,
	XOR: AF,
	TEST: AF,
	MUL: SF | ZF | AF | PF,
	IMUL1: SF | ZF | AF | PF,
	IMUL2: SF | ZF | AF | PF,
	IMUL3: SF | ZF | AF | PF,
	DIV: STATUS_FLAGS,
	IDIV: STATUS_FLAGS,
	ROL: rotate,
	ROR: rotate,
	RCL: rotate,
	RCR: rotate,
	SHL: shift,
	SHR: shift,
	SAR: arithmeticShift,
	SHLD: doubleShift,
	SHRD: doubleShift,
	BT: OF | SF | AF | PF,
	BTS: OF | SF | AF | PF,
	BTR: OF | SF | AF | PF,
	BTC: OF | SF | AF | PF,
	BSF: CF | OF | SF | AF | PF,
	BSR: CF | OF | SF | AF | PF,
	AAA: OF | SF | ZF | PF,
	AAS: OF | SF | ZF | PF,
	AAM: OF | AF | CF,
	AAD: OF | AF | CF,
	DAA: OF,
	DAS: OF,
}

/** Status flags that an operation leaves undefined. */
export function undefinedFlags(operation: string, operand: FlagRule): number {
	const rule = RULES[operation.split('_')[0] as string] ?? 0
	return typeof rule === 'number' ? rule : rule(operand)
}

const PE = 0x0020
const C0 = 0x0100
const C1 = 0x0200
const C2 = 0x0400
const C3 = 0x4000
const TRANSCENDENTAL = /^D9 (F0|F1|F2|F3|F9|FB|FE|FF)$/

/** An x87 function whose last place isn't defined. */
export function isTranscendental(key: string): boolean {
	return TRANSCENDENTAL.test(key)
}

/**
 * Bits of the status word that an x87 operation leaves undefined, by its opcode bytes (D9 F0 and the like) or its ModRM form (D8 /0).
 * C1 after a comparison into RFLAGS, a conditional move or FFREE differs between vendors, and so does PE after an exact transcendental result.
 */
export function undefinedStatus(key: string, operation: string, comparison: boolean): number {
	if (/^(FCMOV|FU?COMIP?$|FFREE)/.test(operation)) return C0 | C1 | C2 | C3
	if (comparison) return 0
	if (/^D9 (F8|F5)$/.test(key)) return 0
	if (/^D9 (F2|FB|FE|FF)$/.test(key)) return C0 | C1 | C3 | PE
	if (TRANSCENDENTAL.test(key)) return C0 | C1 | C2 | C3 | PE
	return C0 | C2 | C3
}

/** Partial remainder and trigonometric functions of invalid operands: the condition codes have no meaning. */
export function undefinedWhenInvalid(operation: string): number {
	return /^(FPREM1?|FSIN|FCOS|FSINCOS|FPTAN)$/.test(operation) ? C0 | C1 | C2 | C3 : 0
}
