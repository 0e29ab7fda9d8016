import type { Operator } from '../../wasm/code.ts'
import { I32, I64 } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { Instruction } from './instruction.ts'
import type { RegionCode } from './region_code.ts'

/** Writes one instruction's code. False: it is left to the core. */
type Emitter = (r: RegionCode, i: Instruction) => boolean

const x = (r: RegionCode, size: number) => (size === 8 ? r.x64 : r.x32)
const y = (r: RegionCode, size: number) => (size === 8 ? r.y64 : r.y32)
const z = (r: RegionCode, size: number) => (size === 8 ? r.z64 : r.z32)
const wide = (size: number) => (size === 8 ? 'i64' : 'i32')
const op = (size: number, name: string) => `${wide(size)}.${name}` as Operator

/** Pushes a constant of an operand's width. */
function constant(r: RegionCode, size: number, value: bigint): void {
	if (size === 8) r.code.i64(value)
	else r.code.i32(Number(BigInt.asIntN(32, size === 4 ? value : value & (size === 2 ? 0xffffn : 0xffn))))
}

/** Cuts the value on the stack to the operand's width. */
function trim(r: RegionCode, size: number): void {
	if (size === 2) r.code.i32(0xffff).op('i32.and')
	else if (size === 1) r.code.i32(0xff).op('i32.and')
}

/** Pushes the ModRM.rm operand. */
function pushRm(r: RegionCode, i: Instruction, size = i.size): void {
	if (!i.memory) return r.getRegister(i.rm, size)
	r.pushEffectiveAddress(i)
	r.hostForRead(i, size)
	r.load(size)
}

/** Writes back local `z` to the ModRM.rm operand whose place beginRmw() found, then does `finish`. */
function writeBack(r: RegionCode, i: Instruction, finish: () => void): void {
	const { size } = i
	if (i.memory) return r.store(i, size, z(r, size), finish)
	r.code.get(z(r, size))
	r.setRegister(i.rm, size)
	finish()
}

/** Leaves the ModRM.rm operand in local x, ready to be written back. */
function beginRmw(r: RegionCode, i: Instruction): void {
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForWrite(i, i.size)
		r.load(i.size)
	} else r.getRegister(i.rm, i.size)
	r.code.set(x(r, i.size))
}

const isLocked = (i: Instruction) => (i.flags & L.RF_LOCK) !== 0
/** Whether ADD..XOR, CMP, TEST, MOV has the immediate form. */
function hasImmediate(i: Instruction): boolean {
	if (i.op === 'MOV') return i.opcode >= 0xb0
	if (i.op === 'TEST') return i.opcode !== 0x84 && i.opcode !== 0x85
	return i.opcode >= 0x80 || (i.opcode & 7) >= 4
}

const ALU: Readonly<Record<string, readonly [operator: string, flags: 'ADD' | 'SUB' | 'LOGIC']>> = {
	ADD: ['add', 'ADD'],
	SUB: ['sub', 'SUB'],
	CMP: ['sub', 'SUB'],
	AND: ['and', 'LOGIC'],
	OR: ['or', 'LOGIC'],
	XOR: ['xor', 'LOGIC'],
	TEST: ['and', 'LOGIC'],
}

const arithmetic: Emitter = (r, i) => {
	if (isLocked(i)) return false
	const { size, op: name } = i
	const [operator, kind] = ALU[name]!
	const keeps = name === 'CMP' || name === 'TEST'
	const toRegister = !hasImmediate(i) && name !== 'TEST' && (i.opcode & 2) !== 0
	const { code } = r
	const compute = () => {
		code.get(x(r, size)).get(y(r, size)).op(op(size, operator))
		trim(r, size)
		code.set(z(r, size))
	}
	const finish = () => {
		if (kind === 'LOGIC') r.setFlags('LOGIC', size, z(r, size))
		else r.setFlags(kind, size, x(r, size), y(r, size))
	}
	if (toRegister) {
		pushRm(r, i)
		code.set(y(r, size))
		r.getRegister(i.reg, size)
		code.set(x(r, size))
		if (name !== 'CMP') {
			compute()
			code.get(z(r, size))
			r.setRegister(i.reg, size)
		}
		finish()
		return true
	}
	if (keeps) {
		pushRm(r, i)
		code.set(x(r, size))
	} else beginRmw(r, i)
	if (hasImmediate(i)) constant(r, size, i.imm)
	else r.getRegister(i.reg, size)
	code.set(y(r, size))
	if (!keeps || kind === 'LOGIC') compute()
	if (keeps) finish()
	else writeBack(r, i, finish)
	return true
}

