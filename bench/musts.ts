/** What must be reached, what is aimed at, and whether it was. */
import { geometricMean, type Platform, type Results } from './measurement.ts'
import { type Group, PROGRAMS } from './programs.ts'
import { significant, table } from './report.ts'

export interface Must {
	readonly work: string
	readonly must: number
	/** Null where there is none beyond the must. */
	readonly aim: number | null
	/** Whether `must` and `aim` are the least or the most. */
	readonly bound: 'at least' | 'at most'
	/** In the must's unit; NaN when it was not measured. */
	measured(results: Results): number
	format(value: number): string
}

const times = (value: number): string => `${significant(value)}x`
const percent = (value: number): string => `${significant(value * 100)} %`
const mebibytes = (value: number): string => `${value.toFixed(0)} MiB`

/** Ratios of times; NaN for a program that was not measured on both. */
const ratios = (results: Results, group: Group, over: Platform, under: Platform): number[] =>
	PROGRAMS.filter((program) => program.group === group).map(({ name }) => results.time_ns(over, name) / results.time_ns(under, name))

function overTcg(work: string, group: Group, must: number, aim: number): Must {
	return {
		work,
		must,
		aim,
		bound: 'at least',
		measured: (results) => geometricMean(ratios(results, group, 'tcg', 'domain')),
		format: times,
	}
}

export const MUSTS: readonly Must[] = [
	overTcg('integer programs, geomean, our speed over TCG', 'integer', 1.5, 2.5),
	overTcg('double floating point programs, geomean over TCG', 'floating', 6, 10),
	overTcg('system calls, fork+exec, fork, switches, page faults, geomean over TCG', 'system', 1, 2),
	{
		work: 'the slowest of these over TCG',
		must: 0.5,
		aim: null,
		bound: 'at least',
		measured: (results) => Math.min(...ratios(results, 'system', 'tcg', 'domain')),
		format: times,
	},
	{
		work: 'native speed over ours, integer geomean',
		must: 5,
		aim: 3,
		bound: 'at most',
		measured: (results) => geometricMean(ratios(results, 'integer', 'domain', 'native')),
		format: times,
	},
	{
		work: "cold boot to user space, our time over TCG's",
		must: 2,
		aim: 1,
		bound: 'at most',
		measured: (results) => results.figure('domain', 'boot_s') / results.figure('tcg', 'boot_s'),
		format: times,
	},
	{
		work: 'the same with a warm translation cache',
		must: 1.2,
		aim: 0.7,
		bound: 'at most',
		measured: (results) => results.figure('domain', 'warmBoot_s') / results.figure('tcg', 'boot_s'),
		format: times,
	},
	{
		work: 'timer interrupts delivered in a hot loop (integer or floating point, the worse)',
		must: 0.95,
		aim: 0.99,
		bound: 'at least',
		measured: (results) => Math.min(results.figure('domain', 'ticksInteger'), results.figure('domain', 'ticksFloating')),
		format: percent,
	},
	{
		work: 'host CPU of an idle domain',
		must: 0.02,
		aim: 0.005,
		bound: 'at most',
		measured: (results) => results.figure('domain', 'idleShare'),
		format: percent,
	},
	{
		work: 'resident memory beyond what the guest touched',
		must: 200,
		aim: 100,
		bound: 'at most',
		measured: (results) => results.figure('domain', 'overhead_MiB'),
		format: mebibytes,
	},
]

/** The table of musts; what was not measured says so. */
export function mustTable(results: Results, musts: readonly Must[] = MUSTS): string {
	const rows = musts.map((must) => {
		const { work, bound, aim, format } = must
		const measured = must.measured(results)
		const limit = (value: number) => `${bound} ${format(value)}`
		return [
			work,
			limit(must.must),
			aim === null ? '-' : limit(aim),
			Number.isNaN(measured) ? '-' : format(measured),
			verdict(must, measured),
		]
	})
	return table([['work', 'must', 'aim', 'measured', 'met'], ...rows])
}

function verdict({ must, aim, bound }: Must, measured: number): string {
	if (Number.isNaN(measured)) return 'not measured'
	const reaches = (limit: number) => (bound === 'at least' ? measured >= limit : measured <= limit)
	if (!reaches(must)) return '**not met**'
	return aim !== null && reaches(aim) ? 'met, and the aim' : 'met'
}
