import type { MemoryOperator, Operator, SimdOperator } from '../../wasm/code.ts'
import * as L from '../core/layout.ts'
import { decoderTables, familyRanges } from '../opcodes/operations.ts'
import type { Instruction } from './instruction.ts'
import type { RegionCode } from './region_code.ts'

// SSE in a region. XMM registers stay in the state block. CR0.TS and CR0.EM are looked at by the core's executor, so a region's own SSE code is guarded once
// an instruction, by one load; set, the instruction is left to the core, which raises the exception.
//
// Floating point is computed inline only where no flag but PE can result and PE is already set: round to nearest, all exceptions masked, no FTZ or DAZ
// (one comparison of MXCSR), operands and result normal numbers. Everything else goes to the core's exact executor.

type Emitter = (r: RegionCode, i: Instruction) => boolean

const xmm = (n: number) => L.CPU_XMM + n * 16
/** FTZ, RC, the six masks, DAZ and PE of MXCSR. */
const MXCSR_MASK = 0xffe0
const MXCSR_FAST = 0x1fa0
const EXPONENT64 = 0x7ff0000000000000n
const EXPONENT32 = 0x7f800000

/** Runs `fast` unless CR0.TS or CR0.EM is set; then the core has it. */
function guarded(r: RegionCode, i: Instruction, fast: () => void): void {
	const { code } = r
	code.i32(r.state).memory('i32.load', L.CPU_CR0).i32(0xc).op('i32.and')
	code.if()
	r.execute(i, false)
	code.else()
	fast()
	code.end()
}

/** Pushes the 16 bytes of the ModRM.rm operand; an aligned one is checked by the core. */
function pushWide(r: RegionCode, i: Instruction): void {
	const { code } = r
	if (!i.memory) {
		code.i32(r.state).v128('load', xmm(i.rm))
		return
	}
	r.pushEffectiveAddress(i)
	r.hostForRead(i, 16)
	code.get(r.host).v128('load')
}

/** True when the low four bits of the operand's address are known to the emitted check to be zero; else the core raises #GP. */
function aligned(r: RegionCode, i: Instruction, fast: () => void): void {
	if (!i.memory) return fast()
	const { code } = r
	r.pushEffectiveAddress(i)
	code.op('i32.wrap_i64').i32(15).op('i32.and')
	code.if()
	r.execute(i, false)
	code.else()
	fast()
	code.end()
}

const moveLoad =
	(check: boolean): Emitter =>
	(r, i) => {
		const load = () => {
			r.code.i32(r.state)
			pushWide(r, i)
			r.code.v128('store', xmm(i.reg))
		}
		guarded(r, i, () => (check ? aligned(r, i, load) : load()))
		return true
	}

const moveStore =
	(check: boolean): Emitter =>
	(r, i) => {
		const { code } = r
		const store = () => {
			if (!i.memory) {
				code.i32(r.state).i32(r.state).v128('load', xmm(i.reg)).v128('store', xmm(i.rm))
				return
			}
			r.pushEffectiveAddress(i)
			r.hostForWrite(i, 16)
			r.storeWide(i, xmm(i.reg))
		}
		guarded(r, i, () => (check ? aligned(r, i, store) : store()))
		return true
	}

/** MOVSS, MOVSD, MOVQ to a register: from memory the rest is cleared; MOVQ clears it always. */
const scalarLoad =
	(size: 4 | 8, clears: boolean): Emitter =>
	(r, i) => {
		const { code } = r
		guarded(r, i, () => {
			const temporary = size === 8 ? r.z64 : r.z32
			if (i.memory) {
				r.pushEffectiveAddress(i)
				r.hostForRead(i, size)
				r.load(size)
			} else code.i32(r.state).memory(size === 8 ? 'i64.load' : 'i32.load', xmm(i.rm))
			code.set(temporary)
			if (i.memory || clears) {
				code.i32(r.state).get(temporary)
				if (size === 4) code.op('i64.extend_i32_u')
				code
					.memory('i64.store', xmm(i.reg))
					.i32(r.state)
					.i64(0)
					.memory('i64.store', xmm(i.reg) + 8)
			} else
				code
					.i32(r.state)
					.get(temporary)
					.memory(size === 8 ? 'i64.store' : 'i32.store', xmm(i.reg))
		})
		return true
	}

