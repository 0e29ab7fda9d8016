import { I64 } from '../../../wasm/module.ts'
import type { RegionCode } from '../region_code.ts'
import { constant, type Emitter, op, pushRm, x, y } from './operands.ts'

/** IMUL with a destination of its own. */
const multiplyTo: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const { code } = r
	pushRm(r, i)
	code.set(y(r, size))
	if (i.op === 'IMUL3') constant(r, size, i.imm)
	else r.getRegister(i.reg, size)
	code.tee(x(r, size)).get(y(r, size)).op(op(size, 'mul'))
	r.setRegister(i.reg, size)
	r.setFlags('IMUL', size, x(r, size), y(r, size))
	return true
}

/** Pushes the high half of the unsigned product of x64 and y64, from 32-bit digits. */
function pushHigh(r: RegionCode): void {
	const { code } = r
	const low = (local: number) => code.get(local).i64(0xffffffff).op('i64.and')
	const high = (local: number) => code.get(local).i64(32).op('i64.shr_u')
	const cross = r.temporary(I64)
	const other = r.temporary(I64)
	high(r.x64)
	low(r.y64).op('i64.mul')
	low(r.x64)
	low(r.y64).op('i64.mul').i64(32).op('i64.shr_u', 'i64.add').set(cross)
	low(r.x64)
	high(r.y64).op('i64.mul')
	low(cross).op('i64.add').set(other)
	high(r.x64)
	high(r.y64).op('i64.mul')
	high(cross).op('i64.add')
	high(other).op('i64.add')
}

/** MUL and one-operand IMUL. */
const multiply: Emitter = (r, i) => {
	const { size } = i
	const signed = i.op === 'IMUL1'
	if (size < 4) return false
	const { code } = r
	pushRm(r, i)
	code.set(y(r, size))
	r.getRegister(0, size)
	code.set(x(r, size))
	if (size === 4) {
		const widen = signed ? 'i64.extend_i32_s' : 'i64.extend_i32_u'
		code.get(r.x32).op(widen).get(r.y32).op(widen, 'i64.mul').tee(r.z64).op('i32.wrap_i64')
		r.setRegister(0, 4)
		code.get(r.z64).i64(32).op('i64.shr_u', 'i32.wrap_i64')
		r.setRegister(16, 4)
	} else {
		pushHigh(r)
		// A negative factor counts 2^64 too many times the other.
		if (signed)
			for (const [factor, other] of [
				[r.x64, r.y64],
				[r.y64, r.x64],
			] as const)
				code.get(factor).i64(63).op('i64.shr_s').get(other).op('i64.and', 'i64.sub')
		r.setRegister(16, 8)
		code.get(r.x64).get(r.y64).op('i64.mul')
		r.setRegister(0, 8)
	}
	r.setFlags(signed ? 'IMUL' : 'MUL', size, x(r, size), y(r, size))
	return true
}

export const MULTIPLY: Readonly<Record<string, Emitter>> = { IMUL2: multiplyTo, IMUL3: multiplyTo, MUL: multiply, IMUL1: multiply }
