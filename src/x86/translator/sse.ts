import type { SimdOperator } from '../../wasm/code.ts'
import { F64, I64, V128, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import { decoderTables, familyRanges } from '../opcodes/operations.ts'
import type { Instruction } from './instruction.ts'
import type { RegionCode } from './region_code.ts'

// SSE in a region. XMM registers that the region uses are v128 locals; see region_code.ts for when they are given to the core.
//
// Every instruction asks the local `fpu` whether it may run here (CR0.TS and EM clear); otherwise the core has it and raises the exception.
//
// Floating point is computed here only where no flag but PE can result and PE is already set: round to nearest, all exceptions masked, no FTZ or DAZ (fpu is 3),
// operands and result normal numbers. Everything else goes to the core's exact executor, which may set PE.

type Emitter = (r: RegionCode, i: Instruction) => boolean

const EXPONENT64 = 0x7ff0000000000000n
const EXPONENT32 = 0x7f8000007f800000n

/** Runs `fast` when `fpu` is at least `level`; otherwise the core has the instruction. */
function guarded(r: RegionCode, i: Instruction, fast: () => void, level = 1): void {
	const { code } = r
	code.get(r.fpu).i32(level).op('i32.lt_s')
	code.if(VOID, false)
	r.execute(i, false)
	code.else()
	fast()
	code.end()
}

/** Runs `fast` when the operand in memory is aligned to 16 bytes; otherwise the core raises #GP. */
function aligned(r: RegionCode, i: Instruction, fast: () => void): void {
	if (!i.memory) return fast()
	const { code } = r
	r.pushEffectiveAddress(i)
	code.op('i32.wrap_i64').i32(15).op('i32.and')
	code.if(VOID, false)
	r.execute(i, false)
	code.else()
	fast()
	code.end()
}

/** Pushes the 16 bytes of the ModRM.rm operand. */
function pushOperand(r: RegionCode, i: Instruction): void {
	if (!i.memory) return r.getXmm(i.rm)
	r.pushEffectiveAddress(i)
	r.hostForRead(i, 16)
	r.code.get(r.host).v128('load')
}

const moveLoad =
	(check: boolean): Emitter =>
	(r, i) => {
		const load = () => {
			pushOperand(r, i)
			r.setXmm(i.reg)
		}
		guarded(r, i, () => (check ? aligned(r, i, load) : load()))
		return true
	}

const moveStore =
	(check: boolean): Emitter =>
	(r, i) => {
		const store = () => {
			if (!i.memory) {
				r.getXmm(i.reg)
				r.setXmm(i.rm)
				return
			}
			r.pushEffectiveAddress(i)
			r.hostForWrite(i, 16)
			r.storeXmm(i, i.reg)
		}
		guarded(r, i, () => (check ? aligned(r, i, store) : store()))
		return true
	}

/** Pushes the quadword or doubleword (as an i64, upper half zero) of the ModRM.rm operand. */
function pushScalar(r: RegionCode, i: Instruction, size: 4 | 8): void {
	const { code } = r
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForRead(i, size)
		r.load(size)
		r.widen(size)
	} else {
		r.getXmm(i.rm)
		if (size === 8) code.lane('i64x2.extract_lane', 0)
		else code.lane('i32x4.extract_lane', 0).op('i64.extend_i32_u')
	}
}

/** MOVSS, MOVSD, MOVQ to a register: from memory the rest is cleared; MOVQ clears it always. */
const scalarLoad =
	(size: 4 | 8, clears: boolean): Emitter =>
	(r, i) => {
		const { code } = r
		guarded(r, i, () => {
			if (i.memory || clears) {
				pushScalar(r, i, size)
				code.set(r.z64).v128Const(0n).get(r.z64).lane('i64x2.replace_lane', 0)
			} else {
				r.getXmm(i.reg)
				r.getXmm(i.rm)
				if (size === 8) code.lane('i64x2.extract_lane', 0).lane('i64x2.replace_lane', 0)
				else code.lane('i32x4.extract_lane', 0).lane('i32x4.replace_lane', 0)
			}
			r.setXmm(i.reg)
		})
		return true
	}