const scalarStore =
	(size: 4 | 8, from = 0): Emitter =>
	(r, i) => {
		if (!i.memory) return false
		const { code } = r
		guarded(r, i, () => {
			const temporary = size === 8 ? r.z64 : r.z32
			r.pushEffectiveAddress(i)
			r.hostForWrite(i, size)
			code
				.i32(r.state)
				.memory(size === 8 ? 'i64.load' : 'i32.load', xmm(i.reg) + from)
				.set(temporary)
			r.store(i, size, temporary, () => {})
		})
		return true
	}

/** MOVHPS and MOVLPS from memory. */
const halfLoad =
	(at: number): Emitter =>
	(r, i) => {
		guarded(r, i, () => {
			r.pushEffectiveAddress(i)
			r.hostForRead(i, 8)
			r.code.i32(r.state)
			r.load(8)
			r.code.memory('i64.store', xmm(i.reg) + at)
		})
		return true
	}

/** Copies a quadword between registers. */
const quadword =
	(from: number, to: number): Emitter =>
	(r, i) => {
		if (i.memory) return false
		guarded(r, i, () => {
			r.code
				.i32(r.state)
				.i32(r.state)
				.memory('i64.load', xmm(i.rm) + from)
				.memory('i64.store', xmm(i.reg) + to)
		})
		return true
	}

const moveToXmm: Emitter = (r, i) => {
	if (i.memory) return false
	guarded(r, i, () => {
		const { code } = r
		const size = i.flags & L.RF_REXW ? 8 : 4
		code.i32(r.state)
		r.getRegister(i.rm, size)
		r.widen(size)
		code
			.memory('i64.store', xmm(i.reg))
			.i32(r.state)
			.i64(0)
			.memory('i64.store', xmm(i.reg) + 8)
	})
	return true
}

const moveFromXmm: Emitter = (r, i) => {
	if (i.memory) return false
	const { code } = r
	const size = i.flags & L.RF_REXW ? 8 : 4
	code.i32(r.state).memory('i32.load', L.CPU_CR0).i32(0xc).op('i32.and')
	code.if()
	r.execute(i, false)
	code.end()
	code.i32(r.state).memory(size === 8 ? 'i64.load' : 'i32.load', xmm(i.reg))
	r.setRegister(i.rm, size)
	return true
}

/** Two packed operands, no flags. */
const packed =
	(operator: SimdOperator, swapped = false): Emitter =>
	(r, i) => {
		const { code } = r
		guarded(r, i, () =>
			aligned(r, i, () => {
				if (i.memory) {
					r.pushEffectiveAddress(i)
					r.hostForRead(i, 16)
				}
				const destination = () => code.i32(r.state).v128('load', xmm(i.reg))
				const source = () => (i.memory ? code.get(r.host).v128('load') : code.i32(r.state).v128('load', xmm(i.rm)))
				code.i32(r.state)
				if (swapped) {
					source()
					destination()
				} else {
					destination()
					source()
				}
				code.simd(operator).v128('store', xmm(i.reg))
			}),
		)
		return true
	}

