// Far transfers and segment registers for programs: to the same code segment, or through compatibility code and back. Each is one piece, which control leaves behind it.

import { USER_CS32, USER_CS64, USER_DS } from '../memory_map.ts'
import type { Random } from '../random.ts'
import { AF, CF, STATUS_FLAGS, ZF } from '../state.ts'
import { immediate } from './assembler.ts'
import { FREE, make, POINTER_OFFSET, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from './piece_parts.ts'
import { type Piece, piece, together } from './program.ts'
import { SELECTORS } from './special/common.ts'

/** Part of a piece: LEA of the address of the part that a place is told to be before. */
interface Pointer {
	readonly register: number
	/** Place among the parts. */
	readonly to: number
}
type Part = Piece | Pointer

const LEA_LENGTH = 7
const isPointer = (part: Part): part is Pointer => 'to' in part

/** Parts that stay together, with pointers into them. */
function layOut(name: string, parts: readonly Part[]): Piece {
	const starts = [0]
	for (const part of parts) starts.push(starts.at(-1)! + (isPointer(part) ? LEA_LENGTH : part.bytes.length))
	const pieces = parts.map((part, n) => {
		if (!isPointer(part)) return part
		const { register, to } = part
		const rex = register & 8 ? 0x4c : 0x48
		return piece('', [rex, 0x8d, ((register & 7) << 3) | 5, ...immediate(starts[to]! - starts[n + 1]!, 4)])
	})
	return { ...together(name, pieces), flow: { kind: 'next' } }
}

const UD2 = piece('ud2', [0x0f, 0x0b])
const pushByte = (value: number) => make('', { opcode: [0x6a], immediate: [value] })
const push = (plus: number) => make('', { opcode: [0x50], plus })
const moveStack = (disp: number) => make('', { size: 8, opcode: [0x8d], reg: RSP, rm: { base: RSP, disp } })
const storeStack = (reg: number, disp: number) => make('', { size: 4, opcode: [0x89], reg, rm: { base: RSP, disp } })
const storeSelector = (selector: number, disp: number) =>
	make('', { size: 4, opcode: [0xc7], reg: 0, rm: { base: RSP, disp }, immediate: immediate(selector, 4) })
const set = (plus: number, value: number) => make('', { size: 4, opcode: [0xb8], plus, immediate: immediate(value, 4) })

/** RETF with a 64-bit operand size; half of them drop 8 bytes more. */
function returnFar(random: Random): Piece {
	const register = random.pick(FREE)
	const frame = [pushByte(USER_CS64), push(register)]
	if (random.oneIn(2)) return layOut('retfq', [{ register, to: 5 }, ...frame, piece('', [0x48, 0xcb]), UD2])
	return layOut('retfq 8', [{ register, to: 6 }, push(RSI), ...frame, piece('', [0x48, 0xca, 8, 0]), UD2])
}

/** IRETQ, with the flags as they are or others. */
function returnFromInterrupt(random: Random): Piece {
	const [target, stack] = [RAX, RCX]
	const flags = random.oneIn(2)
		? make('', { opcode: [0x9c] }, { uses: STATUS_FLAGS })
		: make('', { opcode: [0x68], immediate: immediate(0x202 | (random.u32() & STATUS_FLAGS), 4) })
	return layOut('iretq', [
		{ register: target, to: 9 },
		make('', { size: 8, opcode: [0x89], reg: RSP, rm: stack }),
		pushByte(USER_DS),
		push(stack),
		flags,
		pushByte(USER_CS64),
		push(target),
		piece('', [0x48, 0xcf], { defines: STATUS_FLAGS }),
		UD2,
	])
}

/** JMP to a far pointer on the stack. */
function jumpFar(random: Random): Piece {
	const register = random.pick(FREE)
	const jump = make('', { opcode: [0xff], reg: 5, rm: { base: RSP } })
	return layOut('ljmp', [
		{ register, to: 6 },
		moveStack(-16),
		storeStack(register, 0),
		storeSelector(USER_CS64, 4),
		jump,
		UD2,
		moveStack(16),
	])
}

/** CALL of a far pointer on the stack, and RETF with a 32-bit operand size. */
function callFar(random: Random): Piece {
	const register = random.pick(FREE)
	const call = make('', { opcode: [0xff], reg: 3, rm: { base: RSP } })
	const routine = [make('', { size: 8, opcode: [0x8d], reg: RDX, rm: { base: RDX, disp: 3 } }), piece('', [0xcb])]
	const over = piece('', [0xeb, routine.reduce((sum, { bytes }) => sum + bytes.length, 0)])
	const before = [moveStack(-16), storeStack(register, 0), storeSelector(USER_CS64, 4), call, moveStack(16), over]
	return layOut('lcall; lret', [{ register, to: 7 }, ...before, ...routine])
}

/** General registers of compatibility code whose upper half is cleared before: what becomes of it is the processor's choice. */
const LOW = [RAX, RCX, RDX, RBP, RSI, RDI]

/** Instructions of compatibility code; data segments are flat. */
function compatible(random: Random): Piece {
	const [a, b] = [random.pick(LOW), random.pick(LOW)]
	const at = immediate(0x400 + random.below(0x2000) - POINTER_OFFSET, 4)
	const toMemory = (register: number) => 0x80 | (register << 3) | RBX
	switch (random.below(10)) {
		case 0:
			return piece('inc', [0x40 + a], { defines: STATUS_FLAGS & ~CF })
		case 1:
			return piece('dec', [0x48 + a], { defines: STATUS_FLAGS & ~CF })
		case 2:
			return piece('push; pop', [0x50 + a, 0x58 + b])
		case 3:
			return piece('pusha; popa', [0x60, 0x61])
		case 4:
			return piece('add', [0x81, 0xc0 + a, ...immediate(random.u32(), 4)], { defines: STATUS_FLAGS })
		case 5:
			return piece('load', [0x8b, toMemory(a), ...at])
		case 6:
			return piece('store', [0x89, toMemory(a), ...at])
		case 7:
			// To the next instruction, whose address is then popped.
			return piece('call; pop', [0xe8, 0, 0, 0, 0, 0x58 + a])
		case 8:
			return piece('mov; add; loop', [0xb9, ...immediate(1 + random.below(6), 4), 0x01, 0xd0, 0xe2, 0xfc], { defines: STATUS_FLAGS })
		default:
			return piece('movd; paddd', [0x66, 0x0f, 0x6e, 0xc0 | (random.below(8) << 3) | a, 0x66, 0x0f, 0xfe, 0xc0 | random.below(64)])
	}
}

/** Far jump to compatibility code, which returns to where 64-bit code goes on. */
function throughCompatibility(random: Random): Piece {
	const code = Array.from({ length: random.below(6) }, () => compatible(random))
	const before: Part[] = [
		set(RAX, USER_DS),
		...[3, 0].map((reg) => make('', { opcode: [0x8e], reg, rm: RAX })),
		...LOW.map((n) => make('', { size: 4, opcode: [0x89], reg: n, rm: n })),
		moveStack(-16),
	]
	const jump = make('', { opcode: [0xff], reg: 5, rm: { base: RSP, disp: 8 } })
	const first = before.length + 7
	return layOut('ljmp; compatibility code; lret', [
		...before,
		{ register: RAX, to: first },
		storeStack(RAX, 8),
		storeSelector(USER_CS32, 12),
		{ register: RAX, to: first + code.length + 1 },
		storeStack(RAX, 0),
		storeSelector(USER_CS64, 4),
		jump,
		...code,
		piece('', [0xcb]),
		moveStack(8),
	])
}

const NAMES: readonly (readonly [name: string, reg: number])[] = [
	['es', 0],
	['ss', 2],
	['ds', 3],
	['fs', 4],
]

/** Loads of selectors that user mode may have, and what they then are. GS stays, as memory is reached through it. */
function segment(random: Random): Piece {
	const [name, reg] = random.pick(NAMES)
	const selector = reg === 2 || random.oneIn(2) ? USER_DS : 0
	const [from, to] = [random.pick(FREE), random.pick(FREE)]
	const fetch = make('', { size: random.pick([2, 4, 8]), opcode: [0x8c], reg, rm: to })
	if (reg === 4 && random.oneIn(2)) {
		const [pushFs, popFs] = [piece('', [0x0f, 0xa0]), piece('', [0x0f, 0xa1])]
		return together('push; pop fs; push fs; pop', [pushByte(selector), popFs, pushFs, make('', { opcode: [0x58], plus: to })])
	}
	return together(`mov ${name},r; mov r,${name}`, [set(from, selector), make('', { opcode: [0x8e], reg, rm: from }), fetch])
}

/** LAR LSL VERR VERW of any selector. */
function askSelector(random: Random): Piece {
	const from = random.pick(FREE)
	const load = set(from, random.pick(SELECTORS))
	if (random.oneIn(2)) {
		const verify = make('', { opcode: [0x0f, 0x00], reg: random.pick([4, 5]), rm: from }, { defines: ZF })
		return together('verr or verw', [load, verify])
	}
	const ask = make('', { size: 4, opcode: [0x0f, random.pick([2, 3])], reg: random.pick(FREE), rm: from }, { defines: ZF })
	return together('lar or lsl', [load, ask])
}

const FAR = [returnFar, returnFromInterrupt, jumpFar, callFar, throughCompatibility, throughCompatibility, segment, segment, askSelector]

export function farPiece(random: Random): Piece {
	return random.pick(FAR)(random)
}

/** A far return or a load of a segment register that is refused. */
export function farFault(random: Random): Piece {
	const register = random.pick(FREE)
	if (random.oneIn(2)) {
		const selector = random.pick([0x08, 0x10, 0x13, 0x18, 0x1b, 0x20, 0x28, USER_DS, 0, 3])
		return layOut('retfq fault', [{ register, to: 4 }, pushByte(selector), push(register), piece('', [0x48, 0xcb])])
	}
	const [reg, selectors] = random.pick([
		[2, [0, 3, 0x18, 0x23, 0x33]],
		[3, [0x08, 0x10, 0x18, 0x20, 0x28, 0x30]],
	] as const)
	const logic = { defines: STATUS_FLAGS & ~AF, undefines: AF }
	const clear = make('', { size: 4, opcode: [0x31], reg: register, rm: register }, logic)
	const load = make('', { size: 2, opcode: [0xb8], plus: register, immediate: immediate(random.pick(selectors), 2) })
	return together('mov seg,r fault', [clear, load, make('', { opcode: [0x8e], reg, rm: register })])
}