/** Pushes bit `bit` of the value made by `value`, an i64 of 0 or 1. */
function pushBit(r: RegionCode, size: number, value: () => void, bit: number): void {
	value()
	r.widen(size)
	r.code.i64(bit).op('i64.shr_u').i64(1).op('i64.and')
}

const withCarry: Emitter = (r, i) => {
	if (isLocked(i)) return false
	const { size } = i
	const { code } = r
	const add = i.op === 'ADC'
	const toRegister = !hasImmediate(i) && (i.opcode & 2) !== 0
	if (toRegister) {
		pushRm(r, i)
		code.set(y(r, size))
		r.getRegister(i.reg, size)
		code.set(x(r, size))
	} else {
		beginRmw(r, i)
		if (hasImmediate(i)) constant(r, size, i.imm)
		else r.getRegister(i.reg, size)
		code.set(y(r, size))
	}
	const carryIn = r.temporary(I64)
	r.pushCarry()
	code.set(carryIn)
	code
		.get(x(r, size))
		.get(y(r, size))
		.op(op(size, add ? 'add' : 'sub'))
		.get(carryIn)
	if (size < 8) code.op('i32.wrap_i64')
	code.op(op(size, add ? 'add' : 'sub'))
	trim(r, size)
	code.set(z(r, size))
	const finish = () => {
		const [X, Y, Z] = [x(r, size), y(r, size), z(r, size)]
		const bits = r.temporary(I64)
		// Carry: z < x or (carry in and z == x); borrow: x < y or (borrow in and x == y).
		const [left, right] = add ? [Z, X] : [X, Y]
		code.get(left).get(right).op(op(size, 'lt_u'))
		code.get(left).get(right).op(op(size, 'eq')).get(carryIn).op('i32.wrap_i64', 'i32.and', 'i32.or', 'i64.extend_i32_u')
		const signs = () => {
			code
				.get(X)
				.get(add ? Z : Y)
				.op(op(size, 'xor'))
			code
				.get(add ? Y : X)
				.get(Z)
				.op(op(size, 'xor'), op(size, 'and'))
		}
		pushBit(r, size, signs, size * 8 - 1)
		code.i64(11).op('i64.shl', 'i64.or')
		code.get(X).get(Y).op(op(size, 'xor')).get(Z).op(op(size, 'xor'))
		r.widen(size)
		code.i64(0x10).op('i64.and', 'i64.or').set(bits)
		r.setFlags('RES', size, Z, bits)
	}
	if (toRegister) {
		code.get(z(r, size))
		r.setRegister(i.reg, size)
		finish()
	} else writeBack(r, i, finish)
	return true
}

const step: Emitter = (r, i) => {
	if (isLocked(i)) return false
	const { size } = i
	const { code } = r
	const up = i.op === 'INC'
	beginRmw(r, i)
	constant(r, size, 1n)
	code.set(y(r, size))
	code
		.get(x(r, size))
		.get(y(r, size))
		.op(op(size, up ? 'add' : 'sub'))
	trim(r, size)
	code.set(z(r, size))
	const finish = () => {
		const bits = r.temporary(I64)
		r.pushCarry()
		// OF: the result of INC is the most negative number; the operand of DEC was.
		code.get(up ? z(r, size) : x(r, size))
		constant(r, size, 1n << BigInt(size * 8 - 1))
		code.op(op(size, 'eq'), 'i64.extend_i32_u').i64(11).op('i64.shl', 'i64.or')
		code.get(x(r, size)).get(z(r, size)).op(op(size, 'xor'))
		r.widen(size)
		code.i64(0x10).op('i64.and', 'i64.or').set(bits)
		r.setFlags('RES', size, z(r, size), bits)
	}
	writeBack(r, i, finish)
	return true
}

const negate: Emitter = (r, i) => {
	if (isLocked(i)) return false
	const { size } = i
	const { code } = r
	beginRmw(r, i)
	if (i.op === 'NOT') {
		code.get(x(r, size))
		constant(r, size, -1n)
		code.op(op(size, 'xor'))
		trim(r, size)
		code.set(z(r, size))
		writeBack(r, i, () => {})
		return true
	}
	constant(r, size, 0n)
	code.get(x(r, size)).op(op(size, 'sub'))
	trim(r, size)
	code.set(z(r, size))
	writeBack(r, i, () => {
		constant(r, size, 0n)
		code.set(y(r, size))
		r.setFlags('SUB', size, y(r, size), x(r, size))
	})
	return true
}

