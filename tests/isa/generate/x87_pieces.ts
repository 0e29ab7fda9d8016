// x87 instructions for programs. No condition code is read that isn't a comparison's. Transcendental functions are in x87_state_pieces.ts.

import type { Random } from '../random.ts'
import { CF, OF, PF, STATUS_FLAGS, ZF } from '../state.ts'
import { immediate, type Memory } from './assembler.ts'
import { DOUBLES_OFFSET, DOUBLES_SIZE, make, memory, POINTER_OFFSET, RBX } from './piece_parts.ts'
import { type Piece, together } from './program.ts'

/** Opcode and ModRM.reg of what loads from memory, by size in bytes. */
const LOADS = [
	[4, 0xd9, 0],
	[8, 0xdd, 0],
	[8, 0xdd, 0],
	[10, 0xdb, 5],
	[2, 0xdf, 0],
	[4, 0xdb, 0],
	[8, 0xdf, 5],
	[10, 0xdf, 4],
] as const
/** FST FSTP FIST FISTP FISTTP FBSTP. */
const STORES = [
	[4, 0xd9, 2],
	[4, 0xd9, 3],
	[8, 0xdd, 2],
	[8, 0xdd, 3],
	[10, 0xdb, 7],
	[2, 0xdf, 2],
	[2, 0xdf, 3],
	[4, 0xdb, 2],
	[4, 0xdb, 3],
	[8, 0xdf, 7],
	[2, 0xdf, 1],
	[4, 0xdb, 1],
	[8, 0xdd, 1],
	[10, 0xdf, 6],
] as const
/** Arithmetic with memory: binary32, integers of 32 bits, binary64, integers of 16 bits. */
const ARITHMETIC = [
	[4, 0xd8],
	[4, 0xda],
	[8, 0xdc],
	[2, 0xde],
] as const
/** FCHS FABS FXTRACT FPREM1 FDECSTP FINCSTP FPREM FSQRT FRNDINT FSCALE. */
const UNARY = [0xe0, 0xe1, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xfa, 0xfa, 0xfc, 0xfc, 0xfd]

function operand(random: Random, size: number): Memory {
	if (random.oneIn(3)) return memory(random, size)
	return { base: RBX, disp: DOUBLES_OFFSET - POINTER_OFFSET + random.below(DOUBLES_SIZE / 16) * 16 }
}

function one(random: Random): Piece {
	const i = random.below(random.oneIn(3) ? 8 : 3)
	const plain = (...opcode: number[]) => make('', { opcode })
	switch (random.below(12)) {
		case 0:
		case 1: {
			const [size, opcode, reg] = random.pick(LOADS)
			return make('', { opcode: [opcode], reg, rm: operand(random, size) })
		}
		case 2:
		case 3: {
			const [size, opcode, reg] = random.pick(STORES)
			return make('', { opcode: [opcode], reg, rm: memory(random, size) })
		}
		case 4: {
			const [size, opcode] = random.pick(ARITHMETIC)
			return make('', { opcode: [opcode], reg: random.below(8), rm: operand(random, size) })
		}
		case 5:
			return plain(random.pick([0xd8, 0xdc]), 0xc0 + random.below(8) * 8 + i)
		case 6:
			return plain(0xde, random.pick([0xc0, 0xc8, 0xe0, 0xe8, 0xf0, 0xf8]) + i)
		case 7:
			return plain(0xd9, random.pick(UNARY))
		case 8:
			// FLD FXCH; FST FSTP FFREE FUCOM FUCOMP.
			return random.oneIn(2) ? plain(0xd9, random.pick([0xc0, 0xc8]) + i) : plain(0xdd, random.pick([0xc0, 0xd0, 0xd8, 0xe0, 0xe8]) + i)
		case 9:
			// FLD1 and its like; FTST, FXAM.
			return plain(0xd9, random.pick([0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee]))
		case 10:
			return conditionalMove(random, i)
		default:
			return compareToFlags(random, i)
	}
}

/** FCMOVcc. */
function conditionalMove(random: Random, i: number): Piece {
	const [field, uses] = random.pick([
		[0xc0, CF],
		[0xc8, ZF],
		[0xd0, CF | ZF],
		[0xd8, PF],
	] as const)
	return make('', { opcode: [random.pick([0xda, 0xdb]), field + i] }, { uses })
}

/** FCOMI FUCOMI FCOMIP FUCOMIP; FCOM, FUCOM or FTST and the status word as flags. */
function compareToFlags(random: Random, i: number): Piece {
	if (random.oneIn(2)) return make('', { opcode: [random.pick([0xdb, 0xdf]), random.pick([0xe8, 0xf0]) + i] })
	const compare = random.pick([
		[0xd8, 0xd0 + i],
		[0xd8, 0xd8 + i],
		[0xdd, 0xe0 + i],
		[0xde, 0xd9],
		[0xda, 0xe9],
		[0xd9, 0xe4],
	])
	// The exception of a comparison that wasn't made comes before its condition codes are read.
	const wait = make('', { opcode: [0x9b] })
	const sahf = make('', { opcode: [0x9e] }, { defines: STATUS_FLAGS & ~OF })
	return together('', [make('', { opcode: compare }), wait, make('', { opcode: [0xdf, 0xe0] }), sahf])
}

/** Another precision and rounding; now and then an exception is not masked. FNSTCW, FNINIT, FNCLEX. */
function control(random: Random): Piece {
	const place = { base: RBX, disp: 0x704 }
	const masks = random.oneIn(6) ? random.below(64) : 63
	const word = 0x40 | masks | (random.pick([0, 2, 3, 3]) << 8) | (random.below(4) << 10)
	const store = make('', { size: 2, opcode: [0xc7], reg: 0, rm: place, immediate: immediate(word, 2) })
	switch (random.below(4)) {
		case 0:
			return make('fnstcw', { opcode: [0xd9], reg: 7, rm: memory(random, 2) })
		case 1:
			return make('fninit', { opcode: [0xdb, 0xe3] })
		case 2:
			return make('fnclex', { opcode: [0xdb, 0xe2] })
		default:
			return together('fldcw', [store, make('', { opcode: [0xd9], reg: 5, rm: place })])
	}
}

/** Loads, arithmetic, comparisons and stores; half of them start with an empty stack. */
export function x87Piece(random: Random): Piece {
	if (random.oneIn(6)) return control(random)
	const links = Array.from({ length: 2 + random.below(8) }, () => one(random))
	if (random.oneIn(2)) return together('x87', links)
	const load = () => make('', { opcode: [0xdd], reg: 0, rm: operand(random, 8) })
	return together('fninit; x87', [make('', { opcode: [0xdb, 0xe3] }), load(), load(), ...links])
}
