// Square roots, rounding, trigonometric, exponential and logarithmic functions, remainders.

import { raise } from '../mem'
import * as f80 from '../softfloat80'
import * as convert from '../softfloat80_convert'
import * as logarithm from '../logarithm80'
import * as trigonometric from '../trigonometric80'
import { C0, C1, C2, C3, conclude, fsw, isEmpty, NAN_SE, NAN_SIG, pop, push, setConditions, setFsw, setSt, stackFault } from './state'
import * as op from '../generated/ops'
import { INDEX_NEW, seOf, sigOf, storeNanAfterUnderflow } from './operands'

export function unaryFunction(operation: i32): i32 {
	if (isEmpty(0)) {
		storeNanAfterUnderflow(0, 0)
		if (operation == op.OP_FSIN || operation == op.OP_FCOS) setFsw(fsw() & ~C2)
		return 0
	}
	const se = seOf(0)
	const sig = sigOf(0)
	switch (operation) {
		case op.OP_FSQRT:
			f80.squareRoot80(se, sig)
			break
		case op.OP_FRNDINT:
			convert.roundToInteger80(se, sig)
			break
		case op.OP_F2XM1:
			logarithm.exponentialMinusOne80(se, sig)
			break
		case op.OP_FSIN:
		case op.OP_FCOS: {
			if (trigonometric.outOfRange(se, sig)) {
				setFsw((fsw() & ~C1) | C2)
				return 0
			}
			if (operation == op.OP_FSIN) trigonometric.sine80(se, sig)
			else trigonometric.cosine80(se, sig)
			setFsw(fsw() & ~C2)
			break
		}
		default:
			return raise(6, 0)
	}
	if (conclude()) setSt(0, f80.rSe, f80.rSig)
	return 0
}

/** FPTAN and FSINCOS: ST(0) gets tangent or sine, then 1 or the cosine is pushed. */
export function sineAndCosine(operation: i32): i32 {
	const under = isEmpty(0)
	if (under || !isEmpty(INDEX_NEW)) {
		stackFault(!under)
		setFsw(fsw() & ~C2)
		if (!conclude()) return 0
		setSt(0, NAN_SE, NAN_SIG)
		push(NAN_SE, NAN_SIG)
		return 0
	}
	const se = seOf(0)
	const sig = sigOf(0)
	if (trigonometric.outOfRange(se, sig)) {
		setFsw((fsw() & ~C1) | C2)
		return 0
	}
	setFsw(fsw() & ~C2)
	if (operation == op.OP_FSINCOS) trigonometric.sine80(se, sig)
	else trigonometric.tangent80(se, sig)
	const firstSe = f80.rSe
	const firstSig = f80.rSig
	const kind = f80.classify(se, sig)
	if (operation == op.OP_FSINCOS) trigonometric.cosine80(se, sig)
	else if (kind < f80.CLASS_INFINITE) f80.extendedOne(0)
	if (!conclude()) return 0
	setSt(0, firstSe, firstSig)
	push(f80.rSe, f80.rSig)
	return 0
}

/** ST(1) = f(ST(1), ST(0)), then pops. */
export function pairFunction(operation: i32): i32 {
	if (isEmpty(0) || isEmpty(1)) {
		storeNanAfterUnderflow(1, 1)
		return 0
	}
	switch (operation) {
		case op.OP_FYL2X:
			logarithm.logarithm80(seOf(1), sigOf(1), seOf(0), sigOf(0))
			break
		case op.OP_FYL2XP1:
			logarithm.logarithmPlusOne80(seOf(1), sigOf(1), seOf(0), sigOf(0))
			break
		default:
			trigonometric.arctangent80(seOf(1), sigOf(1), seOf(0), sigOf(0))
	}
	if (!conclude()) return 0
	setSt(1, f80.rSe, f80.rSig)
	pop()
	return 0
}

/** C0, C3, C1 get bits 2, 1, 0 of a complete quotient; C2 alone says that the reduction is partial. */
export function remainder(nearest: bool): i32 {
	if (isEmpty(0) || isEmpty(1)) {
		storeNanAfterUnderflow(0, 0)
		setFsw(fsw() & ~C2)
		return 0
	}
	f80.remainder80(seOf(0), sigOf(0), seOf(1), sigOf(1), nearest)
	const q = <u32>f80.remainderQuotient
	if (conclude()) setSt(0, f80.rSe, f80.rSig)
	if (f80.remainderPartial) setConditions(C2)
	else if (!f80.remainderComplete) setFsw(fsw() & ~C2)
	else setConditions((q & 4 ? C0 : 0) | (q & 2 ? C3 : 0) | (q & 1 ? C1 : 0))
	return 0
}

export function extract(): i32 {
	const under = isEmpty(0)
	if (under || !isEmpty(INDEX_NEW)) {
		stackFault(!under)
		if (!conclude()) return 0
		setSt(0, NAN_SE, NAN_SIG)
		push(NAN_SE, NAN_SIG)
		return 0
	}
	convert.extract80(seOf(0), sigOf(0))
	if (!conclude()) return 0
	setSt(0, f80.rSe, f80.rSig)
	push(convert.extractedSe, convert.extractedSig)
	return 0
}
