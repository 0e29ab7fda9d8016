// Random instructions for programs, written by hand: what compilers emit, and what translators get wrong. Every one may run with any values in its registers.

import type { Random } from '../random.ts'
import { alu, aluFlags, bitScan, bitTest, divide, doubleShift, exchangeAdd, multiply, shift, test, unary } from './arithmetic_pieces.ts'
import { immediate } from './assembler.ts'
import { cmovcc, convert, extend, flagTransfer, frame, lea, move, setcc, string } from './move_pieces.ts'
import { INDEX, INDEX_MASK, make } from './piece_parts.ts'
import { type Piece, together } from './program.ts'
import { chain, compareFloat, controlFloat, convertFloat, packedFloat, scalar, sseMove, ssePacked, storeControl } from './sse_pieces.ts'

/** The index takes another small value. */
function advanceIndex(random: Random): Piece {
	if (random.oneIn(2))
		return make('mov r13d,imm', { size: 4, opcode: [0xb8], plus: INDEX, immediate: immediate(random.below(INDEX_MASK + 1), 4) })
	const step = make('', { size: 8, opcode: [0x8d], reg: INDEX, rm: { base: INDEX, disp: 1 + random.below(9) } })
	return together('lea r13; and r13d', [
		step,
		make('', { size: 4, opcode: [0x83], reg: 4, rm: INDEX, immediate: [INDEX_MASK] }, aluFlags('and')),
	])
}

const INTEGER: readonly (readonly [weight: number, make: (random: Random) => Piece])[] = [
	[12, alu],
	[5, test],
	[6, unary],
	[8, shift],
	[2, doubleShift],
	[4, multiply],
	[1, divide],
	[4, bitTest],
	[2, bitScan],
	[2, exchangeAdd],
	[9, move],
	[4, extend],
	[4, lea],
	[2, convert],
	[5, setcc],
	[5, cmovcc],
	[3, flagTransfer],
	[1, frame],
	[2, string],
	[2, advanceIndex],
]
const FLOAT: readonly (readonly [weight: number, make: (random: Random) => Piece])[] = [
	[8, scalar],
	[5, chain],
	[6, sseMove],
	[4, ssePacked],
	[2, packedFloat],
	[3, compareFloat],
	[3, convertFloat],
	[1, controlFloat],
]

function pickWeighted(random: Random, choices: readonly (readonly [number, (random: Random) => Piece])[]): Piece {
	let at = random.below(choices.reduce((sum, [weight]) => sum + weight, 0))
	for (const [weight, choice] of choices) {
		at -= weight
		if (at < 0) return choice(random)
	}
	throw new Error('weights do not add up')
}

export function integerPiece(random: Random): Piece {
	return pickWeighted(random, INTEGER)
}

/** Arithmetic, and what changes how it is done. */
export function arithmeticPiece(random: Random): Piece {
	return random.oneIn(12) ? random.pick([controlFloat, storeControl])(random) : chain(random)
}

export function floatPiece(random: Random): Piece {
	return pickWeighted(random, FLOAT)
}

/** Defines every status flag. */
export function defineFlags(random: Random): Piece {
	return alu(random, ['add', 'sub', 'cmp', 'cmp'])
}

/** Something that a condition is often asked of. */
export function producer(random: Random): Piece {
	return random.pick([alu, alu, test, unary, shift, bitTest, multiply, compareFloat])(random)
}
