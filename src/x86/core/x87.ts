// x87 instructions: operands, stack effects and dispatch. Arithmetic is in softfloat80.ts and transcendental80.ts, the stack and the
// status word in x87_state.ts.

import { CPU_CR0, CPU_FDP, CPU_FIP, CPU_FOP, CPU_GPR, REC_MODRM, REC_OFF, REC_OPCODE, SLOT_PAGE } from './layout'
import { cpu, ea, FAULT, raise, readPtr, writable, writeEnd, writePtr } from './mem'
import { setFlags, statusFlags } from './flags'
import { isMemory } from './sse_common'
import * as soft from './softfloat'
import * as f80 from './softfloat80'
import * as transcendental from './transcendental80'
import { initialiseX87, loadEnvironment, restoreX87, saveX87, setControlWord, storeEnvironment } from './x87_env'
import {
	beginX87,
	C0,
	C1,
	C2,
	C3,
	conclude,
	fcw,
	FSW_ES,
	fsw,
	isEmpty,
	NAN_SE,
	NAN_SIG,
	pop,
	push,
	setConditions,
	setEmpty,
	setFsw,
	setSt,
	setTop,
	st,
	stackFault,
	stopped,
	top,
} from './x87_state'
import * as op from './generated/ops'

const CR0_MP_TS: u32 = 0xa
const CR0_EM_TS: u32 = 0xc
const FLAGS_CF: u32 = 1
const FLAGS_PF: u32 = 4
const FLAGS_ZF: u32 = 0x40
const KEEPS_MEMORY: u32 = 0x19
const INDEX_NEW: u32 = 7

/** Executes one x87 record. Returns 0 when it retired, 1 when it raised an exception and changed nothing. */
export function executeX87(rec: usize, operation: i32): i32 {
	const cr0 = load<u32>(cpu, CPU_CR0)
	if (operation == op.OP_FWAIT) {
		if ((cr0 & CR0_MP_TS) == CR0_MP_TS) return raise(7, 0)
		return fsw() & FSW_ES ? raise(16, 0) : 0
	}
	if (cr0 & CR0_EM_TS) return raise(7, 0)
	switch (operation) {
		case op.OP_FNSTCW:
			return storeWord(rec, fcw())
		case op.OP_FNSTSW_M16:
			return storeWord(rec, fsw())
		case op.OP_FNSTSW_AX:
			store<u16>(cpu, fsw(), CPU_GPR)
			return 0
		case op.OP_FNSTENV:
			return storeEnvironment(rec)
		case op.OP_FNSAVE:
			return saveX87(rec)
		case op.OP_FNINIT:
			initialiseX87()
			return 0
		case op.OP_FNCLEX:
			setFsw(fsw() & 0x7f00)
			return 0
		case op.OP_FNNOP:
			return 0
		default:
	}
	if (fsw() & FSW_ES) return raise(16, 0)
	switch (operation) {
		case op.OP_FLDCW: {
			const s = readPtr(ea(rec), 2)
			if (s == FAULT) return 1
			setControlWord(<u32>load<u16>(s))
			return 0
		}
		case op.OP_FLDENV:
			return loadEnvironment(rec)
		case op.OP_FRSTOR:
			return restoreX87(rec)
		default:
	}
	beginX87()
	const failed = isMemory(rec) ? executeMemory(rec, operation) : executeRegister(rec, operation)
	// SSE accumulates in the same flags.
	soft.clearFlags()
	if (!failed) notePointers(rec)
	return failed
}

/** The last instruction's opcode (11 bits), address and operand address. */
function notePointers(rec: usize): void {
	store<u16>(cpu, ((<u32>load<u8>(rec, REC_OPCODE) & 7) << 8) | <u32>load<u8>(rec, REC_MODRM), CPU_FOP)
	store<u64>(cpu, load<u64>(cpu, SLOT_PAGE) + <u64>load<u16>(rec, REC_OFF), CPU_FIP)
	if (isMemory(rec)) store<u64>(cpu, ea(rec), CPU_FDP)
}

