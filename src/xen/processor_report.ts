/** Debug key 'p': how a vCPU's processor does. */
import { ACCESS_NAMES, EXIT_NAMES, type ProcessorCounters, REGION_ENDS } from '../x86/counters.ts'

/** Intel SDM vol. 3, 6.3.1. */
const EXCEPTIONS = '#DE #DB NMI #BP #OF #BR #UD #NM #DF CSO #TS #NP #SS #GP #PF 15 #MF #AC #MC #XM #VE #CP'.split(' ')

/** Lines without the log's prefix. `translator` has a translator's figures by name, and is undefined where nothing is translated. */
export function describeProcessor(name: string, counters: ProcessorCounters, translator: object | undefined): string[] {
	const { instructions, regions, regionInstructions, jumpCacheMisses, traces, codeDrops, arenaEmptied, spansRefused } = counters
	const returns = counters.returnsRemembered + counters.returnsLookedUp
	return [
		`Processor of ${name}: ${instructions} instructions, ${percent(regionInstructions, instructions)} in translated regions`,
		`    regions entered: ${regions}, ${ratio(regionInstructions, regions)} instructions each; ended by ${named(REGION_ENDS, counters.regionEnds)}`,
		`    returns out of regions: ${returns}, ${percent(counters.returnsRemembered, returns)} remembered`,
		`    TLB misses: ${named(ACCESS_NAMES, counters.tlbMisses)}; one in ${ratio(instructions, sum(counters.tlbMisses))} instructions`,
		`    jump cache misses: ${jumpCacheMisses}; traces decoded: ${traces}`,
		`    code dropped: ${codeDrops} times by writes, ${arenaEmptied} times for lack of room`,
		`    regions left because near accesses were not in one page: ${spansRefused}`,
		`    exits: ${named(EXIT_NAMES, counters.exits)}; one in ${ratio(instructions, sum(counters.exits))} instructions`,
		`    exceptions: ${named(EXCEPTIONS, counters.exceptions)}`,
		`    translator: ${translator === undefined ? 'none' : figures(translator)}`,
	]
}

/** `name count`, for those that are not zero. */
function named(names: readonly string[], counts: readonly number[]): string {
	const parts = counts.flatMap((count, n) => (count === 0 ? [] : [`${names[n] ?? n} ${count}`]))
	return parts.length === 0 ? 'none' : parts.join(', ')
}

function figures(values: object): string {
	const numbers = Object.entries(values).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
	return numbers.map(([name, value]) => `${name}=${Number.isInteger(value) ? value : value.toFixed(1)}`).join(' ')
}

function sum(counts: readonly number[]): number {
	return counts.reduce((total, count) => total + count, 0)
}

function percent(part: number, whole: number): string {
	return whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(1)} %`
}

function ratio(whole: number, parts: number): string {
	return parts === 0 ? '-' : (whole / parts).toFixed(0)
}
