// Cases for every row of the opcode table: each operand size, register and memory forms, in 64-bit and in compatibility code.

import { type IsaCase, LAST_PLACE, TWELVE_BITS } from '../case.ts'
import type { Random } from '../random.ts'
import { FX_FCW, FX_FSW, FX_FTW, FX_MXCSR, STATE_FX, viewOf } from '../state.ts'
import { isTranscendental, undefinedFlags, undefinedStatus } from '../undefined.ts'
import { CaseBuilder } from './builder.ts'
import type { Encoding } from './encoding.ts'
import { addOperands, isX87 } from './operands.ts'
import type { Special } from './special/common.ts'
import { isSkipped, specialFor } from './special.ts'
import { float80 } from './values.ts'

/** One way to encode a row; a case differs from another of the same shape by its operands and values only. */
export interface Shape {
	/** The label that its cases bear. */
	readonly label: string
	readonly encoding: Encoding
	readonly compat: boolean
	readonly operandSize: number
	readonly form: 'reg' | 'mem'
}

/** How many times as many cases as others an encoding needs: what it does depends on more than its operands' values. */
export function weightOf(key: string): number {
	if (/^(A[4-7A-F]|CF|C8|D8|DA|DC|DE)$/.test(key)) return 6
	if (/^(F[67] \/[4-7]|C[01] |D[0-3] |0F A[45]|0F A[CD]|0F C7|9D|8E|CB|FF \/[2-5]|0F 3A 6|D[89A-F])/.test(key)) return 2
	return 1
}

export function shapesOf(encoding: Encoding, compat: boolean): Shape[] {
	if (encoding.attributes.has(compat ? 'o64' : 'i64') || isSkipped(encoding.key)) return []
	const forms = encoding.modrm === undefined ? (['reg'] as const) : encoding.mod ? [encoding.mod] : (['reg', 'mem'] as const)
	return operandSizes(encoding, compat).flatMap((operandSize) =>
		forms.map((form) => ({ label: labelOf(encoding, compat), encoding, compat, operandSize, form })),
	)
}

function operandSizes({ operands, attributes, prefix }: Encoding, compat: boolean): number[] {
	const letters = operands.map((operand) => (operand === 'rAX' ? 'v' : operand.slice(1)))
	const long = compat ? [] : [8]
	// FLDENV and the like: the environment's format follows the operand size.
	if (operands.includes('M')) return [2, 4]
	if (attributes.has('f64')) return compat ? [4] : [8]
	if (letters.includes('v') || letters.includes('p')) {
		// MOVSXD to 16 bits: how much of memory it reads differs.
		if (attributes.has('o64')) return [4, ...long]
		if (attributes.has('d64')) return compat ? [2, 4] : [2, 8]
		return [2, 4, ...long]
	}
	if (letters.includes('y')) return [4, ...long]
	if (letters.includes('z')) return [2, 4]
	return [prefix === undefined ? 4 : 0]
}

function labelOf(encoding: Encoding, compat: boolean): string {
	return compat ? `${encoding.label} (compat)` : encoding.label
}

/** A case of this shape, or undefined where its operands came out as something that isn't compared. */
export function makeCase(shape: Shape, random: Random): IsaCase | undefined {
	const { encoding } = shape
	const b = new CaseBuilder(encoding, shape.label, random, shape.compat, shape.operandSize)
	if (isX87(b)) prepareX87(b)
	else if (encoding.operands.some((operand) => /^[VWU][xdqw]$/.test(operand))) prepareSse(b)
	const special = specialFor(encoding.key) ?? generic
	if (!special(b, shape.form)) return undefined
	addLock(b, shape.form)
	b.disturbPrefixes()
	b.undefinedFlags = undefinedFlags(encoding.operation, { size: ruleSize(b), count: shiftCount(b) })
	if (isX87(b)) b.undefinedStatus = undefinedStatus(encoding.key, encoding.operation, isComparison(b))
	if (/^(RCP|RSQRT)[PS]S$/.test(encoding.operation)) b.tolerance = TWELVE_BITS
	return b.finish()
}

const generic: Special = (b, form) => {
	addOperands(b, form)
	return true
}

function ruleSize(b: CaseBuilder): number {
	return b.encoding.operands[0]?.endsWith('b') ? 1 : b.operandSize
}

