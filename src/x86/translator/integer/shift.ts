import { I32 } from '../../../wasm/module.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { beginRmw, constant, type Emitter, op, trim, writeBack, x, z } from './operands.ts'

type Shift = 'SHL' | 'SHR' | 'SAR'
const OPERATORS = { SHL: 'shl', SHR: 'shr_u', SAR: 'shr_s' } as const

/** The count of a shift by a constant. */
const countOf = (i: Instruction) => (i.op.endsWith('_1') ? 1 : Number(i.imm & (i.size === 8 ? 63n : 31n)))

/** SHL SHR SAR by a constant. */
const shift: Emitter = (r, i) => {
	const { size } = i
	const count = countOf(i)
	const name = i.op.slice(0, 3) as Shift
	if (count === 0 || count >= size * 8 || (size < 4 && name === 'SAR')) return false
	const { code } = r
	beginRmw(r, i)
	code.get(x(r, size))
	constant(r, size, BigInt(count))
	code.op(op(size, OPERATORS[name]))
	trim(r, size)
	code.set(z(r, size))
	writeBack(r, i, () => r.setFlags(name, size, x(r, size), undefined, count))
	return true
}

/** Pushes the count in CL, masked, as an i32. */
function pushCount(r: RegionCode, size: number): void {
	r.getRegister(8, 1)
	r.code.i32(size === 8 ? 63 : 31).op('i32.and')
}

/** SHL SHR SAR by CL. A count of 0 leaves the flags. */
const shiftByCl: Emitter = (r, i) => {
	const { size } = i
	if (i.memory || size < 4) return false
	const name = i.op.slice(0, 3) as Shift
	const { code } = r
	const count = r.temporary(I32)
	pushCount(r, size)
	code.set(count)
	r.getRegister(i.rm, size)
	code.tee(x(r, size)).get(count)
	r.widen(size === 8 ? 4 : 8)
	code.op(op(size, OPERATORS[name]))
	r.setRegister(i.rm, size)
	r.forgetFlags()
	code.get(count)
	code.if()
	code.get(count).op('i64.extend_i32_u')
	r.setFlagsOperand()
	r.setFlags(name, size, x(r, size), undefined, 0)
	r.forgetFlags()
	code.end()
	return true
}

/** ROL and ROR by a constant. */
const rotate: Emitter = (r, i) => {
	const { size } = i
	const count = countOf(i)
	if (size < 4 || count === 0) return false
	const left = i.op.startsWith('ROL')
	const { code } = r
	beginRmw(r, i)
	code.get(x(r, size))
	constant(r, size, BigInt(count))
	code.op(op(size, left ? 'rotl' : 'rotr')).set(z(r, size))
	writeBack(r, i, () => {
		code.get(z(r, size))
		r.widen(size)
		r.overrideFlags(left ? (size === 8 ? 'ROL64' : 'ROL32') : size === 8 ? 'ROR64' : 'ROR32')
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
}
