import { F32, F64, I64, VOID } from '../../../wasm/module.ts'
import * as L from '../../core/layout.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { type Emitter, FORMATS, type Format, pushNumber, pushOperand, setLowest } from './emitter.ts'
import { S0 } from './lanes.ts'
import { ifImmoderate } from './number_tests.ts'

/** Pushes the integer of the ModRM.rm operand. */
function pushInteger(r: RegionCode, i: Instruction, size: number): void {
	if (!i.memory) return r.getRegister(i.rm, size)
	r.hostForRead(i, size)
	r.load(size)
}

/** CVTSI2SD and CVTSI2SS. To a double, 32 bits are always exact. */
export const integerToNumber =
	(format: Format): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const { type, fromBits } = FORMATS[format]
		const size = i.flags & L.RF_REXW ? 8 : 4
		const z = r.temporary(type)
		xmm.require(i)
		pushInteger(r, i, size)
		if (size === 4 && format === 'f64') code.op('f64.convert_i32_s').set(z)
		else {
			const value = r.temporary(I64)
			if (size === 4) code.op('i64.extend_i32_s')
			code.tee(value).op(`${format}.convert_i64_s`).set(z)
			xmm.pushSlow()
			code.if(VOID, false)
			code
				.get(value)
				.call(format === 'f64' ? core.integerToDouble : core.integerToSingle)
				.op(fromBits)
				.set(z)
			xmm.takeStatus(i)
			code.end()
		}
		setLowest(r, i.reg, format, z)
		return true
	}

/** CVTTSD2SI and CVTTSS2SI of a number that fits. */
export const numberToInteger =
	(format: Format): Emitter =>
	(r, i) => {
		const size = i.flags & L.RF_REXW ? 8 : 4
		const { code, xmm } = r
		const value = r.temporary(F64)
		xmm.require(i)
		pushNumber(r, i, format)
		if (format === 'f32') code.op('f64.promote_f32')
		code.set(value)
		const { flags } = r
		code
			.get(value)
			.op('f64.abs')
			.i64(size === 8 ? 0x43e0000000000000n : 0x41e0000000000000n)
			.op('f64.reinterpret_i64', 'f64.lt')
		xmm.pushSlow()
		code.op('i32.eqz', 'i32.and')
		code.if(VOID, true)
		code.get(value).truncateSaturating()
		if (size === 4) code.op('i32.wrap_i64')
		r.setRegister(i.reg, size)
		code.else()
		r.execute(i)
		// It has left them alone.
		r.flags = flags
		code.end()
		return true
	}

/** CVTSS2SD. */
export const singleToDouble: Emitter = (r, i) => {
	const { code, core, xmm } = r
	const y = r.temporary(F32)
	const z = r.temporary(F64)
	xmm.require(i)
	pushNumber(r, i, 'f32')
	code.tee(y).op('f64.promote_f32').set(z)
	ifImmoderate(r, !i.memory && xmm.isClean(i.rm, S0) ? [] : [y])
	code.get(y).op('i32.reinterpret_f32').call(core.singleToDouble).op('f64.reinterpret_i64').set(z)
	xmm.takeStatus(i)
	code.end()
	setLowest(r, i.reg, 'f64', z)
	return true
}

/** CVTSD2SS: a result of moderate size comes from an operand of moderate size. */
export const doubleToSingle: Emitter = (r, i) => {
	const { code, core, xmm } = r
	const y = r.temporary(F64)
	const z = r.temporary(F32)
	xmm.require(i)
	pushNumber(r, i, 'f64')
	code.tee(y).op('f32.demote_f64').set(z)
	ifImmoderate(r, [z])
	code.get(y).op('i64.reinterpret_f64').call(core.doubleToSingle).op('f32.reinterpret_i32').set(z)
	xmm.takeStatus(i)
	code.end()
	setLowest(r, i.reg, 'f32', z)
	return true
}

/** CVTDQ2PD: exact. */
export const integersToDoubles: Emitter = (r, i) => {
	r.xmm.require(i)
	if (i.memory) {
		r.hostForRead(i, 8)
		r.code.get(r.host).v128('load64_zero')
	} else pushOperand(r, i)
	r.code.simd('f64x2.convert_low_i32x4_s')
	r.xmm.set(i.reg)
	return true
}
