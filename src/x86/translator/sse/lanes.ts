import { decoderTables, familyRanges } from '../../opcodes/operations.ts'
import { byOperation } from '../by_operation.ts'
import type { Instruction } from '../instruction.ts'
import type { Operation } from './number_tests.ts'
import { isKnown, normalRange, type Plan, plan, type Range, unknownRange, windowRange } from './ranges.ts'

/**
 * What is known of the numbers in XMM registers. A lane is clean when the number in it is zero or normal: an operation on clean operands needs no test of them.
 * A register's lanes are bits of a mask: two doubles, then four singles, which overlap them. Of doubles a range is known (ranges.ts), of singles only whether
 * they are clean.
 */
export const D0 = 0x01
export const D1 = 0x02
export const S0 = 0x04
export const DOUBLES = 0x03
export const SINGLES = 0x3c
const LANES = 6

/** What is known of each lane, at register * 8 + the lane's bit. Lanes with one and the same object have one value. */
export type Lanes = Range[]

/** Nothing is known; not to be changed. */
export const NO_LANES: Lanes = Array.from({ length: 16 * 8 }, unknownRange)

export const noLanes = (): Lanes => NO_LANES.slice()

/** Whether register * 8 + lane is one of doubles. */
export function isDouble(lane: number): boolean {
	return (DOUBLES & (1 << (lane & 7))) !== 0
}

/** The clean lanes of a register. */
export function cleanLanes(lanes: Lanes, register: number): number {
	let bits = 0
	for (let n = 0; n < LANES; n++) if (isKnown(lanes[register * 8 + n]!)) bits |= 1 << n
	return bits
}

/** A lane, and all that have its value, are in the window now. */
export function narrow(lanes: Lanes, lane: number): void {
	const before = lanes[lane]!
	const after = windowRange()
	for (let n = 0; n < lanes.length; n++) if (lanes[n] === before) lanes[n] = after
}

/** Lanes that are operands of arithmetic, of the 16 registers. */
export type WantedLanes = Uint8Array

export const noWanted = (): WantedLanes => new Uint8Array(16)

/** Where a lane's number comes from: a lane of a register (register * 8 + lane), or one of these. */
const CLEAN = -1
const UNKNOWN = -2

/** What an instruction does to the lanes of one register. */
export interface LaneEffect {
	/** Lanes that are operands of arithmetic: [register, lanes]. They are clean afterwards, or the region's flag says otherwise. */
	readonly needs: readonly (readonly [register: number, lanes: number])[]
	readonly destination: number
	/** Sources of the six lanes of the destination. */
	readonly sources: readonly number[]
	/** Arithmetic on doubles of `destination` and another register or memory, in one lane or two. */
	readonly doubles?: { readonly operation: Operation; readonly other: number | undefined; readonly lanes: number }
}

export type Effect = LaneEffect | 'none' | 'everything'

/** From a quadword of a register, a quadword of memory (UNKNOWN), or zero (CLEAN): sources of the lanes in quadword `to`. */
function quadword(sources: number[], to: number, from: number): void {
	const lane = (n: number) => (from < 0 ? from : (from >> 1) * 8 + n)
	sources[to] = lane(from & 1)
	sources[2 + to * 2] = lane(2 + (from & 1) * 2)
	sources[3 + to * 2] = lane(3 + (from & 1) * 2)
}

const keep = (register: number): number[] => Array.from({ length: LANES }, (_, n) => register * 8 + n)

/** Moves of quadwords: for both quadwords of the destination, register * 2 + quadword, or UNKNOWN or CLEAN. */
function quadwords(destination: number, low: number, high: number): LaneEffect {
	const sources = new Array<number>(LANES)
	quadword(sources, 0, low)
	quadword(sources, 1, high)
	return { needs: [], destination, sources }
}

/** Moves of doublewords: for each of the destination, register * 4 + doubleword, or UNKNOWN or CLEAN. A double is known where two move together. */
function doublewords(destination: number, from: readonly number[]): LaneEffect {
	const double = (a: number, b: number) =>
		a === CLEAN && b === CLEAN ? CLEAN : a >= 0 && (a & 1) === 0 && b === a + 1 ? (a >> 2) * 8 + ((a >> 1) & 1) : UNKNOWN
	const single = (a: number) => (a < 0 ? a : (a >> 2) * 8 + 2 + (a & 3))
	return { needs: [], destination, sources: [double(from[0]!, from[1]!), double(from[2]!, from[3]!), ...from.map(single)] }
}

const unknown = (destination: number): LaneEffect => quadwords(destination, UNKNOWN, UNKNOWN)

