// x87 instructions on registers of the stack.

import { CF, PF, ZF, statusFlags } from '../flags'
import * as soft from '../softfloat'
import * as f80 from '../softfloat80'
import {
  C0, C1, C2, C3, conclude, fsw, isEmpty, NAN_SE, NAN_SIG, pop, push, setConditions, setEmpty, setFsw, setSt, setTop, stackFault, top,
} from './state'
import * as op from '../generated/ops'
import { selector, stackIndex, seOf, sigOf, pushResult, arithmetic, storeNanAfterUnderflow } from './operands'
import { compareWith, compareStack, compareToFlags } from './compare'
import { unaryFunction, sineAndCosine, pairFunction, remainder, extract } from './functions'

export function executeRegister(rec: usize, operation: i32): i32 {
	const i = stackIndex(rec)
	switch (operation) {
		case op.OP_FARITH_ST0: {
			const kind = selector(rec)
			if (kind == 2 || kind == 3) return compareStack(i, false, kind - 2)
			return arithmeticStack(kind, i, 0, 0)
		}
		case op.OP_FARITH_STI:
			return arithmeticStack(selector(rec), i, i, 0)
		case op.OP_FARITHP:
			return arithmeticStack(selector(rec), i, i, 1)
		case op.OP_FCOMP_ALIAS:
			return compareStack(i, false, 1)
		case op.OP_FCOMPP:
			return compareStack(1, false, 2)
		case op.OP_FUCOM:
			return compareStack(i, true, 0)
		case op.OP_FUCOMP:
			return compareStack(i, true, 1)
		case op.OP_FUCOMPP:
			return compareStack(1, true, 2)
		case op.OP_FCOMI:
			return compareToFlags(i, false, 0)
		case op.OP_FCOMIP:
			return compareToFlags(i, false, 1)
		case op.OP_FUCOMI:
			return compareToFlags(i, true, 0)
		case op.OP_FUCOMIP:
			return compareToFlags(i, true, 1)
		case op.OP_FTST:
			compareWith(isEmpty(0), 0, 0, false, 0)
			return 0
		case op.OP_FLD_STI: {
			if (isEmpty(i)) {
				// Underflow and overflow at once report underflow.
				stackFault(false)
				if (conclude()) push(NAN_SE, NAN_SIG)
				return 0
			}
			pushResult(seOf(i), sigOf(i))
			return 0
		}
		case op.OP_FXCH:
			return exchange(i)
		case op.OP_FST_STI:
			return copyTo(i, false)
		case op.OP_FSTP_STI:
			return copyTo(i, true)
		case op.OP_FSTPNCE:
			return copyUnchecked(i)
		case op.OP_FNOP:
			return 0
		case op.OP_FFREE:
			setEmpty(i)
			setFsw(fsw() & ~C1)
			return 0
		case op.OP_FFREEP:
			setEmpty(i)
			pop()
			setFsw(fsw() & ~C1)
			return 0
		case op.OP_FDECSTP:
			setTop(top() - 1)
			setFsw(fsw() & ~C1)
			return 0
		case op.OP_FINCSTP:
			setTop(top() + 1)
			setFsw(fsw() & ~C1)
			return 0
		case op.OP_FXAM:
			examine()
			return 0
		case op.OP_FCMOVB:
			return moveIf((statusFlags() & CF) != 0, i)
		case op.OP_FCMOVE:
			return moveIf((statusFlags() & ZF) != 0, i)
		case op.OP_FCMOVBE:
			return moveIf((statusFlags() & (CF | ZF)) != 0, i)
		case op.OP_FCMOVU:
			return moveIf((statusFlags() & PF) != 0, i)
		case op.OP_FCMOVNB:
			return moveIf((statusFlags() & CF) == 0, i)
		case op.OP_FCMOVNE:
			return moveIf((statusFlags() & ZF) == 0, i)
		case op.OP_FCMOVNBE:
			return moveIf((statusFlags() & (CF | ZF)) == 0, i)
		case op.OP_FCMOVNU:
			return moveIf((statusFlags() & PF) == 0, i)
		case op.OP_FCHS:
		case op.OP_FABS:
			if (isEmpty(0)) storeNanAfterUnderflow(0, 0)
			else {
				conclude()
				setSt(0, operation == op.OP_FABS ? seOf(0) & 0x7fff : seOf(0) ^ 0x8000, sigOf(0))
			}
			return 0
		case op.OP_FLD1:
			return pushConstant(0x3fff, 0x8000000000000000, 0)
		case op.OP_FLDL2T:
			return pushConstant(0x4000, 0xd49a784bcd1b8afe, 0x49)
		case op.OP_FLDL2E:
			return pushConstant(0x3fff, 0xb8aa3b295c17f0bb, 0xbe)
		case op.OP_FLDPI:
			return pushConstant(0x4000, 0xc90fdaa22168c234, 0xc4)
		case op.OP_FLDLG2:
			return pushConstant(0x3ffd, 0x9a209a84fbcff798, 0x8f)
		case op.OP_FLDLN2:
			return pushConstant(0x3ffe, 0xb17217f7d1cf79ab, 0xc9)
		case op.OP_FLDZ:
			return pushConstant(0, 0, 0)
		case op.OP_FXTRACT:
			return extract()
		case op.OP_FPREM:
			return remainder(false)
		case op.OP_FPREM1:
			return remainder(true)
		case op.OP_FPTAN:
			return sineAndCosine(operation)
		case op.OP_FSINCOS:
			return sineAndCosine(operation)
		case op.OP_FYL2X:
		case op.OP_FYL2XP1:
		case op.OP_FPATAN:
			return pairFunction(operation)
		case op.OP_FSCALE:
			if (isEmpty(0) || isEmpty(1)) storeNanAfterUnderflow(0, 0)
			else {
				f80.scale80(seOf(0), sigOf(0), seOf(1), sigOf(1))
				if (conclude()) setSt(0, f80.rSe, f80.rSig)
			}
			return 0
		default:
			return unaryFunction(operation)
	}
}

