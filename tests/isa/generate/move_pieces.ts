// What moves values, asks flags, uses the stack or works on strings, for programs.

import * as map from '../memory_map.ts'
import type { Random } from '../random.ts'
import { CF, OF, STATUS_FLAGS } from '../state.ts'
import { immediate, type Memory } from './assembler.ts'
import {
	FREE,
	form,
	INDEX,
	locked,
	make,
	memory,
	NAMES,
	RAX,
	RBP,
	RBX,
	RCX,
	RDI,
	RDX,
	RSI,
	RSP,
	register,
	registerOrMemory,
	SIZES,
	suffix,
	usesOf,
} from './piece_parts.ts'
import { type Piece, together } from './program.ts'
import { integer } from './values.ts'

// ---- moves ----------------------------------------------------------------------------------------------------------------------

export function move(random: Random): Piece {
	const size = random.pick(SIZES)
	const high = size === 1 && random.oneIn(3)
	const rm = registerOrMemory(random, size, high)
	const reg = register(random, size, high)
	const bytes = size === 1
	switch (random.below(8)) {
		case 0:
			return make(`mov${suffix(size)} ${form(rm)},imm`, {
				size,
				bytes,
				rm,
				reg: 0,
				opcode: [bytes ? 0xc6 : 0xc7],
				immediate: immediate(integer(random, size), Math.min(size, 4)),
			})
		case 1:
			return make(`mov${suffix(size)} r,imm`, {
				size,
				bytes,
				plus: reg,
				opcode: [bytes ? 0xb0 : 0xb8],
				immediate: immediate(integer(random, size), size),
			})
		case 2:
		case 3:
			return make(`mov${suffix(size)} r,${form(rm)}`, { size, bytes, rm, reg, opcode: [bytes ? 0x8a : 0x8b] })
		case 4:
		case 5:
			return make(`mov${suffix(size)} ${form(rm)},r`, { size, bytes, rm, reg, opcode: [bytes ? 0x88 : 0x89] })
		case 6:
			return make(`xchg${suffix(size)} ${form(rm)},r`, {
				size,
				bytes,
				rm: typeof rm === 'object' ? locked(random, size, high) : rm,
				reg,
				opcode: [bytes ? 0x86 : 0x87],
			})
		default: {
			const plus = random.pick(FREE)
			return make(`xchg${suffix(Math.max(size, 2))} r,rax`, { size: Math.max(size, 2), plus, opcode: [0x90] })
		}
	}
}

export function extend(random: Random): Piece {
	const size = random.pick([2, 4, 4, 8, 8])
	if (random.oneIn(4)) {
		const rm = registerOrMemory(random, 4, false)
		return make(`movslq r,${form(rm)}`, { size: 8, rm, reg: register(random, 8), opcode: [0x63] })
	}
	const from = random.pick([1, 2])
	const high = from === 1 && size < 8 && random.oneIn(3)
	const rm = registerOrMemory(random, from, high)
	const signed = random.oneIn(2)
	const reg = high ? random.pick([RAX, RCX, RDX, RBP, RSI, RDI]) : register(random, size)
	const opcode = [0x0f, (signed ? 0xbe : 0xb6) + (from === 2 ? 1 : 0)]
	const bytes = from === 1 && typeof rm === 'number'
	return make(`mov${signed ? 's' : 'z'}${suffix(from)}${suffix(size)} r,${form(rm)}`, { size, bytes: bytes && !high, rm, reg, opcode })
}

export function lea(random: Random): Piece {
	const size = random.pick([2, 4, 4, 8, 8])
	const base = random.oneIn(4) ? undefined : random.pick([...FREE, RBX, RSP, INDEX])
	const index = random.oneIn(3) ? undefined : random.pick([...FREE, INDEX])
	const disp = random.oneIn(3) ? 0 : random.oneIn(2) ? random.below(256) - 128 : random.u32() | 0
	const rm: Memory = {
		...(base === undefined ? {} : { base }),
		...(index === undefined ? {} : { index }),
		scale: index === undefined ? 0 : random.below(4),
		disp,
	}
	return make(`lea${suffix(size)}`, { size, rm, reg: register(random, size), opcode: [0x8d] })
}

export function convert(random: Random): Piece {
	const size = random.pick([2, 4, 4, 8, 8])
	switch (random.below(3)) {
		case 0:
			return make(`cbw${suffix(size)}`, { size, opcode: [0x98] })
		case 1:
			return make(`cwd${suffix(size)}`, { size, opcode: [0x99] })
		default: {
			const wide = random.pick([4, 8])
			return make(`bswap${suffix(wide)}`, { size: wide, opcode: [0x0f, 0xc8], plus: register(random, wide) })
		}
	}
}

// ---- flags -----------------------------------------------------------------------------------------------------------------------

export function setcc(random: Random): Piece {
	const cc = random.below(16)
	const high = random.oneIn(4)
	const rm = registerOrMemory(random, 1, high)
	return make(`set${NAMES[cc]} ${form(rm)}`, { bytes: true, rm, reg: 0, opcode: [0x0f, 0x90 + cc] }, { uses: usesOf(cc) })
}

export function cmovcc(random: Random): Piece {
	const cc = random.below(16)
	const size = random.pick([2, 4, 4, 8, 8])
	const rm = registerOrMemory(random, size, false)
	return make(
		`cmov${NAMES[cc]}${suffix(size)} r,${form(rm)}`,
		{ size, rm, reg: register(random, size), opcode: [0x0f, 0x40 + cc] },
		{ uses: usesOf(cc) },
	)
}