/** An operation whose result goes to `lanes` of ModRM.reg: the numbers there are clean, others that overlap them are not known. */
function result(i: Instruction, lanes: number, needs: LaneEffect['needs']): LaneEffect {
	const overlap = ((lanes & D0 ? 0x0c : 0) | (lanes & D1 ? 0x30 : 0) | (lanes & 0x0c ? D0 : 0) | (lanes & 0x30 ? D1 : 0)) & ~lanes
	const sources = keep(i.reg).map((from, n) => (lanes & (1 << n) ? CLEAN : overlap & (1 << n) ? UNKNOWN : from))
	return { needs, destination: i.reg, sources }
}

const ARITHMETIC = /^(ADD|SUB|MUL|DIV|MIN|MAX|SQRT)(SD|SS|PD|PS)$/
const OPERANDS: Readonly<Record<string, number>> = { SD: D0, SS: S0, PD: DOUBLES, PS: SINGLES }
const NONE =
	/^(PREFETCH|FENCE|CLFLUSH|MOVNTI|CRC32_.|POPCNT|FXSAVE|STMXCSR|MOVMSKP.|PMOVMSKB|MASKMOVDQU|PEXTR.*|EXTRACTPS|MOV[LH]PS_M_V|MOVD_E_V|PTEST|PCMP.STRI|U?COMIS.|CVTT?S[SD]2SI)$/
const family = (wanted: string): ReadonlySet<string> => {
	const { first, last } = familyRanges().find(({ name }) => name === wanted)!
	return new Set(decoderTables.operations.slice(first, last + 1))
}
const sse = family('SSE')
const mmx = family('MMX')

const immediate = (i: Instruction) => Number(i.imm & 0xffn)
const pairs = (n: number) => [n & 3, (n >> 2) & 3, (n >> 4) & 3, (n >> 6) & 3]

export function isSse(op: string): boolean {
	return sse.has(op)
}

/** Null: it depends on the operands. */
const constantEffect = byOperation((op) => (mmx.has(op) ? 'everything' : !isSse(op) || NONE.test(op) ? 'none' : null))

export function effectOf(i: Instruction): Effect {
	return constantEffect(i.op) ?? sseEffect(i)
}

function sseEffect(i: Instruction): Effect {
	const { op, reg, rm, memory } = i
	const arithmetic = ARITHMETIC.exec(op)
	if (arithmetic) {
		const lanes = OPERANDS[arithmetic[2]!]!
		const needs: [number, number][] = memory ? [] : [[rm, lanes]]
		if (arithmetic[1] !== 'SQRT') needs.push([reg, lanes])
		const effect = result(i, lanes, needs)
		if (lanes !== D0 && lanes !== DOUBLES) return effect
		const operation = arithmetic[1]!.toLowerCase() as Operation
		return { ...effect, doubles: { operation, other: memory ? undefined : rm, lanes: lanes === D0 ? 1 : 2 } }
	}
	// Quadwords and doublewords of the operands, where ModRM.rm may be memory.
	const quad = (n: number) => (memory ? UNKNOWN : rm * 2 + n)
	const word = (n: number) => (memory ? UNKNOWN : rm * 4 + n)
	const [low, high] = [reg * 2, reg * 2 + 1]
	const own = [0, 1, 2, 3].map((n) => reg * 4 + n) as [number, number, number, number]
	switch (op) {
		case 'MOVU_V_W':
		case 'MOVA_V_W':
			return quadwords(reg, quad(0), quad(1))
		case 'MOVU_W_V':
		case 'MOVA_W_V':
			return memory ? 'none' : quadwords(rm, low, high)
		case 'MOVSD_V_W':
			return quadwords(reg, quad(0), memory ? CLEAN : high)
		case 'MOVQ_V_W':
			return quadwords(reg, quad(0), CLEAN)
		case 'MOVSS_V_W':
			return memory ? doublewords(reg, [UNKNOWN, CLEAN, CLEAN, CLEAN]) : doublewords(reg, [word(0), own[1], own[2], own[3]])
		case 'MOVSD_W_V':
			return memory ? 'none' : quadwords(rm, low, rm * 2 + 1)
		case 'MOVQ_W_V':
			return memory ? 'none' : quadwords(rm, low, CLEAN)
		case 'MOVSS_W_V':
			return memory ? 'none' : doublewords(rm, [own[0], rm * 4 + 1, rm * 4 + 2, rm * 4 + 3])
		case 'MOVD_V_E':
			return quadwords(reg, UNKNOWN, CLEAN)
		case 'MOVLPS_V_M':
			return quadwords(reg, UNKNOWN, high)
		case 'MOVHPS_V_M':
			return quadwords(reg, low, UNKNOWN)
		case 'MOVHLPS':
			return quadwords(reg, quad(1), high)
		case 'MOVLHPS':
		case 'PUNPCKLQDQ':
			return quadwords(reg, low, quad(0))
		case 'PUNPCKHQDQ':
			return quadwords(reg, high, quad(1))
		case 'MOVDDUP':
			return quadwords(reg, quad(0), quad(0))
		case 'SHUFPD':
			return quadwords(reg, low + (immediate(i) & 1), quad((immediate(i) >> 1) & 1))
		case 'PUNPCKLDQ':
			return doublewords(reg, [own[0], word(0), own[1], word(1)])
		case 'PUNPCKHDQ':
			return doublewords(reg, [own[2], word(2), own[3], word(3)])
		case 'PSHUFD':
			return doublewords(reg, pairs(immediate(i)).map(word))
		case 'SHUFPS':
			return doublewords(
				reg,
				pairs(immediate(i)).map((n, k) => (k < 2 ? own[n]! : word(n))),
			)
		case 'PXOR':
			return !memory && reg === rm ? quadwords(reg, CLEAN, CLEAN) : unknown(reg)
		case 'CVTSI2SD':
			return result(i, D0, [])
		case 'CVTSI2SS':
			return result(i, S0, [])
		case 'CVTDQ2PD':
			return result(i, DOUBLES, [])
		case 'CVTDQ2PS':
			return result(i, SINGLES, [])
		case 'CVTSS2SD':
			return result(i, D0, memory ? [] : [[rm, S0]])
		case 'CVTSD2SS':
			return result(i, S0, memory ? [] : [[rm, D0]])
		case 'FXRSTOR':
		case 'LDMXCSR':
		case 'PCMPESTRM':
		case 'PCMPISTRM':
			return 'everything'
		default:
			return unknown(op.endsWith('_I') ? rm : reg)
	}
}

