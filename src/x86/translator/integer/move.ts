import * as L from '../../core/layout.ts'
import { exchangeMemory } from './atomic.ts'
import { constant, type Emitter, extendSigned, hasImmediate, op, pushRm, x, z } from './operands.ts'

const move: Emitter = (r, i) => {
	const { size } = i
	const { code } = r
	if (i.opcode >= 0x8a && i.opcode < 0xb0) {
		const most = i.memory || size < 4 ? undefined : r.boundOf(i.rm)
		pushRm(r, i)
		r.setRegister(i.reg, size)
		if (most !== undefined) r.boundRegister(i.reg, most)
		return true
	}
	if (hasImmediate(i)) constant(r, size, i.imm)
	else r.getRegister(i.reg, size)
	if (!i.memory) {
		const most = hasImmediate(i) || size < 4 ? undefined : r.boundOf(i.reg)
		r.setRegister(i.rm, size)
		if (most !== undefined) r.boundRegister(i.rm, most)
		return true
	}
	code.set(z(r, size))
	r.write(i, size, z(r, size), () => {})
	return true
}

const extend =
	(from: number, signed: boolean): Emitter =>
	(r, i) => {
		pushRm(r, i, from)
		if (signed) extendSigned(r, from, i.size)
		else if (i.size === 8) r.code.op('i64.extend_i32_u')
		r.setRegister(i.reg, i.size)
		if (!signed && i.size >= 4) r.boundRegister(i.reg, from === 1 ? 0xff : 0xffff)
		return true
	}

const lea: Emitter = (r, i) => {
	if (i.size < 4) return false
	r.pushEffectiveAddress(i)
	if (i.size === 4) r.code.op('i32.wrap_i64')
	r.setRegister(i.reg, i.size)
	return true
}

const exchange: Emitter = (r, i) => {
	if (i.memory) return exchangeMemory(r, i)
	const { size } = i
	const other = i.op === 'XCHG_A' ? 0 : i.reg
	r.getRegister(i.rm, size)
	r.code.set(x(r, size))
	r.getRegister(other, size)
	r.setRegister(i.rm, size)
	r.code.get(x(r, size))
	r.setRegister(other, size)
	return true
}

const setcc: Emitter = (r, i) => {
	r.pushCondition(i.cc)
	if (!i.memory) {
		r.setRegister(i.rm, 1)
		return true
	}
	r.code.set(r.z32)
	r.write(i, 1, r.z32, () => {})
	return true
}

const cmovcc: Emitter = (r, i) => {
	const { size } = i
	pushRm(r, i)
	r.getRegister(i.reg, size)
	r.pushCondition(i.cc)
	r.code.op('select')
	r.setRegister(i.reg, size)
	return true
}

const convert: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	if (i.op === 'CBW') {
		r.getRegister(0, size >> 1)
		extendSigned(r, size >> 1, size)
		r.setRegister(0, size)
		return true
	}
	r.getRegister(0, size)
	constant(r, size, BigInt(size * 8 - 1))
	r.code.op(op(size, 'shr_s'))
	r.setRegister(16, size)
	return true
}

/** GS, the last of the segment registers. */
const GS = 5

/** MOV from a segment register. */
const fromSegment: Emitter = (r, i) => {
	const number = (i.modrm >> 3) & 7
	if (number > GS) return false
	const { code } = r
	code.i32(r.state).memory('i32.load16_u', L.CPU_SELECTORS + number * 2)
	if (i.memory) {
		code.set(r.z32)
		r.write(i, 2, r.z32, () => {})
		return true
	}
	r.widen(i.size === 8 ? 4 : 8)
	r.setRegister(i.rm, i.size)
	return true
}

export const MOVE: Readonly<Record<string, Emitter>> = {
	MOV: move,
	LEA: lea,
	XCHG: exchange,
	XCHG_A: exchange,
	MOVZX_B: extend(1, false),
	MOVZX_W: extend(2, false),
	MOVSX_B: extend(1, true),
	MOVSX_W: extend(2, true),
	MOVSXD: (r, i) => i.size === 8 && extend(4, true)(r, i),
	SETCC: setcc,
	CMOVCC: cmovcc,
	CBW: convert,
	CWD: convert,
	MOV_E_S: fromSegment,
}
