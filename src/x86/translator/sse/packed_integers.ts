import type { Code, SimdOperator } from '../../../wasm/code.ts'
import { V128 } from '../../../wasm/module.ts'
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

/** BLENDPS, BLENDPD and PBLENDW: elements of `size` bytes, from the source where the immediate has a bit. */
export const blended = (size: number): Emitter =>
	shuffled((imm) =>
		elements(
			size,
			Array.from({ length: 16 / size }, (_, n) => ((imm >> n) & 1 ? n + 16 / size : n)),
		),
	)

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

/** What `push` pushes of two locals, the destination and the source. */
export const computed =
	(push: (code: Code, a: number, b: number) => void): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		const b = operandLocal(r, i)
		const a = r.temporary(V128)
		r.xmm.get(i.reg)
		r.code.set(a)
		push(r.code, a, b)
		r.xmm.set(i.reg)
		return true
	}

/** One operator on the source. */
export const ofSource =
	(operator: SimdOperator): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		pushOperand(r, i)
		r.code.simd(operator)
		r.xmm.set(i.reg)
		return true
	}
