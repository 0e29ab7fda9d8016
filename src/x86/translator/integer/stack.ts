import { I64 } from '../../../wasm/module.ts'
import * as L from '../../core/layout.ts'
import type { Way } from '../exits.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { type Emitter, pushRm } from './operands.ts'

const RSP = 32
const RBP = 40
/** CF PF AF ZF SF OF. */
const STATUS = 0x8d5

/** Stores the 64-bit value in local z64 below the stack pointer, then lowers it. */
export function push(r: RegionCode, i: Instruction, after = () => {}, next?: Way): void {
	const { code } = r
	const sp = r.temporary(I64)
	r.getRegister(RSP, 8)
	code.i64(8).op('i64.sub').set(sp)
	const finish = () => {
		code.get(sp)
		r.moveRegister(RSP, -8)
		after()
	}
	r.writeAt(i, RSP, -8, sp, r.z64, finish, next)
}

/** Pushes the 64-bit value at the stack pointer. */
export function peek(r: RegionCode, i: Instruction): void {
	r.readAt(i, RSP)
}

export function raiseStack(r: RegionCode, bytes: number): void {
	r.getRegister(RSP, 8)
	r.code.i64(bytes).op('i64.add')
	r.moveRegister(RSP, bytes)
}

/** Pushes RFLAGS as PUSHF stores it: without RF and VM, with IF and the bit that is always set. */
function pushFlagsImage(r: RegionCode): void {
	const { code } = r
	code.i32(r.state).memory('i32.load', L.CPU_RFLAGS)
	code.i32(0xfcffff & ~STATUS).op('i32.and')
	r.pushStatus()
	code.op('i32.or').i32(0x202).op('i32.or', 'i64.extend_i32_u')
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
		case 'PUSHF': {
			pushFlagsImage(r)
			code.set(r.z64)
			push(r, i)
			return true
		}
		default: {
			// LEAVE
			r.readAt(i, RBP)
			r.getRegister(RBP, 8)
			code.i64(8).op('i64.add')
			r.setRegister(RSP, 8)
			r.setRegister(RBP, 8)
			return true
		}
	}
}

export const STACK: Readonly<Record<string, Emitter>> = { PUSH: stack, PUSH_I: stack, POP: stack, LEAVE: stack, PUSHF: stack }
