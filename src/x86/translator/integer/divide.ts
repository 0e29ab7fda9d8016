import { I64 } from '../../../wasm/module.ts'
import { type Emitter, pushRm } from './operands.ts'

const RDX = 16

/** DIV and IDIV of 32 bits, and of 64 where the dividend is no longer than that; what overflows or divides by 0 or -1 is left to the core. Flags stay. */
const divide: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const signed = i.op === 'IDIV'
	const { code } = r
	const divisor = r.temporary(I64)
	const dividend = r.temporary(I64)
	const quotient = r.temporary(I64)
	pushRm(r, i)
	if (size === 4) code.op(signed ? 'i64.extend_i32_s' : 'i64.extend_i32_u')
	code.set(divisor)
	r.getRegister(0, 8)
	if (size === 4) {
		code.i64(0xffffffff).op('i64.and')
		r.getRegister(RDX, 8)
		code.i64(32).op('i64.shl', 'i64.or')
	}
	code.set(dividend)
	// 0, and -1 where it is signed: divisor + 1 is at most 1.
	code.get(divisor)
	if (signed) code.i64(1).op('i64.add').i64(1).op('i64.le_u')
	else code.op('i64.eqz')
	if (size === 8) {
		r.getRegister(RDX, 8)
		if (signed) code.get(dividend).i64(63).op('i64.shr_s', 'i64.ne')
		else code.i64(0).op('i64.ne')
		code.op('i32.or')
	}
	r.rarely(i)
	code
		.get(dividend)
		.get(divisor)
		.op(signed ? 'i64.div_s' : 'i64.div_u')
		.set(quotient)
	if (size === 4) {
		code.get(quotient).get(quotient)
		if (signed) code.op('i64.extend32_s')
		else code.i64(0xffffffff).op('i64.and')
		code.op('i64.ne')
		r.rarely(i)
	}
	code.get(dividend).get(quotient).get(divisor).op('i64.mul', 'i64.sub')
	if (size === 4) code.op('i32.wrap_i64')
	r.setRegister(RDX, size)
	code.get(quotient)
	if (size === 4) code.op('i32.wrap_i64')
	r.setRegister(0, size)
	return true
}

export const DIVIDE: Readonly<Record<string, Emitter>> = { DIV: divide, IDIV: divide }