const scalarStore =
	(size: 4 | 8, lane = 0): Emitter =>
	(r, i) => {
		if (!i.memory) return false
		const { code } = r
		guarded(r, i, () => {
			const temporary = size === 8 ? r.z64 : r.z32
			r.pushEffectiveAddress(i)
			r.hostForWrite(i, size)
			r.getXmm(i.reg)
			code.lane(size === 8 ? 'i64x2.extract_lane' : 'i32x4.extract_lane', lane).set(temporary)
			r.store(i, size, temporary, () => {})
		})
		return true
	}

/** MOVHPS and MOVLPS from memory. */
const halfLoad =
	(lane: number): Emitter =>
	(r, i) => {
		guarded(r, i, () => {
			r.pushEffectiveAddress(i)
			r.hostForRead(i, 8)
			r.getXmm(i.reg)
			r.load(8)
			r.code.lane('i64x2.replace_lane', lane)
			r.setXmm(i.reg)
		})
		return true
	}

/** The bytes of a shuffle of elements of `size` bytes: numbers from 0 in the destination, then in the source. */
const elements = (size: number, numbers: readonly number[]) => numbers.flatMap((n) => Array.from({ length: size }, (_, k) => n * size + k))

/** A fixed or immediate shuffle of destination and source. `check`: an operand in memory must be aligned. */
const shuffled =
	(bytes: (imm: number) => readonly number[], check = true): Emitter =>
	(r, i) => {
		const fast = () => {
			if (i.memory) {
				pushOperand(r, i)
				r.code.set(r.wide)
			}
			r.getXmm(i.reg)
			if (i.memory) r.code.get(r.wide)
			else r.getXmm(i.rm)
			r.code.shuffle(bytes(Number(i.imm & 0xffn)))
			r.setXmm(i.reg)
		}
		guarded(r, i, () => (check ? aligned(r, i, fast) : fast()))
		return true
	}

const fields = (imm: number) => [imm & 3, (imm >> 2) & 3, (imm >> 4) & 3, (imm >> 6) & 3] as const

const moveToXmm: Emitter = (r, i) => {
	if (i.memory) return false
	guarded(r, i, () => {
		const { code } = r
		const size = i.flags & L.RF_REXW ? 8 : 4
		code.v128Const(0n)
		r.getRegister(i.rm, size)
		r.widen(size)
		code.lane('i64x2.replace_lane', 0)
		r.setXmm(i.reg)
	})
	return true
}

/** The core raises what CR0 asks for, before any fault of the operand; goes on only when it asks for nothing. */
function requireFpu(r: RegionCode, i: Instruction): void {
	r.code.get(r.fpu).op('i32.eqz')
	r.code.if(VOID, false)
	r.execute(i, false)
	r.code.end()
}

const moveFromXmm: Emitter = (r, i) => {
	if (i.memory) return false
	const size = i.flags & L.RF_REXW ? 8 : 4
	requireFpu(r, i)
	r.getXmm(i.reg)
	r.code.lane(size === 8 ? 'i64x2.extract_lane' : 'i32x4.extract_lane', 0)
	r.setRegister(i.rm, size)
	return true
}

const moveMask: Emitter = (r, i) => {
	requireFpu(r, i)
	r.getXmm(i.rm)
	r.code.simd('i8x16.bitmask')
	r.setRegister(i.reg, 4)
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
					pushOperand(r, i)
					code.set(r.wide)
				}
				const source = () => (i.memory ? void code.get(r.wide) : r.getXmm(i.rm))
				if (swapped) source()
				r.getXmm(i.reg)
				if (!swapped) source()
				code.simd(operator)
				r.setXmm(i.reg)
			}),
		)
		return true
	}