/** How arithmetic on doubles is done with what is known. `accumulators`: a mask of registers (accumulators.ts). */
export function planOf({ destination, doubles }: LaneEffect, known: Lanes, accumulators: number): Plan | undefined {
	if (doubles === undefined) return undefined
	const { operation, other, lanes } = doubles
	const ranges = (register: number) => known.slice(register * 8, register * 8 + lanes)
	return plan(operation, ranges(destination), other === undefined ? undefined : ranges(other), (accumulators & (1 << destination)) !== 0)
}

/** What is known after an instruction. Changes `lanes`. */
export function forward(lanes: Lanes, effect: Effect, accumulators: number): void {
	if (effect === 'none') return
	if (effect === 'everything') {
		for (let n = 0; n < lanes.length; n++) lanes[n] = unknownRange()
		return
	}
	const { needs, destination, sources, doubles } = effect
	const planned = planOf(effect, lanes, accumulators)
	if (planned) {
		const test = (register: number) => {
			for (let n = 0; n < doubles!.lanes; n++) narrow(lanes, register * 8 + n)
		}
		if (planned.testsX) test(destination)
		if (planned.testsY && doubles!.other !== undefined) test(doubles!.other)
	} else
		for (const [register, needed] of needs)
			for (let n = 0; n < LANES; n++) if (needed & (1 << n) && !isKnown(lanes[register * 8 + n]!)) lanes[register * 8 + n] = normalRange()
	const after = sources.map((from) => (from >= 0 ? lanes[from]! : from === CLEAN ? windowRange() : unknownRange()))
	planned?.results.forEach((range, n) => {
		after[n] = range
	})
	after.forEach((range, n) => {
		lanes[destination * 8 + n] = range
	})
}

/** The lanes that are operands later, before an instruction, from those after it. Changes `lanes`. */
export function backward(lanes: WantedLanes, effect: Effect): void {
	if (effect === 'none') return
	if (effect === 'everything') {
		lanes.fill(0)
		return
	}
	const wanted = lanes[effect.destination]!
	lanes[effect.destination] = 0
	if (wanted)
		effect.sources.forEach((from, n) => {
			if (wanted & (1 << n) && from >= 0) lanes[from >> 3]! |= 1 << (from & 7)
		})
	for (const [register, needed] of effect.needs) lanes[register]! |= needed
}

/** Whether an operation is arithmetic, a comparison or a conversion of numbers. */
export const isNumeric = byOperation((op) => ARITHMETIC.test(op) || /^(U?COMIS|CVT)/.test(op))

/** Whether the effect holds only where the emitter's tests were made: the core's executor leaves numbers that aren't clean. */
export function isTested(effect: Effect): boolean {
	return typeof effect === 'object' && (effect.needs.length > 0 || effect.sources.includes(CLEAN))
}

/** Whether the double in a register's lower half is clean. */
export function isKnownDouble(lanes: Lanes, register: number): boolean {
	return isKnown(lanes[register * 8]!)
}