function storeWord(rec: usize, value: u32): i32 {
	const p = writePtr(ea(rec), 2)
	if (p == FAULT) return 1
	store<u16>(p, value)
	return writeEnd() ? 0 : 1
}

// @ts-ignore: decorator
@inline
function selector(rec: usize): u32 {
	return (<u32>load<u8>(rec, REC_MODRM) >> 3) & 7
}
// @ts-ignore: decorator
@inline
function stackIndex(rec: usize): u32 {
	return <u32>load<u8>(rec, REC_MODRM) & 7
}
// @ts-ignore: decorator
@inline
function seOf(i: u32): u32 {
	return <u32>load<u16>(st(i), 8)
}
// @ts-ignore: decorator
@inline
function sigOf(i: u32): u64 {
	return load<u64>(st(i))
}

// ---- memory operands -----------------------------------------------------------------------------------------------------

function executeMemory(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_FARITH_M32:
		case op.OP_FARITH_M64:
		case op.OP_FARITH_I16:
		case op.OP_FARITH_I32:
			return arithmeticMemory(rec, operation)
		case op.OP_FLD_M32:
		case op.OP_FLD_M64:
			return loadReal(rec, operation == op.OP_FLD_M64)
		case op.OP_FST_M32:
			return storeReal(rec, false, false)
		case op.OP_FSTP_M32:
			return storeReal(rec, false, true)
		case op.OP_FST_M64:
			return storeReal(rec, true, false)
		case op.OP_FSTP_M64:
			return storeReal(rec, true, true)
		case op.OP_FILD_M16:
			return loadInteger(rec, 2)
		case op.OP_FILD_M32:
			return loadInteger(rec, 4)
		case op.OP_FILD_M64:
			return loadInteger(rec, 8)
		case op.OP_FIST_M16:
			return storeInteger(rec, 2, soft.fpRounding, false)
		case op.OP_FIST_M32:
			return storeInteger(rec, 4, soft.fpRounding, false)
		case op.OP_FISTP_M16:
			return storeInteger(rec, 2, soft.fpRounding, true)
		case op.OP_FISTP_M32:
			return storeInteger(rec, 4, soft.fpRounding, true)
		case op.OP_FISTP_M64:
			return storeInteger(rec, 8, soft.fpRounding, true)
		case op.OP_FISTTP_M16:
			return storeInteger(rec, 2, soft.ROUND_ZERO, true)
		case op.OP_FISTTP_M32:
			return storeInteger(rec, 4, soft.ROUND_ZERO, true)
		case op.OP_FISTTP_M64:
			return storeInteger(rec, 8, soft.ROUND_ZERO, true)
		case op.OP_FLD_M80: {
			const s = readPtr(ea(rec), 10)
			if (s == FAULT) return 1
			pushResult(<u32>load<u16>(s, 8), load<u64>(s))
			return 0
		}
		case op.OP_FSTP_M80:
			return storeExtended(rec)
		case op.OP_FBLD: {
			const s = readPtr(ea(rec), 10)
			if (s == FAULT) return 1
			f80.fromBcd80(load<u64>(s), <u32>load<u16>(s, 8))
			pushResult(f80.rSe, f80.rSig)
			return 0
		}
		case op.OP_FBSTP:
			return storeBcd(rec)
		default:
			return raise(6, 0)
	}
}

/** Pushes, unless the stack is full or an unmasked exception came up. */
function pushResult(se: u32, sig: u64): void {
	if (!isEmpty(INDEX_NEW)) {
		soft.clearFlags()
		stackFault(true)
		se = NAN_SE
		sig = NAN_SIG
	}
	if (conclude()) push(se, sig)
}

