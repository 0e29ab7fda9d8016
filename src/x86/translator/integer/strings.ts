import * as L from '../../core/layout.ts'
import type { Instruction } from '../instruction.ts'
import type { RegionCode } from '../region_code.ts'
import { type Emitter, z } from './operands.ts'

const RAX = 0
const RCX = 8
const RSI = 48
const RDI = 56
const REPEATED = L.RF_REP | L.RF_REPNE

/** What each reads beside its address registers and the count, and what it changes. */
const REGISTERS: Readonly<Record<string, readonly [read: readonly number[], changed: readonly number[]]>> = {
	MOVS: [[], [RSI, RDI]],
	STOS: [[RAX], [RDI]],
	LODS: [[RAX], [RAX, RSI]],
}

const DF = 0x400

/** One element, upwards: where DF is set, which is rare, the core executes it and the region is left. */
function element(r: RegionCode, i: Instruction): void {
	const { code } = r
	const { op, size } = i
	const value = z(r, size)
	code.i32(r.state).memory('i32.load', L.CPU_RFLAGS).i32(DF).op('i32.and')
	r.rarely(i)
	if (op === 'STOS') r.getRegister(RAX, size)
	else r.readAt(i, RSI, size)
	const step = (slot: number) => {
		r.getRegister(slot, 8)
		code.i64(size).op('i64.add')
		r.moveRegister(slot, size)
	}
	if (op === 'LODS') {
		r.setRegister(RAX, size)
		return step(RSI)
	}
	code.set(value)
	r.writeTo(i, RDI, size, value, () => {
		if (op === 'MOVS') step(RSI)
		step(RDI)
	})
}

/** Whether its addresses are those of RSI and RDI, whole. */
const isPlain = (i: Instruction) => !(i.flags & L.RF_ADDR32) && i.seg === L.SLOT_ZERO

/** MOVS, STOS and LODS, repeated: done by the core, whole runs inside a page at once, with no more registers than theirs. Of the flags they need DF, which is not lazy. */
const string: Emitter = (r, i) => {
	const [read, changed] = REGISTERS[i.op]!
	if (!(i.flags & REPEATED)) {
		if (isPlain(i)) {
			element(r, i)
			return true
		}
		r.executeOn(i, read, changed)
		return true
	}
	// Behind a copy by quadwords the rest is often of nothing.
	r.getRegister(RCX, i.flags & L.RF_ADDR32 ? 4 : 8)
	if (i.flags & L.RF_ADDR32) r.widen(4)
	r.code.op('i64.eqz', 'i32.eqz')
	r.code.if()
	r.executeOn(i, read, [RCX, ...changed])
	r.code.end()
	return true
}

export const STRINGS: Readonly<Record<string, Emitter>> = { MOVS: string, STOS: string, LODS: string }
