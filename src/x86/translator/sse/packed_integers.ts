import type { SimdOperator } from '../../../wasm/code.ts'
import { type Emitter, operandLocal, pushOperand } from './emitter.ts'

/** The bytes of a shuffle of elements of `size` bytes: numbers from 0 in the destination, then in the source. */
export const elements = (size: number, numbers: readonly number[]) =>
	numbers.flatMap((n) => Array.from({ length: size }, (_, k) => n * size + k))

/** The four fields of two bits of an immediate operand. */
export const fields = (imm: number) => [imm & 3, (imm >> 2) & 3, (imm >> 4) & 3, (imm >> 6) & 3] as const

/** A fixed or immediate shuffle of destination and source. */
export const shuffled =
	(bytes: (imm: number) => readonly number[]): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		xmm.require(i)
		const operand = operandLocal(r, i)
		xmm.get(i.reg)
		code.get(operand).shuffle(bytes(Number(i.imm & 0xffn)))
		xmm.set(i.reg)
		return true
	}

/** Two packed operands, no flags. */
export const packed =
	(operator: SimdOperator, swapped = false): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		xmm.require(i)
		if (!swapped && i.memory) {
			const operand = operandLocal(r, i)
			xmm.get(i.reg)
			code.get(operand)
		} else if (swapped) {
			pushOperand(r, i)
			xmm.get(i.reg)
		} else {
			xmm.get(i.reg)
			xmm.get(i.rm)
		}
		code.simd(operator)
		xmm.set(i.reg)
		return true
	}

/** PXOR of a register with itself is zero, whatever it held. */
export const exclusiveOr: Emitter = (r, i) => {
	if (i.memory || i.reg !== i.rm) return packed('v128.xor')(r, i)
	r.xmm.require(i)
	r.xmm.clear(i.reg)
	return true
}

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
