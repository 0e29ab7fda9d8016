import type { OpcodeRow } from './row.ts'

// Decoder tables, made from the rows at build time.
//
// Lookup: main[map][opcode][prefix], a u16. 0: no such instruction. Below GROUP: index of a descriptor. Otherwise a group of 16, chosen by
// ModRM.reg + 8 * (ModRM.mod == 3), whose entries may again be a group of 16, chosen by ModRM.rm (both halves alike).
// map: 0 one byte, 1 0F, 2 0F38, 3 0F3A, 4 one byte outside 64-bit mode (looked up there before map 0). prefix: 0 none, 1 66, 2 F3, 3 F2.

/** Values of DESC_SIZE_KIND. */
export const SIZE_KINDS: Readonly<Record<string, number>> = { b: 1, w: 2, d: 3, q: 4, v: 5, y: 6, z: 7, x: 8, p: 5 }
/** Values of DESC_IMM. */
export const IMMEDIATES: Readonly<Record<string, number>> = {
	'': 0,
	ib: 1,
	iw: 2,
	id: 3,
	iz: 4,
	iv: 5,
	jb: 6,
	jz: 7,
	mo: 8,
	'iw ib': 9,
	'iz iw': 10,
	'ib ib': 11,
}
export const FLAG_MODRM = 1
export const FLAG_REG_GPR = 2
export const FLAG_REG_BYTE = 4
export const FLAG_RM_GPR = 8
export const FLAG_RM_BYTE = 16
export const FLAG_LOCK = 32
export const FLAG_D64 = 64
export const FLAG_F64 = 128
export const FLAG_I64 = 256
/** The register is the opcode's low three bits; stored as REC_RM. */
export const FLAG_OPCODE_REG = 512
export const FLAG_O64 = 1024
/** The rm operand is AL..RAX. */
export const FLAG_RM_RAX = 2048

/** Which operand is written: 1 E,G  2 G,E  3 E,I  0 anything else. */
export const FORM_EG = 1
export const FORM_GE = 2
export const FORM_EI = 3

export const GROUP = 0x8000
export const DESCRIPTOR_SIZE = 8

export interface ParsedRow {
	readonly row: OpcodeRow
	readonly operation: string
	/** undefined: any. */
	readonly prefix: number | undefined
	readonly map: number
	readonly opcodes: readonly number[]
	/** ModRM.reg when fixed. */
	readonly extension: number | undefined
	/** The whole ModRM byte when fixed. */
	readonly modrm: number | undefined
	readonly mod: 'mem' | 'reg' | undefined
	readonly flags: number
	readonly immediate: number
	readonly size: number
	readonly form: number
}

export function parseRow(row: OpcodeRow): ParsedRow {
	const [encoding, operation, operands, attributes = ''] = row
	const fail = (why: string): never => {
		throw new Error(`opcode row [${row.join(' | ')}]: ${why}`)
	}
	const tokens = encoding.split(' ')
	const prefixes: Record<string, number> = { NP: 0, '66': 1, F3: 2, F2: 3 }
	const prefix = tokens.length > 1 && prefixes[tokens[0]!] !== undefined && isHex(tokens[1]!) ? prefixes[tokens.shift()!] : undefined
	let map = 0
	if (tokens[0] === '0F') {
		tokens.shift()
		map = 2 + ['38', '3A'].indexOf(tokens[0] ?? '')
		if (map > 1) tokens.shift()
	}
	const opcodeToken = tokens.shift() ?? fail('no opcode')
	const plusR = opcodeToken.endsWith('+r')
	const first = Number.parseInt(opcodeToken, 16)
	const opcodes = Array.from({ length: plusR ? 8 : 1 }, (_, n) => first + n)

	let modrm: number | undefined
	let extension: number | undefined
	let mod: 'mem' | 'reg' | undefined
	let hasModrm = false
	const immediates: string[] = []
	for (const token of tokens) {
		if (isHex(token) && modrm === undefined && immediates.length === 0) modrm = Number.parseInt(token, 16)
		else if (token === '/r') hasModrm = true
		else if (/^\/[0-7]$/.test(token)) extension = Number(token[1])
		else if (token === 'mem' || token === 'reg') mod = token
		else immediates.push(token)
	}
	const immediate = IMMEDIATES[immediates.join(' ')] ?? fail(`unknown immediate ${immediates.join(' ')}`)
	const list = operands === '' ? [] : operands.split(',').flatMap((o) => o.split('/'))
	const words = attributes.split(' ')

	let flags = 0
	if (hasModrm || extension !== undefined || modrm !== undefined) flags |= FLAG_MODRM
	if (plusR) flags |= FLAG_OPCODE_REG | FLAG_RM_GPR
	for (const operand of list) {
		if (operand.startsWith('G')) flags |= FLAG_REG_GPR | (operand === 'Gb' ? FLAG_REG_BYTE : 0)
		if (/^[ER]/.test(operand)) flags |= FLAG_RM_GPR | (operand === 'Eb' ? FLAG_RM_BYTE : 0)
		if (operand === 'Zb') flags |= FLAG_RM_BYTE
		if (operand === 'AL') flags |= FLAG_RM_RAX | FLAG_RM_GPR | FLAG_RM_BYTE
		if (operand === 'rAX') flags |= FLAG_RM_RAX | FLAG_RM_GPR
	}
	const bits: Record<string, number> = { lock: FLAG_LOCK, d64: FLAG_D64, f64: FLAG_F64, i64: FLAG_I64, o64: FLAG_O64, '': 0 }
	for (const word of words) flags |= bits[word] ?? fail(`unknown attribute ${word}`)

	return {
		row,
		operation,
		prefix,
		map: map === 0 && flags & FLAG_I64 ? 4 : map,
		opcodes,
		extension,
		modrm,
		mod,
		flags,
		immediate,
		size: sizeKind(list),
		form: formOf(list),
	}
}