const move: Emitter = (r, i) => {
	const { size } = i
	const { code } = r
	if (i.opcode >= 0x8a && i.opcode < 0xb0) {
		pushRm(r, i)
		r.setRegister(i.reg, size)
		return true
	}
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForWrite(i, size)
	}
	if (hasImmediate(i)) constant(r, size, i.imm)
	else r.getRegister(i.reg, size)
	if (!i.memory) {
		r.setRegister(i.rm, size)
		return true
	}
	code.set(z(r, size))
	r.store(i, size, z(r, size), () => {})
	return true
}

/** Sign-extends the value on the stack from `from` bytes to the width of `size`. */
function extendSigned(r: RegionCode, from: number, size: number): void {
	const { code } = r
	if (size === 8) {
		if (from < 8) code.op('i64.extend_i32_u')
		if (from === 1) code.op('i64.extend8_s')
		else if (from === 2) code.op('i64.extend16_s')
		else if (from === 4) code.op('i64.extend32_s')
		return
	}
	const shift = 32 - from * 8
	if (shift) code.i32(shift).op('i32.shl').i32(shift).op('i32.shr_s')
	trim(r, size)
}

const extend =
	(from: number, signed: boolean): Emitter =>
	(r, i) => {
		pushRm(r, i, from)
		if (signed) extendSigned(r, from, i.size)
		else if (i.size === 8) r.code.op('i64.extend_i32_u')
		r.setRegister(i.reg, i.size)
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
	if (i.memory) return false
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

/** SHL SHR SAR by a constant or CL. The flags of a count in CL that is 0 stay, so that form is computed with both in mind. */
const shift: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const name = i.op.slice(0, 3)
	const { code } = r
	if (i.op.endsWith('_CL')) return shiftByCl(r, i, name)
	const count = i.op.endsWith('_1') ? 1 : Number(i.imm & (size === 8 ? 63n : 31n))
	if (count === 0) return false
	beginRmw(r, i)
	code.get(x(r, size))
	constant(r, size, BigInt(count))
	code.op(op(size, name === 'SHL' ? 'shl' : name === 'SHR' ? 'shr_u' : 'shr_s')).set(z(r, size))
	writeBack(r, i, () => {
		const bits = r.temporary(I64)
		const X = () => code.get(x(r, size))
		pushBit(r, size, X, name === 'SHL' ? size * 8 - count : count - 1)
		if (name === 'SHL') {
			code.tee(bits)
			pushBit(r, size, () => code.get(z(r, size)), size * 8 - 1)
			code.get(bits).op('i64.xor').i64(11).op('i64.shl', 'i64.or')
		} else if (name === 'SHR') {
			pushBit(r, size, X, size * 8 - 1)
			code.i64(11).op('i64.shl', 'i64.or')
		}
		code.set(bits)
		r.setFlags('RES', size, z(r, size), bits)
	})
	return true
}

function shiftByCl(r: RegionCode, i: Instruction, name: string): boolean {
	if (i.memory) return false
	const { size } = i
	const { code } = r
	const count = r.temporary(I32)
	const bits = r.temporary(I64)
	r.getRegister(8, 1)
	code
		.i32(size === 8 ? 63 : 31)
		.op('i32.and')
		.set(count)
	r.getRegister(i.rm, size)
	code.set(x(r, size))
	const pushCount = () => {
		code.get(count)
		if (size === 8) code.op('i64.extend_i32_u')
	}
	code.get(x(r, size))
	pushCount()
	code.op(op(size, name === 'SHL' ? 'shl' : name === 'SHR' ? 'shr_u' : 'shr_s')).tee(z(r, size))
	r.setRegister(i.rm, size)
	r.forgetFlags()
	code.get(count)
	code.if()
	// CF is the last bit shifted out.
	code.get(x(r, size))
	if (name === 'SHL') {
		constant(r, size, BigInt(size * 8))
		pushCount()
		code.op(op(size, 'sub'), op(size, 'shr_u'))
	} else {
		pushCount()
		constant(r, size, 1n)
		code.op(op(size, 'sub'), op(size, name === 'SAR' ? 'shr_s' : 'shr_u'))
	}
	r.widen(size)
	code.i64(1).op('i64.and').tee(bits)
	if (name === 'SHL') {
		pushBit(r, size, () => code.get(z(r, size)), size * 8 - 1)
		code.get(bits).op('i64.xor').i64(11).op('i64.shl', 'i64.or')
	} else if (name === 'SHR') {
		pushBit(r, size, () => code.get(x(r, size)), size * 8 - 1)
		code.i64(11).op('i64.shl', 'i64.or')
	}
	code.set(bits)
	r.setFlags('RES', size, z(r, size), bits)
	r.forgetFlags()
	code.end()
	return true
}

