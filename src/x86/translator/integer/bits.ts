import { constant, type Emitter, op, pushRm, x, y } from './operands.ts'

/** BT, BTS, BTR, BTC. In memory only BT of a bit whose number is in an immediate: others reach beyond the operand, or are to be locked. */
const bitTest: Emitter = (r, i) => {
	const { size } = i
	const immediate = i.op.endsWith('_I')
	if (size < 4 || (i.memory && i.op !== 'BT_I')) return false
	const { code } = r
	const action = i.op.replace('_I', '')
	pushRm(r, i)
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
	r.overrideFlags('CF')
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