/** Shifts of lanes by an immediate. A count of the lane's width or more clears the lanes, or fills them with the sign. */
const shiftImmediate =
	(operator: SimdOperator, width: number): Emitter =>
	(r, i) => {
		const { code } = r
		const count = Number(i.imm & 0xffn)
		guarded(r, i, () => {
			if (count >= width && !operator.endsWith('_s')) code.v128Const(0n)
			else {
				r.getXmm(i.rm)
				code.i32(Math.min(count, width - 1)).simd(operator)
			}
			r.setXmm(i.rm)
		})
		return true
	}

// ---- floating point ----------------------------------------------------------------------------------------------------------

type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'sqrt'

/** Pushes whether the double whose bits are in an i64 local is zero, denormal, infinite or not a number: ((bits >> 52) + 1) & 0x7fe is 0. */
function isSpecial(r: RegionCode, local: number): void {
	r.code.get(local).i64(52).op('i64.shr_u').i64(1).op('i64.add').i64(0x7fe).op('i64.and', 'i64.eqz')
}

/** Pushes the double of the ModRM.rm operand. */
function pushDouble(r: RegionCode, i: Instruction): void {
	if (i.memory) {
		r.pushEffectiveAddress(i)
		r.hostForRead(i, 8)
		r.code.get(r.host).memory('f64.load')
	} else {
		r.getXmm(i.rm)
		r.code.lane('f64x2.extract_lane', 0)
	}
}

/** Pushes an i32 that is 0 for a double in a local that is not a normal number: (bits >> 52) + 1 & 0x7fe. */
function pushNormality(r: RegionCode, local: number): void {
	r.code.get(local).op('i64.reinterpret_f64').i64(52).op('i64.shr_u', 'i32.wrap_i64').i32(1).op('i32.add').i32(0x7fe).op('i32.and')
}

// The values stay in the floating-point registers; their bits are looked at beside, off the path from operand to result.
const scalarDouble =
	(operator: Arithmetic): Emitter =>
	(r, i) => {
		const { code } = r
		const unary = operator === 'sqrt'
		const x = r.f64
		const y = r.g64
		const z = r.h64
		requireFpu(r, i)
		pushDouble(r, i)
		code.set(y)
		if (!unary) {
			r.getXmm(i.reg)
			code.lane('f64x2.extract_lane', 0).tee(x)
		}
		code.get(y).op(`f64.${operator}`).set(z)
		pushNormality(r, y)
		code.op('i32.eqz')
		if (!unary) {
			pushNormality(r, x)
			code.op('i32.eqz', 'i32.or')
		}
		pushNormality(r, z)
		code.op('i32.eqz', 'i32.or').get(r.fpu).i32(3).op('i32.ne', 'i32.or')
		code.if(VOID, false)
		r.execute(i, false)
		code.else()
		r.getXmm(i.reg)
		code.get(z).lane('f64x2.replace_lane', 0)
		r.setXmm(i.reg)
		code.end()
		return true
	}

const scalarSingle =
	(operator: Arithmetic): Emitter =>
	(r, i) => {
		const { code } = r
		const unary = operator === 'sqrt'
		const exponent = (local: number) => code.get(local).i32(0x7f800000).op('i32.and')
		requireFpu(r, i)
		pushScalar(r, i, 4)
		code.op('i32.wrap_i64').set(r.y32)
		if (!unary) {
			r.getXmm(i.reg)
			code.lane('i32x4.extract_lane', 0).tee(r.x32).op('f32.reinterpret_i32')
		}
		code.get(r.y32).op('f32.reinterpret_i32', `f32.${operator}`, 'i32.reinterpret_f32').set(r.z32)
		exponent(r.y32).op('i32.eqz')
		if (!unary) exponent(r.x32).op('i32.eqz', 'i32.or')
		exponent(r.z32).op('i32.eqz', 'i32.or')
		exponent(r.z32).i32(0x7f800000).op('i32.eq', 'i32.or')
		code.get(r.fpu).i32(3).op('i32.ne', 'i32.or')
		code.if(VOID, false)
		r.execute(i, false)
		code.else()
		r.getXmm(i.reg)
		code.get(r.z32).lane('i32x4.replace_lane', 0)
		r.setXmm(i.reg)
		code.end()
		return true
	}