const rotate: Emitter = (r, i) => {
	const { size } = i
	if (size < 4 || i.op.endsWith('_CL')) return false
	const left = i.op.startsWith('ROL')
	const { code } = r
	const count = i.op.endsWith('_1') ? 1 : Number(i.imm & (size === 8 ? 63n : 31n))
	if (count === 0) return false
	beginRmw(r, i)
	code.get(x(r, size))
	constant(r, size, BigInt(count))
	code.op(op(size, left ? 'rotl' : 'rotr')).set(z(r, size))
	writeBack(r, i, () => {
		const Z = () => code.get(z(r, size))
		const top = size * 8 - 1
		pushBit(r, size, Z, left ? 0 : top)
		pushBit(r, size, Z, top)
		pushBit(r, size, Z, left ? 0 : top - 1)
		code.op('i64.xor').i64(11).op('i64.shl', 'i64.or')
		r.overrideFlags(0x801)
	})
	return true
}

const multiplyTo: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const { code } = r
	pushRm(r, i)
	code.set(y(r, size))
	if (i.op === 'IMUL3') constant(r, size, i.imm)
	else r.getRegister(i.reg, size)
	code.set(x(r, size))
	if (size === 8) {
		code.get(r.x64).get(r.y64).op('i64.mul').tee(r.z64)
		r.setRegister(i.reg, 8)
		r.setProductFlags(r.x64, r.y64, r.z64)
		return true
	}
	const bits = r.temporary(I64)
	code.get(r.x32).op('i64.extend_i32_s').get(r.y32).op('i64.extend_i32_s', 'i64.mul').tee(r.z64).op('i32.wrap_i64').tee(r.z32)
	r.setRegister(i.reg, 4)
	code.get(r.z64).get(r.z64).op('i64.extend32_s', 'i64.ne', 'i64.extend_i32_u').i64(0x801).op('i64.mul').set(bits)
	r.setFlags('RES', 4, r.z32, bits)
	return true
}

/** The high half of the unsigned product of x64 and y64, from 32-bit digits. */
function multiplyHigh(r: RegionCode, result: number): void {
	const { code } = r
	const low = (local: number) => code.get(local).i64(0xffffffff).op('i64.and')
	const high = (local: number) => code.get(local).i64(32).op('i64.shr_u')
	const cross = r.temporary(I64)
	const other = r.temporary(I64)
	high(r.x64)
	low(r.y64).op('i64.mul')
	low(r.x64)
	low(r.y64).op('i64.mul').i64(32).op('i64.shr_u', 'i64.add').set(cross)
	low(r.x64)
	high(r.y64).op('i64.mul')
	low(cross).op('i64.add').set(other)
	high(r.x64)
	high(r.y64).op('i64.mul')
	high(cross).op('i64.add')
	high(other).op('i64.add').set(result)
}

/** MUL and one-operand IMUL. */
const multiply: Emitter = (r, i) => {
	const { size } = i
	const signed = i.op === 'IMUL1'
	if (size < 4 || (signed && size === 8)) return false
	const { code } = r
	pushRm(r, i)
	code.set(y(r, size))
	r.getRegister(0, size)
	code.set(x(r, size))
	const bits = r.temporary(I64)
	if (size === 4) {
		const widen = signed ? 'i64.extend_i32_s' : 'i64.extend_i32_u'
		code.get(r.x32).op(widen).get(r.y32).op(widen, 'i64.mul').tee(r.z64).op('i32.wrap_i64').tee(r.z32)
		r.setRegister(0, 4)
		code.get(r.z64).i64(32).op('i64.shr_u', 'i32.wrap_i64')
		r.setRegister(16, 4)
		if (signed) code.get(r.z64).get(r.z64).op('i64.extend32_s', 'i64.ne')
		else code.get(r.z64).i64(32).op('i64.shr_u').i64(0).op('i64.ne')
	} else {
		const high = r.temporary(I64)
		multiplyHigh(r, high)
		code.get(r.x64).get(r.y64).op('i64.mul').tee(r.z64)
		r.setRegister(0, 8)
		code.get(high)
		r.setRegister(16, 8)
		code.get(high).i64(0).op('i64.ne')
	}
	code.op('i64.extend_i32_u').i64(0x801).op('i64.mul').set(bits)
	r.setFlags('RES', size, z(r, size), bits)
	return true
}

