import * as L from '../../core/layout.ts'
import type { Emitter } from './operands.ts'

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

/** MOVS, STOS and LODS: done by the core, whole runs inside a page at once, with no more registers than theirs. Of the flags they need DF, which is not lazy. */
const string: Emitter = (r, i) => {
	const [read, changed] = REGISTERS[i.op]!
	if (!(i.flags & REPEATED)) {
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
