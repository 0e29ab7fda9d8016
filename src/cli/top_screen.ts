/** xentop's screen as text: columns, widths and order are its own. */
import type { Statistics } from '../daemon/api.ts'
import { clockTime } from './tables.ts'

export interface TopView {
	/** The index of the column in COLUMNS that domains are sorted by. */
	readonly sortColumn: number
	readonly vcpus: boolean
	readonly networks: boolean
	readonly vbds: boolean
	readonly repeatHeader: boolean
	/** Names are not cut to their column. */
	readonly fullName: boolean
	/** Domain 0 before all others, however they are sorted. */
	readonly dom0First: boolean
	/** A table of the host's processors below. */
	readonly pcpus: boolean
}

type DomainStatistics = Statistics['domains'][number]

export interface TopRow {
	readonly domain: DomainStatistics
	/** Of one processor, since the sample before; 0 without one. */
	readonly cpu_percent: number
	readonly memory_percent: number
	/** Null where there is no limit. */
	readonly maxMemory_percent: number | null
}

interface Column {
	readonly heading: string
	readonly width: number
	readonly text: (row: TopRow) => string
	/** Domains with more come first; by name otherwise. */
	readonly value?: (row: TopRow) => number
}

const NONE = () => '0'

export const COLUMNS: readonly Column[] = [
	column('NAME', 10, ({ domain }) => domain.name),
	column('STATE', 6, ({ domain }) => topState(domain.state)),
	column(
		'CPU(sec)',
		10,
		({ domain }) => String(Math.floor(domain.cpuTime_s)),
		({ domain }) => domain.cpuTime_s,
	),
	column(
		'CPU(%)',
		6,
		({ cpu_percent }) => cpu_percent.toFixed(1),
		({ cpu_percent }) => cpu_percent,
	),
	column(
		'MEM(k)',
		10,
		({ domain }) => String(domain.memory_kib),
		({ domain }) => domain.memory_kib,
	),
	column(
		'MEM(%)',
		6,
		({ memory_percent }) => memory_percent.toFixed(1),
		({ memory_percent }) => memory_percent,
	),
	column(
		'MAXMEM(k)',
		10,
		({ domain }) => String(domain.maxMemory_kib ?? 'no limit'),
		({ domain }) => domain.maxMemory_kib ?? Number.POSITIVE_INFINITY,
	),
	column(
		'MAXMEM(%)',
		9,
		({ maxMemory_percent }) => maxMemory_percent?.toFixed(1) ?? 'n/a',
		({ maxMemory_percent }) => maxMemory_percent ?? Number.POSITIVE_INFINITY,
	),
	column(
		'VCPUS',
		5,
		({ domain }) => String(domain.vcpus.length),
		({ domain }) => domain.vcpus.length,
	),
	// A domain has no network and block devices to count.
	column('NETS', 4, NONE, Number),
	column('NETTX(k)', 8, NONE, Number),
	column('NETRX(k)', 8, NONE, Number),
	column('VBDS', 4, NONE, Number),
	column('VBD_OO', 8, NONE, Number),
	column('VBD_RD', 8, NONE, Number),
	column('VBD_WR', 8, NONE, Number),
	column('VBD_RSECT', 10, NONE, Number),
	column('VBD_WSECT', 10, NONE, Number),
	column('SSID', 4, NONE, Number),
]

function column(heading: string, width: number, text: Column['text'], value?: Column['value']): Column {
	return value === undefined ? { heading, width, text } : { heading, width, text, value: value === Number ? () => 0 : value }
}

