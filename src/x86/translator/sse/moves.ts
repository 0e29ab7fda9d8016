import * as L from '../../core/layout.ts'
import { type Emitter, pushOperand, pushScalar } from './emitter.ts'

/** `check`: an operand in memory must be aligned. */
export const moveLoad =
	(check: boolean): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		if (i.memory && !check) {
			r.pushEffectiveAddress(i)
			r.hostForRead(i, 16)
			r.code.get(r.host).v128('load')
		} else pushOperand(r, i)
		r.xmm.set(i.reg)
		return true
	}

export const moveStore =
	(check: boolean): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		if (i.memory) {
			r.pushEffectiveAddress(i)
			r.hostForWrite(i, 16, check)
			r.storeXmm(i, i.reg)
		} else {
			r.xmm.get(i.reg)
			r.xmm.set(i.rm)
		}
		return true
	}

/** MOVSS, MOVSD, MOVQ to a register: from memory the rest is cleared; MOVQ clears it always. */
export const scalarLoad =
	(size: 4 | 8, clears: boolean): Emitter =>
	(r, i) => {
		const { code } = r
		r.xmm.require(i)
		if (i.memory) {
			r.pushEffectiveAddress(i)
			r.hostForRead(i, size)
			code.get(r.host).v128(size === 8 ? 'load64_zero' : 'load32_zero')
		} else if (clears) {
			code.v128Const(0n)
			r.xmm.get(i.rm)
			code.lane('f64x2.extract_lane', 0).lane('f64x2.replace_lane', 0)
		} else {
			r.xmm.get(i.reg)
			r.xmm.get(i.rm)
			if (size === 8) code.lane('f64x2.extract_lane', 0).lane('f64x2.replace_lane', 0)
			else code.lane('f32x4.extract_lane', 0).lane('f32x4.replace_lane', 0)
		}
		r.xmm.set(i.reg)
		return true
	}

export const scalarStore =
	(size: 4 | 8, lane = 0): Emitter =>
	(r, i) => {
		if (!i.memory) return false
		const { code } = r
		const temporary = size === 8 ? r.z64 : r.z32
		r.xmm.require(i)
		r.pushEffectiveAddress(i)
		r.hostForWrite(i, size)
		r.xmm.get(i.reg)
		code.lane(size === 8 ? 'i64x2.extract_lane' : 'i32x4.extract_lane', lane).set(temporary)
		r.store(i, size, temporary, () => {})
		return true
	}

/** MOVHPS and MOVLPS from memory. */
export const halfLoad =
	(lane: number): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		r.pushEffectiveAddress(i)
		r.hostForRead(i, 8)
		r.xmm.get(i.reg)
		r.load(8)
		r.code.lane('i64x2.replace_lane', lane)
		r.xmm.set(i.reg)
		return true
	}

/** MOVDDUP: both quadwords from the lower one of the operand. */
export const duplicate: Emitter = (r, i) => {
	r.xmm.require(i)
	pushScalar(r, i, 8)
	r.code.simd('i64x2.splat')
	r.xmm.set(i.reg)
	return true
}

export const moveToXmm: Emitter = (r, i) => {
	const { code } = r
	const size = i.flags & L.RF_REXW ? 8 : 4
	r.xmm.require(i)
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForRead(i, size)
		code.get(r.host).v128(size === 8 ? 'load64_zero' : 'load32_zero')
	} else {
		code.v128Const(0n)
		r.getRegister(i.rm, size)
		code.lane(size === 8 ? 'i64x2.replace_lane' : 'i32x4.replace_lane', 0)
	}
	r.xmm.set(i.reg)
	return true
}

export const moveFromXmm: Emitter = (r, i) => {
	const size = i.flags & L.RF_REXW ? 8 : 4
	const { code } = r
	const extract = () => {
		r.xmm.get(i.reg)
		code.lane(size === 8 ? 'i64x2.extract_lane' : 'i32x4.extract_lane', 0)
	}
	r.xmm.require(i)
	if (i.memory) {
		const temporary = size === 8 ? r.z64 : r.z32
		r.pushEffectiveAddress(i)
		r.hostForWrite(i, size)
		extract()
		code.set(temporary)
		r.store(i, size, temporary, () => {})
		return true
	}
	extract()
	r.setRegister(i.rm, size)
	return true
}

export const moveMask =
	(operator: 'i8x16.bitmask' | 'i32x4.bitmask' | 'i64x2.bitmask'): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		r.xmm.get(i.rm)
		r.code.simd(operator)
		r.setRegister(i.reg, 4)
		return true
	}
