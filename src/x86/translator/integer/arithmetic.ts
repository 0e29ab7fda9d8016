import { I64 } from '../../../wasm/module.ts'
import { beginRmw, constant, type Emitter, hasImmediate, op, pushRm, trim, writeBack, x, y, z } from './operands.ts'

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
		else if (kind === 'ADD') r.setFlags('ADD', size, z(r, size), y(r, size))
		else r.setFlags('SUB', size, x(r, size), y(r, size))
	}
	if (!i.memory && i.rm === i.reg && !hasImmediate(i) && (name === 'XOR' || name === 'SUB')) {
		constant(r, size, 0n)
		code.tee(z(r, size))
		r.setRegister(i.reg, size)
		r.setFlags('LOGIC', size, z(r, size))
		return true
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
	if (name === 'AND' && !i.memory && size >= 4 && hasImmediate(i) && i.imm >= 0n) r.boundRegister(i.rm, Number(i.imm))
	return true
}

/** ADC and SBB. */
const withCarry: Emitter = (r, i) => {
	const { size, op: name } = i
	const { code } = r
	const operator = op(size, name === 'ADC' ? 'add' : 'sub')
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
	code.get(x(r, size)).get(y(r, size)).op(operator).get(carryIn)
	if (size < 8) code.op('i32.wrap_i64')
	code.op(operator)
	trim(r, size)
	code.set(z(r, size))
	const finish = () => {
		code.get(carryIn)
		r.setFlagsOperand()
		r.setFlags(name as 'ADC' | 'SBB', size, x(r, size), y(r, size))
	}
	if (toRegister) {
		code.get(z(r, size))
		r.setRegister(i.reg, size)
		finish()
	} else writeBack(r, i, finish)
	return true
}

/** INC and DEC: CF stays. */
const step: Emitter = (r, i) => {
	const { size, op: name } = i
	const { code } = r
	beginRmw(r, i)
	code.get(x(r, size))
	constant(r, size, 1n)
	code.op(op(size, name === 'INC' ? 'add' : 'sub'))
	trim(r, size)
	code.set(z(r, size))
	writeBack(r, i, () => {
		r.pushCarry()
		r.setFlagsOperand()
		r.setFlags(name as 'INC' | 'DEC', size, z(r, size))
	})
	return true
}

/** NEG and NOT. */
const negate: Emitter = (r, i) => {
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

export const ARITHMETIC: Readonly<Record<string, Emitter>> = {
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
}
