import { decoderTables, familyRanges } from '../../opcodes/operations.ts'
import { compared, packedArithmetic, scalarArithmetic } from './arithmetic.ts'
import { doubleToSingle, integersToDoubles, integerToNumber, numberToInteger, singleToDouble } from './conversions.ts'
import type { Emitter } from './emitter.ts'
import {
	doubleLoad,
	duplicate,
	duplicateHigh,
	highLoad,
	highToLow,
	lowLoad,
	lowToHigh,
	moveFromXmm,
	moveLoad,
	moveMask,
	moveStore,
	moveToXmm,
	scalarStore,
	singleLoad,
} from './moves.ts'
import type { Operation } from './number_tests.ts'
import { elements, exclusiveOr, fields, packed, shiftBytes, shiftImmediate, shuffled } from './packed_integers.ts'

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

const lowQuadwords = shuffled(() => elements(8, [0, 2]))
const highQuadwords = shuffled(() => elements(8, [1, 3]))

/** The four forms of an operation on numbers. */
const quartet = (name: string, operation: Operation): Record<string, Emitter> => ({
	[`${name}SD`]: scalarArithmetic('f64', operation),
	[`${name}SS`]: scalarArithmetic('f32', operation),
	[`${name}PD`]: packedArithmetic('f64', operation),
	[`${name}PS`]: packedArithmetic('f32', operation),
})

/**
 * SSE in a region, by operation. Each asks whether SSE is available (registers.ts), which comes before any fault of its operand.
 */
export const SSE: Readonly<Record<string, Emitter>> = {
	PREFETCH: () => true,
	MOVU_V_W: moveLoad(false),
	MOVA_V_W: moveLoad(true),
	MOVU_W_V: moveStore(false),
	MOVA_W_V: moveStore(true),
	MOVSS_V_W: singleLoad,
	MOVSD_V_W: doubleLoad(false),
	MOVQ_V_W: doubleLoad(true),
	MOVSS_W_V: scalarStore(4),
	MOVSD_W_V: scalarStore(8),
	MOVQ_W_V: scalarStore(8),
	MOVLPS_M_V: scalarStore(8),
	MOVHPS_M_V: scalarStore(8, 1),
	MOVLPS_V_M: lowLoad,
	MOVHPS_V_M: highLoad,
	MOVD_V_E: moveToXmm,
	MOVD_E_V: moveFromXmm,
	PMOVMSKB: moveMask('i8x16.bitmask'),
	MOVMSKPS: moveMask('i32x4.bitmask'),
	MOVMSKPD: moveMask('i64x2.bitmask'),
	MOVDDUP: duplicate,
	MOVHLPS: highToLow,
	MOVLHPS: lowToHigh,
	PUNPCKLQDQ: (r, i) => (i.memory ? lowQuadwords : lowToHigh)(r, i),
	PUNPCKHQDQ: (r, i) => (!i.memory && i.reg === i.rm ? duplicateHigh : highQuadwords)(r, i),
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
	PXOR: exclusiveOr,
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
	PSLLDQ_I: shiftBytes(true),
	PSRLDQ_I: shiftBytes(false),
	PSRLQ_I: shiftImmediate('i64x2.shr_u', 64),
	...quartet('ADD', 'add'),
	...quartet('SUB', 'sub'),
	...quartet('MUL', 'mul'),
	...quartet('DIV', 'div'),
	...quartet('SQRT', 'sqrt'),
	...quartet('MIN', 'min'),
	...quartet('MAX', 'max'),
	UCOMISD: compared('f64', false),
	COMISD: compared('f64', true),
	UCOMISS: compared('f32', false),
	COMISS: compared('f32', true),
	CVTSI2SD: integerToNumber('f64'),
	CVTSI2SS: integerToNumber('f32'),
	CVTTSD2SI: numberToInteger('f64'),
	CVTTSS2SI: numberToInteger('f32'),
	CVTSS2SD: singleToDouble,
	CVTSD2SS: doubleToSingle,
	CVTDQ2PD: integersToDoubles,
}