/** Shifts and rotates: the count as the processor masks it. */
function shiftCount(b: CaseBuilder): number {
	const [first, second] = b.encoding.bytes as [number, number?]
	const mask = b.operandSize === 8 && first !== 0xd0 && first !== 0xc0 && first !== 0xd2 ? 63 : 31
	const byImmediate = first === 0xc0 || first === 0xc1 || (first === 0x0f && (second === 0xa4 || second === 0xac))
	const byCl = first === 0xd2 || first === 0xd3 || (first === 0x0f && (second === 0xa5 || second === 0xad))
	if (byImmediate) return b.lastImmediateByte & mask
	if (byCl) return Number(b.gpr(1) & 255n) & mask
	return first === 0xd0 || first === 0xd1 ? 1 : 0
}

/** LOCK where the row allows it, and rarely where it raises #UD (VERW takes it on some processors; with MOV CR0 it means CR8 on others). */
function addLock(b: CaseBuilder, form: 'reg' | 'mem'): void {
	const allowed = b.encoding.attributes.has('lock') && form === 'mem'
	if (
		allowed
			? b.random.oneIn(5)
			: b.encoding.prefix === undefined && b.isFetched && !/^0F (00|2)/.test(b.encoding.key) && b.random.oneIn(150)
	)
		b.addPrefix(0xf0)
}

/** Rounding modes, flush-to-zero, denormals-are-zero, sticky flags; one case in twelve has exceptions unmasked. */
function prepareSse(b: CaseBuilder): void {
	const { random } = b
	let mxcsr = 0x1f80
	if (random.oneIn(3)) mxcsr = (random.u32() & 0xe07f) | 0x1f80
	if (random.oneIn(12)) mxcsr &= ~(random.u32() & 0x1f80)
	b.view.setUint32(STATE_FX + FX_MXCSR, mxcsr, true)
}

/** Control word, condition codes, sometimes empty registers, and values in ST(0), ST(1). Exceptions stay masked, except rarely. */
function prepareX87(b: CaseBuilder): void {
	const { random, view } = b
	const { key } = b.encoding
	if (random.oneIn(2)) {
		const precision = random.pick([0x000, 0x200, 0x300, 0x300])
		view.setUint16(STATE_FX + FX_FCW, 0x7f | precision | (random.below(4) << 10), true)
	}
	if (random.oneIn(20) && !isTranscendental(key)) {
		view.setUint16(STATE_FX + FX_FCW, view.getUint16(STATE_FX + FX_FCW, true) & ~(random.u32() & 0x3f), true)
		b.epilogue = [0x9b]
	}
	view.setUint16(STATE_FX + FX_FSW, (b.top << 11) | (random.u32() & 0x4700), true)
	if (random.oneIn(3)) view.setUint8(STATE_FX + FX_FTW, random.u32() & random.u32() & 255)
	else if (/^D9 \/0|^D9 C|^D9 E[89A-E]|^DB \/[05]|^DD \/0|^DF \/[045]|^D9 FB|^D9 F2|^D9 F4/.test(key)) {
		// Something is pushed: leave room for it.
		view.setUint8(STATE_FX + FX_FTW, 0xff & ~(1 << ((b.top - 1) & 7)))
	}
	b.putSt(0, x87Argument(random, key))
	b.putSt(1, float80(random))
	if (random.oneIn(2)) b.putSt(2 + random.below(6), float80(random))
	if (isTranscendental(key)) b.tolerance = LAST_PLACE
}

/** ST(0). Transcendental functions are defined, and precise, in a range only. */
function x87Argument(random: Random, key: string): Uint8Array {
	const limits: Record<string, number> = {
		'D9 F0': 0x3ffe,
		'D9 F9': 0x3ffc,
		'D9 F2': 0x4004,
		'D9 FB': 0x4004,
		'D9 FE': 0x4004,
		'D9 FF': 0x4004,
	}
	const limit = limits[key]
	for (;;) {
		const value = float80(random)
		const exponent = viewOf(value).getUint16(8, true) & 0x7fff
		const significand = viewOf(value).getBigUint64(0, true)
		if (limit === undefined || exponent <= limit || (exponent === 0x7fff && significand >> 63n)) return value
	}
}

/** The condition codes are the result: comparisons, and what copies the status word. */
function isComparison(b: CaseBuilder): boolean {
	const field = b.modrmRegField
	if (b.encoding.modrm === 'r' || /^D[CE] \/[23]$/.test(b.encoding.key)) return field === 2 || field === 3
	return /COM|FTST|FXAM|STSW|STCW|LDCW|ENV|SAVE|RSTOR|CLEX|INIT/.test(b.encoding.operation)
}
