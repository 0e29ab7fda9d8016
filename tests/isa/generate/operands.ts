// Gives every operand of a row a place and a value, from the letters of Intel's opcode map.

import type { CaseBuilder } from './builder.ts'
import { float32, float64, float80, integer, littleEndian, vector, vector32, vector64 } from './values.ts'

/** What addOperands() chose. Exactly one of rmRegister and address is set where the row has ModRM. */
export interface Operands {
	/** ModRM.reg with REX.R. */
	regField: number
	rmRegister?: number
	address?: bigint
	/** Bytes of the ModRM.rm operand, or of the first operand that has a size. */
	size: number
	immediate: bigint
}

const REG_FIELD = /^[GVPSCD]/
const RM_FIELD = /^[EWQMUNR]/

function sizeOf(b: CaseBuilder, operand: string): number {
	const v = b.operandSize
	const letter = operand === 'AL' ? 'b' : operand === 'rAX' ? 'v' : operand.slice(1)
	const sizes: Record<string, number> = {
		b: 1,
		w: 2,
		d: 4,
		q: 8,
		v,
		z: Math.min(v, 4),
		y: Math.max(v, 4),
		x: 16,
		p: Math.min(v, 4) + 2,
		t: 10,
	}
	return sizes[letter] ?? v
}

/** Data of the kind that the operation works on. */
function dataFor(b: CaseBuilder): Uint8Array {
	const name = b.encoding.operation
	if (b.random.oneIn(6)) return vector(b.random)
	if (/^CVT.*?DQ2|^CVTSI|^CVTPI/.test(name)) return vector(b.random)
	if (/[PS]S(_|$|2)/.test(name)) return vector32(b.random)
	if (/[PS]D(_|$|2)/.test(name)) return vector64(b.random)
	return vector(b.random)
}

/** x87 memory operands: a binary32, binary64, 80-bit or integer value, whatever the size allows. */
function x87Memory(b: CaseBuilder, size: number): Uint8Array {
	const { random } = b
	if (size === 10) return b.encoding.key === 'DF /4' ? packedDecimal(b) : float80(random)
	if (size === 4 && random.oneIn(2)) return littleEndian(BigInt(float32(random)), 4)
	if (size === 8 && random.oneIn(2)) return littleEndian(float64(random), 8)
	return littleEndian(integer(random, Math.min(size, 8)), size)
}

function packedDecimal(b: CaseBuilder): Uint8Array {
	const bytes = b.random.bytes(10).map((byte) => (byte % 10) | (((byte >> 4) % 10) << 4))
	bytes[9] = b.random.oneIn(2) ? 0x80 : 0
	return bytes
}

export function isX87(b: CaseBuilder): boolean {
	const first = b.encoding.bytes[0] as number
	return first >= 0xd8 && first <= 0xdf
}

export function addOperands(b: CaseBuilder, form: 'reg' | 'mem', immediate?: (b: CaseBuilder) => bigint): Operands {
	const { encoding, random } = b
	const result: Operands = { regField: 0, size: 0, immediate: 0n }
	const regOperand = encoding.operands.find((operand) => REG_FIELD.test(operand))
	const rmOperand = encoding.operands.find((operand) => RM_FIELD.test(operand))
	const sized = rmOperand ?? encoding.operands.find((operand) => !/^[IJ]/.test(operand))
	result.size = sized === undefined ? 0 : sizeOf(b, sized)

	if (encoding.modrm !== undefined) {
		result.regField = typeof encoding.modrm === 'number' ? encoding.modrm : pickRegField(b, regOperand)
		if (regOperand !== undefined && encoding.modrm === 'r') fill(b, regOperand, result.regField)
		if (form === 'reg') {
			const file = rmOperand?.[0] ?? 'E'
			const register = /[QN]/.test(file) || isX87(b) ? random.below(8) : b.pickRegister()
			result.rmRegister = register
			b.addRegisterOperand(result.regField, register)
			if (rmOperand !== undefined && !isX87(b) && !(register === result.regField && random.oneIn(2))) fill(b, rmOperand, register)
		} else addMemory(b, result, rmOperand)
	} else if (encoding.plusRegister) {
		const register = b.pickRegister()
		result.rmRegister = register
		b.addOpcodeRegister(register)
		b.fillRegister(register, result.size)
	}
	if (encoding.operands.some((operand) => operand === 'AL' || operand === 'rAX')) b.fillRegister(0, result.size)
	addImmediates(b, result, immediate)
	return result
}

function pickRegField(b: CaseBuilder, operand: string | undefined): number {
	return operand?.startsWith('P') ? b.random.below(8) : b.pickRegister()
}

function fill(b: CaseBuilder, operand: string, register: number): void {
	if (/^[VWU]/.test(operand)) b.putXmm(register, dataFor(b))
	else if (/^[PQN]/.test(operand)) b.putMmx(register, dataFor(b).slice(0, 8))
	else if (/^[GER]/.test(operand)) b.fillRegister(register, sizeOf(b, operand))
}

function addMemory(b: CaseBuilder, result: Operands, operand: string | undefined): void {
	const size = Math.max(1, result.size)
	const address = b.addMemoryOperand(result.regField, size)
	result.address = address
	if (isX87(b)) b.poke(address, x87Memory(b, size))
	else if (operand !== undefined && /^[WQ]/.test(operand)) b.poke(address, dataFor(b).slice(0, size))
	else b.poke(address, littleEndian(integer(b.random, size), size))
}

function addImmediates(b: CaseBuilder, result: Operands, immediate?: (b: CaseBuilder) => bigint): void {
	for (const kind of b.encoding.immediates) {
		const full = b.operandSize || 4
		const size = kind === 'ib' ? 1 : kind === 'iw' ? 2 : kind === 'iv' ? full : Math.min(full, 4)
		result.immediate = immediate ? immediate(b) : integer(b.random, size)
		b.addImmediate(result.immediate, size)
	}
}
