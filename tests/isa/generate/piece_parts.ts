// What pieces of programs are made of: the registers and memory that they may use, and how one is written.
//
// RSP is the stack, RBX and R12 point into the data region (the latter above 4 GiB), R13 is a small index, R14 and R15 count loops: no piece here changes them
// except advanceIndex().

import * as map from '../memory_map.ts'
import type { Random } from '../random.ts'
import { CF, OF, PF, SF, ZF } from '../state.ts'
import { encode, HIGH_BYTES, type Memory, type Parts } from './assembler.ts'
import { type Piece, piece } from './program.ts'

export const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7] as const
export const [INDEX, OUTER, INNER] = [13, 14, 15] as const
export const HIGH_POINTER = 12
/** Registers that any piece may change. */
export const FREE = [RAX, RCX, RDX, RBP, RSI, RDI, 8, 9, 10, 11]
/** The stack has the data region below this offset to itself. */
export const STACK_SIZE = 0x200
/** Where RBX and R12 point in the data region. */
export const POINTER_OFFSET = 0x1400
/** Doubles that are ordinary numbers, for floating-point operands. */
export const DOUBLES_OFFSET = 0x1400
export const DOUBLES_SIZE = 0x100
export const INDEX_MASK = 63

export const SIZES = [1, 2, 4, 4, 4, 8, 8, 8] as const
export const NAMES = ['o', 'no', 'c', 'nc', 'z', 'nz', 'na', 'a', 's', 'ns', 'p', 'np', 'l', 'nl', 'ng', 'g']
const CONDITION_USES = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, SF | OF | ZF]
export const usesOf = (cc: number): number => CONDITION_USES[cc >> 1]!

/** A piece of one instruction. */
export function make(name: string, parts: Parts, rest: Partial<Piece> = {}): Piece {
	const { bytes, ripAt } = encode(parts)
	const address = typeof parts.rm === 'object' ? parts.rm.rip : undefined
	const references = ripAt === undefined ? [] : [{ at: ripAt, end: bytes.length, ...(address === undefined ? {} : { address }) }]
	return piece(name, bytes, { references, ...rest })
}

/** A general register as an operand of `size` bytes; AH, CH, DH too where `high`. */
export function register(random: Random, size: number, high = false): number {
	return size === 1 && high ? random.pick([...HIGH_BYTES, RAX, RCX, RDX]) : random.pick(FREE)
}

/** A memory operand of `size` bytes that can be written. `plain`: without registers that need REX. */
export function memory(random: Random, size: number, plain = false, align = 1): Memory {
	// Now and then across a page.
	const crossing = random.oneIn(6) && align === 1 && size > 1
	const near = crossing ? random.pick([0x1000, 0x2000]) - 1 - random.below(size - 1) : undefined
	const any = random.oneIn(2) ? 0x1400 + random.below(0x80) : 0x400 + random.below(0x2000)
	const offset = near ?? any - (any % align)
	switch (plain ? random.pick([0, 4, 5]) : random.below(align > 1 ? 6 : 9)) {
		case 0:
		case 1:
			return { base: RBX, disp: offset - POINTER_OFFSET }
		case 2:
			return { base: HIGH_POINTER, disp: offset - POINTER_OFFSET }
		case 3:
			return { segment: 0x65, disp: map.DATA_VA + offset - map.GS_BASE + (map.HIGH_VA - map.DATA_VA) }
		case 4:
			return { disp: map.DATA_VA + offset }
		case 5:
			return { rip: map.DATA_VA + offset }
		default:
			return { base: random.pick([RBX, HIGH_POINTER]), index: INDEX, scale: random.below(4), disp: offset - POINTER_OFFSET }
	}
}

/** Of a locked access: one that crosses a cache line may be punished by the host's kernel. */
export function locked(random: Random, size: number, plain: boolean): Memory {
	return memory(random, size, plain, Math.max(size, 2))
}

export function registerOrMemory(random: Random, size: number, high: boolean): number | Memory {
	return random.oneIn(3) ? memory(random, size, high) : register(random, size, high)
}

export const suffix = (size: number) => ({ 1: 'b', 2: 'w', 4: 'l', 8: 'q' })[size]!
export const form = (rm: number | Memory) => (typeof rm === 'number' ? 'r' : 'm')