function isHex(token: string): boolean {
	return /^[0-9A-F]{2}(\+r)?$/.test(token)
}

function sizeKind(operands: readonly string[]): number {
	for (const operand of operands) {
		if (operand === 'AL') return SIZE_KINDS.b!
		if (operand === 'rAX') return SIZE_KINDS.v!
		// A short branch has the operand size of a long one.
		if (operand.startsWith('J')) return SIZE_KINDS.z!
		const kind = /^[A-Z]([bwdqvyzxp])$/.exec(operand)?.[1]
		if (kind !== undefined) return SIZE_KINDS[kind]!
	}
	return 0
}

function formOf(operands: readonly string[]): number {
	const letters = operands.map((o) => (o === 'AL' || o === 'rAX' ? 'E' : o[0])).join('')
	if (letters === 'EG') return FORM_EG
	if (letters === 'GE') return FORM_GE
	if (letters === 'EI' || letters === 'ZI') return FORM_EI
	return 0
}

export interface DecoderTables {
	/** Operation names; the index is the OP_ number. Index 0 is INVALID. */
	readonly operations: readonly string[]
	readonly main: Uint16Array
	readonly groups: Uint16Array
	readonly descriptors: Uint8Array
}

/** Throws when two rows claim one encoding. */
export function buildTables(families: readonly (readonly OpcodeRow[])[], reserved: readonly string[]): DecoderTables {
	const operations = ['INVALID', ...reserved]
	const numbers = new Map(operations.map((name, n) => [name, n]))
	const main = new Uint16Array(5 * 256 * 4)
	const groups: number[] = []
	const descriptors: number[] = [0, 0, 0, 0, 0, 0, 0, 0]

	const newGroup = (fill: number) => {
		groups.push(...new Array<number>(16).fill(fill))
		return GROUP | (groups.length / 16 - 1)
	}
	/** Fills group entries; a group that stands where a single descriptor was asked for is an overlap. */
	const setSlots = (slots: readonly number[], group: number, value: number, what: string, replaceable: ReadonlySet<number>) => {
		for (const slot of slots) {
			const at = (group & 0x7fff) * 16 + slot
			const old = groups[at] as number
			if (old !== 0 && !replaceable.has(old)) throw new Error(`opcode rows overlap: ${what}`)
			groups[at] = value
		}
	}

	for (const rows of families) {
		for (const row of rows) {
			const parsed = parseRow(row)
			if (!numbers.has(parsed.operation)) {
				numbers.set(parsed.operation, operations.length)
				operations.push(parsed.operation)
			}
			const op = numbers.get(parsed.operation)!
			const index = descriptors.length / DESCRIPTOR_SIZE
			descriptors.push(op & 255, op >> 8, parsed.immediate, parsed.size, parsed.flags & 255, parsed.flags >> 8, parsed.form, 0)
			const what = row.join(' | ')
			for (const opcode of parsed.opcodes) {
				for (const prefix of parsed.prefix === undefined ? [0, 1, 2, 3] : [parsed.prefix]) {
					const at = (parsed.map * 256 + opcode) * 4 + prefix
					const grouped = parsed.extension !== undefined || parsed.modrm !== undefined || parsed.mod !== undefined
					const old = main[at] as number
					if (!grouped) {
						if (old === 0) main[at] = index
						else if (parsed.prefix === undefined) continue
						else throw new Error(`opcode rows overlap: ${what}`)
						continue
					}
					if (old === 0) main[at] = newGroup(0)
					else if (old < GROUP) throw new Error(`opcode rows overlap: ${what}`)
					const group = main[at] as number
					if (parsed.modrm !== undefined) {
						const slot = 8 + ((parsed.modrm >> 3) & 7)
						const slotAt = (group & 0x7fff) * 16 + slot
						const inner = groups[slotAt] as number
						if (inner < GROUP) groups[slotAt] = newGroup(inner)
						const rm = parsed.modrm & 7
						setSlots([rm, rm + 8], groups[slotAt] as number, index, what, new Set([inner < GROUP ? inner : -1]))
						continue
					}
					const regs = parsed.extension === undefined ? [0, 1, 2, 3, 4, 5, 6, 7] : [parsed.extension]
					const slots = regs.flatMap((r) => (parsed.mod === 'mem' ? [r] : parsed.mod === 'reg' ? [r + 8] : [r, r + 8]))
					setSlots(slots, group, index, what, new Set())
				}
			}
		}
	}
	return { operations, main, groups: Uint16Array.from(groups), descriptors: Uint8Array.from(descriptors) }
}
