import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { findAligned } from './atomic.ts'
import { constant, type Emitter, isLocked, op, pushRm, rotateBy, writeBack, x, y, z } from './operands.ts'

/** Pushes the number of the bit that is meant, below the operand's width. */
function pushBit(r: RegionCode, i: Instruction): void {
	const mask = i.size === 8 ? 63n : 31n
	if (i.op.endsWith('_I')) return constant(r, i.size, i.imm & mask)
	r.getRegister(i.reg, i.size)
	constant(r, i.size, mask)
	r.code.op(op(i.size, 'and'))
}

/** Pushes the address of the operand that the bit is in: a register's number reaches beyond the one named. */
function pushBitAddress(r: RegionCode, i: Instruction): void {
	const { code } = r
	r.pushEffectiveAddress(i)
	if (i.op.endsWith('_I')) return
	r.getRegister(i.reg, i.size)
	if (i.size === 4) code.op('i64.extend_i32_s')
	code
		.i64(i.size === 8 ? 6 : 5)
		.op('i64.shr_s')
		.i64(i.size === 8 ? 3 : 2)
		.op('i64.shl', 'i64.add')
}

/** BT, BTS, BTR, BTC. */
const bitTest: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const { code } = r
	const action = i.op.replace('_I', '')
	const pushAddress = () => pushBitAddress(r, i)
	if (!i.memory) r.getRegister(i.rm, size)
	else if (action === 'BT') r.read(i, size, pushAddress)
	else if (isLocked(i)) {
		pushAddress()
		findAligned(r, i)
	} else {
		r.hostForWrite(i, size, false, pushAddress)
		r.load(size)
	}
	const isAtomic = i.memory && isLocked(i)
	if (!isAtomic) code.set(x(r, size))
	pushBit(r, i)
	code.set(y(r, size))
	if (action !== 'BT') {
		code.get(isAtomic ? r.host : x(r, size))
		constant(r, size, 1n)
		code.get(y(r, size)).op(op(size, 'shl'))
		if (action === 'BTR') {
			constant(r, size, -1n)
			code.op(op(size, 'xor'))
		}
		const operator = action === 'BTS' ? 'or' : action === 'BTC' ? 'xor' : 'and'
		if (isAtomic) code.atomic(operator, size).set(x(r, size))
		else code.op(op(size, operator)).set(z(r, size))
	}
	const finish = () => {
		code.get(x(r, size)).get(y(r, size)).op(op(size, 'shr_u'))
		r.widen(size)
		r.overrideFlags('CF')
	}
	if (action === 'BT') finish()
	else if (isAtomic) r.finishStore(i, finish)
	else writeBack(r, i, finish)
	return true
}

/** BSF and BSR. Of 0 the destination stays, its upper half too. */
const bitScan: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const { code } = r
	pushRm(r, i)
	code.set(x(r, size))
	r.pushStatus()
	code.set(r.z32)
	r.getRegister(i.reg, 8)
	if (i.op === 'BSR') constant(r, size, BigInt(size * 8 - 1))
	code.get(x(r, size)).op(op(size, i.op === 'BSF' ? 'ctz' : 'clz'))
	if (i.op === 'BSR') code.op(op(size, 'sub'))
	r.widen(size)
	code.get(x(r, size)).op(op(size, 'eqz'), 'select')
	r.setRegister(i.reg, 8)
	// ZF tells; of 0, PF is set and the others are clear.
	code.i32(0x44).get(r.z32).i32(~0x40).op('i32.and').get(x(r, size)).op(op(size, 'eqz'), 'select')
	r.setStatus()
	return true
}

const bswap: Emitter = (r, i) => {
	const { size } = i
	if (size < 4) return false
	const { code } = r
	r.getRegister(i.rm, size)
	code.set(x(r, size))
	if (size === 4) {
		rotateBy(r, 4, r.x32, 8)
		code.i32(0x00ff00ff).op('i32.and')
		rotateBy(r, 4, r.x32, -8)
		code.i32(0xff00ff00 | 0).op('i32.and', 'i32.or')
	} else {
		// Bytes, then halves, then words change places.
		code.get(r.x64).i64(8).op('i64.shr_u').i64(0x00ff00ff00ff00ffn).op('i64.and')
		code.get(r.x64).i64(0x00ff00ff00ff00ffn).op('i64.and').i64(8).op('i64.shl', 'i64.or').set(r.x64)
		code.get(r.x64).i64(16).op('i64.shr_u').i64(0x0000ffff0000ffffn).op('i64.and')
		code.get(r.x64).i64(0x0000ffff0000ffffn).op('i64.and').i64(16).op('i64.shl', 'i64.or').set(r.x64)
		rotateBy(r, 8, r.x64, 32)
	}
	r.setRegister(i.rm, size)
	return true
}

export const BITS: Readonly<Record<string, Emitter>> = {
	BT: bitTest,
	BTS: bitTest,
	BTR: bitTest,
	BTC: bitTest,
	BT_I: bitTest,
	BTS_I: bitTest,
	BTR_I: bitTest,
	BTC_I: bitTest,
	BSF: bitScan,
	BSR: bitScan,
	BSWAP: bswap,
}
