// SSE for programs.

import type { Random } from '../random.ts'
import { STATUS_FLAGS } from '../state.ts'
import { immediate, type Memory } from './assembler.ts'
import { DOUBLES_OFFSET, DOUBLES_SIZE, HIGH_POINTER, INDEX, make, memory, POINTER_OFFSET, RBX, register } from './piece_parts.ts'
import { type Piece, together } from './program.ts'

const PACKED = [
	0xdb, 0xdf, 0xeb, 0xef, 0xfc, 0xfd, 0xfe, 0xd4, 0xf8, 0xf9, 0xfa, 0xfb, 0x74, 0x75, 0x76, 0xd5, 0x60, 0x61, 0x62, 0x6c, 0x64, 0x66, 0xda,
	0xde,
]
const xmm = (random: Random) => random.below(16)

function doubles(random: Random, size: number): Memory {
	const offset = DOUBLES_OFFSET + random.below(DOUBLES_SIZE / size) * size
	if (random.oneIn(3)) return memory(random, size)
	return random.oneIn(2)
		? { base: RBX, disp: offset - POINTER_OFFSET }
		: { base: HIGH_POINTER, index: INDEX, disp: offset - POINTER_OFFSET, scale: 3 }
}

/** Loads of operands that make ordinary results come before most arithmetic. */
export function scalar(random: Random): Piece {
	const size = random.pick([8, 8, 4])
	const prefix = size === 8 ? 0xf2 : 0xf3
	const type = size === 8 ? 'sd' : 'ss'
	const rm = random.oneIn(2) ? xmm(random) : doubles(random, size)
	const [name, opcode] = random.pick([
		['add', 0x58],
		['mul', 0x59],
		['sub', 0x5c],
		['div', 0x5e],
		['sqrt', 0x51],
		['min', 0x5d],
		['max', 0x5f],
		['cvt', 0x5a],
		['mov', 0x10],
		['mov', 0x10],
	] as const)
	return make(`${name}${type} x,${typeof rm === 'number' ? 'x' : 'm'}`, { prefix, opcode: [0x0f, opcode], reg: xmm(random), rm })
}

export function sseMove(random: Random): Piece {
	const reg = xmm(random)
	const store = random.oneIn(2)
	switch (random.below(7)) {
		case 0:
		case 1: {
			const rm = random.oneIn(3) ? xmm(random) : memory(random, 16)
			return make(
				store ? 'movups w,x' : 'movups x,w',
				{ prefix: random.pick([0, 0x66, 0xf3]), opcode: [0x0f, 0x10 + (store ? 1 : 0)], reg, rm },
				{},
			)
		}
		case 2: {
			const rm = random.oneIn(3) ? xmm(random) : memory(random, 16, false, 16)
			return make(store ? 'movaps w,x' : 'movaps x,w', { prefix: random.pick([0, 0x66]), opcode: [0x0f, 0x28 + (store ? 1 : 0)], reg, rm })
		}
		case 3: {
			const size = random.pick([4, 8])
			const rm = random.oneIn(2) ? register(random, size) : memory(random, size)
			return encodeMovd(store, size, reg, rm)
		}
		case 4: {
			const rm = random.oneIn(2) ? xmm(random) : memory(random, 8)
			return store
				? make('movq w,x', { prefix: 0x66, opcode: [0x0f, 0xd6], reg, rm })
				: make('movq x,w', { prefix: 0xf3, opcode: [0x0f, 0x7e], reg, rm })
		}
		case 5: {
			const high = random.oneIn(2)
			return make(`mov${high ? 'h' : 'l'}pd`, {
				prefix: random.pick([0, 0x66]),
				opcode: [0x0f, (high ? 0x16 : 0x12) + (store ? 1 : 0)],
				reg,
				rm: memory(random, 8),
			})
		}
		default:
			return make('movsd m,x', {
				prefix: random.pick([0xf2, 0xf3]),
				opcode: [0x0f, 0x11],
				reg,
				rm: random.oneIn(3) ? xmm(random) : doubles(random, 8),
			})
	}
}

/** MOVD and MOVQ: 66 before REX.W. */
function encodeMovd(store: boolean, size: number, reg: number, rm: number | Memory): Piece {
	return make(store ? 'movd e,x' : 'movd x,e', { size, prefix: 0x66, opcode: [0x0f, store ? 0x7e : 0x6e], reg, rm })
}

export function ssePacked(random: Random): Piece {
	const opcode = random.pick(PACKED)
	const rm = random.oneIn(2) ? xmm(random) : memory(random, 16, false, 16)
	return make(`packed ${opcode.toString(16)}`, { prefix: 0x66, opcode: [0x0f, opcode], reg: xmm(random), rm })
}

export function packedFloat(random: Random): Piece {
	const rm = random.oneIn(2) ? xmm(random) : memory(random, 16, false, 16)
	const opcode = random.pick([0x58, 0x59, 0x5c, 0x5e, 0x51, 0x54, 0x55, 0x56, 0x57, 0x14, 0x15, 0x5d, 0x5f])
	return make(`packed float ${opcode.toString(16)}`, { prefix: random.pick([0, 0x66]), opcode: [0x0f, opcode], reg: xmm(random), rm })
}

