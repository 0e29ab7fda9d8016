// Pieces that write to the program's own code, and the code that they change.

import type { Random } from '../random.ts'
import { AF, STATUS_FLAGS } from '../state.ts'
import { immediate } from './assembler.ts'
import { FREE, make, RCX, RDI, RSI } from './piece_parts.ts'
import { defineFlags, integerPiece } from './pieces.ts'
import { label, type Piece, piece, together } from './program.ts'

/** An operand `addend` bytes behind a label: its displacement is the four bytes that end `tail` bytes before the instruction's end. */
function behind(one: Piece, to: number, addend: number, tail = 0): Piece {
	const end = one.bytes.length
	return { ...one, references: [{ at: end - 4 - tail, end, label: to, addend }] }
}

const HERE = { rip: 0 }

/** Writes into code that follows soon, or that has run before. */
export function selfModification(random: Random, newLabel: () => number): Piece[] {
	const to = newLabel()
	const register = random.pick(FREE)
	const [store, code] = random.pick([changedConstant, changedOperation, changedCondition, copied])(random, to, register, newLabel)
	const between = Array.from({ length: random.below(4) }, () => integerPiece(random))
	if (random.oneIn(3)) return [...store, ...code]
	// The code runs with its old bytes first, then again with new ones.
	if (random.oneIn(2)) {
		const over = newLabel()
		const again = newLabel()
		const count = make('mov r15d,2', { size: 4, opcode: [0xb8], plus: 15, immediate: immediate(2, 4) })
		const down = make('dec r15d', { size: 4, opcode: [0xff], reg: 1, rm: 15 }, { defines: STATUS_FLAGS & ~1 })
		const out = piece(`js L${over}`, [], {
			uses: 0x80,
			flow: { kind: 'jump', label: over, conditional: true, short: [0x78], near: [0x0f, 0x88] },
		})
		const back = piece(`jmp L${again}`, [], { flow: { kind: 'jump', label: again, conditional: false, short: [0xeb], near: [0xe9] } })
		return [count, label(again), down, out, ...code, ...between, ...store, back, label(over)]
	}
	return [...store, ...between, ...code]
}

/** `code` holds label `to`. */
type Change = (random: Random, to: number, register: number, newLabel: () => number) => readonly [store: Piece[], code: Piece[]]

/** MOV r,imm32 with another immediate. */
const changedConstant: Change = (random, to, register) => {
	const code = make('mov r,imm', { size: 4, opcode: [0xb8], plus: register, immediate: immediate(random.u32(), 4) })
	const at = code.bytes.length - 4
	const size = random.pick([1, 2, 4])
	const addend = at + random.below(5 - size)
	const bytes = size === 1
	const from = random.pick([0, 1, 2])
	switch (random.below(3)) {
		case 0: {
			const one = make(`mov [L${to}],imm`, {
				size,
				bytes,
				opcode: [bytes ? 0xc6 : 0xc7],
				reg: 0,
				rm: HERE,
				immediate: immediate(random.u32(), size),
			})
			return [[behind(one, to, addend, size)], [label(to), code]]
		}
		case 1:
			return [
				[behind(make(`mov [L${to}],r`, { size, bytes, opcode: [bytes ? 0x88 : 0x89], reg: from, rm: HERE }), to, addend)],
				[label(to), code],
			]
		default: {
			const one = make(`add [L${to}],r`, { size, bytes, opcode: [bytes ? 0 : 1], reg: from, rm: HERE }, { defines: STATUS_FLAGS })
			return [[behind(one, to, addend)], [label(to), code]]
		}
	}
}

/** ADD becomes SUB and the other way round. */
const changedOperation: Change = (random, to, register) => {
	const size = random.pick([4, 8])
	const code = make(
		'add/sub r,r',
		{ size, opcode: [random.pick([0x01, 0x29])], reg: random.pick(FREE), rm: register },
		{ defines: STATUS_FLAGS },
	)
	const one = make(
		`xor [L${to}],28`,
		{ size: 1, bytes: true, lock: random.oneIn(3), opcode: [0x80], reg: 6, rm: HERE, immediate: [0x28] },
		{ defines: STATUS_FLAGS & ~AF, undefines: AF },
	)
	return [[behind(one, to, code.bytes.length - 2, 1)], [label(to), code]]
}

/** A condition becomes its opposite. */
const changedCondition: Change = (random, to, _register, newLabel) => {
	const over = newLabel()
	const cc = random.below(16)
	// Short, so that its condition is in the first byte: what it jumps over is.
	const code = piece(`j${cc} near L${over}`, [], {
		uses: STATUS_FLAGS,
		flow: { kind: 'jump', label: over, conditional: true, short: [0x70 + cc], near: [0x0f, 0x80 + cc] },
	})
	const one = make(
		`xor [L${to}],1`,
		{ size: 1, bytes: true, lock: random.oneIn(3), opcode: [0x80], reg: 6, rm: HERE, immediate: [1] },
		{ defines: STATUS_FLAGS & ~AF, undefines: AF },
	)
	return [
		[behind(one, to, 0, 1)],
		[
			defineFlags(random),
			label(to),
			code,
			make('inc', { size: 4, opcode: [0xff], reg: 0, rm: random.pick(FREE) }, { defines: STATUS_FLAGS & ~1 }),
			label(over),
		],
	]
}

/** REP MOVSB, or one wide store, of code that is elsewhere over code of the same length. */
const copied: Change = (random, to, _register, newLabel) => {
	const from = newLabel()
	const over = newLabel()
	const code = defineFlags(random)
	const length = code.bytes.length
	const other = Array.from({ length: 20 }, () => defineFlags(random)).find((p) => p.bytes.length === length && p.references.length === 0)
	if (other === undefined || code.references.length > 0) return changedConstant(random, to, RSI, newLabel)
	const pointer = (register: number, place: number) => behind(make('', { size: 8, opcode: [0x8d], reg: register, rm: HERE }), place, 0)
	const count = make('', { size: 4, opcode: [0xb8], plus: RCX, immediate: immediate(length, 4) })
	const copy = together(`copy L${from} to L${to}`, [
		pointer(RSI, from),
		pointer(RDI, to),
		count,
		make('', { prefix: 0xf3, opcode: [0xa4] }),
	])
	const skip = piece(`jmp L${over}`, [], { flow: { kind: 'jump', label: over, conditional: false, short: [0xeb], near: [0xe9] } })
	return [[copy], [label(to), code, skip, label(from), other, label(over)]]
}
