import type { LaneOperator, SimdOperator } from '../../../wasm/code.ts'
import { V128 } from '../../../wasm/module.ts'
import * as L from '../../core/layout.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { type Emitter, pushOperand } from './emitter.ts'

type Size = 1 | 2 | 4 | 8
const EXTRACT: Readonly<Record<Size, LaneOperator>> = {
	1: 'i8x16.extract_lane_u',
	2: 'i16x8.extract_lane_u',
	4: 'i32x4.extract_lane',
	8: 'i64x2.extract_lane',
}
const REPLACE: Readonly<Record<Size, LaneOperator>> = {
	1: 'i8x16.replace_lane',
	2: 'i16x8.replace_lane',
	4: 'i32x4.replace_lane',
	8: 'i64x2.replace_lane',
}

const temporary = (r: RegionCode, size: Size) => (size === 8 ? r.z64 : r.z32)
const laneOf = (i: Instruction, size: Size) => Number(i.imm) & (16 / size - 1)
/** Of PEXTRD and PINSRD. */
const wide = (i: Instruction): Size => (i.flags & L.RF_REXW ? 8 : 4)

/** PEXTRB, PEXTRW, PEXTRD, PEXTRQ and EXTRACTPS. */
export const extract =
	(sizeOf: Size | typeof wide): Emitter =>
	(r, i) => {
		const size = typeof sizeOf === 'number' ? sizeOf : sizeOf(i)
		r.xmm.require(i)
		r.xmm.get(i.reg)
		r.code.lane(EXTRACT[size], laneOf(i, size))
		if (!i.memory) {
			r.setRegister(i.rm, size === 8 ? 8 : 4)
			return true
		}
		r.code.set(temporary(r, size))
		r.write(i, size, temporary(r, size), () => {})
		return true
	}
export const extractDoubleword = extract(wide)

/** PEXTRW to ModRM.reg. */
export const extractWord: Emitter = (r, i) => {
	r.xmm.require(i)
	r.xmm.get(i.rm)
	r.code.lane('i16x8.extract_lane_u', laneOf(i, 2))
	r.setRegister(i.reg, 4)
	return true
}

/** PINSRB, PINSRW, PINSRD and PINSRQ. */
export const insert =
	(sizeOf: Size | typeof wide): Emitter =>
	(r, i) => {
		const size = typeof sizeOf === 'number' ? sizeOf : sizeOf(i)
		r.xmm.require(i)
		if (i.memory) {
			r.read(i, size)
		} else r.getRegister(i.rm, size === 8 ? 8 : 4)
		r.code.set(temporary(r, size))
		r.xmm.get(i.reg)
		r.code.get(temporary(r, size)).lane(REPLACE[size], laneOf(i, size))
		r.xmm.set(i.reg)
		return true
	}
export const insertDoubleword = insert(wide)

/** PMOVSX and PMOVZX, which take `size` bytes: one operator after the other on the lower half. */
export const extended =
	(size: 2 | 4 | 8, ...operators: readonly SimdOperator[]): Emitter =>
	(r, i) => {
		const { code, xmm } = r
		xmm.require(i)
		if (i.memory) {
			r.readWith(i, size, V128, () => {
				if (size === 2) code.memory('i32.load16_u').simd('i32x4.splat')
				else code.v128(size === 8 ? 'load64_zero' : 'load32_zero')
			})
		} else pushOperand(r, i)
		for (const operator of operators) code.simd(operator)
		xmm.set(i.reg)
		return true
	}
