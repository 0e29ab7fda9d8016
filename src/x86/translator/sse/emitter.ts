import { F32, F64, V128 } from '../../../wasm/module.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'

/** Writes an instruction's code. False when it can't: the core executes it. */
export type Emitter = (r: RegionCode, i: Instruction) => boolean

/** Pushes the 16 bytes of the ModRM.rm operand, in memory aligned to 16 bytes or the core raises #GP. */
export function pushOperand(r: RegionCode, i: Instruction): void {
	if (!i.memory) return r.xmm.get(i.rm)
	r.readWith(i, 16, V128, () => r.code.v128('load'), true)
}

/** Pushes the quadword or doubleword (as an i64, upper half zero) of the ModRM.rm operand. */
export function pushScalar(r: RegionCode, i: Instruction, size: 4 | 8): void {
	const { code } = r
	if (i.memory) {
		r.read(i, size)
		r.widen(size)
	} else {
		if (size === 8 && r.xmm.hasLow(i.rm)) {
			r.xmm.getLow(i.rm)
			code.op('i64.reinterpret_f64')
			return
		}
		r.xmm.get(i.rm)
		if (size === 8) code.lane('i64x2.extract_lane', 0)
		else code.lane('i32x4.extract_lane', 0).op('i64.extend_i32_u')
	}
}

/** A format of floating-point numbers in the lowest lane of a register. */
export const FORMATS = {
	f64: {
		size: 8,
		type: F64,
		toBits: 'i64.reinterpret_f64',
		fromBits: 'f64.reinterpret_i64',
	},
	f32: {
		size: 4,
		type: F32,
		toBits: 'i32.reinterpret_f32',
		fromBits: 'f32.reinterpret_i32',
	},
} as const
export type Format = keyof typeof FORMATS

/** Pushes the number of the ModRM.rm operand. */
export function pushNumber(r: RegionCode, i: Instruction, format: Format): void {
	const { size, type } = FORMATS[format]
	if (i.memory) {
		r.readWith(i, size, type, () => r.code.memory(`${format}.load`))
	} else pushLowest(r, i.rm, format)
}

/** Pushes the lowest number of a register. */
export function pushLowest(r: RegionCode, index: number, format: Format): void {
	if (format === 'f64') return r.xmm.getLow(index)
	r.xmm.get(index)
	r.code.lane('f32x4.extract_lane', 0)
}

/** Makes the number in a local the lowest of a register; the rest stays. */
export function setLowest(r: RegionCode, index: number, format: Format, local: number): void {
	if (format === 'f64') {
		r.code.get(local)
		return r.xmm.setLow(index)
	}
	r.xmm.get(index)
	r.code.get(local).lane('f32x4.replace_lane', 0)
	r.xmm.set(index)
}

/** A v128 temporary that holds the ModRM.rm operand. */
export function operandLocal(r: RegionCode, i: Instruction): number {
	const local = r.temporary(V128)
	pushOperand(r, i)
	r.code.set(local)
	return local
}
