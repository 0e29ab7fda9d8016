import type { SimdOperator } from '../../../wasm/code.ts'
import { F32, F64, V128, VOID } from '../../../wasm/module.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'

/** Writes an instruction's code. False when it can't: the core executes it. */
export type Emitter = (r: RegionCode, i: Instruction) => boolean

/** Pushes the 16 bytes of the ModRM.rm operand, in memory aligned to 16 bytes or the core raises #GP. */
export function pushOperand(r: RegionCode, i: Instruction): void {
	if (!i.memory) return r.xmm.get(i.rm)
	r.pushEffectiveAddress(i)
	r.readWith(i, 16, V128, () => r.code.v128('load'), true)
}

/** Pushes the quadword or doubleword (as an i64, upper half zero) of the ModRM.rm operand. */
export function pushScalar(r: RegionCode, i: Instruction, size: 4 | 8): void {
	const { code } = r
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.read(i, size)
		r.widen(size)
	} else {
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
		extract: 'f64x2.extract_lane',
		replace: 'f64x2.replace_lane',
		toBits: 'i64.reinterpret_f64',
		fromBits: 'f64.reinterpret_i64',
	},
	f32: {
		size: 4,
		type: F32,
		extract: 'f32x4.extract_lane',
		replace: 'f32x4.replace_lane',
		toBits: 'i32.reinterpret_f32',
		fromBits: 'f32.reinterpret_i32',
	},
} as const
export type Format = keyof typeof FORMATS

/** Pushes the number of the ModRM.rm operand. */
export function pushNumber(r: RegionCode, i: Instruction, format: Format): void {
	const { size, type, extract } = FORMATS[format]
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.readWith(i, size, type, () => r.code.memory(`${format}.load`))
	} else {
		r.xmm.get(i.rm)
		r.code.lane(extract, 0)
	}
}

/**
 * Opens an `if` for what the fast path doesn't serve: `slow`, or a number in one of the locals that is not of moderate size (its exponent is in the lower or
 * upper quarter, as are those of zero, denormals, infinities and NaNs). Twice the bits, and the exponent moved by a quarter, leave that in the sign bit.
 */
export function ifImmoderate(r: RegionCode, format: Format, locals: readonly number[]): void {
	const { code, xmm } = r
	code.get(xmm.slow)
	if (format === 'f64') {
		for (const local of locals)
			code.get(local).op('i64.reinterpret_f64').i64(1).op('i64.shl').i64(-0x4000000000000000n).op('i64.add', 'i64.or')
		code.i64(0).op('i64.lt_s')
	} else {
		code.op('i32.wrap_i64')
		for (const local of locals) code.get(local).op('i32.reinterpret_f32').i32(1).op('i32.shl').i32(-0x40000000).op('i32.add', 'i32.or')
		code.i32(0).op('i32.lt_s')
	}
	code.if(VOID, false)
}

const VECTORS = {
	f64: { add: 'i64x2.add', signs: 'i64x2.bitmask', quarters: 0xc000000000000000n },
	f32: { add: 'i32x4.add', signs: 'i32x4.bitmask', quarters: 0xc0000000c0000000n },
} as const satisfies Record<Format, { add: SimdOperator; signs: SimdOperator; quarters: bigint }>

/** The same for all lanes of vectors. */
export function ifAnyImmoderate(r: RegionCode, format: Format, locals: readonly number[]): void {
	const { code, xmm } = r
	const { add, signs, quarters } = VECTORS[format]
	locals.forEach((local, n) => {
		code.get(local).get(local).simd(add).v128Const(quarters).simd(add)
		if (n > 0) code.simd('v128.or')
	})
	if (locals.length > 0) code.simd(signs).get(xmm.slow).op('i32.wrap_i64', 'i32.or')
	else code.get(xmm.slow).op('i32.wrap_i64')
	code.if(VOID, false)
}

/** A v128 temporary that holds the ModRM.rm operand. */
export function operandLocal(r: RegionCode, i: Instruction): number {
	const local = r.temporary(V128)
	pushOperand(r, i)
	r.code.set(local)
	return local
}
