import type { Operator } from '../../../wasm/code.ts'
import * as L from '../../core/layout.ts'
import { byOperation } from '../by_operation.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'

/** Writes one instruction's code. False: it is left to the core. */
export type Emitter = (r: RegionCode, i: Instruction) => boolean

/** Temporaries of an operand's width. */
export const x = (r: RegionCode, size: number) => (size === 8 ? r.x64 : r.x32)
export const y = (r: RegionCode, size: number) => (size === 8 ? r.y64 : r.y32)
export const z = (r: RegionCode, size: number) => (size === 8 ? r.z64 : r.z32)
/** The operator of an operand's width. */
export const op = (size: number, name: string) => (size === 8 ? wide : narrow)(name)
const wide = byOperation((name) => `i64.${name}` as Operator)
const narrow = byOperation((name) => `i32.${name}` as Operator)

/** Pushes a constant of an operand's width. */
export function constant(r: RegionCode, size: number, value: bigint): void {
	if (size === 8) r.code.i64(value)
	else r.code.i32(Number(BigInt.asIntN(32, size === 4 ? value : value & (size === 2 ? 0xffffn : 0xffn))))
}

/** Cuts the value on the stack to the operand's width. */
export function trim(r: RegionCode, size: number): void {
	if (size === 2) r.code.i32(0xffff).op('i32.and')
	else if (size === 1) r.code.i32(0xff).op('i32.and')
}

/** Pushes the ModRM.rm operand. */
export function pushRm(r: RegionCode, i: Instruction, size = i.size): void {
	if (!i.memory) return r.getRegister(i.rm, size)
	r.read(i, size)
}

/** Leaves the ModRM.rm operand in local x, ready to be written back. */
export function beginRmw(r: RegionCode, i: Instruction): void {
	if (i.memory) {
		r.hostForWrite(i, i.size)
		r.load(i.size)
	} else r.getRegister(i.rm, i.size)
	r.code.set(x(r, i.size))
}

/** What ADD and SUB of a small constant add to the operand, of 8 bytes. */
function movedBy({ op, opcode, size, imm }: Instruction): number | undefined {
	if (size !== 8 || opcode < 0x80 || (op !== 'ADD' && op !== 'SUB')) return undefined
	return op === 'ADD' ? Number(imm) : -Number(imm)
}

/** Writes back local z to the ModRM.rm operand that beginRmw() found, then does `finish`. */
export function writeBack(r: RegionCode, i: Instruction, finish: () => void): void {
	const { size } = i
	if (i.memory) return r.store(i, size, z(r, size), finish)
	r.code.get(z(r, size))
	const moved = movedBy(i)
	if (moved === undefined) r.setRegister(i.rm, size)
	else r.moveRegister(i.rm, moved)
	finish()
}

export const isLocked = (i: Instruction) => (i.flags & L.RF_LOCK) !== 0

/** Whether ADD..XOR, CMP, TEST, MOV has the immediate form. */
export function hasImmediate(i: Instruction): boolean {
	if (i.op === 'MOV') return i.opcode >= 0xb0
	if (i.op === 'TEST') return i.opcode !== 0x84 && i.opcode !== 0x85
	return i.opcode >= 0x80 || (i.opcode & 7) >= 4
}

/** Sign-extends the value on the stack from `from` bytes to the width of `size`. */
export function extendSigned(r: RegionCode, from: number, size: number): void {
	const { code } = r
	if (size === 8) {
		if (from < 8) code.op('i64.extend_i32_u')
		if (from === 1) code.op('i64.extend8_s')
		else if (from === 2) code.op('i64.extend16_s')
		else if (from === 4) code.op('i64.extend32_s')
		return
	}
	if (from < 4) code.op(from === 1 ? 'i32.extend8_s' : 'i32.extend16_s')
	trim(r, size)
}

/** Pushes a local of 4 or 8 bytes, rotated to the left. Of shifts, because V8's first compiler calls a function of C to rotate; its second sees what they are. */
export function rotateBy(r: RegionCode, size: number, local: number, count: number): void {
	const { code } = r
	const mask = size * 8 - 1
	code.get(local)
	constant(r, size, BigInt(count & mask))
	code.op(op(size, 'shl')).get(local)
	constant(r, size, BigInt(-count & mask))
	code.op(op(size, 'shr_u'), op(size, 'or'))
}