export function flagTransfer(random: Random): Piece {
	const pushf = make('pushf', { opcode: [0x9c] }, { uses: STATUS_FLAGS })
	switch (random.below(7)) {
		case 0:
			return make('lahf', { opcode: [0x9f] }, { uses: STATUS_FLAGS & ~OF })
		case 1:
			return make('sahf', { opcode: [0x9e] }, { defines: STATUS_FLAGS & ~OF })
		case 2:
			return make('cmc', { opcode: [0xf5] }, { uses: CF, defines: CF })
		case 3:
			return random.oneIn(2) ? make('stc', { opcode: [0xf9] }, { defines: CF }) : make('clc', { opcode: [0xf8] }, { defines: CF })
		case 4:
			return together('pushf; pop', [pushf, make('', { opcode: [0x58], plus: random.pick(FREE) })])
		case 5: {
			const flip = make('', { size: 4, opcode: [0x81], reg: 6, rm: { base: RSP }, immediate: immediate(random.u32() & STATUS_FLAGS, 4) })
			return together('pushf; xor; popf', [pushf, flip, make('', { opcode: [0x9d] }, { defines: STATUS_FLAGS })])
		}
		default: {
			// Direction, put back at once.
			const string = make('', { prefix: 0xf3, opcode: [random.pick([0xa4, 0xaa])] })
			return together('std; rep; cld', [make('', { opcode: [0xfd] }), ...pointers(random, 40), string, make('', { opcode: [0xfc] })])
		}
	}
}

// ---- stack ---------------------------------------------------------------------------------------------------------------------

/** What the pieces between have on the stack comes off in the end. */
export function stackGroup(random: Random, inside: readonly Piece[]): Piece[] {
	const out: Piece[] = []
	const kind = random.below(6)
	const push = (n: number) => make('push r', { opcode: [0x50], plus: n })
	const pop = (n: number) => make('pop r', { opcode: [0x58], plus: n })
	if (kind === 0) out.push(make('push imm', { opcode: [0x68], immediate: immediate(random.u32(), 4) }))
	else if (kind === 1) out.push(make('push m', { opcode: [0xff], reg: 6, rm: memory(random, 8) }))
	else if (kind === 2) out.push(make('push imm8', { opcode: [0x6a], immediate: [random.below(256)] }))
	else if (kind === 3) out.push(push(RSP))
	else out.push(push(random.pick(FREE)))
	out.push(...inside)
	const last = random.below(5)
	if (last === 0) out.push(make('pop m', { opcode: [0x8f], reg: 0, rm: memory(random, 8) }))
	else if (last === 1) out.push(make('lea rsp,[rsp+8]', { size: 8, opcode: [0x8d], reg: RSP, rm: { base: RSP, disp: 8 } }))
	else if (last === 2) out.push(make('add rsp,8', { size: 8, opcode: [0x83], reg: 0, rm: RSP, immediate: [8] }, { defines: STATUS_FLAGS }))
	else out.push(pop(random.pick(FREE)))
	return out
}

export function frame(random: Random): Piece {
	const push = make('', { opcode: [0x55] })
	const down = make('', { size: 8, opcode: [0x89], reg: RSP, rm: RBP })
	const local = make('', { size: 8, opcode: [0x89], reg: random.pick(FREE), rm: { base: RBP, disp: -16 } })
	const leave = make('', { opcode: [0xc9] })
	if (random.oneIn(3)) return together('enter; leave', [make('', { opcode: [0xc8], immediate: [random.below(4) * 8, 0, 0] }), leave])
	return together('push rbp; mov; mov; leave', [push, down, local, leave])
}

// ---- strings --------------------------------------------------------------------------------------------------------------------

/** RDI, RSI and a small count in RCX. */
function pointers(random: Random, least = 0): Piece[] {
	const point = (plus: number) =>
		make('', {
			size: 8,
			opcode: [0xb8],
			plus,
			immediate: immediate((random.oneIn(2) ? map.DATA_VA : map.HIGH_VA) + 0x400 + least * 8 + random.below(0x1f00), 8),
		})
	return [
		point(RDI),
		point(RSI),
		make('', { size: 4, opcode: [0xb8], plus: RCX, immediate: immediate(random.oneIn(8) ? 0 : 1 + random.below(20), 4) }),
	]
}

export function string(random: Random): Piece {
	const [name, opcode, compares] = random.pick([
		['movs', 0xa4, false],
		['stos', 0xaa, false],
		['lods', 0xac, false],
		['cmps', 0xa6, true],
		['scas', 0xae, true],
	] as const)
	const size = random.pick([1, 2, 4, 8])
	const repeat = random.oneIn(4) ? 0 : compares && random.oneIn(2) ? 0xf2 : 0xf3
	const set = pointers(random)
	// A comparison of no elements leaves the flags.
	const flags = compares && repeat === 0 ? { defines: STATUS_FLAGS } : {}
	const one = make('', { size, ...(repeat ? { prefix: repeat } : {}), opcode: [size === 1 ? opcode : opcode + 1] }, flags)
	return together(`${repeat === 0 ? '' : repeat === 0xf2 ? 'repne ' : 'repe '}${name}${suffix(size)}`, [...set, one])
}
