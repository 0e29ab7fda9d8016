// x87 instructions with an operand in memory.

import { ea, FAULT, raise, readPtr, writable, writeEnd, writePtr } from '../mem'
import * as soft from '../softfloat'
import * as f80 from '../softfloat80'
import * as convert from '../softfloat80_convert'
import { conclude, isEmpty, NAN_SE, NAN_SIG, pop, setSt, stackFault, stopped } from './state'
import * as op from '../generated/ops'
import { INDEX_NEW, selector, seOf, sigOf, pushResult, arithmetic, storeNanAfterUnderflow } from './operands'
import { compareWith } from './compare'

/** Exceptions that, unmasked, keep the operand in memory as it was: invalid, overflow, underflow. */
const KEEPS_MEMORY: u32 = 0x19

export function executeMemory(rec: usize, operation: i32): i32 {
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
			convert.fromBcd80(load<u64>(s), <u32>load<u16>(s, 8))
			pushResult(f80.rSe, f80.rSig)
			return 0
		}
		case op.OP_FBSTP:
			return storeBcd(rec)
		default:
			return raise(6, 0)
	}
}

/** Reads an m32fp, m64fp, m32int or m16int operand into f80's result; false on a fault. */
function operandFromMemory(rec: usize, operation: i32): bool {
	const size: u32 = operation == op.OP_FARITH_M64 ? 8 : operation == op.OP_FARITH_I16 ? 2 : 4
	const s = readPtr(ea(rec), size)
	if (s == FAULT) return false
	switch (operation) {
		case op.OP_FARITH_M32:
			convert.widen32(load<u32>(s))
			f80.setNarrowDenormal(convert.widenedDenormal)
			break
		case op.OP_FARITH_M64:
			convert.widen64(load<u64>(s))
			f80.setNarrowDenormal(convert.widenedDenormal)
			break
		case op.OP_FARITH_I32:
			convert.fromInteger80(<i64>load<i32>(s))
			break
		default:
			convert.fromInteger80(<i64>load<i16>(s))
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

function loadReal(rec: usize, wide: bool): i32 {
	const s = readPtr(ea(rec), wide ? 8 : 4)
	if (s == FAULT) return 1
	if (wide) convert.widen64(load<u64>(s))
	else convert.widen32(load<u32>(s))
	f80.unaryNan(f80.rSe, f80.rSig)
	const denormal = convert.widenedDenormal && isEmpty(INDEX_NEW)
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
	convert.fromInteger80(size == 8 ? load<i64>(s) : size == 4 ? <i64>load<i32>(s) : <i64>load<i16>(s))
	pushResult(f80.rSe, f80.rSig)
	return 0
}

function storeReal(rec: usize, wide: bool, pops: bool): i32 {
	let value: u64 = wide ? 0xfff8000000000000 : 0xffc00000
	if (isEmpty(0)) stackFault(false)
	else value = convert.narrow80(seOf(0), sigOf(0), wide)
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
	else value = convert.toInteger80(seOf(0), sigOf(0), size << 3, rounding)
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
		convert.toBcd80(seOf(0), sigOf(0))
		low = convert.bcdLow
		high = convert.bcdHigh
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
