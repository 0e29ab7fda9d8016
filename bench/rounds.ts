/** One round of the bench on each platform. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { runFlat } from './flat_machine.ts'
import { runInDomain, runInQemu } from './guest.ts'
import type { GuestRun } from './guest_console.ts'
import { BUILD, type GuestImage } from './guest_image.ts'
import { childrenTime_s } from './host_process.ts'
import { type GuestFigures, type GuestPlatform, type Measurement, type Platform, parseLine, type Results } from './measurement.ts'
import type { Options } from './options.ts'
import { type Build, runsWithoutKernel, TIMED } from './programs.ts'
import type { RealTree } from './real_packages.ts'
import { timedArguments } from './real_programs.ts'

/** All that a round needs; what this machine lacks, or nobody asked for, is null. */
export interface Setup {
	readonly options: Options
	readonly built: Build
	readonly core: WebAssembly.Module | null
	readonly tree: RealTree | null
	/** The guest with the programs, and the one with the real programs. */
	readonly image: GuestImage | null
	readonly realImage: GuestImage | null
	readonly qemu: boolean
}

/** For a program on the processor alone, which could hang. */
export const ALONE_LIMIT_MS = 120_000

export const ROUNDS: Readonly<Record<Platform, (setup: Setup, results: Results) => void | Promise<void>>> = {
	native({ options, built, tree }, results) {
		const run = (name: string, path: string, args: readonly string[], cwd?: string) =>
			noting(results, 'native', name, () => {
				const [start_s, before_s] = [performance.now() / 1000, childrenTime_s()]
				const output = execFileSync(path, args, { encoding: 'utf8', cwd, stdio: ['ignore', 'pipe', 'ignore'] })
				const cpuShare = (childrenTime_s() - before_s) / (performance.now() / 1000 - start_s)
				addOutput(results, 'native', output, Number.isNaN(cpuShare) ? {} : { cpuShare })
			})
		for (const { path, name } of built.programs) run(name, path, ['-t', `${options.time_ms}`])
		if (tree === null) return
		const output = join(BUILD, `output-${process.pid}`)
		for (const program of options.realPrograms) run(program.name, built.tools[TIMED], timedArguments(program, output), tree.directory)
	},
	processor({ options, built, core }, results) {
		for (const { path, name } of built.programs.filter(runsWithoutKernel)) {
			noting(results, 'processor', name, () => {
				const { output, instructions, time_ms } = runFlat(core!, path, ['-t', `${options.time_ms}`], ALONE_LIMIT_MS)
				addOutput(results, 'processor', output, { mips: instructions / time_ms / 1000 })
			})
		}
	},
	async domain({ image, realImage }, results) {
		if (image !== null) addGuestRun(results, 'domain', await runInDomain('domain', image, true))
		if (realImage !== null) addRealRun(results, 'domain', await runInDomain('domain-real', realImage, false))
	},
	async tcg({ image, realImage }, results) {
		if (image !== null) addGuestRun(results, 'tcg', await runInQemu('tcg', image))
		if (realImage !== null) addRealRun(results, 'tcg', await runInQemu('tcg-real', realImage))
	},
}

export function canRun(platform: Platform, { built, tree, image, realImage, qemu }: Setup): boolean {
	if (platform === 'native') return built.programs.length > 0 || tree !== null
	if (platform === 'processor') return built.programs.some(runsWithoutKernel)
	return (image !== null || realImage !== null) && (platform === 'domain' || qemu)
}

function noting(results: Results, platform: Platform, name: string, run: () => void): void {
	try {
		run()
	} catch (error) {
		results.problems.push(`${platform}: ${name}: ${(error as Error).message}`)
	}
}

function addOutput(results: Results, platform: Platform, output: string, more: Partial<Measurement>): void {
	const measurement = output
		.split('\n')
		.map(parseLine)
		.find((found) => found !== null)
	if (measurement === undefined) throw new Error(`unexpected output: ${output.trimEnd()}`)
	results.runs.push({ platform, measurement: { ...measurement, ...more } })
}

function addGuestRun(results: Results, platform: GuestPlatform, run: GuestRun, figures: Partial<GuestFigures> = run.figures): void {
	results.guests.push({ platform, figures })
	for (const measurement of run.measurements) results.runs.push({ platform, measurement })
	if (run.problem !== null) results.problems.push(`${platform}: ${run.problem}`)
}

/** Its boot and its memory are another guest's than those that the table is about. */
function addRealRun(results: Results, platform: GuestPlatform, run: GuestRun): void {
	addGuestRun(results, platform, run, { busyShare: run.figures.busyShare })
}