/** Each domain of `now` with its shares, of the time since `before` and of the host's memory; in the order of the view. */
export function topRows(
	now: Statistics,
	before: Statistics | undefined,
	{ sortColumn, dom0First }: Pick<TopView, 'sortColumn' | 'dom0First'>,
): TopRow[] {
	const elapsed_s = before === undefined ? 0 : now.time_s - before.time_s
	const share = (kib: number) => (kib / now.host.memory_kib) * 100
	const rows = now.domains.map((domain): TopRow => {
		const past = before?.domains.find(({ domid }) => domid === domain.domid)
		const used_s = past === undefined || elapsed_s <= 0 ? 0 : Math.max(0, domain.cpuTime_s - past.cpuTime_s)
		return {
			domain,
			cpu_percent: used_s === 0 ? 0 : (used_s / elapsed_s) * 100,
			memory_percent: share(domain.memory_kib),
			maxMemory_percent: domain.maxMemory_kib === null ? null : share(domain.maxMemory_kib),
		}
	})
	const { text, value } = COLUMNS[sortColumn] as Column
	const byText = (a: TopRow, b: TopRow) => (text(a).toLowerCase() < text(b).toLowerCase() ? -1 : 1)
	const byColumn = (a: TopRow, b: TopRow) => (value === undefined || value(a) === value(b) ? byText(a, b) : value(b) - value(a))
	const own = ({ domain }: TopRow) => (dom0First && domain.domid === 0 ? 1 : 0)
	return rows.sort((a, b) => own(b) - own(a) || byColumn(a, b))
}

/** The host's processors, with their shares of the time since `before`. */
export function pcpuTable(now: Statistics, before: Statistics | undefined): string[] {
	const rule = '+-------+--------+'
	const rows = now.host.pcpus.map(({ busy_s, idle_s }, core) => {
		const past = before?.host.pcpus[core] ?? { busy_s, idle_s }
		const [busy, idle] = [Math.max(0, busy_s - past.busy_s), Math.max(0, idle_s - past.idle_s)]
		const percent = busy === 0 ? 0 : (busy / (busy + idle)) * 100
		return `| ${String(core).padEnd(5)} | ${percent.toFixed(1).padStart(5)}% |`
	})
	return ['', 'Physical CPU Usage:', rule, '| Core  | Usage  |', rule, ...rows, rule]
}

/** The three lines above the table. */
export function topSummary(now: Statistics, date: Date): string[] {
	const count = (letter: string) => now.domains.filter(({ state }) => state.includes(letter)).length
	const { memory_kib, freeMemory_kib, cpus, cpu_mhz } = now.host
	const states = [
		['r', 'running'],
		['b', 'blocked'],
		['p', 'paused'],
		['c', 'crashed'],
		['d', 'dying'],
		['s', 'shutdown'],
	].map(([letter, name]) => `${count(letter as string)} ${name}`)
	return [
		`xentop - ${clockTime(date)}   Xen ${now.version}`,
		`${now.domains.length} domains: ${states.join(', ')} `,
		`Mem: ${memory_kib}k total, ${memory_kib - freeMemory_kib}k used, ${freeMemory_kib}k free    CPUs: ${cpus} @ ${cpu_mhz}MHz`,
	]
}

export function topHeading(): string {
	return COLUMNS.map(({ heading, width }) => heading.padStart(width)).join(' ')
}

/** The table's lines for a domain, the heading not among them. */
export function topLines(row: TopRow, view: TopView): string[] {
	const cells = COLUMNS.map(({ width, text }, n) => {
		const cell = text(row).padStart(width)
		return n === 0 && !view.fullName ? cell.slice(0, width) : cell
	})
	return [cells.join(' '), ...(view.vcpus ? vcpuLines(row.domain) : [])]
}

/** Five to a line. */
function vcpuLines({ vcpus }: DomainStatistics): string[] {
	const cells = vcpus.map(({ cpuTime_s }, n) => ` ${String(n).padStart(2)}: ${String(Math.floor(cpuTime_s)).padStart(10)}s`)
	const lines: string[] = []
	for (let first = 0; first < cells.length; first += 5) {
		lines.push(`${first === 0 ? 'VCPUs(sec): ' : ' '.repeat(12)}${cells.slice(first, first + 5).join('')}`)
	}
	return lines
}

/** xentop's order of the letters that xm list has. */
function topState(state: string): string {
	return Array.from('dsbcpr', (letter) => (state.includes(letter) ? letter : '-')).join('')
}

/** All domains, under one heading or each under its own. */
export function topTable(rows: readonly TopRow[], view: TopView): string[] {
	const heading = topHeading()
	return [heading, ...rows.flatMap((row, n) => [...(view.repeatHeader && n > 0 ? [heading] : []), ...topLines(row, view)])]
}
