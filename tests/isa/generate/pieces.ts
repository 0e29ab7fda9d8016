// Random instructions for programs, written by hand: what compilers emit, and what translators get wrong. Every one may run with any values in its registers.
//
// RSP is the stack, RBX and R12 point into the data region (the latter above 4 GiB), R13 is a small index, R14 and R15 count loops: no piece here changes them
// except advanceIndex().

import * as map from '../memory_map.ts'
import type { Random } from '../random.ts'
import { AF, CF, OF, PF, SF, STATUS_FLAGS, ZF } from '../state.ts'
import { undefinedFlags } from '../undefined.ts'
import { encode, HIGH_BYTES, immediate, type Memory, type Parts } from './assembler.ts'
import { type Piece, piece, together } from './program.ts'
import { integer } from './values.ts'

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

const SIZES = [1, 2, 4, 4, 4, 8, 8, 8] as const
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
function register(random: Random, size: number, high = false): number {
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
function locked(random: Random, size: number, plain: boolean): Memory {
	return memory(random, size, plain, Math.max(size, 2))
}

function registerOrMemory(random: Random, size: number, high: boolean): number | Memory {
	return random.oneIn(3) ? memory(random, size, high) : register(random, size, high)
}

const suffix = (size: number) => ({ 1: 'b', 2: 'w', 4: 'l', 8: 'q' })[size]!
const form = (rm: number | Memory) => (typeof rm === 'number' ? 'r' : 'm')

// ---- arithmetic -----------------------------------------------------------------------------------------------------------------

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp']

/** What an operation of this name does to the status flags. */
function aluFlags(name: string): Partial<Piece> {
	if (name === 'adc' || name === 'sbb') return { uses: CF, defines: STATUS_FLAGS }
	if (/^(or|and|xor|test)$/.test(name)) return { defines: STATUS_FLAGS & ~AF, undefines: AF }
	return { defines: STATUS_FLAGS }
}

function shortImmediate(random: Random, size: number): bigint {
	const value = integer(random, size)
	return random.oneIn(3) ? BigInt(random.below(256) - 128) : value
}

function alu(random: Random, names: readonly string[] = ALU): Piece {
	const name = random.pick(names)
	const n = ALU.indexOf(name)
	const size = random.pick(SIZES)
	const high = size === 1 && random.oneIn(3)
	const rm = registerOrMemory(random, size, high)
	const bytes = size === 1
	const rest = aluFlags(name)
	const common = { size, bytes, rm }
	if (name !== 'cmp' && random.oneIn(16))
		return make(
			`lock ${name}${suffix(size)} m,r`,
			{ size, bytes, lock: true, opcode: [n * 8 + (bytes ? 0 : 1)], reg: register(random, size, high), rm: locked(random, size, high) },
			rest,
		)
	switch (random.below(5)) {
		case 0: {
			const wide = Math.min(size, 4)
			const opcode = [bytes ? 0x80 : 0x81]
			return make(
				`${name}${suffix(size)} ${form(rm)},imm`,
				{ ...common, opcode, reg: n, immediate: immediate(integer(random, size), wide) },
				rest,
			)
		}
		case 1:
			return make(
				`${name}${suffix(size)} ${form(rm)},imm8`,
				{ ...common, opcode: [bytes ? 0x80 : 0x83], reg: n, immediate: immediate(shortImmediate(random, 1), 1) },
				rest,
			)
		case 2:
			return make(
				`${name}${suffix(size)} r,${form(rm)}`,
				{ ...common, opcode: [n * 8 + (bytes ? 2 : 3)], reg: register(random, size, high) },
				rest,
			)
		default:
			return make(
				`${name}${suffix(size)} ${form(rm)},r`,
				{ ...common, opcode: [n * 8 + (bytes ? 0 : 1)], reg: register(random, size, high) },
				rest,
			)
	}
}

function test(random: Random): Piece {
	const size = random.pick(SIZES)
	const high = size === 1 && random.oneIn(3)
	const rm = registerOrMemory(random, size, high)
	const bytes = size === 1
	if (random.oneIn(3))
		return make(
			`test${suffix(size)} ${form(rm)},imm`,
			{ size, bytes, rm, opcode: [bytes ? 0xf6 : 0xf7], reg: 0, immediate: immediate(integer(random, size), Math.min(size, 4)) },
			aluFlags('test'),
		)
	const same = typeof rm === 'number' && random.oneIn(2)
	const reg = same ? (rm as number) : register(random, size, high)
	return make(`test${suffix(size)} ${form(rm)},r`, { size, bytes, rm, opcode: [bytes ? 0x84 : 0x85], reg }, aluFlags('test'))
}

/** INC DEC NOT NEG. */
function unary(random: Random): Piece {
	const size = random.pick(SIZES)
	const high = size === 1 && random.oneIn(3)
	const rm = registerOrMemory(random, size, high)
	const lock = random.oneIn(16)
	const bytes = size === 1
	const [name, opcode, reg, rest] = random.pick([
		['inc', 0xfe, 0, { defines: STATUS_FLAGS & ~CF }],
		['dec', 0xfe, 1, { defines: STATUS_FLAGS & ~CF }],
		['neg', 0xf6, 3, { defines: STATUS_FLAGS }],
		['not', 0xf6, 2, {}],
	] as const)
	const parts = { size, bytes, opcode: [bytes ? opcode : opcode + 1], reg }
	return make(`${name}${suffix(size)} ${form(rm)}`, { ...parts, ...(lock ? { lock, rm: locked(random, size, high) } : { rm }) }, rest)
}

const SHIFTS = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sal', 'sar']

function shift(random: Random): Piece {
	const size = random.pick(SIZES)
	const high = size === 1 && random.oneIn(3)
	const rm = registerOrMemory(random, size, high)
	const bytes = size === 1
	const n = random.below(8)
	const name = SHIFTS[n]!
	const rule = (name === 'sal' ? 'shl' : name).toUpperCase()
	const uses = n === 2 || n === 3 ? CF : 0
	const how = random.below(3)
	const common = { size, bytes, rm, reg: n }
	if (how === 0) {
		const undefines = n < 4 ? OF : AF | OF | (size < 4 && n !== 7 ? CF : 0)
		const byCl = make(`${name}${suffix(size)} ${form(rm)},cl`, { ...common, opcode: [bytes ? 0xd2 : 0xd3] }, { uses, undefines })
		if (random.oneIn(2)) return byCl
		// A count of 0 leaves the flags.
		const count = make('', { bytes: true, opcode: [0xb0], plus: RCX, immediate: [random.oneIn(2) ? 0 : random.below(size * 8)] })
		return together(`mov cl,n; ${byCl.name}`, [count, byCl])
	}
	const written = how === 1 ? 1 : random.oneIn(8) ? random.below(256) : random.below(size * 8 + 1)
	const count = written & (size === 8 ? 63 : 31)
	const undefines = undefinedFlags(rule, { size, count })
	const changes = n < 4 ? CF | OF : STATUS_FLAGS
	const isWhole = n === 2 || n === 3 ? count % (size * 8 + 1) === 0 : false
	const defines = count === 0 || isWhole ? 0 : changes & ~undefines
	const rest = { uses, undefines, defines }
	if (how === 1) return make(`${name}${suffix(size)} ${form(rm)},1`, { ...common, opcode: [bytes ? 0xd0 : 0xd1] }, rest)
	return make(`${name}${suffix(size)} ${form(rm)},${written}`, { ...common, opcode: [bytes ? 0xc0 : 0xc1], immediate: [written] }, rest)
}

function doubleShift(random: Random): Piece {
	const size = random.pick([4, 8])
	const rm = registerOrMemory(random, size, false)
	const right = random.oneIn(2)
	const name = right ? 'shrd' : 'shld'
	const reg = register(random, size)
	if (random.oneIn(3))
		return make(`${name}${suffix(size)} ${form(rm)},r,cl`, { size, rm, reg, opcode: [0x0f, right ? 0xad : 0xa5] }, { undefines: AF | OF })
	const count = 1 + random.below(size * 8 - 1)
	const undefines = undefinedFlags(name.toUpperCase(), { size, count })
	return make(
		`${name}${suffix(size)} ${form(rm)},r,${count}`,
		{ size, rm, reg, opcode: [0x0f, right ? 0xac : 0xa4], immediate: [count] },
		{ undefines, defines: STATUS_FLAGS & ~undefines },
	)
}

const MULTIPLIED = { defines: CF | OF, undefines: SF | ZF | AF | PF }

function multiply(random: Random): Piece {
	const size = random.pick(SIZES)
	const wide = Math.max(size, 2)
	switch (random.below(4)) {
		case 0: {
			const rm = registerOrMemory(random, wide, false)
			return make(`imul${suffix(wide)} r,${form(rm)}`, { size: wide, rm, reg: register(random, wide), opcode: [0x0f, 0xaf] }, MULTIPLIED)
		}
		case 1: {
			const rm = registerOrMemory(random, wide, false)
			const byte = random.oneIn(2)
			const value = byte ? immediate(shortImmediate(random, 1), 1) : immediate(integer(random, wide), Math.min(wide, 4))
			return make(
				`imul${suffix(wide)} r,${form(rm)},imm`,
				{ size: wide, rm, reg: register(random, wide), opcode: [byte ? 0x6b : 0x69], immediate: value },
				MULTIPLIED,
			)
		}
		default: {
			const rm = registerOrMemory(random, size, false)
			const signed = random.oneIn(2)
			const bytes = size === 1
			return make(
				`${signed ? 'imul' : 'mul'}${suffix(size)} ${form(rm)}`,
				{ size, bytes, rm, reg: signed ? 5 : 4, opcode: [bytes ? 0xf6 : 0xf7] },
				MULTIPLIED,
			)
		}
	}
}

/** DIV by a divisor that is not 0, of a dividend that fits. */
function divide(random: Random): Piece {
	const size = random.pick([2, 4, 4, 8, 8])
	const divisor = random.pick([RCX, RBP, RSI, 8, 11])
	const signed = random.oneIn(2)
	const clear = make('xor edx,edx', { size: 4, opcode: [0x31], reg: RDX, rm: RDX }, aluFlags('xor'))
	const extend = make('cwd', { size, opcode: [0x99] })
	// IDIV: a divisor above 1 can't overflow.
	const positive = [
		make('shr', { size, opcode: [0xd1], reg: 5, rm: divisor }),
		make('or', { size, opcode: [0x83], reg: 1, rm: divisor, immediate: [2] }),
	]
	const odd = make('or', { size, opcode: [0x83], reg: 1, rm: divisor, immediate: [1] })
	const division = make('div', { size, opcode: [0xf7], reg: signed ? 7 : 6, rm: divisor }, { undefines: STATUS_FLAGS })
	return together(`${signed ? 'idiv' : 'div'}${suffix(size)} r`, signed ? [...positive, extend, division] : [clear, odd, division])
}

function bitTest(random: Random): Piece {
	const size = random.pick([2, 4, 4, 8, 8])
	const n = random.below(4)
	const name = ['bt', 'bts', 'btr', 'btc'][n]!
	const rest = { defines: CF, undefines: OF | SF | AF | PF }
	if (random.oneIn(2)) {
		const lock = n > 0 && random.oneIn(8)
		const rm = lock ? locked(random, size, false) : registerOrMemory(random, size, false)
		return make(
			`${name}${suffix(size)} ${form(rm)},imm`,
			{ size, rm, lock, reg: 4 + n, opcode: [0x0f, 0xba], immediate: [random.below(256)] },
			rest,
		)
	}
	const opcode = [0x0f, 0xa3 + n * 8]
	// The index register is small: the bit stays in the data region.
	if (random.oneIn(3)) return make(`${name}${suffix(size)} m,r`, { size, rm: memory(random, size), reg: INDEX, opcode }, rest)
	return make(`${name}${suffix(size)} r,r`, { size, rm: register(random, size), reg: register(random, size), opcode }, rest)
}

/** BSF BSR of something that is not 0, POPCNT. */
function bitScan(random: Random): Piece {
	const size = random.pick([2, 4, 8])
	const rm = register(random, size)
	const reg = register(random, size)
	if (random.oneIn(3))
		return make(`popcnt${suffix(size)} r,r`, { size, prefix: 0xf3, opcode: [0x0f, 0xb8], reg, rm }, { defines: STATUS_FLAGS })
	const right = random.oneIn(2)
	const scan = make('', { size, opcode: [0x0f, right ? 0xbd : 0xbc], reg, rm }, { defines: ZF, undefines: STATUS_FLAGS & ~ZF })
	const some = make('', { size, opcode: [0x83], reg: 1, rm, immediate: [1 << random.below(7)] }, aluFlags('or'))
	return together(`${right ? 'bsr' : 'bsf'}${suffix(size)} r,r`, [some, scan])
}

function exchangeAdd(random: Random): Piece {
	const size = random.pick(SIZES)
	const high = size === 1 && random.oneIn(3)
	const lock = random.oneIn(6)
	const rm = lock ? locked(random, size, high) : registerOrMemory(random, size, high)
	const bytes = size === 1
	const [name, opcode] = random.pick([
		['xadd', 0xc0],
		['cmpxchg', 0xb0],
	] as const)
	return make(
		`${name}${suffix(size)} ${form(rm)},r`,
		{ size, bytes, rm, lock, reg: register(random, size, high), opcode: [0x0f, bytes ? opcode : opcode + 1] },
		{ defines: STATUS_FLAGS },
	)
}

// ---- moves ----------------------------------------------------------------------------------------------------------------------

function move(random: Random): Piece {
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

function extend(random: Random): Piece {
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

function lea(random: Random): Piece {
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

function convert(random: Random): Piece {
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

function setcc(random: Random): Piece {
	const cc = random.below(16)
	const high = random.oneIn(4)
	const rm = registerOrMemory(random, 1, high)
	return make(`set${NAMES[cc]} ${form(rm)}`, { bytes: true, rm, reg: 0, opcode: [0x0f, 0x90 + cc] }, { uses: usesOf(cc) })
}

function cmovcc(random: Random): Piece {
	const cc = random.below(16)
	const size = random.pick([2, 4, 4, 8, 8])
	const rm = registerOrMemory(random, size, false)
	return make(
		`cmov${NAMES[cc]}${suffix(size)} r,${form(rm)}`,
		{ size, rm, reg: register(random, size), opcode: [0x0f, 0x40 + cc] },
		{ uses: usesOf(cc) },
	)
}

function flagTransfer(random: Random): Piece {
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

function frame(random: Random): Piece {
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

function string(random: Random): Piece {
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

// ---- SSE -------------------------------------------------------------------------------------------------------------------------

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
function scalar(random: Random): Piece {
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

function sseMove(random: Random): Piece {
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

function ssePacked(random: Random): Piece {
	const opcode = random.pick(PACKED)
	const rm = random.oneIn(2) ? xmm(random) : memory(random, 16, false, 16)
	return make(`packed ${opcode.toString(16)}`, { prefix: 0x66, opcode: [0x0f, opcode], reg: xmm(random), rm })
}

function packedFloat(random: Random): Piece {
	const rm = random.oneIn(2) ? xmm(random) : memory(random, 16, false, 16)
	const opcode = random.pick([0x58, 0x59, 0x5c, 0x5e, 0x51, 0x54, 0x55, 0x56, 0x57, 0x14, 0x15, 0x5d, 0x5f])
	return make(`packed float ${opcode.toString(16)}`, { prefix: random.pick([0, 0x66]), opcode: [0x0f, opcode], reg: xmm(random), rm })
}

function compareFloat(random: Random): Piece {
	const rm = random.oneIn(2) ? xmm(random) : doubles(random, 8)
	const double = !random.oneIn(4)
	const opcode = [0x0f, random.pick([0x2e, 0x2f])]
	return make(
		`comis${double ? 'd' : 's'} x,${typeof rm === 'number' ? 'x' : 'm'}`,
		{ prefix: double ? 0x66 : 0, opcode, reg: xmm(random), rm },
		{ defines: STATUS_FLAGS },
	)
}

function convertFloat(random: Random): Piece {
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
function chain(random: Random): Piece {
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
function controlFloat(random: Random): Piece {
	const place = { base: RBX, disp: 0x700 }
	const masks = random.oneIn(8) ? random.u32() & 0x1f80 : 0x1f80
	const mxcsr = random.oneIn(2) ? 0x1fa0 : masks | (random.u32() & 0xe07f)
	const store = make('', { size: 4, opcode: [0xc7], reg: 0, rm: place, immediate: immediate(mxcsr, 4) })
	return together('ldmxcsr', [store, make('', { opcode: [0x0f, 0xae], reg: 2, rm: place })])
}

/** STMXCSR. */
function storeControl(random: Random): Piece {
	return make('stmxcsr', { opcode: [0x0f, 0xae], reg: 3, rm: memory(random, 4) })
}

// ---- what a block is made of ---------------------------------------------------------------------------------------------------------

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
