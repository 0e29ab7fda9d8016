import type { AtomicOperator } from '../../../wasm/code.ts'
import { I32, I64 } from '../../../wasm/module.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { constant, type Emitter, hasImmediate, isLocked, op, trim, x, y, z } from './operands.ts'

/** Pops a linear address; leaves the host address of the operand there in `host`, to be changed atomically. One that isn't naturally aligned is left to the core. */
export function findAligned(r: RegionCode, i: Instruction): void {
	const { code } = r
	const va = r.temporary(I64)
	code.set(va)
	if (i.size > 1) {
		code
			.get(va)
			.op('i32.wrap_i64')
			.i32(i.size - 1)
			.op('i32.and')
		r.rarely(i)
	}
	r.hostForWrite(i, i.size, false, () => code.get(va))
}

/** The same of the instruction's memory operand. */
function findOperand(r: RegionCode, i: Instruction): void {
	r.pushEffectiveAddress(i)
	findAligned(r, i)
}

const OPERATORS: Readonly<
	Record<string, readonly [operator: Exclude<AtomicOperator, 'xchg' | 'cmpxchg'>, flags: 'ADD' | 'SUB' | 'LOGIC']>
> = {
	ADD: ['add', 'ADD'],
	SUB: ['sub', 'SUB'],
	AND: ['and', 'LOGIC'],
	OR: ['or', 'LOGIC'],
	XOR: ['xor', 'LOGIC'],
	INC: ['add', 'ADD'],
	DEC: ['sub', 'SUB'],
}

/** LOCK ADD, SUB, AND, OR, XOR, INC, DEC. */
export const lockedArithmetic: Emitter = (r, i) => {
	const row = OPERATORS[i.op]
	if (!i.memory || row === undefined) return false
	const { size, op: name } = i
	const { code } = r
	const [operator, kind] = row
	const step = name === 'INC' || name === 'DEC'
	findOperand(r, i)
	if (step) constant(r, size, 1n)
	else if (hasImmediate(i)) constant(r, size, i.imm)
	else r.getRegister(i.reg, size)
	code.set(y(r, size))
	code.get(r.host).get(y(r, size)).atomic(operator, size).set(x(r, size))
	code.get(x(r, size)).get(y(r, size)).op(op(size, operator))
	trim(r, size)
	code.set(z(r, size))
	r.finishStore(i, () => {
		if (step) {
			r.pushCarry()
			r.setFlagsOperand()
			r.setFlags(name, size, z(r, size))
		} else if (kind === 'LOGIC') r.setFlags('LOGIC', size, z(r, size))
		else if (kind === 'ADD') r.setFlags('ADD', size, z(r, size), y(r, size))
		else r.setFlags('SUB', size, x(r, size), y(r, size))
	})
	return true
}

/** XADD of memory, with LOCK or without. */
const exchangeAdd: Emitter = (r, i) => {
	if (!i.memory) return false
	const { size } = i
	const { code } = r
	findOperand(r, i)
	r.getRegister(i.reg, size)
	code.set(y(r, size))
	code.get(r.host).get(y(r, size)).atomic('add', size).tee(x(r, size)).get(y(r, size)).op(op(size, 'add'))
	trim(r, size)
	code.set(z(r, size))
	r.finishStore(i, () => {
		code.get(x(r, size))
		r.setRegister(i.reg, size)
		r.setFlags('ADD', size, z(r, size), y(r, size))
	})
	return true
}

/** CMPXCHG of memory, with LOCK or without. */
const compareExchange: Emitter = (r, i) => {
	if (!i.memory) return false
	const { size } = i
	const { code } = r
	findOperand(r, i)
	r.getRegister(0, size)
	code.set(x(r, size))
	code.get(r.host).get(x(r, size))
	r.getRegister(i.reg, size)
	code.atomic('cmpxchg', size).set(y(r, size))
	r.finishStore(i, () => {
		code.get(y(r, size))
		if (size === 4) {
			// The accumulator's upper half is cleared only when it differed.
			r.widen(4)
			r.getRegister(0, 8)
			code.get(r.x32).get(r.y32).op('i32.ne', 'select')
		}
		r.setRegister(0, size === 4 ? 8 : size)
		r.setFlags('SUB', size, x(r, size), y(r, size))
	})
	return true
}

const ZF = 0x40
const RDX = 16
const RBX = 24
const RCX = 8

/** CMPXCHG16B. Under LOCK the core does it, which excludes other vCPUs. */
const compareExchangeWide: Emitter = (r, i) => {
	if (i.size !== 8 || isLocked(i)) return false
	const { code } = r
	const high = r.temporary(I64)
	const equal = r.temporary(I32)
	r.hostForWrite(i, 16, true)
	code.get(r.host).memory('i64.load').tee(r.x64)
	r.getRegister(0, 8)
	code.op('i64.eq').get(r.host).memory('i64.load', 8).tee(high)
	r.getRegister(RDX, 8)
	code.op('i64.eq', 'i32.and').tee(equal)
	code.if()
	code.get(r.host)
	r.getRegister(RBX, 8)
	code.memory('i64.store').get(r.host)
	r.getRegister(RCX, 8)
	code.memory('i64.store', 8)
	code.end()
	r.finishStore(i, () => {
		code.get(r.x64)
		r.setRegister(0, 8)
		code.get(high)
		r.setRegister(RDX, 8)
		r.pushStatus()
		code.i32(~ZF).op('i32.and').get(equal).i32(6).op('i32.shl', 'i32.or')
		r.setStatus()
	})
	return true
}

/** XCHG with memory, which is locked always. */
export const exchangeMemory: Emitter = (r, i) => {
	if (!i.memory) return false
	const { size } = i
	const { code } = r
	findOperand(r, i)
	code.get(r.host)
	r.getRegister(i.reg, size)
	code.atomic('xchg', size).set(x(r, size))
	r.finishStore(i, () => {
		code.get(x(r, size))
		r.setRegister(i.reg, size)
	})
	return true
}

export const ATOMIC: Readonly<Record<string, Emitter>> = { XADD: exchangeAdd, CMPXCHG: compareExchange, CMPXCHG8B: compareExchangeWide }

/** Emitters by operation, with what LOCK makes of them. */
export function withLock(emitters: Readonly<Record<string, Emitter>>): Readonly<Record<string, Emitter>> {
	return Object.fromEntries(
		Object.entries(emitters).map(([name, emit]) => [name, ((r, i) => (isLocked(i) ? lockedArithmetic : emit)(r, i)) satisfies Emitter]),
	)
}
