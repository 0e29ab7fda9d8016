import { fastOperations } from './fast.ts'
import { integerRows } from './integer.ts'
import { mmxRows } from './mmx.ts'
import type { OpcodeRow } from './row.ts'
import { sseRows } from './sse.ts'
import { buildTables } from './table.ts'
import { x87Rows } from './x87.ts'

/** Steps of the interpreter that no encoding names; numbered before the operations of the rows. */
const MICRO = ['EA', 'EA32', 'LINK', 'REFETCH', 'CROSS', 'STEP_END'] as const

/** The families of rows, in the order of their numbers. */
export const families: readonly (readonly [name: string, rows: readonly OpcodeRow[]])[] = [
	['INTEGER', integerRows],
	['SSE', sseRows],
	['MMX', mmxRows],
	['X87', x87Rows],
]

/** The decoder's tables. `operations[n]` is the name of operation n, as in REC_OP. */
export const decoderTables = buildTables(
	families.map(([, rows]) => rows),
	[...fastOperations, ...MICRO],
)

/** First and last operation number of each family, without those that an earlier family has already. */
export function familyRanges(): { name: string; first: number; last: number }[] {
	const known = new Set<string>()
	return families.map(([name, rows]) => {
		const own = rows.map((row) => row[1]).filter((operation) => !known.has(operation))
		for (const operation of own) known.add(operation)
		const numbers = own.map((operation) => decoderTables.operations.indexOf(operation))
		return { name, first: Math.min(...numbers), last: Math.max(...numbers) }
	})
}