/** How packed numbers are tested, all lanes at once, as integers: a lane is normal when its exponent is neither 0 nor all ones. */
const LANES = {
	f64x2: { lanes: 'i64x2', exponent: EXPONENT64, shift: 52, one: 1n, ordinary: 0x7fen },
	f32x4: { lanes: 'i32x4', exponent: EXPONENT32, shift: 23, one: 0x0000000100000001n, ordinary: 0x000000fe000000fen },
} as const

/** ADDPD, MULPS and their like. */
const packedArithmetic =
	(type: keyof typeof LANES, operator: Exclude<Arithmetic, 'sqrt'>): Emitter =>
	(r, i) => {
		const { code } = r
		const { lanes, exponent, shift, one, ordinary } = LANES[type]
		requireFpu(r, i)
		aligned(r, i, () => {
			const y = r.temporary(V128)
			const z = r.temporary(V128)
			pushOperand(r, i)
			code.set(y)
			r.getXmm(i.reg)
			code.get(y).simd(`${type}.${operator}`).set(z)
			code.get(y).v128Const(exponent).simd('v128.and').simd(`${lanes}.all_true`)
			r.getXmm(i.reg)
			code.v128Const(exponent).simd('v128.and').simd(`${lanes}.all_true`)
			code.get(z).i32(shift).simd(`${lanes}.shr_u`).v128Const(one).simd(`${lanes}.add`).v128Const(ordinary).simd('v128.and')
			code.simd(`${lanes}.all_true`).op('i32.and', 'i32.and').get(r.fpu).i32(3).op('i32.eq', 'i32.and', 'i32.eqz')
			code.if(VOID, false)
			r.execute(i, false)
			code.else()
			code.get(z)
			r.setXmm(i.reg)
			code.end()
		})
		return true
	}

/** MINSD and MAXSD of normal numbers: the second operand unless the first is less (greater). */
const extreme =
	(operator: 'f64.lt' | 'f64.gt'): Emitter =>
	(r, i) => {
		const { code } = r
		requireFpu(r, i)
		pushScalar(r, i, 8)
		code.set(r.y64)
		r.getXmm(i.reg)
		code.lane('i64x2.extract_lane', 0).set(r.x64)
		isSpecial(r, r.x64)
		isSpecial(r, r.y64)
		code.op('i32.or').get(r.fpu).op('i32.eqz', 'i32.or')
		code.if(VOID, false)
		r.execute(i, false)
		code.else()
		r.getXmm(i.reg)
		code.get(r.x64).get(r.y64).get(r.x64).op('f64.reinterpret_i64').get(r.y64).op('f64.reinterpret_i64', operator, 'select')
		code.lane('i64x2.replace_lane', 0)
		r.setXmm(i.reg)
		code.end()
		return true
	}

/** UCOMISD and COMISD of numbers that are normal or zero. */
const compareDouble: Emitter = (r, i) => {
	const { code } = r
	requireFpu(r, i)
	r.forgetFlags()
	pushScalar(r, i, 8)
	code.set(r.y64)
	r.getXmm(i.reg)
	code.lane('i64x2.extract_lane', 0).set(r.x64)
	const special = (local: number) => {
		isSpecial(r, local)
		code.get(local).i64(1).op('i64.shl').i64(0).op('i64.ne', 'i32.and')
	}
	special(r.x64)
	special(r.y64)
	code.op('i32.or').get(r.fpu).op('i32.eqz', 'i32.or')
	code.if(VOID, false)
	// The core leaves the flags themselves, as setStatus() does.
	r.execute(i)
	code.else()
	// ZF when equal, CF when less.
	code.get(r.x64).op('f64.reinterpret_i64').get(r.y64).op('f64.reinterpret_i64', 'f64.eq').i32(6).op('i32.shl')
	code.get(r.x64).op('f64.reinterpret_i64').get(r.y64).op('f64.reinterpret_i64', 'f64.lt', 'i32.or')
	r.setStatus()
	code.end()
	return true
}

