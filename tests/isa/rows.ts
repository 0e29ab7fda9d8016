// Every row of the processor's opcode table, as the generator reads it.

import { existsSync } from 'node:fs'
import type { OpcodeRow } from '../../src/x86/opcodes/row.ts'
import { type Encoding, parseRow } from './generate/encoding.ts'

const FILES = ['integer', 'sse', 'mmx', 'x87'] as const

async function rowsOf(file: (typeof FILES)[number]): Promise<readonly OpcodeRow[]> {
	const url = new URL(`../../src/x86/opcodes/${file}.ts`, import.meta.url)
	if (!existsSync(url)) return []
	const module = (await import(url.href)) as Record<string, readonly OpcodeRow[]>
	return module[`${file}Rows`] as readonly OpcodeRow[]
}

export const ENCODINGS: readonly Encoding[] = (await Promise.all(FILES.map(rowsOf))).flat().map(parseRow)
