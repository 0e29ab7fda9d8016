/** Results as Markdown that is also readable in a terminal. */
import { type GuestFigures, geometricMean, type Platform, type Results } from './measurement.ts'
import type { Group, Program } from './programs.ts'

const GROUPS: Readonly<Record<Group, string>> = {
	integer: 'integer',
	floating: 'double floating point',
	system: 'system',
	real: 'real programs',
}

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
	{
		...ratio('from the start', 'tcg', 'domain'),
		value: (results, program) => results.timeFromStart_ns('tcg', program) / results.timeFromStart_ns('domain', program),
	},
]

/** The table of programs: nanoseconds to seconds of one iteration, ratios of times, and their geometric means for each group. */
export function programTable(results: Results, programs: readonly Program[]): string {
	const columns = COLUMNS.filter(({ needs }) => needs.every((platform) => results.has(platform)))
	const rows: string[][] = [['program', ...columns.map(({ title }) => title)]]
	for (const [group, title] of Object.entries(GROUPS)) {
		const members = programs.filter((program) => program.group === group)
		if (members.length === 0) continue
		for (const { name } of members) rows.push([name, ...columns.map((column) => cell(column, column.value(results, name)))])
		rows.push([`**${title}**`, ...columns.map((column) => (column.mean ? groupMean(column, results, members) : ''))])
	}
	return table(rows)
}

function groupMean(column: Column, results: Results, members: readonly Program[]): string {
	const values = members.map(({ name }) => column.value(results, name)).filter((value) => !Number.isNaN(value))
	return values.length === 0 ? '-' : `**${column.format(geometricMean(values))}**`
}

function cell(column: Column, value: number): string {
	return Number.isNaN(value) ? '-' : column.format(value)
}

const FIGURES: readonly (readonly [title: string, figure: keyof GuestFigures, unit: string, scale: number])[] = [
	['boot to user space', 'boot_s', 's', 1],
	['the same with a warm translation cache', 'warmBoot_s', 's', 1],
	['timer interrupts in an integer loop', 'ticksInteger', '%', 100],
	['timer interrupts in a floating-point loop', 'ticksFloating', '%', 100],
	['host CPU when idle', 'idleShare', '%', 100],
	["guest's memory that it touched", 'touched_MiB', 'MiB', 1],
	['resident memory beyond that', 'overhead_MiB', 'MiB', 1],
	["host CPU for the guest's processor during the programs", 'busyShare', '%', 100],
]

/** What was seen of guests from outside; null when no guest was started. */
export function guestTable(results: Results): string | null {
	const rows = FIGURES.flatMap(([title, figure, unit, scale]) => {
		const values = (['domain', 'tcg'] as const).map((platform) => results.figure(platform, figure) * scale)
		if (values.every(Number.isNaN)) return []
		const over = values[0]! / values[1]!
		return [
			[title, ...values.map((value) => (Number.isNaN(value) ? '-' : `${value.toFixed(1)} ${unit}`)), over > 0 ? significant(over) : '-'],
		]
	})
	return rows.length === 0 ? null : table([['guest', 'domain', 'QEMU TCG', 'domain / TCG'], ...rows])
}

export function table(rows: readonly (readonly string[])[]): string {
	const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
	const line = (row: readonly string[]) =>
		`| ${row.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join(' | ')} |`
	const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
	return `${[line(rows[0]!), rule, ...rows.slice(1).map(line)].join('\n')}\n`
}

export function significant(value: number): string {
	return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function duration(value_ns: number): string {
	const units = ['ns', 'µs', 'ms', 's']
	let value = value_ns
	let unit = 0
	for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000
	return `${significant(value)} ${units[unit]}`
}
