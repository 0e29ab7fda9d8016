import type { Code, SimdOperator } from '../../../wasm/code.ts'
import { hasRelaxedSwizzle } from '../../../wasm/features.ts'
import { V128 } from '../../../wasm/module.ts'
import { type Emitter, operandLocal } from './emitter.ts'
import { computed, elements } from './packed_integers.ts'

/** A byte in every lane. */
const splat = (byte: number) => BigInt(byte) * 0x0101010101010101n

/** On x86 the relaxed one is one instruction. */
const SWIZZLE = hasRelaxedSwizzle ? 'i8x16.relaxed_swizzle' : 'i8x16.swizzle'

/** For each byte, the one that its index in the source names, or zero where bit 7 of that is set. */
export const shuffleBytes = computed((code, a, b) => {
	// swizzle gives zero for every index above 15, the relaxed one for those above 127: bit 7 stays, bits 4 to 6 don't count.
	code.get(a).get(b).v128Const(splat(0x8f)).simd('v128.and').simd(SWIZZLE)
})

const EVEN = elements(2, [0, 2, 4, 6, 8, 10, 12, 14])
const ODD = elements(2, [1, 3, 5, 7, 9, 11, 13, 15])

/** PHADDW, PHSUBW and the like: the words in even places with those in odd ones. */
export const horizontalWords = (operator: SimdOperator): Emitter =>
	computed((code, a, b) => {
		code.get(a).get(b).shuffle(EVEN).get(a).get(b).shuffle(ODD).simd(operator)
	})

export const horizontalDoublewords = (operator: SimdOperator): Emitter =>
	computed((code, a, b) => {
		code.get(a).get(b)
		code
			.shuffle(elements(4, [0, 2, 4, 6]))
			.get(a)
			.get(b)
		code.shuffle(elements(4, [1, 3, 5, 7])).simd(operator)
	})

/** PMULUDQ and PMULDQ: the even doublewords. */
export const multiplyEven = (operator: SimdOperator): Emitter =>
	computed((code, a, b) => {
		for (const local of [a, b])
			code
				.get(local)
				.get(local)
				.shuffle(elements(4, [0, 2, 0, 2]))
		code.simd(operator)
	})

/** PMULHW and PMULHUW. */
export const multiplyHigh = (signed: boolean): Emitter => {
	const sign = signed ? 's' : 'u'
	const half = (code: Code, a: number, b: number, which: 'low' | 'high') =>
		code.get(a).get(b).simd(`i32x4.extmul_${which}_i16x8_${sign}`).i32(16).simd(`i32x4.shr_${sign}`)
	return computed((code, a, b) => {
		half(code, a, b, 'low')
		half(code, a, b, 'high').simd(`i16x8.narrow_i32x4_${sign}`)
	})
}

/** PMADDUBSW: bytes of the destination are unsigned, those of the source signed. */
export const multiplyBytes: Emitter = (r, i) => {
	const products = (code: Code, a: number, b: number) => {
		const half = (which: 'low' | 'high') =>
			code.get(a).simd(`i16x8.extend_${which}_i8x16_u`).get(b).simd(`i16x8.extend_${which}_i8x16_s`).simd('i16x8.mul')
		const low = r.temporary(V128)
		const high = r.temporary(V128)
		half('low').set(low)
		half('high').set(high)
		code.get(low).get(high).shuffle(EVEN).get(low).get(high).shuffle(ODD).simd('i16x8.add_sat_s')
	}
	return computed(products)(r, i)
}

/** PMULHRSW. The operator saturates -1 * -1, which wraps here. */
export const multiplyRounded = computed((code, a, b) => {
	const isMinimum = (local: number) => code.get(local).v128Const(0x8000800080008000n).simd('i16x8.eq')
	code.get(a).get(b).simd('i16x8.q15mulr_sat_s')
	isMinimum(a)
	isMinimum(b).simd('v128.and').simd('v128.xor')
})

/** PSADBW: sums of the differences of eight bytes. */
export const sumDifferences: Emitter = (r, i) => {
	const quads = r.temporary(V128)
	return computed((code, a, b) => {
		code.get(a).get(b).simd('i8x16.sub_sat_u').get(b).get(a).simd('i8x16.sub_sat_u').simd('v128.or')
		code.simd('i16x8.extadd_pairwise_i8x16_u').simd('i32x4.extadd_pairwise_i16x8_u').set(quads)
		// Both doublewords' sum, in the upper one.
		code.get(quads).get(quads).i32(32).simd('i64x2.shl').simd('i64x2.add').i32(32).simd('i64x2.shr_u')
	})(r, i)
}

/** PSIGNB, PSIGNW and PSIGND. */
export const withSign = (lanes: 'i8x16' | 'i16x8' | 'i32x4', width: number): Emitter =>
	computed((code, a, b) => {
		const negative = () =>
			code
				.get(b)
				.i32(width - 1)
				.simd(`${lanes}.shr_s`)
		code.get(a)
		negative().simd('v128.xor')
		negative().simd(`${lanes}.sub`)
		code.get(b).v128Const(0n).simd(`${lanes}.eq`).simd('v128.andnot')
	})

/** PBLENDVB, BLENDVPS and BLENDVPD: the source's lanes where XMM0's highest bits are set. */
export const blendBySign =
	(operator: 'i8x16.shr_s' | 'i32x4.shr_s' | 'i64x2.shr_s', width: number): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		xmm.require(i)
		const source = operandLocal(r, i)
		code.get(source)
		xmm.get(i.reg)
		xmm.get(0)
		code
			.i32(width - 1)
			.simd(operator)
			.simd('v128.bitselect')
		xmm.set(i.reg)
		return true
	}

/** PTEST: ZF tells that no bit is set in both, CF that none of the source is missing in the destination. */
export const test: Emitter = (r, i) => {
	const { code, xmm } = r
	xmm.require(i)
	const source = operandLocal(r, i)
	xmm.get(i.reg)
	code.get(source).simd('v128.and').simd('v128.any_true').op('i32.eqz').i32(6).op('i32.shl').get(source)
	xmm.get(i.reg)
	code.simd('v128.andnot').simd('v128.any_true').op('i32.eqz', 'i32.or')
	r.setStatus()
	return true
}
