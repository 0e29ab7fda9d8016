// A row of the processor's opcode table, taken apart for the generator.

import type { OpcodeRow } from '../../../src/x86/opcodes/row.ts'

export interface Encoding {
	/** Operation, encoding and operands, as reports group by. */
	readonly label: string
	readonly operation: string
	/** Mandatory prefix byte, 0 for NP, undefined where 66 and F2/F3 keep their general meaning. */
	readonly prefix: number | undefined
	/** Opcode bytes; a fixed second byte such as D9 E8 is one of them. */
	readonly bytes: readonly number[]
	/** Operation's register is in the low 3 bits of the last opcode byte. */
	readonly plusRegister: boolean
	/** 'r' any register in ModRM.reg, a digit where ModRM.reg extends the opcode, undefined without ModRM. */
	readonly modrm: 'r' | number | undefined
	readonly mod: 'mem' | 'reg' | undefined
	/** ib iw iz iv, jb jz (branch displacements), mo (an address), in order. */
	readonly immediates: readonly string[]
	readonly operands: readonly string[]
	readonly attributes: ReadonlySet<string>
	/** Opcode bytes and the ModRM digit in hex: '0F A4', 'C1 /4'. What the generator's special cases go by. */
	readonly key: string
}

const PREFIXES: Record<string, number> = { NP: 0, '66': 0x66, F2: 0xf2, F3: 0xf3 }

export function parseRow(row: OpcodeRow): Encoding {
	const [encoding, operation, operandText, attributeText] = row
	const tokens = encoding.split(' ')
	const first = tokens[0] as string
	const prefix = tokens.length > 1 && (first === 'NP' || tokens[1] === '0F') ? PREFIXES[first] : undefined
	if (prefix !== undefined) tokens.shift()
	const bytes: number[] = []
	const immediates: string[] = []
	let modrm: Encoding['modrm']
	let mod: Encoding['mod']
	let plusRegister = false
	for (const token of tokens) {
		const byte = /^([0-9A-F]{2})(\+[ri])?$/.exec(token)
		const digit = /^\/([0-7r])$/.exec(token)
		if (byte) {
			bytes.push(Number.parseInt(byte[1] as string, 16))
			if (byte[2]) plusRegister = true
		} else if (digit) modrm = digit[1] === 'r' ? 'r' : Number(digit[1])
		else if (token === 'mem' || token === 'reg') mod = token
		else if (/^([ico][bwdozvp]|j[bz]|mo)$/.test(token)) immediates.push(token)
		else throw new Error(`opcode row '${encoding}': '${token}' means nothing to the generator`)
	}
	const hex = bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ')
	return {
		label: `${operation} ${encoding}${operandText ? ` ${operandText}` : ''}`,
		operation,
		prefix,
		bytes,
		plusRegister,
		modrm,
		mod,
		immediates,
		operands: operandText.split(',').filter((operand) => operand !== ''),
		attributes: new Set((attributeText ?? '').split(/[ ,]+/).filter((word) => word !== '')),
		key: typeof modrm === 'number' ? `${hex} /${modrm}` : hex,
	}
}
