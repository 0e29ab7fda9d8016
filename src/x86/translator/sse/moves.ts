import { F64, V128 } from '../../../wasm/module.ts'
import * as L from '../../core/layout.ts'
import type { RegionCode } from '../region_code.ts'
import { type Emitter, pushLowest, pushNumber, pushOperand } from './emitter.ts'

/** `check`: an operand in memory must be aligned. */
export const moveLoad =
	(check: boolean): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		if (i.memory && !check) {
			r.hostForRead(i, 16)
			r.code.get(r.host).v128('load')
		} else if (i.memory) pushOperand(r, i)
		else {
			r.xmm.copy(i.rm, i.reg)
			return true
		}
		r.xmm.set(i.reg)
		return true
	}

export const moveStore =
	(check: boolean): Emitter =>
	(r, i) => {
		r.xmm.require(i)
		if (i.memory) {
			r.hostForWrite(i, 16, check)
			r.storeXmm(i, i.reg)
		} else r.xmm.copy(i.reg, i.rm)
		return true
	}

/** MOVSD and MOVQ to a register: from memory the rest is cleared; MOVQ (`clears`) clears it always. */
export const doubleLoad =
	(clears: boolean): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		xmm.require(i)
		if (i.memory && clears && !xmm.isSplit(i.reg)) {
			r.readWith(i, 8, V128, () => code.v128('load64_zero'))
			xmm.set(i.reg)
			return true
		}
		pushNumber(r, i, 'f64')
		if (i.memory || clears) xmm.setLowAndClear(i.reg)
		else xmm.setLow(i.reg)
		return true
	}

/** MOVSS to a register: from memory the rest is cleared. */
export const singleLoad: Emitter = (r, i) => {
	const { code, xmm } = r
	xmm.require(i)
	if (i.memory) {
		r.readWith(i, 4, V128, () => code.v128('load32_zero'))
	} else {
		xmm.get(i.reg)
		pushLowest(r, i.rm, 'f32')
		code.lane('f32x4.replace_lane', 0)
	}
	xmm.set(i.reg)
	return true
}

/** Pushes the quadword or doubleword that a store takes from a register. */
function pushStored(r: RegionCode, index: number, size: 4 | 8, lane: number): void {
	const { code, xmm } = r
	if (size === 8) {
		if (lane === 0) xmm.getLow(index)
		else xmm.getHigh(index)
		code.op('i64.reinterpret_f64')
	} else {
		xmm.get(index)
		code.lane('i32x4.extract_lane', 0)
	}
}

export const scalarStore =
	(size: 4 | 8, lane = 0): Emitter =>
	(r, i) => {
		if (!i.memory) return false
		const temporary = size === 8 ? r.z64 : r.z32
		r.xmm.require(i)
		pushStored(r, i.reg, size, lane)
		r.code.set(temporary)
		r.write(i, size, temporary, () => {})
		return true
	}

/** MOVLPS from memory. */
export const lowLoad: Emitter = (r, i) => {
	r.xmm.require(i)
	pushNumber(r, i, 'f64')
	r.xmm.setLow(i.reg)
	return true
}

/** MOVHPS from memory. */
export const highLoad: Emitter = (r, i) => {
	const value = r.temporary(F64)
	r.xmm.require(i)
	pushNumber(r, i, 'f64')
	r.code.set(value)
	r.xmm.setHigh(i.reg, () => void r.code.get(value))
	return true
}

/** MOVDDUP: both quadwords from the lower one of the operand. */
export const duplicate: Emitter = (r, i) => {
	r.xmm.require(i)
	pushNumber(r, i, 'f64')
	r.code.simd('f64x2.splat')
	r.xmm.set(i.reg)
	return true
}

/** MOVHLPS: the lower half from the other register's upper half. */
export const highToLow: Emitter = (r, i) => {
	r.xmm.require(i)
	r.xmm.getHigh(i.rm)
	r.xmm.setLow(i.reg)
	return true
}

/** MOVLHPS and UNPCKLPD of registers: the upper half from the other register's lower half. */
export const lowToHigh: Emitter = (r, i) => {
	const { xmm } = r
	xmm.require(i)
	if (i.reg === i.rm) {
		xmm.getLow(i.rm)
		r.code.simd('f64x2.splat')
		xmm.set(i.reg)
		return true
	}
	const value = r.temporary(F64)
	xmm.getLow(i.rm)
	r.code.set(value)
	xmm.setHigh(i.reg, () => void r.code.get(value))
	return true
}

/** UNPCKHPD of a register with itself. */
export const duplicateHigh: Emitter = (r, i) => {
	r.xmm.require(i)
	r.xmm.getHigh(i.reg)
	r.xmm.setLow(i.reg)
	return true
}

export const moveToXmm: Emitter = (r, i) => {
	const { code, xmm } = r
	const size = i.flags & L.RF_REXW ? 8 : 4
	xmm.require(i)
	if (i.memory) {
		r.readWith(i, size, V128, () => code.v128(size === 8 ? 'load64_zero' : 'load32_zero'))
		xmm.set(i.reg)
	} else {
		r.getRegister(i.rm, size)
		r.widen(size)
		code.op('f64.reinterpret_i64')
		xmm.setLowAndClear(i.reg)
	}
	return true
}

export const moveFromXmm: Emitter = (r, i) => {
	const size = i.flags & L.RF_REXW ? 8 : 4
	r.xmm.require(i)
	if (i.memory) return scalarStore(size)(r, i)
	pushStored(r, i.reg, size, 0)
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