/** Reads an m32fp, m64fp, m32int or m16int operand into f80's result; false on a fault. */
function operandFromMemory(rec: usize, operation: i32): bool {
	const size: u32 = operation == op.OP_FARITH_M64 ? 8 : operation == op.OP_FARITH_I16 ? 2 : 4
	const s = readPtr(ea(rec), size)
	if (s == FAULT) return false
	switch (operation) {
		case op.OP_FARITH_M32:
			f80.widen32(load<u32>(s))
			f80.setNarrowDenormal(f80.widenedDenormal)
			break
		case op.OP_FARITH_M64:
			f80.widen64(load<u64>(s))
			f80.setNarrowDenormal(f80.widenedDenormal)
			break
		case op.OP_FARITH_I32:
			f80.fromInteger80(<i64>load<i32>(s))
			break
		default:
			f80.fromInteger80(<i64>load<i16>(s))
	}
	return true
}

function arithmeticMemory(rec: usize, operation: i32): i32 {
	if (!operandFromMemory(rec, operation)) return 1
	const kind = selector(rec)
	const se = f80.rSe
	const sig = f80.rSig
	if (kind == 2 || kind == 3) {
		compareWith(isEmpty(0), se, sig, false, kind - 2)
		return 0
	}
	if (isEmpty(0)) storeNanAfterUnderflow(0, 0)
	else {
		arithmetic(kind, seOf(0), sigOf(0), se, sig)
		if (conclude()) setSt(0, f80.rSe, f80.rSig)
	}
	return 0
}

/** Masked stack underflow: ST(i) becomes the default NaN, then the stack is popped. */
function storeNanAfterUnderflow(i: u32, pops: u32): void {
	soft.clearFlags()
	stackFault(false)
	if (!conclude()) return
	setSt(i, NAN_SE, NAN_SIG)
	while (pops--) pop()
}

/** a is ST(0); kinds are the ModRM.reg of D8 (and of DC and DE, whose reversed mnemonics make up for the swapped destination). */
function arithmetic(kind: u32, seA: u32, sigA: u64, seB: u32, sigB: u64): void {
	switch (kind) {
		case 0:
			return f80.add80(seA, sigA, seB, sigB, 0)
		case 1:
			return f80.multiply80(seA, sigA, seB, sigB)
		case 4:
			return f80.add80(seA, sigA, seB, sigB, 1)
		case 5:
			return f80.add80(seB, sigB, seA, sigA, 1)
		case 6:
			return f80.divide80(seA, sigA, seB, sigB)
		default:
			return f80.divide80(seB, sigB, seA, sigA)
	}
}

function loadReal(rec: usize, wide: bool): i32 {
	const s = readPtr(ea(rec), wide ? 8 : 4)
	if (s == FAULT) return 1
	if (wide) f80.widen64(load<u64>(s))
	else f80.widen32(load<u32>(s))
	f80.unaryNan(f80.rSe, f80.rSig)
	const denormal = f80.widenedDenormal && isEmpty(INDEX_NEW)
	pushResult(f80.rSe, f80.rSig)
	// DE is reported with the value loaded, even when unmasked.
	if (denormal) {
		soft.raiseFlags(soft.FE_DENORMAL)
		conclude()
	}
	return 0
}

function loadInteger(rec: usize, size: u32): i32 {
	const s = readPtr(ea(rec), size)
	if (s == FAULT) return 1
	f80.fromInteger80(size == 8 ? load<i64>(s) : size == 4 ? <i64>load<i32>(s) : <i64>load<i16>(s))
	pushResult(f80.rSe, f80.rSig)
	return 0
}

function storeReal(rec: usize, wide: bool, pops: bool): i32 {
	let value: u64 = wide ? 0xfff8000000000000 : 0xffc00000
	if (isEmpty(0)) stackFault(false)
	else value = f80.narrow80(seOf(0), sigOf(0), wide)
	if (!stopped(KEEPS_MEMORY)) {
		const p = writePtr(ea(rec), wide ? 8 : 4)
		if (p == FAULT) return 1
		if (wide) store<u64>(p, value)
		else store<u32>(p, <u32>value)
		if (!writeEnd()) return 1
	} else if (!writable(ea(rec), wide ? 8 : 4)) return 1
	else {
		// Nothing was stored, so nothing was rounded.
		soft.dropInexact()
		pops = false
	}
	conclude()
	if (pops) pop()
	return 0
}

