import { I64, VOID } from '../../../wasm/module.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { pushRm } from './operands.ts'
import { peek, push, raiseStack } from './stack.ts'

/** The call's own part: the return address is stored, control goes on to offset `target` (or, with `target` undefined, to the address in x64). */
export function emitCall(r: RegionCode, i: Instruction, target: number): void {
	r.pushAddress(i.off + i.length)
	r.code.set(r.z64)
	push(r, i, undefined, target)
}

/** Leaves the return address in local `address`, and the stack pointer as it is. False: left to the core. */
export function peekReturn(r: RegionCode, i: Instruction, address: number): boolean {
	if (i.size !== 8) return false
	peek(r, i)
	r.code.set(address)
	return true
}

/** The rest of a RET. An address that is not known to be `canonical` faults, at the RET itself, when it is not. */
export function finishReturn(r: RegionCode, i: Instruction, address: number, canonical: boolean): void {
	if (!canonical) refuseNonCanonical(r, i, address)
	raiseStack(r, 8)
}

/** The core executes the instruction, which faults, where its target, in a local, is not canonical. */
function refuseNonCanonical(r: RegionCode, i: Instruction, target: number): void {
	r.code.get(target).i64(16).op('i64.shl').i64(16).op('i64.shr_s').get(target).op('i64.ne')
	r.rarely(i)
}

/** JMP through a register or memory to one of the offsets from `low` to `high`, of which it leaves the distance from `low` in r.dispatch; it leaves the region for others. False: left to the core. */
export function emitDispatch(r: RegionCode, i: Instruction, low: number, high: number): boolean {
	if (i.size !== 8) return false
	const { code } = r
	const target = r.temporary(I64)
	pushRm(r, i)
	code.tee(target)
	r.pushAddress(low)
	code
		.op('i64.sub')
		.tee(r.dispatch)
		.i64(high - low)
		.op('i64.gt_u')
	code.if(VOID, false)
	refuseNonCanonical(r, i, target)
	code.get(target)
	r.exitToPushed()
	code.end()
	return true
}

/** JMP and CALL through a register or memory, which leave the region. False: left to the core. */
export function emitIndirect(r: RegionCode, i: Instruction): boolean {
	if (i.size !== 8) return false
	const { code } = r
	const target = r.temporary(I64)
	pushRm(r, i)
	code.set(target)
	refuseNonCanonical(r, i, target)
	if (i.op === 'CALL_E') {
		r.pushAddress(i.off + i.length)
		code.set(r.z64)
		push(r, i, undefined, () => void code.get(target))
		r.exitByCall(() => void code.get(target), i.off + i.length)
		return true
	}
	code.get(target)
	r.exitToPushed()
	return true
}
