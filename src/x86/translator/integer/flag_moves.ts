import * as L from '../../core/layout.ts'
import type { RegionCode } from '../region_code.ts'
import type { Emitter } from './operands.ts'

/** AH, as the decoder numbers registers. */
const AH = 1
/** CF PF AF ZF SF. */
const LOW_STATUS = 0xd5
const OF = 0x800
const DF = 0x400

const changeCarry =
	(push: (r: RegionCode) => void): Emitter =>
	(r) => {
		push(r)
		r.overrideFlags('CF')
		return true
	}

/** Stores RFLAGS with DF set or clear; it is not among the lazy ones. */
const changeDirection =
	(set: boolean): Emitter =>
	(r) => {
		const { code } = r
		code.i32(r.state).i32(r.state).memory('i32.load', L.CPU_RFLAGS)
		code.i32(set ? DF : ~DF).op(set ? 'i32.or' : 'i32.and')
		code.memory('i32.store', L.CPU_RFLAGS)
		return true
	}

export const FLAG_MOVES: Readonly<Record<string, Emitter>> = {
	CLC: changeCarry((r) => void r.code.i64(0)),
	STC: changeCarry((r) => void r.code.i64(1)),
	CMC: changeCarry((r) => {
		r.pushCarry()
		r.code.i64(1).op('i64.xor')
	}),
	CLD: changeDirection(false),
	STD: changeDirection(true),
	LAHF: (r) => {
		r.pushStatus()
		r.code.i32(LOW_STATUS).op('i32.and').i32(2).op('i32.or')
		r.setRegister(AH, 1)
		return true
	},
	SAHF: (r) => {
		r.pushStatus()
		r.code.i32(OF).op('i32.and')
		r.getRegister(AH, 1)
		r.code.i32(LOW_STATUS).op('i32.and', 'i32.or')
		r.setStatus()
		return true
	},
}
