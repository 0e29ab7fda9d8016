// Integer arithmetic for programs.

import type { Random } from '../random.ts'
import { AF, CF, OF, PF, SF, STATUS_FLAGS, ZF } from '../state.ts'
import { undefinedFlags } from '../undefined.ts'
import { immediate } from './assembler.ts'
import { form, INDEX, locked, make, memory, RBP, RCX, RDX, RSI, register, registerOrMemory, SIZES, suffix } from './piece_parts.ts'
import { type Piece, together } from './program.ts'
import { integer } from './values.ts'

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp']

/** What an operation of this name does to the status flags. */
export function aluFlags(name: string): Partial<Piece> {
	if (name === 'adc' || name === 'sbb') return { uses: CF, defines: STATUS_FLAGS }
	if (/^(or|and|xor|test)$/.test(name)) return { defines: STATUS_FLAGS & ~AF, undefines: AF }
	return { defines: STATUS_FLAGS }
}

function shortImmediate(random: Random, size: number): bigint {
	const value = integer(random, size)
	return random.oneIn(3) ? BigInt(random.below(256) - 128) : value
}

export function alu(random: Random, names: readonly string[] = ALU): Piece {
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

export function test(random: Random): Piece {
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
export function unary(random: Random): Piece {
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

export function shift(random: Random): Piece {
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

export function doubleShift(random: Random): Piece {
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

export function multiply(random: Random): Piece {
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
export function divide(random: Random): Piece {
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

export function bitTest(random: Random): Piece {
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
export function bitScan(random: Random): Piece {
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

export function exchangeAdd(random: Random): Piece {
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
