import { I32 } from '../../../wasm/module.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { beginRmw, constant, type Emitter, op, rotateBy, trim, writeBack, x, y, z } from './operands.ts'

type Shift = 'SHL' | 'SHR' | 'SAR'
const OPERATORS = { SHL: 'shl', SHR: 'shr_u', SAR: 'shr_s' } as const

/** The count of a shift by a constant. */
const countOf = (i: Instruction) => (i.op.endsWith('_1') ? 1 : Number(i.imm & (i.size === 8 ? 63n : 31n)))

/** SHL SHR SAR by a constant. */
const shift: Emitter = (r, i) => {
	const { size } = i
	const count = countOf(i)
	const name = i.op.slice(0, 3) as Shift
	if (count === 0 || count >= size * 8) return false
	const { code } = r
	const narrow = name === 'SAR' && size < 4
	beginRmw(r, i)
	code.get(x(r, size))
	if (narrow) code.op(size === 2 ? 'i32.extend16_s' : 'i32.extend8_s')
	constant(r, size, BigInt(count))
	code.op(op(size, OPERATORS[name]))
	trim(r, size)
	code.set(z(r, size))
	writeBack(r, i, () => {
		if (name === 'SHR' && size >= 4 && !i.memory) r.boundRegister(i.rm, 2 ** (size * 8 - count) - 1)
		if (!narrow) return r.setFlags(name, size, x(r, size), undefined, count)
		// Of the flags beside the result's, only CF may be set.
		code
			.get(r.x32)
			.i32(count - 1)
			.op('i32.shr_u')
			.i32(1)
			.op('i32.and', 'i64.extend_i32_u')
			.set(r.y64)
		r.setFlags('RES', size, r.z32, r.y64)
	})
	return true
}

/** Leaves the count in CL, masked, in a new i32 local. */
function countInCl(r: RegionCode, size: number): number {
	const count = r.temporary(I32)
	r.getRegister(8, 1)
	r.code
		.i32(size === 8 ? 63 : 31)
		.op('i32.and')
		.set(count)
	return count
}

/** Does `set`, which sets flags, unless the count in a local is 0. */
function setFlagsUnlessZero(r: RegionCode, count: number, set: () => void): void {
	const { code } = r
	r.forgetFlags()
	code.get(count)
	code.if()
	set()
	r.forgetFlags()
	code.end()
}

/** SHL SHR SAR by CL. A count of 0 leaves the flags. */
const shiftByCl: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const name = i.op.slice(0, 3) as Shift
	const { code } = r
	const count = countInCl(r, size)
	beginRmw(r, i)
	code.get(x(r, size)).get(count)
	r.widen(size === 8 ? 4 : 8)
	code.op(op(size, OPERATORS[name])).set(z(r, size))
	writeBack(r, i, () =>
		setFlagsUnlessZero(r, count, () => {
			code.get(count).op('i64.extend_i32_u')
			r.setFlagsOperand()
			r.setFlags(name, size, x(r, size), undefined, 0)
		}),
	)
	return true
}

/** ROL and ROR by a constant, or by CL: then a count of 0 leaves the flags. */
const rotate: Emitter = (r, i) => {
	const { size } = i
	const byCl = i.op.endsWith('_CL')
	if (!byCl && countOf(i) === 0) return false
	const left = i.op.startsWith('ROL')
	const { code } = r
	const count = byCl ? countInCl(r, size) : undefined
	beginRmw(r, i)
	// Of less than 32 bits: as many copies side by side rotate as one.
	if (size < 4)
		code
			.get(r.x32)
			.i32(size === 1 ? 0x01010101 : 0x00010001)
			.op('i32.mul')
			.set(r.y32)
	const from = size < 4 ? r.y32 : x(r, size)
	if (count === undefined) rotateBy(r, Math.max(size, 4), from, left ? countOf(i) : -countOf(i))
	else {
		code.get(from).get(count)
		r.widen(size === 8 ? 4 : 8)
		code.op(op(size, left ? 'rotl' : 'rotr'))
	}
	code.tee(y(r, size))
	trim(r, size)
	code.set(z(r, size))
	const set = () => {
		code.get(y(r, size))
		r.widen(size)
		r.overrideFlags(left ? (size === 8 ? 'ROL64' : 'ROL32') : size === 8 ? 'ROR64' : 'ROR32')
	}
	writeBack(r, i, count === undefined ? set : () => setFlagsUnlessZero(r, count, set))
	return true
}

/** SHLD and SHRD by a constant. */
const doubleShift: Emitter = (r, i) => {
	const { size } = i
	const width = size * 8
	const count = Number(i.imm & (size === 8 ? 63n : 31n))
	if (size < 4 || count === 0) return false
	const left = i.op === 'SHLD'
	const { code } = r
	beginRmw(r, i)
	code.get(x(r, size))
	constant(r, size, BigInt(count))
	code.op(op(size, left ? 'shl' : 'shr_u'))
	r.getRegister(i.reg, size)
	constant(r, size, BigInt(width - count))
	code.op(op(size, left ? 'shr_u' : 'shl'), op(size, 'or')).set(z(r, size))
	const bit = (number: number) => {
		r.widen(size)
		code.i64(number).op('i64.shr_u').i64(1).op('i64.and')
	}
	writeBack(r, i, () => {
		// CF is the last bit that went out, OF a change of the sign.
		code.get(x(r, size))
		bit(left ? width - count : count - 1)
		code.get(x(r, size)).get(z(r, size)).op(op(size, 'xor'))
		bit(width - 1)
		code.i64(11).op('i64.shl', 'i64.or').set(r.y64)
		r.setFlags('RES', size, z(r, size), r.y64)
	})
	return true
}

export const SHIFT: Readonly<Record<string, Emitter>> = {
	SHL: shift,
	SHR: shift,
	SAR: shift,
	SHL_1: shift,
	SHR_1: shift,
	SAR_1: shift,
	SHL_CL: shiftByCl,
	SHR_CL: shiftByCl,
	SAR_CL: shiftByCl,
	ROL: rotate,
	ROR: rotate,
	ROL_1: rotate,
	ROR_1: rotate,
	ROL_CL: rotate,
	ROR_CL: rotate,
	SHLD: doubleShift,
	SHRD: doubleShift,
}
