/** What the programs print, and the statistics over it. */

/** A place where programs run. */
export type Platform = 'native' | 'processor' | 'domain' | 'tcg'
export const PLATFORMS: readonly Platform[] = ['native', 'processor', 'domain', 'tcg']

/** One run of one program. */
export interface Measurement {
	readonly name: string
	readonly iterations: number
	readonly time_ns: number
	/** 16 hexadecimal digits. */
	readonly checksum: string
	/** Million guest instructions a second, where it can be known. */
	readonly mips?: number
}

/** The line that a program prints (programs/runtime.c: report()), or null for any other line. */
export function parseLine(line: string): Measurement | null {
	const match = /^bench ([a-z0-9_]+) (\d+) (\d+) ([0-9a-f]{16})$/.exec(line.trim())
	if (match === null) return null
	return { name: match[1]!, iterations: Number(match[2]), time_ns: Number(match[3]), checksum: match[4]! }
}

export function median(values: readonly number[]): number {
	if (values.length === 0) return Number.NaN
	const sorted = [...values].sort((a, b) => a - b)
	const middle = sorted.length >> 1
	return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** NaN for no values. */
export function geometricMean(values: readonly number[]): number {
	return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

/** What was seen of a guest from outside. NaN for what was not. */
export interface GuestFigures {
	/** Seconds from the command to the guest's word that its user space is up. */
	readonly boot_s: number
	/** Memory of the host's process just then, less what the guest says it uses. */
	readonly overhead_MiB: number
	/** Part of a host CPU that the guest took while it slept. */
	readonly idleShare: number
	/** Timer signals that a floating-point loop in the guest got, as a part of those it asked for. */
	readonly ticks: number
	/** Part of a host CPU that the guest had while the programs ran: near 1, unless the host was busy with something else. */
	readonly busyShare: number
}

/** All that was measured in one run of the bench. */
export class Results {
	readonly runs: { readonly platform: Platform; readonly measurement: Measurement }[] = []
	readonly guests: { readonly platform: Platform; readonly figures: GuestFigures }[] = []
	/** What went wrong, for people. */
	readonly problems: string[] = []

	has(platform: Platform): boolean {
		return this.runs.some((run) => run.platform === platform)
	}

	/** Median nanoseconds of one iteration; NaN when there is no measurement. */
	time_ns(platform: Platform, program: string): number {
		return median(this.of(platform, program).map(({ time_ns, iterations }) => time_ns / iterations))
	}

	mips(platform: Platform, program: string): number {
		return median(this.of(platform, program).flatMap(({ mips }) => (mips === undefined ? [] : [mips])))
	}

	figure(platform: Platform, figure: keyof GuestFigures): number {
		const values = this.guests.filter((row) => row.platform === platform).map(({ figures }) => figures[figure])
		return median(values.filter((value) => !Number.isNaN(value)))
	}

	/** The programs whose checksum was not the same everywhere, with who said what. */
	disagreements(): string[] {
		const said = new Map<string, Map<string, Set<Platform>>>()
		for (const { platform, measurement } of this.runs) {
			const sums = said.get(measurement.name) ?? new Map<string, Set<Platform>>()
			said.set(measurement.name, sums)
			sums.set(measurement.checksum, (sums.get(measurement.checksum) ?? new Set()).add(platform))
		}
		return [...said]
			.filter(([, sums]) => sums.size > 1)
			.map(([name, sums]) => `${name}: ${[...sums].map(([sum, platforms]) => `${sum} (${[...platforms].join(', ')})`).join(' but ')}`)
	}

	private of(platform: Platform, program: string): Measurement[] {
		return this.runs.filter((run) => run.platform === platform && run.measurement.name === program).map((run) => run.measurement)
	}
}