function storeExtended(rec: usize): i32 {
	const under = isEmpty(0)
	const se = under ? NAN_SE : seOf(0)
	const sig = under ? NAN_SIG : sigOf(0)
	if (under) stackFault(false)
	if (!stopped(KEEPS_MEMORY)) {
		const p = writePtr(ea(rec), 10)
		if (p == FAULT) return 1
		store<u64>(p, sig)
		store<u16>(p, se, 8)
		if (!writeEnd()) return 1
	} else if (!writable(ea(rec), 10)) return 1
	if (conclude()) pop()
	return 0
}

function storeInteger(rec: usize, size: u32, rounding: u32, pops: bool): i32 {
	let value: i64 = size == 8 ? i64.MIN_VALUE : size == 4 ? <i64>i32.MIN_VALUE : -32768
	if (isEmpty(0)) stackFault(false)
	else value = f80.toInteger80(seOf(0), sigOf(0), size << 3, rounding)
	if (!stopped(KEEPS_MEMORY)) {
		const p = writePtr(ea(rec), size)
		if (p == FAULT) return 1
		if (size == 8) store<i64>(p, value)
		else if (size == 4) store<i32>(p, <i32>value)
		else store<i16>(p, <i16>value)
		if (!writeEnd()) return 1
	} else if (!writable(ea(rec), size)) return 1
	else pops = false
	conclude()
	if (pops) pop()
	return 0
}

function storeBcd(rec: usize): i32 {
	let low: u64 = 0xc000000000000000
	let high: u32 = 0xffff
	if (isEmpty(0)) stackFault(false)
	else {
		f80.toBcd80(seOf(0), sigOf(0))
		low = f80.bcdLow
		high = f80.bcdHigh
	}
	if (!stopped(KEEPS_MEMORY)) {
		const p = writePtr(ea(rec), 10)
		if (p == FAULT) return 1
		store<u64>(p, low)
		store<u16>(p, high, 8)
		if (!writeEnd()) return 1
	} else if (!writable(ea(rec), 10)) return 1
	if (conclude()) pop()
	return 0
}

// ---- comparison ------------------------------------------------------------------------------------------------------------

function conditionsOf(order: i32): u32 {
	if (order == f80.LESS) return C0
	if (order == f80.EQUAL) return C3
	return order == f80.GREATER ? 0 : C0 | C2 | C3
}

/** Compares ST(0) with a value into C3, C2, C0 and pops. */
function compareWith(under: bool, se: u32, sig: u64, quiet: bool, pops: u32): void {
	let order = f80.UNORDERED
	if (under) stackFault(false)
	else order = f80.compare80(seOf(0), sigOf(0), se, sig, quiet)
	const proceeds = conclude()
	setConditions(conditionsOf(order))
	if (proceeds) while (pops--) pop()
}

function compareStack(i: u32, quiet: bool, pops: u32): i32 {
	compareWith(isEmpty(0) || isEmpty(i), seOf(i), sigOf(i), quiet, pops)
	return 0
}

/** FCOMI and kin: the order goes to ZF, PF, CF. C1 changes only with a stack fault. */
function compareToFlags(i: u32, quiet: bool, pops: u32): i32 {
	let order = f80.UNORDERED
	const kept = fsw() & C1
	const under = isEmpty(0) || isEmpty(i)
	if (under) stackFault(false)
	else order = f80.compare80(seOf(0), sigOf(0), seOf(i), sigOf(i), quiet)
	const proceeds = conclude()
	if (!under) setFsw(fsw() | kept)
	const c = conditionsOf(order)
	setFlags((c & C3 ? FLAGS_ZF : 0) | (c & C2 ? FLAGS_PF : 0) | (c & C0 ? FLAGS_CF : 0))
	if (proceeds) while (pops--) pop()
	return 0
}

