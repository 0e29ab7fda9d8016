// Writes docs/abi-coverage.md from the hypercall tables: node scripts/abi_coverage.ts
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { errnoName } from '../src/abi/errno.ts'
import type { HypercallRow, HypercallStatus, SubopRow } from '../src/xen/hypercall_row.ts'
import { hypercallRows } from '../src/xen/hypercall_table.ts'

export const coverageFile = fileURLToPath(new URL('../docs/abi-coverage.md', import.meta.url))

const STATUSES: readonly HypercallStatus[] = ['implemented', 'refused', 'not-applicable']

function answer(row: SubopRow): string {
	if (row.status === 'implemented') return 'implemented'
	const text = row.status === 'refused' ? 'refused' : 'not applicable'
	return `${text}: -${errnoName.get(row.errno as number)}`
}

function tally(rows: readonly SubopRow[]): string {
	return STATUSES.map((status) => `${rows.filter((row) => row.status === status).length} ${status.replace('-', ' ')}`).join(', ')
}

const subopsOf = (row: HypercallRow) => Object.entries(row.subops ?? {}).map(([command, subop]) => ({ ...subop, command: Number(command) }))
const cell = (text: string | undefined) => (text ?? '').replaceAll('|', '\\|')

/** One section a hypercall that has sub-operations. */
function section(row: HypercallRow): string[] {
	const subops = subopsOf(row)
	if (subops.length === 0) return []
	const lines = subops.map((subop) => `| ${subop.command} | ${subop.name} | ${answer(subop)} | ${cell(subop.note)} |`)
	return ['', `## ${row.name}`, '', `Source: \`${row.source}\``, '', '| | sub-operation | answer | note |', '|---|---|---|---|', ...lines]
}

/** The whole document. */
export function renderCoverage(): string {
	const rows = [...hypercallRows].sort((a, b) => a.number - b.number)
	const subops = rows.flatMap(subopsOf)
	const table = rows.map((row) => `| ${row.number} | ${row.name} | ${answer(row)} | ${cell(row.note)} |`)
	const lines = [
		'# Hypercalls',
		'',
		'What an unprivileged 64-bit PV domain gets from every hypercall and sub-operation that the public headers of Xen 4.17 name.',
		'Generated from the dispatch tables by `scripts/abi_coverage.ts`; a test checks that it is current.',
		'',
		'- *implemented*: served, with the errors of real Xen; a note says what differs.',
		'- *refused*: always answered with this errno, as Xen in its default configuration refuses an unprivileged domain.',
		'- *not applicable*: for HVM domains, other builds of Xen, or retired; answered with this errno.',
		'',
		'Hypercall numbers that no header names are -ENOSYS.',
		'',
		`${rows.length} hypercalls: ${tally(rows)}. ${subops.length} sub-operations: ${tally(subops)}.`,
		'',
		'| | hypercall | answer | note |',
		'|---|---|---|---|',
		...table,
		...rows.flatMap(section),
	]
	return `${lines.join('\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(coverageFile, renderCoverage())
