// Encodes one x86-64 instruction from its parts. Knows no mnemonics: those are in pieces.ts.

import { littleEndian } from './values.ts'

/** Byte registers beyond 15: AH, CH, DH. They exclude a REX prefix. */
export const HIGH_BYTES = [16, 17, 18]

export interface Memory {
	readonly base?: number
	readonly index?: number
	/** 0..3: the index times 1, 2, 4, 8. */
	readonly scale?: number
	readonly disp?: number
	/** Segment override prefix. */
	readonly segment?: number
	/** Linear address, reached relative to RIP: the piece's reference fills in the displacement. */
	readonly rip?: number
}

export interface Parts {
	/** Operand size in bytes: 66 and REX.W follow from it. Left out: neither. */
	readonly size?: number
	/** Mandatory prefix. */
	readonly prefix?: number
	readonly lock?: boolean
	readonly opcode: readonly number[]
	/** ModRM.reg: a register or the opcode's extension. */
	readonly reg?: number
	readonly rm?: number | Memory
	/** Bits of a byte register operand: reg and rm are byte registers. */
	readonly bytes?: boolean
	/** Register in the opcode's low bits. */
	readonly plus?: number
	readonly immediate?: readonly number[]
}

export interface Encoded {
	readonly bytes: readonly number[]
	/** Offset of a RIP-relative displacement. */
	readonly ripAt?: number
}

export function immediate(value: number | bigint, size: number): number[] {
	return [...littleEndian(BigInt.asUintN(size * 8, BigInt(value)), size)]
}

/** Opcodes of byte operands whose ModRM.reg extends the opcode. */
const BYTE_GROUPS: ReadonlySet<number> = new Set([0x80, 0xc0, 0xc6, 0xd0, 0xd2, 0xf6, 0xfe])

const isHigh = (register: number | undefined) => register !== undefined && register >= 16
const low3 = (register: number) => (isHigh(register) ? register - 12 : register & 7)

export function encode(parts: Parts): Encoded {
	const { size, prefix, lock, opcode, reg, rm, bytes, plus } = parts
	const memory = typeof rm === 'object' ? rm : undefined
	const register = typeof rm === 'number' ? rm : undefined
	const operands = [BYTE_GROUPS.has(opcode[0]!) ? undefined : reg, register, plus]
	let rex = size === 8 ? 8 : 0
	if (reg !== undefined && !isHigh(reg) && reg & 8) rex |= 4
	if ((memory?.index ?? 0) & 8) rex |= 2
	if (((memory?.base ?? 0) | (isHigh(register) ? 0 : (register ?? 0)) | (plus ?? 0)) & 8) rex |= 1
	const needsRex = rex !== 0 || (bytes === true && operands.some((n) => n !== undefined && n >= 4 && n < 8))
	if (needsRex && operands.some(isHigh)) throw new Error('a high byte register and a REX prefix exclude each other')
	const head = [
		...(memory?.segment ? [memory.segment] : []),
		...(lock ? [0xf0] : []),
		...(size === 2 ? [0x66] : []),
		...(prefix ? [prefix] : []),
		...(needsRex ? [0x40 | rex] : []),
		...opcode,
	]
	if (plus !== undefined) head[head.length - 1]! |= low3(plus)
	const tail = parts.immediate ?? []
	if (rm === undefined) return { bytes: [...head, ...tail] }
	const field = low3(reg ?? 0) << 3
	if (memory === undefined) return { bytes: [...head, 0xc0 | field | low3(register!), ...tail] }
	if (memory.rip !== undefined) return { bytes: [...head, field | 5, 0, 0, 0, 0, ...tail], ripAt: head.length + 1 }
	return { bytes: [...head, ...address(memory, field), ...tail] }
}

/** ModRM, SIB and displacement. */
function address({ base, index, scale = 0, disp = 0 }: Memory, field: number): number[] {
	const sib = index === undefined ? 4 : index & 7
	if (base === undefined) return [field | 4, (scale << 6) | (sib << 3) | 5, ...immediate(disp, 4)]
	const mod = disp === 0 && (base & 7) !== 5 ? 0 : disp >= -128 && disp < 128 ? 1 : 2
	const displacement = mod === 0 ? [] : immediate(disp, mod === 1 ? 1 : 4)
	if (index === undefined && (base & 7) !== 4) return [(mod << 6) | field | (base & 7), ...displacement]
	return [(mod << 6) | field | 4, (scale << 6) | (sib << 3) | (base & 7), ...displacement]
}
