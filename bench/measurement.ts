/** What the programs print, and the statistics over it. */

/** A place where programs run. */
export type Platform = 'native' | 'processor' | 'domain' | 'tcg'
export const PLATFORMS: readonly Platform[] = ['native', 'processor', 'domain', 'tcg']
export type GuestPlatform = 'domain' | 'tcg'

/** Some iterations, and the time that they took together. */
export interface Span {
	readonly iterations: number
	readonly time_ns: number
}

/** One run of one program: its last iterations, which begin when it is warm or nearly so. */
export interface Measurement extends Span {
	readonly name: string
	/** 16 hexadecimal digits; null for a program whose output is not the same everywhere. */
	readonly checksum: string | null
	/** All iterations from the program's start. */
	readonly all: Span
	/** Million guest instructions a second, where it can be known. */
	readonly mips?: number
	/** Part of a host CPU that it had meanwhile, in a guest the guest's processor; where it can be known. */
	readonly cpuShare?: number
}

/** The line that a program prints (programs/runtime.c: report()), or `openssl speed -mr`; null for any other line. */
export function parseLine(line: string): Measurement | null {
	const match = /^bench ([a-z0-9_]+) (\d+) (\d+) ([0-9a-f]{16}) (\d+) (\d+)$/.exec(line.trim())
	if (match === null) return parseRate(line.trim())
	const [, name, iterations, time_ns, checksum, allIterations, allTime_ns] = match
	return {
		name: name!,
		iterations: Number(iterations),
		time_ns: Number(time_ns),
		checksum: checksum!,
		all: { iterations: Number(allIterations), time_ns: Number(allTime_ns) },
	}
}

/** `+F:NUMBER:CIPHER:BYTES` and `+F2:NUMBER:BITS:SIGNATURES:VERIFICATIONS`, each a second. An iteration is 8 KiB, or a signature. */
function parseRate(line: string): Measurement | null {
	const [, bytes] = /^\+F:\d+:AES-128-CBC:([\d.]+)$/i.exec(line) ?? []
	if (bytes !== undefined) return ofRate('openssl_aes', Number(bytes) / 8192)
	const [, signatures] = /^\+F2:\d+:2048:([\d.]+):[\d.]+$/.exec(line) ?? []
	return signatures === undefined ? null : ofRate('openssl_rsa', Number(signatures))
}

function ofRate(name: string, iterations: number): Measurement {
	const span = { iterations, time_ns: 1e9 }
	return { name, ...span, checksum: null, all: span }
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

/** What was seen of a guest from outside. NaN, or absent, for what was not. */
export interface GuestFigures {
	/** Seconds from the command to the guest's word that its user space is up; nothing was translated before. */
	readonly boot_s: number
	/** The same with the translation cache that such a boot has filled. */
	readonly warmBoot_s: number
	/** Memory of the host's process just then, less the guest's memory that the host has given it. */
	readonly overhead_MiB: number
	/** That memory of the guest's. */
	readonly touched_MiB: number
	/** Part of a host CPU that the guest took while it slept. */
	readonly idleShare: number
	/** Timer signals that a loop in the guest got, as a part of those it asked for. */
	readonly ticksInteger: number
	readonly ticksFloating: number
	/** Part of a host CPU that the guest's processor had while the programs ran: near 1, unless the host was busy with something else. */
	readonly busyShare: number
}

/** Of a host CPU. With less, other work on the host has made a guest look slow. */
export const ENOUGH_CPU = 0.95

const undisturbed = ({ cpuShare }: Measurement): boolean => cpuShare === undefined || cpuShare >= ENOUGH_CPU

/** All that was measured in one run of the bench. */
export class Results {
	readonly runs: { readonly platform: Platform; readonly measurement: Measurement }[] = []
	readonly guests: { readonly platform: GuestPlatform; readonly figures: Partial<GuestFigures> }[] = []
	/** What went wrong, for people. */
	readonly problems: string[] = []
	/** Times are of host CPU and not of the wall's clock. */
	readonly cpuTime: boolean

	constructor({ cpuTime = false } = {}) {
		this.cpuTime = cpuTime
	}

	has(platform: Platform): boolean {
		return this.runs.some((run) => run.platform === platform)
	}

	/** Median nanoseconds of one iteration, once warm; NaN when there is no measurement. */
	time_ns(platform: Platform, program: string): number {
		return median(this.of(platform, program).map((measurement) => this.perIteration_ns(measurement, measurement)))
	}

	/** The same from the program's start. */
	timeFromStart_ns(platform: Platform, program: string): number {
		return median(this.of(platform, program).map((measurement) => this.perIteration_ns(measurement.all, measurement)))
	}

	mips(platform: Platform, program: string): number {
		return median(this.of(platform, program).flatMap(({ mips }) => (mips === undefined ? [] : [mips])))
	}

	figure(platform: GuestPlatform, figure: keyof GuestFigures): number {
		const seen = this.guests
			.filter((row) => row.platform === platform && !Number.isNaN(row.figures[figure] ?? Number.NaN))
			.map(({ figures }) => figures)
		const good = seen.filter(({ busyShare }) => (busyShare ?? 1) >= ENOUGH_CPU)
		return median((good.length > 0 ? good : seen).map((figures) => figures[figure]!))
	}

	/** The programs all of whose runs other work on the host has disturbed. */
	disturbed(platform: Platform): string[] {
		if (this.cpuTime) return []
		const names = new Set(this.runs.filter((run) => run.platform === platform).map(({ measurement }) => measurement.name))
		return [...names].filter((name) => !this.of(platform, name).some(undisturbed))
	}

	/** The programs whose checksum was not the same everywhere, with who said what. */
	disagreements(): string[] {
		const said = new Map<string, Map<string, Set<Platform>>>()
		for (const { platform, measurement } of this.runs) {
			if (measurement.checksum === null) continue
			const sums = said.get(measurement.name) ?? new Map<string, Set<Platform>>()
			said.set(measurement.name, sums)
			sums.set(measurement.checksum, (sums.get(measurement.checksum) ?? new Set()).add(platform))
		}
		return [...said]
			.filter(([, sums]) => sums.size > 1)
			.map(([name, sums]) => `${name}: ${[...sums].map(([sum, platforms]) => `${sum} (${[...platforms].join(', ')})`).join(' but ')}`)
	}

	private perIteration_ns({ time_ns, iterations }: Span, { cpuShare = 1 }: Measurement): number {
		return (time_ns / iterations) * (this.cpuTime ? cpuShare : 1)
	}

	/** The runs of a program; those that were disturbed do not count where others were not. */
	private of(platform: Platform, program: string): Measurement[] {
		const all = this.runs.filter((run) => run.platform === platform && run.measurement.name === program).map((run) => run.measurement)
		const good = this.cpuTime ? all : all.filter(undisturbed)
		return good.length > 0 ? good : all
	}
}