export function compareFloat(random: Random): Piece {
	const rm = random.oneIn(2) ? xmm(random) : doubles(random, 8)
	const double = !random.oneIn(4)
	const opcode = [0x0f, random.pick([0x2e, 0x2f])]
	return make(
		`comis${double ? 'd' : 's'} x,${typeof rm === 'number' ? 'x' : 'm'}`,
		{ prefix: double ? 0x66 : 0, opcode, reg: xmm(random), rm },
		{ defines: STATUS_FLAGS },
	)
}

export function convertFloat(random: Random): Piece {
	const size = random.pick([4, 8])
	const prefix = random.pick([0xf2, 0xf2, 0xf3])
	if (random.oneIn(2)) {
		const rm = random.oneIn(2) ? register(random, size) : memory(random, size)
		return make('cvtsi2s', { size, prefix, opcode: [0x0f, 0x2a], reg: xmm(random), rm })
	}
	const rm = random.oneIn(2) ? xmm(random) : doubles(random, 8)
	return make('cvts2si', { size, prefix, opcode: [0x0f, random.pick([0x2c, 0x2d])], reg: register(random, size), rm })
}

/** Registers of chains: few, so that results become operands. */
const CHAIN_REGISTERS = 5

/** Scalars and vectors of doubles, singles now and then, copied and shuffled: as compiled arithmetic is. */
export function chain(random: Random): Piece {
	const register = () => random.below(CHAIN_REGISTERS)
	const wide = () =>
		random.oneIn(4) ? { base: RBX, disp: DOUBLES_OFFSET - POINTER_OFFSET + random.below(DOUBLES_SIZE / 16) * 16 } : register()
	const links = Array.from({ length: 2 + random.below(6) }, () => {
		const single = random.oneIn(6)
		const arithmetic = random.pick([0x58, 0x58, 0x59, 0x59, 0x5c, 0x5e, 0x51, 0x5d, 0x5f])
		switch (random.below(9)) {
			case 0:
			case 1:
			case 2: {
				const rm = random.oneIn(3) ? doubles(random, 8) : register()
				return make('', { prefix: single ? 0xf3 : 0xf2, opcode: [0x0f, arithmetic], reg: register(), rm })
			}
			case 3:
			case 4:
				return make('', { prefix: single ? 0 : 0x66, opcode: [0x0f, arithmetic], reg: register(), rm: wide() })
			case 5:
				// MOVAPD, UNPCKLPD, UNPCKHPD, XORPD, ANDPD.
				return make('', {
					prefix: 0x66,
					opcode: [0x0f, random.pick([0x28, 0x28, 0x14, 0x15, 0x57, 0x54])],
					reg: register(),
					rm: register(),
				})
			case 6:
				// MOVSD, MOVSS between registers; MOVHLPS, MOVLHPS; MOVDDUP; MOVQ.
				return random.pick([
					make('', { prefix: random.pick([0xf2, 0xf3]), opcode: [0x0f, random.pick([0x10, 0x11])], reg: register(), rm: register() }),
					make('', { prefix: 0, opcode: [0x0f, random.pick([0x12, 0x16])], reg: register(), rm: register() }),
					make('', { prefix: 0xf2, opcode: [0x0f, 0x12], reg: register(), rm: register() }),
					make('', { prefix: 0xf3, opcode: [0x0f, 0x7e], reg: register(), rm: register() }),
				])
			case 7:
				// CVTSS2SD, CVTSD2SS; SHUFPD, PSHUFD.
				return random.pick([
					make('', { prefix: random.pick([0xf2, 0xf3]), opcode: [0x0f, 0x5a], reg: register(), rm: register() }),
					make('', {
						prefix: 0x66,
						opcode: [0x0f, random.pick([0xc6, 0x70])],
						reg: register(),
						rm: register(),
						immediate: [random.below(256)],
					}),
				])
			default:
				return make('', { prefix: 0xf2, opcode: [0x0f, random.pick([0x10, 0x10, 0x11])], reg: register(), rm: doubles(random, 8) })
		}
	})
	return together('chain', links)
}

/** Another rounding mode, flush to zero, and the like; now and then an exception is not masked. */
export function controlFloat(random: Random): Piece {
	const place = { base: RBX, disp: 0x700 }
	const masks = random.oneIn(8) ? random.u32() & 0x1f80 : 0x1f80
	const mxcsr = random.oneIn(2) ? 0x1fa0 : masks | (random.u32() & 0xe07f)
	const store = make('', { size: 4, opcode: [0xc7], reg: 0, rm: place, immediate: immediate(mxcsr, 4) })
	return together('ldmxcsr', [store, make('', { opcode: [0x0f, 0xae], reg: 2, rm: place })])
}

/** STMXCSR. */
export function storeControl(random: Random): Piece {
	return make('stmxcsr', { opcode: [0x0f, 0xae], reg: 3, rm: memory(random, 4) })
}
