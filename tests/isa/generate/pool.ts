// Instructions of the case generator (generate.ts) as pieces of programs: any row of the opcode table, behind moves that give its registers the case's values.

import type { IsaCase } from '../case.ts'
import type { Random } from '../random.ts'
import { AF, baseState, CF, gpr, OF, STATUS_FLAGS, viewOf } from '../state.ts'
import { immediate } from './assembler.ts'
import { makeCase, type Shape } from './generate.ts'
import { FREE, make, RBX, RSP } from './piece_parts.ts'
import { type Piece, piece, together } from './program.ts'

/**
 * Not taken: what changes control flow, the stack pointer or segments, reaches memory by a register that the case doesn't set, may divide by zero, stores
 * instruction pointers, may give an undefined result, and x87 (its condition codes are undefined most of the time).
 */
const EXCLUDED =
	/^(7.|E.|C[23489ABCDF]|F[67] \/[67]|FF \/[2-6]|5.|6[0-3C-F]|68|6A|9[A-F]|8[67CE]|8F \/0|A[4-7A-F]|D[789A-F].*|F4|F[ABCD]|0F (8.|A[0-589A-D]|B[239ABCD]|AE \/[0-3]|0[0-9B].*|2[0-6]|3[0-7]|C7.*|F7|FF|5[23]))$/

export function isPoolShape({ compat, encoding }: Shape): boolean {
	return !compat && !EXCLUDED.test(encoding.key) && !/^(RCP|RSQRT)/.test(encoding.operation)
}

const LEGACY = new Set([0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65])

/** Registers that the instruction may name, by its encoding; undefined where it can't be moved. */
function registersOf({ encoding }: Shape, { code }: IsaCase): number[] | undefined {
	let at = 0
	// A locked access that crosses a cache line may be punished by the host's kernel.
	for (; LEGACY.has(code[at]!); at++) if (code[at] === 0xf0) return undefined
	let rex = 0
	if ((code[at]! & 0xf0) === 0x40) rex = code[at++]!
	// A REX prefix before others has no effect.
	if (LEGACY.has(code[at]!)) return undefined
	at += encoding.bytes.filter((byte, i) => !(i === 0 && (byte === 0xf2 || byte === 0xf3))).length
	const bytes = encoding.operands.some((operand) => /^[EGVZ]b$/.test(operand))
	// AH to DH
	const plain = (n: number) => (bytes && rex === 0 && n >= 4 ? n - 4 : n)
	if (encoding.plusRegister) return [plain((code[at - 1]! & 7) | (rex & 1 ? 8 : 0))]
	if (encoding.modrm === undefined) return []
	const modrm = code[at]!
	const mod = modrm >> 6
	const rm = modrm & 7
	const reg = plain(((modrm >> 3) & 7) | (rex & 4 ? 8 : 0))
	const named =
		encoding.modrm === 'r' && encoding.operands.some((operand) => /^[GVP]/.test(operand)) && /^G/.test(regOperand(encoding.operands))
			? [reg]
			: []
	if (mod === 3) return /^[ERM]/.test(rmOperand(encoding.operands)) ? [...named, plain(rm | (rex & 1 ? 8 : 0))] : named
	// Relative to RIP.
	if (mod === 0 && rm === 5) return undefined
	if (rm !== 4) return [...named, rm | (rex & 1 ? 8 : 0)]
	const sib = code[at + 1]!
	const index = ((sib >> 3) & 7) | (rex & 2 ? 8 : 0)
	const base = (sib & 7) === 5 && mod === 0 ? [] : [(sib & 7) | (rex & 1 ? 8 : 0)]
	return [...named, ...base, ...(index === 4 ? [] : [index])]
}

const regOperand = (operands: readonly string[]) => operands.find((operand) => /^[GVPSCD]/.test(operand)) ?? ''
const rmOperand = (operands: readonly string[]) => operands.find((operand) => /^[EWQMUNR]/.test(operand)) ?? ''

/** A piece made of a case of this shape, or undefined. `runs` tells whether it ends without an exception, with the stack untouched. */
export function poolPiece(shape: Shape, random: Random, runs: (test: IsaCase) => boolean): Piece | undefined {
	const test = makeCase(shape, random)
	if (test === undefined) return undefined
	const registers = registersOf(shape, test)
	if (registers === undefined || registers.some((n) => !FREE.includes(n))) return undefined
	const before = viewOf(baseState(test.base, false))
	const after = viewOf(test.state)
	const loads: Piece[] = []
	for (let n = 0; n < 16; n++) {
		if (gpr(before, n) === gpr(after, n)) continue
		if (!FREE.includes(n) && n !== RSP && n !== RBX) return undefined
		if (n === RSP || n === RBX) return undefined
		loads.push(make('', { size: 8, opcode: [0xb8], plus: n, immediate: immediate(gpr(after, n), 8) }))
	}
	if (!runs(test)) return undefined
	const { operation } = shape.encoding
	// A count in CL may have been any.
	const undefines = test.undefinedFlags | (operation.endsWith('_CL') || /^SH[LR]D/.test(operation) ? AF | OF | CF : 0)
	const uses = /^(ADC|SBB|RCL|RCR|CMC|SETCC|CMOVCC|LAHF|PUSHF|SALC)/.test(operation) ? STATUS_FLAGS : 0
	return together(shape.label, [...loads, piece('', [...test.code], { uses, undefines })])
}
