// The x87 and SSE state as an image in memory, and transcendental functions, for programs. What processors may differ in is not left behind: instruction and data
// pointers, the opcode, condition codes, a result in its last place.

import type { Random } from '../random.ts'
import { AF, STATUS_FLAGS } from '../state.ts'
import { immediate, type Memory } from './assembler.ts'
import { DOUBLES_OFFSET, DOUBLES_SIZE, make, POINTER_OFFSET, RBX } from './piece_parts.ts'
import { type Piece, piece, together } from './program.ts'

const LOGIC = { defines: STATUS_FLAGS & ~AF, undefines: AF }
const CONDITION_CODES = 0x4700
const x87 = (...opcode: number[]) => piece('', opcode)
const FNCLEX = x87(0xdb, 0xe2)
const FLDZ = x87(0xd9, 0xee)
const FLD1 = x87(0xd9, 0xe8)
const FCHS = x87(0xd9, 0xe0)
/** FSTP ST(0) */
const DROP = x87(0xdd, 0xd8)

/** A place of `size` bytes in the data region, by its offset from what RBX points to. */
function place(random: Random, size: number, align: number): number {
	const offset = 0x400 + random.below(0x2b00 - size)
	return offset - (offset % align) - POINTER_OFFSET
}

const at = (disp: number): Memory => ({ base: RBX, disp })
const zero = (size: number, disp: number) => make('', { size, opcode: [0xc7], reg: 0, rm: at(disp), immediate: immediate(0, size) })
const clearConditions = (disp: number) =>
	make('', { size: 2, opcode: [0x81], reg: 4, rm: at(disp), immediate: immediate(~CONDITION_CODES, 2) }, LOGIC)

/** FXSAVE; half of them are restored, once with another register changed between. */
function fxImage(random: Random): Piece {
	const disp = place(random, 512, 16)
	const size = random.pick([4, 8])
	const vector = (offset: number) => make('', { opcode: [0x0f, 0x11], reg: 0, rm: at(disp + offset) })
	const save = [
		make('', { size, opcode: [0x0f, 0xae], reg: 0, rm: at(disp) }),
		clearConditions(disp + 2),
		zero(2, disp + 6),
		vector(8),
		zero(4, disp + 28),
		...[0, 16, 32, 48, 64, 80].map((n) => vector(416 + n)),
	]
	if (random.oneIn(2)) return together('fxsave', save)
	// MXCSR's mask is not looked at, pointers that nothing reads are what XMM0 was.
	const change = random.oneIn(2) ? [make('', { prefix: 0x66, opcode: [0x0f, 0xef], reg: 3, rm: random.below(16) }), x87(0xd9, 0xf7)] : []
	return together('fxsave; fxrstor', [...save, ...change, make('', { size, opcode: [0x0f, 0xae], reg: 1, rm: at(disp) })])
}

/** FNSAVE FNSTENV, with a 16-bit or a 32-bit operand size; half of them are loaded again. */
function environment(random: Random): Piece {
	const short = random.oneIn(3)
	const [opcode, name] = random.pick([
		[0xdd, 'fnsave; frstor'],
		[0xd9, 'fnstenv; fldenv'],
	] as const)
	const disp = place(random, 108, 1)
	const size = short ? { size: 2 } : {}
	const pointers = short ? [6, 10] : [12, 16, 20, 24]
	const save = [
		make('', { ...size, opcode: [opcode], reg: 6, rm: at(disp) }),
		clearConditions(disp + (short ? 2 : 4)),
		...pointers.map((offset) => zero(4, disp + offset)),
	]
	if (random.oneIn(2)) return together(name.split(';')[0]!, save)
	return together(name, [...save, make('', { ...size, opcode: [opcode], reg: 4, rm: at(disp) })])
}

/** F2XM1 FYL2X FPTAN FPATAN FYL2XP1 FSINCOS FSIN FCOS: how many numbers they take, and leave at most. */
const FUNCTIONS: readonly (readonly [opcode: number, takes: number, leaves: number])[] = [
	[0xf0, 1, 1],
	[0xf1, 2, 1],
	[0xf2, 1, 2],
	[0xf3, 2, 1],
	[0xf9, 2, 1],
	[0xfb, 1, 2],
	[0xfe, 1, 1],
	[0xff, 1, 1],
]
/** Of arguments for which the result is exact: what loads them, and the function. */
const EXACT: readonly (readonly [load: readonly Piece[], opcode: number])[] = [
	[[FLDZ], 0xf0],
	[[FLDZ, FCHS], 0xf0],
	[[FLD1, FCHS], 0xf0],
	[[FLD1, FLD1], 0xf1],
	[[FLD1, FLDZ], 0xf9],
	[[FLDZ], 0xf2],
	[[FLDZ], 0xfb],
	[[FLDZ, FCHS], 0xfe],
	[[FLDZ], 0xff],
	[[FLDZ, FLD1], 0xf3],
]

/** On an empty stack with everything masked: results that are exact stay, others are written over. */
function transcendental(random: Random): Piece {
	const before = x87(0xdb, 0xe3)
	if (random.oneIn(2)) {
		const [load, opcode] = random.pick(EXACT)
		return together('fninit; transcendental', [before, ...load, x87(0xd9, opcode), FNCLEX])
	}
	const [opcode, takes, leaves] = random.pick(FUNCTIONS)
	const doubles = DOUBLES_OFFSET - POINTER_OFFSET
	const load = () => make('', { opcode: [0xdd], reg: 0, rm: at(doubles + random.below(DOUBLES_SIZE / 8) * 8) })
	const repeat = (count: number, one: () => Piece) => Array.from({ length: count }, one)
	return together('fninit; transcendental; fninit', [
		before,
		...repeat(takes, load),
		x87(0xd9, opcode),
		// Out of range some leave less than others: what is dropped beyond that is empty, and written over all the same.
		...repeat(leaves, () => DROP),
		FNCLEX,
		x87(0xdb, 0xe3),
		...repeat(2, () => FLDZ),
		...repeat(2, () => DROP),
		...(random.oneIn(2)
			? [make('', { opcode: [0xdf, 0xe0] }), make('', { size: 4, opcode: [0x25], immediate: immediate(~CONDITION_CODES, 4) }, LOGIC)]
			: []),
	])
}

export function x87StatePiece(random: Random): Piece {
	return random.pick([fxImage, environment, transcendental, transcendental])(random)
}
