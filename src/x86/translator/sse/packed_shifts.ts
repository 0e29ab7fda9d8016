import type { SimdOperator } from '../../../wasm/code.ts'
import { I64, V128 } from '../../../wasm/module.ts'
import { type Emitter, operandLocal } from './emitter.ts'

/** Shifts of lanes by an immediate. A count of the lane's width or more clears the lanes, or fills them with the sign. */
export const shiftImmediate =
	(operator: SimdOperator, width: number): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		const count = Number(i.imm & 0xffn)
		xmm.require(i)
		if (count >= width && !operator.endsWith('_s')) code.v128Const(0n)
		else {
			xmm.get(i.rm)
			code.i32(Math.min(count, width - 1)).simd(operator)
		}
		xmm.set(i.rm)
		return true
	}

/** PSLLDQ and PSRLDQ: shifts of the whole register by bytes. */
export const shiftBytes =
	(left: boolean): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		const count = Math.min(Number(i.imm & 0xffn), 16)
		xmm.require(i)
		xmm.get(i.rm)
		code.v128Const(0n)
		// Bytes 16 to 31 are zero.
		code.shuffle(Array.from({ length: 16 }, (_, n) => (left ? (n < count ? 16 : n - count) : n + count > 15 ? 16 : n + count)))
		xmm.set(i.rm)
		return true
	}

/** Shifts of lanes by the lower quadword of the source. */
export const shiftByOperand =
	(operator: SimdOperator, width: number): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		const count = r.temporary(I64)
		xmm.require(i)
		code.get(operandLocal(r, i)).lane('i64x2.extract_lane', 0).set(count)
		if (operator.endsWith('_s')) {
			xmm.get(i.reg)
			code
				.get(count)
				.i64(width - 1)
				.get(count)
				.i64(width)
				.op('i64.lt_u', 'select', 'i32.wrap_i64')
				.simd(operator)
		} else {
			const value = r.temporary(V128)
			xmm.get(i.reg)
			code.set(value).get(count).i64(width).op('i64.lt_u')
			code.if(V128, true)
			code.get(value).get(count).op('i32.wrap_i64').simd(operator)
			code.else()
			code.v128Const(0n)
			code.end()
		}
		xmm.set(i.reg)
		return true
	}