/** CVTSI2SD: exact from 32 bits; from 64 bits where PE is already set. */
const integerToDouble: Emitter = (r, i) => {
	const size = i.flags & L.RF_REXW ? 8 : 4
	const { code } = r
	if (i.memory || size === 8) return false
	guarded(r, i, () => {
		r.getXmm(i.reg)
		r.getRegister(i.rm, 4)
		code.op('f64.convert_i32_s').lane('f64x2.replace_lane', 0)
		r.setXmm(i.reg)
	})
	return true
}

/** CVTTSD2SI of a number that fits. */
const doubleToInteger: Emitter = (r, i) => {
	const size = i.flags & L.RF_REXW ? 8 : 4
	const { code } = r
	const value = r.temporary(F64)
	const result = r.temporary(I64)
	requireFpu(r, i)
	pushScalar(r, i, 8)
	code.op('f64.reinterpret_i64').set(value)
	r.forgetFlags()
	code
		.get(value)
		.op('f64.abs')
		.i64(size === 8 ? 0x43e0000000000000n : 0x41e0000000000000n)
		.op('f64.reinterpret_i64', 'f64.lt')
	code.get(r.fpu).i32(3).op('i32.eq', 'i32.and')
	code.if()
	code.get(value).truncateSaturating().set(result)
	code.get(result)
	if (size === 4) code.op('i32.wrap_i64')
	r.setRegister(i.reg, size)
	code.else()
	r.execute(i)
	code.end()
	return true
}

/** CVTSS2SD of a normal number. */
const singleToDouble: Emitter = (r, i) => {
	const { code } = r
	requireFpu(r, i)
	pushScalar(r, i, 4)
	code.op('i32.wrap_i64').set(r.y32)
	code.get(r.y32).i32(23).op('i32.shr_u').i32(1).op('i32.add').i32(0xfe).op('i32.and', 'i32.eqz').get(r.fpu).op('i32.eqz', 'i32.or')
	code.if(VOID, false)
	r.execute(i, false)
	code.else()
	r.getXmm(i.reg)
	code.get(r.y32).op('f32.reinterpret_i32', 'f64.promote_f32').lane('f64x2.replace_lane', 0)
	r.setXmm(i.reg)
	code.end()
	return true
}

/** Instructions that use general registers beside their address, or flags. */
const IMPURE: ReadonlySet<string> = new Set([
	...[
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
	],
	...[
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
	],
	...['MASKMOVDQU', 'MOVD_V_E', 'PINSRB', 'PINSRW', 'PINSRD', 'CVTSI2SS', 'CVTSI2SD', 'MOVNTI', 'FXSAVE', 'FXRSTOR', 'LDMXCSR'],
])
const sseRange = familyRanges().find(({ name }) => name === 'SSE')!

