// npm run bench [-- cpu] [options]: the same programs natively, on our processor alone, in a domain and in QEMU, side by side. See README.md.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { UserError } from '../src/base/errors.ts'
import { cachedGuestAsset, GUEST_NAMES, type GuestAsset } from '../src/platform/node/guest_assets.ts'
import { loadCore } from '../src/platform/node/load_core.ts'
import { runFlat } from './flat_machine.ts'
import { qemuVersion, runInDomain, runInQemu } from './guest.ts'
import type { GuestRun } from './guest_console.ts'
import { type GuestImage, makeImage } from './guest_image.ts'
import { PLATFORMS, type Platform, parseLine, Results } from './measurement.ts'
import { type BuiltProgram, buildPrograms, PROGRAMS, type Program, runsWithoutKernel } from './programs.ts'
import { guestTable, programTable } from './report.ts'

const USAGE = `usage: npm run bench [-- [cpu] [options]]
  --rounds N      runs of everything, one after the other; medians are shown (default 3)
  --ms N          milliseconds for each program in each run (default 400)
  --only A,B      these programs
  --on A,B        these of ${PLATFORMS.join(', ')}
  --guest NAME    the kernel, as scripts/assets.ts names it (default cloud)
  --record        add the tables to bench/RESULTS.md`

const RECORD = fileURLToPath(new URL('RESULTS.md', import.meta.url))
/** For a program on the processor alone, which could hang. */
const ALONE_LIMIT_MS = 120_000

/** Of a host CPU. With less, other work on the host has made a guest look slow. */
const ENOUGH_CPU = 0.95

interface Options {
	readonly rounds: number
	readonly time_ms: number
	readonly programs: readonly Program[]
	readonly platforms: readonly Platform[]
	readonly guest: string
	readonly record: boolean
}

/** All that a round needs; what this machine lacks is null. */
interface Setup {
	readonly programs: readonly BuiltProgram[]
	readonly core: WebAssembly.Module | null
	readonly image: GuestImage | null
	readonly qemu: boolean
}

const say = (line: string) => void process.stderr.write(`bench: ${line}\n`)

async function main(): Promise<number> {
	const options = readOptions(process.argv.slice(2))
	const built = buildPrograms(options.programs)
	if (built === null) throw new UserError('there is no gcc, which builds the programs', { code: 'no-compiler' })
	const wants = (...platforms: Platform[]) => platforms.some((platform) => options.platforms.includes(platform))
	const asset = wants('domain', 'tcg') ? await findGuest(options.guest) : null
	const qemu = wants('tcg') ? qemuVersion() : null
	if (wants('tcg') && qemu === null) say('qemu-system-x86_64 is not installed (package qemu-system-x86): no TCG column')
	const setup: Setup = {
		programs: built.programs,
		core: wants('processor') ? await loadCore(say) : null,
		image: asset === null ? null : makeImage(asset, built, options.time_ms),
		qemu: qemu !== null,
	}
	const platforms = options.platforms.filter((platform) => canRun(platform, setup))
	if (platforms.length === 0) throw new UserError('there is nothing to measure', { code: 'nothing' })
	if (platforms.includes('processor')) warmUp(setup)
	const results = new Results()
	for (let round = 1; round <= options.rounds; round++) {
		for (const platform of platforms) {
			say(`round ${round} of ${options.rounds}: ${platform}`)
			try {
				await ROUNDS[platform](setup, results, options)
			} catch (error) {
				if (!(error instanceof UserError)) throw error
				results.problems.push(`${platform}: ${error.message}`)
			}
		}
	}
	const facts = [...machineFacts(), built.compiler, ...(asset === null ? [] : [asset.version]), ...(qemu === null ? [] : [`QEMU ${qemu}`])]
	return present(results, options, facts)
}

const ROUNDS: Readonly<Record<Platform, (setup: Setup, results: Results, options: Options) => void | Promise<void>>> = {
	native({ programs }, results, { time_ms }) {
		for (const { path, name } of programs) {
			try {
				addOutput(results, 'native', execFileSync(path, ['-t', `${time_ms}`], { encoding: 'utf8' }))
			} catch (error) {
				results.problems.push(`native: ${name}: ${(error as Error).message}`)
			}
		}
	},
	processor({ programs, core }, results, { time_ms }) {
		for (const { path, name } of programs.filter(runsWithoutKernel)) {
			try {
				const { output, instructions, time_ms: taken_ms } = runFlat(core!, path, ['-t', `${time_ms}`], ALONE_LIMIT_MS)
				addOutput(results, 'processor', output, instructions / taken_ms / 1000)
			} catch (error) {
				results.problems.push(`processor: ${name}: ${(error as Error).message}`)
			}
		}
	},
	async domain({ image }, results) {
		addGuestRun(results, 'domain', await runInDomain(image!))
	},
	async tcg({ image }, results) {
		addGuestRun(results, 'tcg', await runInQemu(image!))
	},
}

function canRun(platform: Platform, { image, qemu }: Setup): boolean {
	if (platform === 'domain') return image !== null
	return platform !== 'tcg' || (image !== null && qemu)
}

/** V8 optimises the core while it runs; that is a matter of the first second, and no program's own. */
function warmUp({ programs, core }: Setup): void {
	const program = programs.find(runsWithoutKernel)
	if (program !== undefined) runFlat(core!, program.path, ['-t', '1000'], ALONE_LIMIT_MS)
}

