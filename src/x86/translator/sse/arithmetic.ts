import { F64, V128 } from '../../../wasm/module.ts'
import { type Emitter, FORMATS, type Format, operandLocal, pushLowest, pushNumber, setLowest } from './emitter.ts'
import { D0, DOUBLES, S0, SINGLES } from './lanes.ts'
import { ifAnyImmoderate, ifAnyNotZero, ifImmoderate, ifNotZero, type Operation } from './number_tests.ts'

// Arithmetic is computed here where its operands are clean (lanes.ts) and its result is of moderate size: then no flag but PE can result, which is set already.
// Everything else is computed by the core, from the values, exactly. It may raise #XM.

/** KIND_* of core/sse_float.ts. */
const KINDS: Readonly<Record<Operation, number>> = { add: 0, sub: 1, mul: 2, div: 3, sqrt: 4, min: 5, max: 6 }

const SCALARS = {
	f64: { lanes: D0, call: 'doubleArithmetic', flush: 'compareDoubles', extremes: { min: 'f64.lt', max: 'f64.gt' } },
	f32: { lanes: S0, call: 'singleArithmetic', flush: 'compareSingles', extremes: { min: 'f32.lt', max: 'f32.gt' } },
} as const

/** ADDSD, MINSS and their like. MIN and MAX give the second operand unless the first is less (greater). */
export const scalarArithmetic =
	(format: Format, operation: Operation): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const { type, toBits, fromBits } = FORMATS[format]
		const { lanes, call, extremes } = SCALARS[format]
		const x = r.temporary(type)
		const y = r.temporary(type)
		const z = r.temporary(type)
		const tests: number[] = []
		xmm.require(i)
		pushNumber(r, i, format)
		code.set(y)
		if (i.memory || !xmm.isClean(i.rm, lanes)) tests.push(y)
		if (operation === 'sqrt') code.get(y).op(`${format}.sqrt`).set(z)
		else {
			pushLowest(r, i.reg, format)
			code.set(x)
			if (!xmm.isClean(i.reg, lanes) && (i.memory || i.reg !== i.rm)) tests.push(x)
			code.get(x).get(y)
			if (operation === 'min' || operation === 'max') code.get(x).get(y).op(extremes[operation], 'select')
			else code.op(`${format}.${operation}`)
			code.set(z)
		}
		if (operation !== 'min' && operation !== 'max') tests.push(z)
		ifImmoderate(r, format, tests)
		ifNotZero(r, format, operation, { x, y, z }, tests)
		code.i32(KINDS[operation])
		code.get(operation === 'sqrt' ? y : x).op(toBits)
		code.get(y).op(toBits).call(core[call]).op(fromBits).set(z)
		xmm.takeStatus(i)
		code.end()
		code.end()
		setLowest(r, i.reg, format, z)
		return true
	}

const VECTORS = {
	f64: { shape: 'f64x2', lanes: DOUBLES, call: 'packedDoubleArithmetic' },
	f32: { shape: 'f32x4', lanes: SINGLES, call: 'packedSingleArithmetic' },
} as const

/** ADDPD, MINPS and their like. */
export const packedArithmetic =
	(format: Format, operation: Operation): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const { shape, lanes, call } = VECTORS[format]
		const z = r.temporary(V128)
		const tests: number[] = []
		xmm.require(i)
		const y = operandLocal(r, i)
		if (i.memory || !xmm.isClean(i.rm, lanes)) tests.push(y)
		const x = r.temporary(V128)
		xmm.get(i.reg)
		code.set(x)
		if (operation === 'sqrt') code.get(y).simd(`${shape}.sqrt`)
		else {
			if (!xmm.isClean(i.reg, lanes) && (i.memory || i.reg !== i.rm)) tests.push(x)
			// pmin(a, b) is a unless b is less.
			if (operation === 'min' || operation === 'max') code.get(y).get(x).simd(`${shape}.p${operation}`)
			else code.get(x).get(y).simd(`${shape}.${operation}`)
		}
		code.set(z)
		if (operation !== 'min' && operation !== 'max') tests.push(z)
		ifAnyImmoderate(r, format, tests)
		ifAnyNotZero(r, format, operation, { x, y, z }, tests)
		code.i32(KINDS[operation]).get(x).get(y).call(core[call]).set(z)
		xmm.takeStatus(i)
		code.end()
		code.end()
		code.get(z)
		xmm.set(i.reg)
		return true
	}

/** COMISD, UCOMISS and their like. Infinities are ordered like numbers, but they are tested as if they weren't: those are the core's. */
export const compared =
	(format: Format, quietIsInvalid: boolean): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const { type, toBits } = FORMATS[format]
		const { lanes, flush } = SCALARS[format]
		const x = r.temporary(type)
		const y = r.temporary(type)
		const tests: number[] = []
		xmm.require(i)
		pushNumber(r, i, format)
		code.set(y)
		pushLowest(r, i.reg, format)
		code.set(x)
		if (i.memory || !xmm.isClean(i.rm, lanes)) tests.push(y)
		if (!xmm.isClean(i.reg, lanes)) tests.push(x)
		ifImmoderate(r, format, tests)
		ifNotZero(r, format, 'sub', { x, y, z: x }, tests)
		code.i32(quietIsInvalid ? 1 : 0)
		code.get(x).op(toBits).get(y).op(toBits).call(core[flush]).set(r.z32)
		xmm.takeStatus(i)
		// What DAZ makes zero.
		for (const [local, bit] of [[x, 1] as const, [y, 2] as const]) {
			if (format === 'f64') code.i64(0).op('f64.reinterpret_i64')
			else code.i32(0).op('f32.reinterpret_i32')
			code.get(local).get(r.z32).i32(bit).op('i32.and', 'select').set(local)
		}
		code.end()
		code.end()
		if (format === 'f64') {
			r.setComparedFlags(x, y)
			return true
		}
		const [wideX, wideY] = [r.temporary(F64), r.temporary(F64)]
		code.get(x).op('f64.promote_f32').set(wideX).get(y).op('f64.promote_f32').set(wideY)
		r.setComparedFlags(wideX, wideY)
		return true
	}