/** ST(target) = ST(0) kind ST(i), then pops. */
function arithmeticStack(kind: u32, i: u32, target: u32, pops: u32): i32 {
	if (isEmpty(0) || isEmpty(i)) {
		storeNanAfterUnderflow(target, pops)
		return 0
	}
	arithmetic(kind, seOf(0), sigOf(0), seOf(i), sigOf(i))
	if (!conclude()) return 0
	setSt(target, f80.rSe, f80.rSig)
	if (pops) pop()
	return 0
}

function exchange(i: u32): i32 {
	const empty0 = isEmpty(0)
	const emptyI = isEmpty(i)
	if (empty0 || emptyI) {
		stackFault(false)
		if (!conclude()) return 0
		if (empty0) setSt(0, NAN_SE, NAN_SIG)
		if (emptyI) setSt(i, NAN_SE, NAN_SIG)
	} else conclude()
	const se = seOf(0)
	const sig = sigOf(0)
	setSt(0, seOf(i), sigOf(i))
	setSt(i, se, sig)
	return 0
}

function copyTo(i: u32, pops: bool): i32 {
	if (isEmpty(0)) {
		storeNanAfterUnderflow(i, <u32>pops)
		return 0
	}
	conclude()
	setSt(i, seOf(0), sigOf(0))
	if (pops) pop()
	return 0
}

/** D9 D8+i: as FSTP, but an empty ST(0) is only popped. */
function copyUnchecked(i: u32): i32 {
	conclude()
	if (!isEmpty(0)) setSt(i, seOf(0), sigOf(0))
	pop()
	return 0
}

function moveIf(holds: bool, i: u32): i32 {
	if (isEmpty(0) || isEmpty(i)) {
		storeNanAfterUnderflow(0, 0)
		return 0
	}
	if (holds) setSt(0, seOf(i), sigOf(i))
	return 0
}

function examine(): void {
	const se = seOf(0)
	let c: u32 = se >> 15 ? C1 : 0
	if (isEmpty(0)) c |= C3 | C0
	else {
		switch (f80.classify(se, sigOf(0))) {
			case f80.CLASS_ZERO:
				c |= C3
				break
			case f80.CLASS_DENORMAL:
				c |= C3 | C2
				break
			case f80.CLASS_NORMAL:
				c |= C2
				break
			case f80.CLASS_INFINITE:
				c |= C2 | C0
				break
			case f80.CLASS_NAN:
				c |= C0
				break
			default:
		}
	}
	setConditions(c)
}

/** Pushes a constant given truncated, with the eight bits that follow, rounded in the current mode. */
function pushConstant(se: u32, sig: u64, next: u32): i32 {
	const rounding = soft.fpRounding
	if (rounding == soft.ROUND_NEAREST ? next >= 0x80 : rounding == soft.ROUND_UP && next) sig++
	pushResult(se, sig)
	return 0
}
