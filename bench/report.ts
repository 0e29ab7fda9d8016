/** Results as Markdown that is also readable in a terminal. */
import { geometricMean, type Platform, type Results } from './measurement.ts'
import type { Group, Program } from './programs.ts'

const GROUPS: Readonly<Record<Group, string>> = { integer: 'integer', floating: 'double floating point', system: 'system' }

interface Column {
	readonly title: string
	/** Shown when these were measured. */
	readonly needs: readonly Platform[]
	value(results: Results, program: string): number
	format(value: number): string
	/** The group's row has the geometric mean. */
	readonly mean: boolean
}

const time = (title: string, platform: Platform): Column => ({
	title,
	needs: [platform],
	value: (results, program) => results.time_ns(platform, program),
	format: duration,
	mean: false,
})
const ratio = (title: string, over: Platform, under: Platform): Column => ({
	title,
	needs: [over, under],
	value: (results, program) => results.time_ns(over, program) / results.time_ns(under, program),
	format: (value) => significant(value),
	mean: true,
})

const COLUMNS: readonly Column[] = [
	time('native', 'native'),
	time('processor alone', 'processor'),
	{
		title: 'MIPS alone',
		needs: ['processor'],
		value: (results, program) => results.mips('processor', program),
		format: (value) => value.toFixed(0),
		mean: true,
	},
	time('domain', 'domain'),
	time('QEMU TCG', 'tcg'),
	ratio('alone / native', 'processor', 'native'),
	ratio('domain / native', 'domain', 'native'),
	ratio('TCG / native', 'tcg', 'native'),
	ratio('speed over TCG', 'tcg', 'domain'),
]

/** The table of programs: nanoseconds to seconds of one iteration, ratios of times, and their geometric means for each group. */
export function programTable(results: Results, programs: readonly Program[]): string {
	const columns = COLUMNS.filter(({ needs }) => needs.every((platform) => results.has(platform)))
	const rows: string[][] = [['program', ...columns.map(({ title }) => title)]]
	for (const [group, title] of Object.entries(GROUPS)) {
		const members = programs.filter((program) => program.group === group)
		if (members.length === 0) continue
		for (const { name } of members) rows.push([name, ...columns.map((column) => cell(column, column.value(results, name)))])
		rows.push([`**${title}**`, ...columns.map((column) => (column.mean ? `**${groupMean(column, results, members)}**` : ''))])
	}
	return table(rows)
}

function groupMean(column: Column, results: Results, members: readonly Program[]): string {
	const values = members.map(({ name }) => column.value(results, name)).filter((value) => !Number.isNaN(value))
	return values.length === 0 ? '-' : cell(column, geometricMean(values))
}

function cell(column: Column, value: number): string {
	return Number.isNaN(value) ? '-' : column.format(value)
}

/** From the command that starts a guest to its user space; null when no guest was started. */
export function bootTable(results: Results): string | null {
	const [domain, tcg] = [results.boot_s('domain'), results.boot_s('tcg')]
	if (Number.isNaN(domain) && Number.isNaN(tcg)) return null
	const seconds = (value: number) => (Number.isNaN(value) ? '-' : `${value.toFixed(1)} s`)
	const times = Number.isNaN(domain / tcg) ? '-' : significant(domain / tcg)
	return table([
		['boot', 'domain', 'QEMU TCG', 'domain / TCG'],
		['to user space', seconds(domain), seconds(tcg), times],
	])
}

export function table(rows: readonly (readonly string[])[]): string {
	const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
	const line = (row: readonly string[]) =>
		`| ${row.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join(' | ')} |`
	const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
	return `${[line(rows[0]!), rule, ...rows.slice(1).map(line)].join('\n')}\n`
}

function significant(value: number): string {
	return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function duration(value_ns: number): string {
	const units = ['ns', 'µs', 'ms', 's']
	let value = value_ns
	let unit = 0
	for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000
	return `${significant(value)} ${units[unit]}`
}