const setcc: Emitter = (r, i) => {
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForWrite(i, 1)
	}
	r.pushCondition(i.cc)
	if (!i.memory) {
		r.setRegister(i.rm, 1)
		return true
	}
	r.code.set(r.z32)
	r.store(i, 1, r.z32, () => {})
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

/** BT with the bit number in an immediate or a register; register operand only. */
const bitTest: Emitter = (r, i) => {
	const { size } = i
	const immediate = i.op.endsWith('_I')
	if (i.memory || size < 4) return false
	const { code } = r
	const action = i.op.replace('_I', '')
	r.getRegister(i.rm, size)
	code.set(x(r, size))
	if (immediate) constant(r, size, i.imm & (size === 8 ? 63n : 31n))
	else {
		r.getRegister(i.reg, size)
		constant(r, size, size === 8 ? 63n : 31n)
		code.op(op(size, 'and'))
	}
	code.set(y(r, size))
	if (action !== 'BT') {
		code.get(x(r, size))
		constant(r, size, 1n)
		code.get(y(r, size)).op(op(size, 'shl'))
		if (action === 'BTS') code.op(op(size, 'or'))
		else if (action === 'BTC') code.op(op(size, 'xor'))
		else {
			constant(r, size, -1n)
			code.op(op(size, 'xor'), op(size, 'and'))
		}
		r.setRegister(i.rm, size)
	}
	code.get(x(r, size)).get(y(r, size)).op(op(size, 'shr_u'))
	r.widen(size)
	code.i64(1).op('i64.and')
	r.overrideFlags(1)
	return true
}

const bswap: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const { code } = r
	r.getRegister(i.rm, size)
	code.set(x(r, size))
	if (size === 4) {
		code.get(r.x32).i32(8).op('i32.rotl').i32(0x00ff00ff).op('i32.and')
		code
			.get(r.x32)
			.i32(8)
			.op('i32.rotr')
			.i32(0xff00ff00 | 0)
			.op('i32.and', 'i32.or')
	} else {
		// Bytes, then halves, then words change places.
		code.get(r.x64).i64(8).op('i64.shr_u').i64(0x00ff00ff00ff00ffn).op('i64.and')
		code.get(r.x64).i64(0x00ff00ff00ff00ffn).op('i64.and').i64(8).op('i64.shl', 'i64.or').set(r.x64)
		code.get(r.x64).i64(16).op('i64.shr_u').i64(0x0000ffff0000ffffn).op('i64.and')
		code.get(r.x64).i64(0x0000ffff0000ffffn).op('i64.and').i64(16).op('i64.shl', 'i64.or').i64(32).op('i64.rotl')
	}
	r.setRegister(i.rm, size)
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

const RSP = 32
const RBP = 40

/** Stores the 64-bit value in local z64 below the stack pointer, then lowers it. */
function push(r: RegionCode, i: Instruction, after = () => {}, next?: number): void {
	const { code } = r
	const sp = r.temporary(I64)
	r.getRegister(RSP, 8)
	code.i64(8).op('i64.sub').tee(sp)
	r.hostForWrite(i, 8)
	const finish = () => {
		code.get(sp)
		r.setRegister(RSP, 8)
		after()
	}
	r.store(i, 8, r.z64, finish, next)
}

/** Pushes the 64-bit value at the stack pointer. */
function peek(r: RegionCode, i: Instruction): void {
	r.getRegister(RSP, 8)
	r.hostForRead(i, 8)
	r.load(8)
}

function raiseStack(r: RegionCode, bytes: number): void {
	r.getRegister(RSP, 8)
	r.code.i64(bytes).op('i64.add')
	r.setRegister(RSP, 8)
}