/** ADDSD, MULSS and their like. */
const scalarArithmetic =
	(size: 4 | 8, operator: 'add' | 'sub' | 'mul' | 'div' | 'sqrt'): Emitter =>
	(r, i) => {
		const { code } = r
		const type = size === 8 ? 'f64' : 'f32'
		const integer = size === 8 ? 'i64' : 'i32'
		const load = `${integer}.load` as MemoryOperator
		const [x, y, z] = size === 8 ? [r.x64, r.y64, r.z64] : [r.x32, r.y32, r.z32]
		const reinterpret = `${type}.reinterpret_${integer}` as Operator
		const exponent = (local: number) => {
			code.get(local)
			if (size === 8) code.i64(EXPONENT64).op('i64.and')
			else code.i32(EXPONENT32).op('i32.and')
		}
		const isZero = (local: number) => {
			exponent(local)
			code.op(`${integer}.eqz` as Operator)
		}
		// The operand, faults included, comes first: the core then finds the same.
		if (i.memory) {
			r.pushEffectiveAddress(i)
			r.hostForRead(i, size)
			r.load(size)
		} else code.i32(r.state).memory(load, xmm(i.rm))
		code.set(y)
		code.i32(r.state).memory(load, xmm(i.reg)).set(x)
		if (operator !== 'sqrt') code.get(x).op(reinterpret)
		code
			.get(y)
			.op(reinterpret, `${type}.${operator}` as Operator, `${integer}.reinterpret_${type}` as Operator)
			.set(z)
		const slow = () => {
			isZero(y)
			if (operator !== 'sqrt') {
				isZero(x)
				code.op('i32.or')
			}
			isZero(z)
			code.op('i32.or')
			exponent(z)
			if (size === 8) code.i64(EXPONENT64).op('i64.eq')
			else code.i32(EXPONENT32).op('i32.eq')
			code.op('i32.or')
			code.i32(r.state).memory('i32.load', L.CPU_MXCSR).i32(MXCSR_MASK).op('i32.and').i32(MXCSR_FAST).op('i32.ne', 'i32.or')
			code.i32(r.state).memory('i32.load', L.CPU_CR0).i32(0xc).op('i32.and', 'i32.or')
		}
		slow()
		code.if()
		r.execute(i, false)
		code.else()
		code
			.i32(r.state)
			.get(z)
			.memory(`${integer}.store` as MemoryOperator, xmm(i.reg))
		code.end()
		return true
	}

/** UCOMISD and COMISD of two ordered, normal or zero numbers; denormals and NaNs go to the core. */
const compareDouble: Emitter = (r, i) => {
	const { code } = r
	r.forgetFlags()
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForRead(i, 8)
		r.load(8)
	} else code.i32(r.state).memory('i64.load', xmm(i.rm))
	code.set(r.y64)
	code.i32(r.state).memory('i64.load', xmm(i.reg)).set(r.x64)
	const special = (local: number) => {
		code.get(local).i64(EXPONENT64).op('i64.and').i64(EXPONENT64).op('i64.eq')
		code.get(local).i64(EXPONENT64).op('i64.and', 'i64.eqz').get(local).i64(1).op('i64.shl').i64(0).op('i64.ne', 'i32.and', 'i32.or')
	}
	special(r.x64)
	special(r.y64)
	code.op('i32.or').i32(r.state).memory('i32.load', L.CPU_CR0).i32(0xc).op('i32.and', 'i32.or')
	code.if()
	r.execute(i)
	code.else()
	// ZF when equal, CF when less.
	code.get(r.x64).op('f64.reinterpret_i64').get(r.y64).op('f64.reinterpret_i64', 'f64.eq').i32(6).op('i32.shl')
	code.get(r.x64).op('f64.reinterpret_i64').get(r.y64).op('f64.reinterpret_i64', 'f64.lt', 'i32.or')
	r.setStatus()
	code.end()
	r.forgetFlags()
	return true
}

/** CVTSI2SD: exact from 32 bits; from 64 bits where PE may be left alone. */
const integerToDouble: Emitter = (r, i) => {
	const size = i.flags & L.RF_REXW ? 8 : 4
	const { code } = r
	if (size === 8) return false
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForRead(i, 4)
		r.load(4)
	} else r.getRegister(i.rm, 4)
	code.set(r.x32)
	guarded(r, i, () => {
		code.i32(r.state).get(r.x32).op('f64.convert_i32_s').memory('f64.store', xmm(i.reg))
	})
	return true
}

