// Instructions for programs that compilers seldom emit.

import type { Random } from '../random.ts'
import { AF, STATUS_FLAGS, ZF } from '../state.ts'
import { immediate } from './assembler.ts'
import { farPiece } from './far_pieces.ts'
import { FREE, make, memory, RAX, RCX, RDI, RDX } from './piece_parts.ts'
import { type Piece, piece, together } from './program.ts'
import { x87Piece } from './x87_pieces.ts'
import { x87StatePiece } from './x87_state_pieces.ts'

const LOGIC = { defines: STATUS_FLAGS & ~AF, undefines: AF }

/** CMPXCHG8B CMPXCHG16B, equal half of the time. RBX is a pointer and stays the same. */
function exchangePair(random: Random): Piece {
	const size = random.pick([4, 8])
	const rm = memory(random, 16, false, 16)
	const exchange = make('', { size, lock: random.oneIn(2), opcode: [0x0f, 0xc7], reg: 1, rm }, { defines: ZF })
	const name = size === 8 ? 'cmpxchg16b' : 'cmpxchg8b'
	if (random.oneIn(2)) return together(name, [exchange])
	// What is there becomes what is compared.
	return together(`${name}; ${name}`, [exchange, exchange])
}

/** XLAT: RBX points to the table. */
function translateByte(random: Random): Piece {
	if (random.oneIn(2)) return make('xlat', { opcode: [0xd7] })
	return together('mov al; xlat', [
		make('', { bytes: true, opcode: [0xb0], plus: RAX, immediate: [random.below(256)] }),
		make('', { opcode: [0xd7] }),
	])
}

/** MASKMOVDQU MASKMOVQ. */
function maskedStore(random: Random): Piece {
	let rm = memory(random, 16)
	while (rm.segment !== undefined) rm = memory(random, 16)
	const place = make('', { size: 8, opcode: [0x8d], reg: RDI, rm })
	const wide = random.oneIn(2)
	const registers = 0xc0 + random.below(64)
	const store = make('', { opcode: [...(wide ? [0x66] : []), 0x0f, 0xf7, registers] })
	return together(wide ? 'lea; maskmovdqu' : 'lea; maskmovq', [place, store])
}

/** PUSH and POP of two bytes, twice, so that RSP is aligned again and comes out as it was. */
function shortStack(random: Random): Piece {
	const push = () => make('', { size: 2, opcode: [0x50], plus: random.pick(FREE) })
	const pop = () => make('', { size: 2, opcode: [0x58], plus: random.pick(FREE) })
	return together('pushw; pushw; popw; popw', [push(), push(), pop(), pop()])
}

function exchange(random: Random): Piece {
	const size = random.pick([2, 4, 8])
	if (random.oneIn(2)) return make('xchg r,rax', { size, opcode: [0x90], plus: random.pick(FREE) })
	return make('bswap', { size: size === 2 ? 4 : size, opcode: [0x0f, 0xc8], plus: random.pick(FREE) })
}

/** MOV from CS or SS, MOVNTI, fences. */
function odd(random: Random): Piece {
	switch (random.below(3)) {
		case 0:
			return make('mov r,seg', { size: random.pick([2, 4, 8]), opcode: [0x8c], reg: random.pick([1, 2]), rm: random.pick(FREE) })
		case 1:
			return make('movnti', { size: random.pick([4, 8]), opcode: [0x0f, 0xc3], reg: random.pick(FREE), rm: memory(random, 8) })
		default:
			return make('fence', { opcode: [0x0f, 0xae, random.pick([0xe8, 0xf0, 0xf8])] })
	}
}

/** DIV and IDIV that may raise #DE. */
function wildDivision(random: Random): Piece {
	const size = random.pick([2, 4, 8])
	const zero = random.oneIn(2) ? [make('', { size: 4, opcode: [0xb8], plus: RDX, immediate: immediate(0, 4) })] : []
	const some = random.oneIn(8) ? [] : [make('', { size, opcode: [0x83], reg: 1, rm: RCX, immediate: [1] }, LOGIC)]
	const division = make('', { size, opcode: [0xf7], reg: random.oneIn(4) ? 7 : 6, rm: RCX }, { undefines: STATUS_FLAGS })
	return together('wild div', [...zero, ...some, division])
}

/** LOOP LOOPE LOOPNE over a jump: taken whatever the count, as it leads to the same place. */
export function countingJump(random: Random, over: number, to: number): Piece[] {
	const [name, opcode, uses] = random.pick([
		['loop', 0xe2, 0],
		['loope', 0xe1, ZF],
		['loopne', 0xe0, ZF],
	] as const)
	const taken = piece(`${name} L${over}`, [], { uses, flow: { kind: 'jump', label: over, conditional: true, short: [opcode] } })
	const count = make('', { size: 8, opcode: [0x83], reg: 4, rm: RCX, immediate: [3] }, LOGIC)
	return [
		...(random.oneIn(2) ? [count] : []),
		taken,
		piece(`jmp L${to}`, [], { flow: { kind: 'jump', label: to, conditional: false, short: [0xeb], near: [0xe9] } }),
		piece(`L${over}:`, [], { label: over }),
	]
}

const RARE = [
	x87Piece,
	x87Piece,
	x87Piece,
	x87Piece,
	x87Piece,
	exchangePair,
	translateByte,
	maskedStore,
	shortStack,
	exchange,
	odd,
	wildDivision,
	x87StatePiece,
	x87StatePiece,
	farPiece,
	farPiece,
]

export function rarePiece(random: Random): Piece {
	return random.pick(RARE)(random)
}