function addOutput(results: Results, platform: Platform, output: string, mips?: number): void {
	const measurement = parseLine(output)
	if (measurement === null) results.problems.push(`${platform}: unexpected output: ${output.trimEnd()}`)
	else results.runs.push({ platform, measurement: mips === undefined ? measurement : { ...measurement, mips } })
}

function addGuestRun(results: Results, platform: Platform, { figures, measurements, problem }: GuestRun): void {
	results.guests.push({ platform, figures })
	for (const measurement of measurements) results.runs.push({ platform, measurement })
	if (problem !== null) results.problems.push(`${platform}: ${problem}`)
}

async function findGuest(name: string): Promise<GuestAsset | null> {
	const asset = await cachedGuestAsset(name)
	if (asset?.ramdisk) return asset
	say(
		`the guest '${name}' is not in the cache, or has no user space: no domain and no TCG columns (npm start, or node scripts/assets.ts ${name}, fetches it)`,
	)
	return null
}

function present(results: Results, options: Options, facts: readonly string[]): number {
	const { programs } = options
	const problems = [...results.disagreements().map((text) => `checksums differ: ${text}`), ...results.problems]
	const guests = guestTable(results)
	const busy = (['domain', 'tcg'] as const).filter((platform) => results.figure(platform, 'busyShare') < ENOUGH_CPU)
	const text = [
		`## ${facts[0]}\n`,
		`${facts.slice(1).join('; ')}. Medians of ${options.rounds} rounds of ${options.time_ms} ms.\n`,
		programTable(results, programs),
		...(guests === null ? [] : [guests]),
		...(busy.length === 0 ? [] : [`The host was busy with other work, which has made these look slow: ${busy.join(', ')}.\n`]),
		...(problems.length === 0 ? [] : [`Problems:\n\n${problems.map((problem) => `- ${problem}\n`).join('')}`]),
	].join('\n')
	process.stdout.write(text)
	if (options.record) record(text)
	return problems.length === 0 ? 0 : 1
}

/** The newest results come first, below the file's heading. */
function record(text: string): void {
	const old = existsSync(RECORD) ? readFileSync(RECORD, 'utf8') : '# Results\n'
	const at = old.indexOf('\n## ')
	const [head, rest] = at < 0 ? [old, ''] : [old.slice(0, at), old.slice(at)]
	writeFileSync(RECORD, `${head.trimEnd()}\n\n${text.trimEnd()}\n${rest}`)
}

/** Date and commit first, then the machine's class. */
function machineFacts(): string[] {
	const git = (...args: string[]) =>
		execFileSync('git', args, { encoding: 'utf8', cwd: fileURLToPath(new URL('.', import.meta.url)) }).trim()
	let commit = 'unknown commit'
	try {
		commit =
			git('rev-parse', '--short', 'HEAD') +
			(git('status', '--porcelain', '--untracked-files=no', '--', '../src') === '' ? '' : ' and changes')
	} catch {
		// Not a clone.
	}
	const [model, memory_GiB] = [cpus()[0]?.model.trim() ?? 'unknown CPU', totalmem() / 2 ** 30]
	return [
		`${new Date().toISOString().slice(0, 10)}, ${commit}`,
		`${model}, ${cpus().length} CPUs, ${memory_GiB.toFixed(0)} GiB, load average ${loadavg()[0]!.toFixed(1)}`,
		`Node ${process.version.slice(1)}`,
	]
}

function readOptions(args: readonly string[]): Options {
	const { values, positionals } = parse(args)
	const suite = positionals[0] ?? 'cpu'
	if (positionals.length > 1 || suite !== 'cpu')
		throw new UserError(`there is no suite '${positionals.join(' ')}': the one there is is cpu\n${USAGE}`)
	const names = PROGRAMS.map(({ name }) => name)
	const only = chosen('--only', values.only, names)
	const platforms = chosen('--on', values.on, PLATFORMS)
	return {
		rounds: count('--rounds', values.rounds, 3),
		time_ms: count('--ms', values.ms, 400),
		programs: PROGRAMS.filter(({ name }) => only.includes(name)),
		platforms: PLATFORMS.filter((platform) => platforms.includes(platform)),
		guest: oneOf('--guest', values.guest ?? 'cloud', GUEST_NAMES),
		record: values.record ?? false,
	}
}

function parse(args: readonly string[]) {
	const text = { type: 'string' } as const
	const options = { rounds: text, ms: text, only: text, on: text, guest: text, record: { type: 'boolean' } } as const
	try {
		return parseArgs({ args: [...args], options, allowPositionals: true })
	} catch (error) {
		throw new UserError(`${(error as Error).message}\n${USAGE}`)
	}
}

function chosen(option: string, value: string | undefined, known: readonly string[]): readonly string[] {
	if (value === undefined) return known
	return value.split(',').map((name) => oneOf(option, name, known))
}

function oneOf(option: string, value: string, known: readonly string[]): string {
	if (!known.includes(value)) throw new UserError(`${option} ${value} is not known; known are ${known.join(', ')}`)
	return value
}

function count(option: string, value: string | undefined, otherwise: number): number {
	if (value === undefined) return otherwise
	if (!/^[1-9]\d{0,5}$/.test(value)) throw new UserError(`${option} ${value} is not a number from 1 to 999999`)
	return Number(value)
}

try {
	process.exitCode = await main()
} catch (error) {
	if (!(error instanceof UserError)) throw error
	say(error.message)
	process.exitCode = error.exitCode
}