/** Whether the core's executor leaves general registers and flags alone, and needs none but those of the operand's address. */
export function isPure(operation: string): boolean {
	const number = decoderTables.operations.indexOf(operation)
	return number >= sseRange.first && number <= sseRange.last && !IMPURE.has(operation)
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
	MOVHPS_M_V: scalarStore(8, 1),
	MOVLPS_V_M: halfLoad(0),
	MOVHPS_V_M: halfLoad(1),
	MOVD_V_E: moveToXmm,
	MOVD_E_V: moveFromXmm,
	PMOVMSKB: moveMask,
	MOVHLPS: shuffled(() => elements(8, [3, 1])),
	MOVLHPS: shuffled(() => elements(8, [0, 2])),
	PUNPCKLQDQ: shuffled(() => elements(8, [0, 2])),
	PUNPCKHQDQ: shuffled(() => elements(8, [1, 3])),
	PUNPCKLDQ: shuffled(() => elements(4, [0, 4, 1, 5])),
	PUNPCKHDQ: shuffled(() => elements(4, [2, 6, 3, 7])),
	PUNPCKLWD: shuffled(() => elements(2, [0, 8, 1, 9, 2, 10, 3, 11])),
	PUNPCKHWD: shuffled(() => elements(2, [4, 12, 5, 13, 6, 14, 7, 15])),
	PUNPCKLBW: shuffled(() => [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]),
	PUNPCKHBW: shuffled(() => [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]),
	PSHUFD: shuffled((imm) =>
		elements(
			4,
			fields(imm).map((n) => n + 4),
		),
	),
	SHUFPS: shuffled((imm) =>
		elements(
			4,
			fields(imm).map((n, k) => (k < 2 ? n : n + 4)),
		),
	),
	SHUFPD: shuffled((imm) => elements(8, [imm & 1, 2 + ((imm >> 1) & 1)])),
	PALIGNR: (r, i) =>
		(i.imm & 0xffn) <= 16n && shuffled((imm) => Array.from({ length: 16 }, (_, k) => (k + imm < 16 ? 16 + k + imm : k + imm - 16)))(r, i),
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
	PCMPGTB: packed('i8x16.gt_s'),
	PCMPGTW: packed('i16x8.gt_s'),
	PCMPGTD: packed('i32x4.gt_s'),
	PMINUB: packed('i8x16.min_u'),
	PMAXUB: packed('i8x16.max_u'),
	PMINSW: packed('i16x8.min_s'),
	PMAXSW: packed('i16x8.max_s'),
	PMULLW: packed('i16x8.mul'),
	PMULLD: packed('i32x4.mul'),
	PSLLW_I: shiftImmediate('i16x8.shl', 16),
	PSRLW_I: shiftImmediate('i16x8.shr_u', 16),
	PSRAW_I: shiftImmediate('i16x8.shr_s', 16),
	PSLLD_I: shiftImmediate('i32x4.shl', 32),
	PSRLD_I: shiftImmediate('i32x4.shr_u', 32),
	PSRAD_I: shiftImmediate('i32x4.shr_s', 32),
	PSLLQ_I: shiftImmediate('i64x2.shl', 64),
	PSRLQ_I: shiftImmediate('i64x2.shr_u', 64),
	ADDSD: scalarDouble('add'),
	SUBSD: scalarDouble('sub'),
	MULSD: scalarDouble('mul'),
	DIVSD: scalarDouble('div'),
	SQRTSD: scalarDouble('sqrt'),
	ADDSS: scalarSingle('add'),
	SUBSS: scalarSingle('sub'),
	MULSS: scalarSingle('mul'),
	DIVSS: scalarSingle('div'),
	SQRTSS: scalarSingle('sqrt'),
	ADDPD: packedArithmetic('f64x2', 'add'),
	SUBPD: packedArithmetic('f64x2', 'sub'),
	MULPD: packedArithmetic('f64x2', 'mul'),
	DIVPD: packedArithmetic('f64x2', 'div'),
	ADDPS: packedArithmetic('f32x4', 'add'),
	SUBPS: packedArithmetic('f32x4', 'sub'),
	MULPS: packedArithmetic('f32x4', 'mul'),
	DIVPS: packedArithmetic('f32x4', 'div'),
	MINSD: extreme('f64.lt'),
	MAXSD: extreme('f64.gt'),
	UCOMISD: compareDouble,
	COMISD: compareDouble,
	CVTSI2SD: integerToDouble,
	CVTTSD2SI: doubleToInteger,
	CVTSS2SD: singleToDouble,
}