/** Instructions that the core executes without touching general registers or flags. */
const PURE_EXCEPT: ReadonlySet<string> = new Set([
	'CRC32_B',
	'CRC32_V',
	'POPCNT',
	'MOVD_E_V',
	'MOVMSKPS',
	'MOVMSKPD',
	'PMOVMSKB',
	'PEXTRW_G',
	'PEXTRB',
	'PEXTRW_E',
	'PEXTRD',
	'EXTRACTPS',
	'PTEST',
	'PCMPESTRM',
	'PCMPESTRI',
	'PCMPISTRM',
	'PCMPISTRI',
	'UCOMISS',
	'UCOMISD',
	'COMISS',
	'COMISD',
	'CVTSS2SI',
	'CVTSD2SI',
	'CVTTSS2SI',
	'CVTTSD2SI',
	'MASKMOVDQU',
	'MOVD_V_E',
	'PINSRB',
	'PINSRW',
	'PINSRD',
	'CVTSI2SS',
	'CVTSI2SD',
	'MOVNTI',
	'FXSAVE',
	'FXRSTOR',
])
const sseRange = familyRanges().find(({ name }) => name === 'SSE')!

/** Whether the core's executor leaves general registers and flags alone, and needs none but those of the operand's address. */
export function isPure(operation: string): boolean {
	const number = decoderTables.operations.indexOf(operation)
	return number >= sseRange.first && number <= sseRange.last && !PURE_EXCEPT.has(operation)
}

export const SSE: Readonly<Record<string, Emitter>> = {
	PREFETCH: () => true,
	MOVU_V_W: moveLoad(false),
	MOVA_V_W: moveLoad(true),
	MOVU_W_V: moveStore(false),
	MOVA_W_V: moveStore(true),
	MOVSS_V_W: scalarLoad(4, false),
	MOVSD_V_W: scalarLoad(8, false),
	MOVQ_V_W: scalarLoad(8, true),
	MOVSS_W_V: scalarStore(4),
	MOVSD_W_V: scalarStore(8),
	MOVQ_W_V: scalarStore(8),
	MOVLPS_M_V: scalarStore(8),
	MOVHPS_M_V: scalarStore(8, 8),
	MOVLPS_V_M: halfLoad(0),
	MOVHPS_V_M: halfLoad(8),
	MOVHLPS: quadword(8, 0),
	MOVLHPS: quadword(0, 8),
	PUNPCKLQDQ: quadword(0, 8),
	MOVD_V_E: moveToXmm,
	MOVD_E_V: moveFromXmm,
	PAND: packed('v128.and'),
	PANDN: packed('v128.andnot', true),
	POR: packed('v128.or'),
	PXOR: packed('v128.xor'),
	PADDB: packed('i8x16.add'),
	PADDW: packed('i16x8.add'),
	PADDD: packed('i32x4.add'),
	PADDQ: packed('i64x2.add'),
	PSUBB: packed('i8x16.sub'),
	PSUBW: packed('i16x8.sub'),
	PSUBD: packed('i32x4.sub'),
	PSUBQ: packed('i64x2.sub'),
	PCMPEQB: packed('i8x16.eq'),
	PCMPEQW: packed('i16x8.eq'),
	PCMPEQD: packed('i32x4.eq'),
	PMULLW: packed('i16x8.mul'),
	PMULLD: packed('i32x4.mul'),
	ADDSD: scalarArithmetic(8, 'add'),
	SUBSD: scalarArithmetic(8, 'sub'),
	MULSD: scalarArithmetic(8, 'mul'),
	DIVSD: scalarArithmetic(8, 'div'),
	SQRTSD: scalarArithmetic(8, 'sqrt'),
	ADDSS: scalarArithmetic(4, 'add'),
	SUBSS: scalarArithmetic(4, 'sub'),
	MULSS: scalarArithmetic(4, 'mul'),
	DIVSS: scalarArithmetic(4, 'div'),
	SQRTSS: scalarArithmetic(4, 'sqrt'),
	UCOMISD: compareDouble,
	COMISD: compareDouble,
	CVTSI2SD: integerToDouble,
}