const stack: Emitter = (r, i) => {
	if (i.size !== 8) return false
	const { code } = r
	switch (i.op) {
		case 'PUSH':
			pushRm(r, i)
			code.set(r.z64)
			push(r, i)
			return true
		case 'PUSH_I':
			code.i64(i.imm).set(r.z64)
			push(r, i)
			return true
		case 'POP':
			if (i.memory) return false
			peek(r, i)
			code.set(r.z64)
			raiseStack(r, 8)
			code.get(r.z64)
			r.setRegister(i.rm, 8)
			return true
		default: {
			// LEAVE
			r.getRegister(RBP, 8)
			r.hostForRead(i, 8)
			r.getRegister(RBP, 8)
			code.i64(8).op('i64.add')
			r.setRegister(RSP, 8)
			r.load(8)
			r.setRegister(RBP, 8)
			return true
		}
	}
}

/** Emitters of what does not end a block. */
export const INTEGER: Readonly<Record<string, Emitter>> = {
	ADD: arithmetic,
	SUB: arithmetic,
	CMP: arithmetic,
	AND: arithmetic,
	OR: arithmetic,
	XOR: arithmetic,
	TEST: arithmetic,
	ADC: withCarry,
	SBB: withCarry,
	INC: step,
	DEC: step,
	NEG: negate,
	NOT: negate,
	MOV: move,
	LEA: lea,
	XCHG: exchange,
	XCHG_A: exchange,
	MOVZX_B: extend(1, false),
	MOVZX_W: extend(2, false),
	MOVSX_B: extend(1, true),
	MOVSX_W: extend(2, true),
	MOVSXD: (r, i) => i.size === 8 && extend(4, true)(r, i),
	SHL: shift,
	SHR: shift,
	SAR: shift,
	SHL_1: shift,
	SHR_1: shift,
	SAR_1: shift,
	SHL_CL: shift,
	SHR_CL: shift,
	SAR_CL: shift,
	ROL: rotate,
	ROR: rotate,
	ROL_1: rotate,
	ROR_1: rotate,
	IMUL2: multiplyTo,
	IMUL3: multiplyTo,
	MUL: multiply,
	IMUL1: multiply,
	SETCC: setcc,
	CMOVCC: cmovcc,
	BT: bitTest,
	BTS: bitTest,
	BTR: bitTest,
	BTC: bitTest,
	BT_I: bitTest,
	BTS_I: bitTest,
	BTR_I: bitTest,
	BTC_I: bitTest,
	BSWAP: bswap,
	CBW: convert,
	CWD: convert,
	PUSH: stack,
	PUSH_I: stack,
	POP: stack,
	LEAVE: stack,
	NOP: () => true,
	PAUSE: () => true,
}

// ---- what ends a block ------------------------------------------------------------------------------------------------------

/** The call's own part: the return address is stored, control goes on to offset `target` (or, with `target` undefined, to the address in x64). */
export function emitCall(r: RegionCode, i: Instruction, target: number): void {
	r.pushAddress(i.off + i.length)
	r.code.set(r.z64)
	push(r, i, undefined, target)
}

/** The core raises the exception that the instruction is known to end in. */
function refuse(r: RegionCode, i: Instruction): void {
	const before = r.flags
	r.execute(i)
	r.code.op('unreachable')
	r.flags = before
}

/** Leaves the return address in local x64. False: left to the core. */
export function emitReturn(r: RegionCode, i: Instruction): boolean {
	if (i.size !== 8) return false
	peek(r, i)
	r.code.tee(r.x64)
	// A non-canonical address faults at the RET itself.
	r.code.i64(16).op('i64.shl').i64(16).op('i64.shr_s').get(r.x64).op('i64.ne')
	r.code.if()
	refuse(r, i)
	r.code.end()
	raiseStack(r, 8)
	return true
}

/** JMP and CALL through a register or memory: leaves the region, or leaves the address in local `to`. False: left to the core. */
export function emitIndirect(r: RegionCode, i: Instruction, to?: number): boolean {
	if (i.size !== 8) return false
	const { code } = r
	const target = r.temporary(I64)
	pushRm(r, i)
	code.tee(target)
	code.i64(16).op('i64.shl').i64(16).op('i64.shr_s').get(target).op('i64.ne')
	code.if()
	refuse(r, i)
	code.end()
	if (i.op === 'CALL_E') {
		r.pushAddress(i.off + i.length)
		code.set(r.z64)
		push(r, i)
	}
	code.get(target)
	if (to === undefined) r.exitToPushed()
	else code.set(to)
	return true
}
