import { VOID } from '../../../wasm/module.ts'
import type { RegionCode } from '../region_code.ts'

// Which singles the fast paths serve; of doubles, double_tests.ts. The first test passes numbers of moderate size: their exponents are in the two middle quarters,
// as those of zero, denormals, infinities and NaNs are not. What it stops is tested again, for zeros.

export type Operation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt' | 'min' | 'max'

/** Locals with operands and result. */
export interface Numbers {
	readonly x: number
	readonly y: number
	readonly z: number
}

/** Pushes a single's bits with the exponent moved by a quarter: its highest bit is 1 for moderate ones. */
function pushMoved({ code }: RegionCode, local: number): void {
	code.get(local).op('i32.reinterpret_f32').i32(0x20000000).op('i32.add')
}

/** Opens an `if` for where `slow` is not 0, or a single in one of the locals not moderate. */
export function ifImmoderate(r: RegionCode, locals: readonly number[]): void {
	const { code, xmm } = r
	xmm.pushModerate()
	for (const local of locals) {
		pushMoved(r, local)
		code.op('i32.and')
	}
	code.op('i32.eqz')
	code.if(VOID, false)
}

/** Inside: opens an `if` for where `slow` is not 0, or a single neither moderate nor zero, or a zero product or quotient without a zero operand. */
export function ifNotZero(r: RegionCode, operation: Operation, { x, y, z }: Numbers, locals: readonly number[]): void {
	const { code, xmm } = r
	const isZero = (local: number) => code.get(local).op('i32.reinterpret_f32').i32(1).op('i32.shl', 'i32.eqz')
	xmm.pushSlow()
	for (const local of locals) {
		pushMoved(r, local)
		xmm.pushModerate()
		code.op('i32.and', 'i32.eqz')
		isZero(local)
		if (local === z && (operation === 'mul' || operation === 'div')) {
			isZero(x)
			if (operation === 'mul') isZero(y).op('i32.or')
			code.op('i32.and')
		}
		code.op('i32.eqz', 'i32.and', 'i32.or')
	}
	code.if(VOID, false)
}

/** Opens an `if` for where `slow` is not 0, or a single in one of the vectors not moderate. */
export function ifAnyImmoderate(r: RegionCode, locals: readonly number[]): void {
	const { code, xmm } = r
	locals.forEach((local, n) => {
		pushImmoderate(r, local)
		if (n > 0) code.simd('v128.or')
	})
	if (locals.length > 0) code.simd('i32x4.bitmask')
	xmm.pushSlow()
	if (locals.length > 0) code.op('i32.or')
	code.if(VOID, false)
}

/** Pushes a vector with the sign bits of singles that are not moderate: twice the bits, and three quarters. */
function pushImmoderate({ code, xmm }: RegionCode, local: number): void {
	code.get(local).get(local).simd('i32x4.add').get(xmm.quarters).simd('i32x4.add')
}

/** ifNotZero() for all lanes of vectors. */
export function ifAnyNotZero(r: RegionCode, operation: Operation, { x, y, z }: Numbers, locals: readonly number[]): void {
	const { code, xmm } = r
	const zero = (local: number) => code.get(local).v128Const(0n).simd('f32x4.eq')
	xmm.pushSlow()
	for (const local of locals) {
		pushImmoderate(r, local)
		zero(local)
		if (local === z && (operation === 'mul' || operation === 'div')) {
			zero(x)
			if (operation === 'mul') zero(y).simd('v128.or')
			code.simd('v128.and')
		}
		code.simd('v128.andnot').simd('i32x4.bitmask').op('i32.or')
	}
	code.if(VOID, false)
}
