import { F32, F64, V128 } from '../../../wasm/module.ts'
import { type Emitter, operandLocal, pushLowest, pushNumber, setLowest } from './emitter.ts'
import { S0, SINGLES } from './lanes.ts'
import { ifAnyImmoderate, ifAnyNotZero, ifImmoderate, ifNotZero, type Operation } from './number_tests.ts'

// Arithmetic of singles is computed here where its operands are clean (lanes.ts) and its result is of moderate size: then no flag but PE can result,
// which is set already. Everything else is computed by the core, from the values, exactly. It may raise #XM. Doubles: double_groups.ts.

/** KIND_* of core/sse_float.ts. */
export const KINDS: Readonly<Record<Operation, number>> = { add: 0, sub: 1, mul: 2, div: 3, sqrt: 4, min: 5, max: 6 }

/** ADDSS, MINSS and their like. MIN and MAX give the second operand unless the first is less (greater). */
export const singleArithmetic =
	(operation: Operation): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const x = r.temporary(F32)
		const y = r.temporary(F32)
		const z = r.temporary(F32)
		const tests: number[] = []
		xmm.require(i)
		pushNumber(r, i, 'f32')
		code.set(y)
		if (i.memory || !xmm.isClean(i.rm, S0)) tests.push(y)
		if (operation === 'sqrt') code.get(y).op('f32.sqrt').set(z)
		else {
			pushLowest(r, i.reg, 'f32')
			code.set(x)
			if (!xmm.isClean(i.reg, S0) && (i.memory || i.reg !== i.rm)) tests.push(x)
			code.get(x).get(y)
			if (operation === 'min' || operation === 'max')
				code
					.get(x)
					.get(y)
					.op(operation === 'min' ? 'f32.lt' : 'f32.gt', 'select')
			else code.op(`f32.${operation}`)
			code.set(z)
		}
		if (operation !== 'min' && operation !== 'max') tests.push(z)
		ifImmoderate(r, tests)
		ifNotZero(r, operation, { x, y, z }, tests)
		code.i32(KINDS[operation])
		code.get(operation === 'sqrt' ? y : x).op('i32.reinterpret_f32')
		code.get(y).op('i32.reinterpret_f32').call(core.singleArithmetic).op('f32.reinterpret_i32').set(z)
		xmm.takeStatus(i)
		code.end()
		code.end()
		setLowest(r, i.reg, 'f32', z)
		return true
	}

/** ADDPS, MINPS and their like. */
export const singlesArithmetic =
	(operation: Operation): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const z = r.temporary(V128)
		const tests: number[] = []
		xmm.require(i)
		const y = operandLocal(r, i)
		if (i.memory || !xmm.isClean(i.rm, SINGLES)) tests.push(y)
		const x = r.temporary(V128)
		xmm.get(i.reg)
		code.set(x)
		if (operation === 'sqrt') code.get(y).simd('f32x4.sqrt')
		else {
			if (!xmm.isClean(i.reg, SINGLES) && (i.memory || i.reg !== i.rm)) tests.push(x)
			// pmin(a, b) is a unless b is less.
			if (operation === 'min' || operation === 'max') code.get(y).get(x).simd(`f32x4.p${operation}`)
			else code.get(x).get(y).simd(`f32x4.${operation}`)
		}
		code.set(z)
		if (operation !== 'min' && operation !== 'max') tests.push(z)
		ifAnyImmoderate(r, tests)
		ifAnyNotZero(r, operation, { x, y, z }, tests)
		code.i32(KINDS[operation]).get(x).get(y).call(core.packedSingleArithmetic).set(z)
		xmm.takeStatus(i)
		code.end()
		code.end()
		code.get(z)
		xmm.set(i.reg)
		return true
	}

/** COMISS and UCOMISS. Infinities are ordered like numbers, but they are tested as if they weren't: those are the core's. */
export const singlesCompared =
	(quietIsInvalid: boolean): Emitter =>
	(r, i) => {
		const { code, core, xmm } = r
		const x = r.temporary(F32)
		const y = r.temporary(F32)
		const tests: number[] = []
		xmm.require(i)
		pushNumber(r, i, 'f32')
		code.set(y)
		pushLowest(r, i.reg, 'f32')
		code.set(x)
		if (i.memory || !xmm.isClean(i.rm, S0)) tests.push(y)
		if (!xmm.isClean(i.reg, S0)) tests.push(x)
		ifImmoderate(r, tests)
		ifNotZero(r, 'sub', { x, y, z: x }, tests)
		code.i32(quietIsInvalid ? 1 : 0)
		code.get(x).op('i32.reinterpret_f32').get(y).op('i32.reinterpret_f32').call(core.compareSingles).set(r.z32)
		xmm.takeStatus(i)
		// What DAZ makes zero.
		for (const [local, bit] of [[x, 1] as const, [y, 2] as const])
			code.i32(0).op('f32.reinterpret_i32').get(local).get(r.z32).i32(bit).op('i32.and', 'select').set(local)
		code.end()
		code.end()
		const [wideX, wideY] = [r.temporary(F64), r.temporary(F64)]
		code.get(x).op('f64.promote_f32').set(wideX).get(y).op('f64.promote_f32').set(wideY)
		r.setComparedFlags(wideX, wideY)
		return true
	}