// ---- register operands ------------------------------------------------------------------------------------------------------

function executeRegister(rec: usize, operation: i32): i32 {
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
			return moveIf((statusFlags() & FLAGS_CF) != 0, i)
		case op.OP_FCMOVE:
			return moveIf((statusFlags() & FLAGS_ZF) != 0, i)
		case op.OP_FCMOVBE:
			return moveIf((statusFlags() & (FLAGS_CF | FLAGS_ZF)) != 0, i)
		case op.OP_FCMOVU:
			return moveIf((statusFlags() & FLAGS_PF) != 0, i)
		case op.OP_FCMOVNB:
			return moveIf((statusFlags() & FLAGS_CF) == 0, i)
		case op.OP_FCMOVNE:
			return moveIf((statusFlags() & FLAGS_ZF) == 0, i)
		case op.OP_FCMOVNBE:
			return moveIf((statusFlags() & (FLAGS_CF | FLAGS_ZF)) == 0, i)
		case op.OP_FCMOVNU:
			return moveIf((statusFlags() & FLAGS_PF) == 0, i)
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

function unaryFunction(operation: i32): i32 {
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
			f80.roundToInteger80(se, sig)
			break
		case op.OP_F2XM1:
			transcendental.exponentialMinusOne80(se, sig)
			break
		case op.OP_FSIN:
		case op.OP_FCOS: {
			if (transcendental.outOfRange(se, sig)) {
				setFsw((fsw() & ~C1) | C2)
				return 0
			}
			if (operation == op.OP_FSIN) transcendental.sine80(se, sig)
			else transcendental.cosine80(se, sig)
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
function sineAndCosine(operation: i32): i32 {
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
	if (transcendental.outOfRange(se, sig)) {
		setFsw((fsw() & ~C1) | C2)
		return 0
	}
	setFsw(fsw() & ~C2)
	if (operation == op.OP_FSINCOS) transcendental.sine80(se, sig)
	else transcendental.tangent80(se, sig)
	const firstSe = f80.rSe
	const firstSig = f80.rSig
	const kind = f80.classify(se, sig)
	if (operation == op.OP_FSINCOS) transcendental.cosine80(se, sig)
	else if (kind < f80.CLASS_INFINITE) f80.extendedOne(0)
	if (!conclude()) return 0
	setSt(0, firstSe, firstSig)
	push(f80.rSe, f80.rSig)
	return 0
}

/** ST(1) = f(ST(1), ST(0)), then pops. */
function pairFunction(operation: i32): i32 {
	if (isEmpty(0) || isEmpty(1)) {
		storeNanAfterUnderflow(1, 1)
		return 0
	}
	switch (operation) {
		case op.OP_FYL2X:
			transcendental.logarithm80(seOf(1), sigOf(1), seOf(0), sigOf(0))
			break
		case op.OP_FYL2XP1:
			transcendental.logarithmPlusOne80(seOf(1), sigOf(1), seOf(0), sigOf(0))
			break
		default:
			transcendental.arctangent80(seOf(1), sigOf(1), seOf(0), sigOf(0))
	}
	if (!conclude()) return 0
	setSt(1, f80.rSe, f80.rSig)
	pop()
	return 0
}

/** C0, C3, C1 get bits 2, 1, 0 of a complete quotient; C2 alone says that the reduction is partial. */
function remainder(nearest: bool): i32 {
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

function extract(): i32 {
	const under = isEmpty(0)
	if (under || !isEmpty(INDEX_NEW)) {
		stackFault(!under)
		if (!conclude()) return 0
		setSt(0, NAN_SE, NAN_SIG)
		push(NAN_SE, NAN_SIG)
		return 0
	}
	f80.extract80(seOf(0), sigOf(0))
	if (!conclude()) return 0
	setSt(0, f80.rSe, f80.rSig)
	push(f80.extractedSe, f80.extractedSig)
	return 0
}
