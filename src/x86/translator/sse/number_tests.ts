import { VOID } from '../../../wasm/module.ts'
import type { RegionCode } from '../region_code.ts'
import { FORMATS, type Format } from './emitter.ts'

// Which numbers the fast paths serve. The first test passes numbers of moderate size: their exponents are in the two middle quarters, as those of zero, denormals,
// infinities and NaNs are not. What it stops is tested again, for zeros.

export type Operation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt' | 'min' | 'max'

/** Locals with operands and result. */
export interface Numbers {
	readonly x: number
	readonly y: number
	readonly z: number
}

/** Pushes a number's bits with the exponent moved by a quarter: its highest bit is 1 for moderate ones. */
function pushMoved(r: RegionCode, format: Format, local: number): void {
	const { toBits, size } = FORMATS[format]
	const { code } = r
	code.get(local).op(toBits)
	if (size === 8) code.i64(0x2000000000000000n).op('i64.add')
	else code.i32(0x20000000).op('i32.add')
}

/** Opens an `if` for where `slow` is not 0, or a number in one of the locals not moderate. */
export function ifImmoderate(r: RegionCode, format: Format, locals: readonly number[]): void {
	const { code, xmm } = r
	const integer = FORMATS[format].size === 8 ? 'i64' : 'i32'
	code.get(integer === 'i64' ? xmm.moderate64 : xmm.moderate32)
	for (const local of locals) {
		pushMoved(r, format, local)
		code.op(`${integer}.and`)
	}
	code.op(`${integer}.eqz`)
	code.if(VOID, false)
}

/** Inside: opens an `if` for where `slow` is not 0, or a number neither moderate nor zero, or a zero product or quotient without a zero operand. */
export function ifNotZero(r: RegionCode, format: Format, operation: Operation, { x, y, z }: Numbers, locals: readonly number[]): void {
	const { code, xmm } = r
	const { toBits, size } = FORMATS[format]
	const integer = size === 8 ? 'i64' : 'i32'
	const shifted = (local: number) => {
		code.get(local).op(toBits)
		if (size === 8) code.i64(1).op('i64.shl')
		else code.i32(1).op('i32.shl')
	}
	code.get(xmm.slow)
	for (const local of locals) {
		pushMoved(r, format, local)
		code.get(integer === 'i64' ? xmm.moderate64 : xmm.moderate32).op(`${integer}.and`, `${integer}.eqz`)
		shifted(local)
		code.op(`${integer}.eqz`)
		if (local === z && (operation === 'mul' || operation === 'div')) {
			shifted(x)
			code.op(`${integer}.eqz`)
			if (operation === 'mul') {
				shifted(y)
				code.op(`${integer}.eqz`, 'i32.or')
			}
			code.op('i32.and')
		}
		code.op('i32.eqz', 'i32.and', 'i32.or')
	}
	code.if(VOID, false)
}

const VECTORS = {
	f64: { add: 'i64x2.add', signs: 'i64x2.bitmask', equal: 'f64x2.eq' },
	f32: { add: 'i32x4.add', signs: 'i32x4.bitmask', equal: 'f32x4.eq' },
} as const

/** Pushes a vector with the sign bits of lanes that are not moderate: twice the bits, and three quarters, which for doubles are those too but for a carry. */
function pushImmoderate(r: RegionCode, format: Format, local: number): void {
	const { add } = VECTORS[format]
	r.code.get(local).get(local).simd(add).get(r.xmm.quarters).simd(add)
}

/** ifImmoderate() for all lanes of vectors. */
export function ifAnyImmoderate(r: RegionCode, format: Format, locals: readonly number[]): void {
	const { code, xmm } = r
	locals.forEach((local, n) => {
		pushImmoderate(r, format, local)
		if (n > 0) code.simd('v128.or')
	})
	if (locals.length > 0) code.simd(VECTORS[format].signs).get(xmm.slow).op('i32.or')
	else code.get(xmm.slow)
	code.if(VOID, false)
}

/** ifNotZero() for all lanes of vectors. */
export function ifAnyNotZero(r: RegionCode, format: Format, operation: Operation, { x, y, z }: Numbers, locals: readonly number[]): void {
	const { code, xmm } = r
	const { signs, equal } = VECTORS[format]
	const zero = (local: number) => code.get(local).v128Const(0n).simd(equal)
	code.get(xmm.slow)
	for (const local of locals) {
		pushImmoderate(r, format, local)
		zero(local)
		if (local === z && (operation === 'mul' || operation === 'div')) {
			zero(x)
			if (operation === 'mul') zero(y).simd('v128.or')
			code.simd('v128.and')
		}
		code.simd('v128.andnot').simd(signs).op('i32.or')
	}
	code.if(VOID, false)
}
