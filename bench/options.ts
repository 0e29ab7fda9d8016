/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util'
import { UserError } from '../src/base/errors.ts'
import { GUEST_NAMES } from '../src/platform/node/guest_assets.ts'
import { PLATFORMS, type Platform } from './measurement.ts'
import { PROGRAMS, type Program } from './programs.ts'
import { REAL_PROGRAMS, type RealProgram } from './real_programs.ts'

const USAGE = `usage: npm run bench [-- [cpu] [options]]     measure
       npm run bench -- xenstore              what a client of XenStore gets (--rounds, --ms, --record)
       npm run bench -- setup                 fetch the real programs: Debian packages, about 25 MB, into the user's cache
  --rounds N      runs of everything, one after the other; medians are shown (default 3)
  --ms N          milliseconds for each of bench/programs in each run (default 2000)
  --only A,B      these programs, or groups: integer, floating, system, real
  --on A,B        these of ${PLATFORMS.join(', ')}
  --cpu-time      times of host CPU instead of the wall's, for a look on a busy host
  --guest NAME    the kernel, as scripts/assets.ts names it (default cloud)
  --record        add the tables to bench/RESULTS.md`

export const SUITES = ['cpu', 'xenstore', 'setup'] as const
export type Suite = (typeof SUITES)[number]

export interface Options {
	readonly suite: Suite
	readonly rounds: number
	readonly time_ms: number
	readonly programs: readonly Program[]
	readonly realPrograms: readonly RealProgram[]
	readonly platforms: readonly Platform[]
	readonly guest: string
	readonly cpuTime: boolean
	readonly record: boolean
}

/** Throws UserError. */
export function readOptions(args: readonly string[]): Options {
	const { values, positionals } = parse(args)
	const suite = positionals[0] ?? 'cpu'
	if (positionals.length > 1 || !isSuite(suite)) throw new UserError(`there is no suite '${positionals.join(' ')}'\n${USAGE}`)
	const all = [...PROGRAMS, ...REAL_PROGRAMS]
	const only = chosen('--only', values.only, [...new Set(all.flatMap(({ name, group }) => [name, group]))])
	const platforms = chosen('--on', values.on, PLATFORMS)
	const wanted = ({ name, group }: Program) => only.includes(name) || only.includes(group)
	return {
		suite,
		rounds: count('--rounds', values.rounds, 3),
		time_ms: count('--ms', values.ms, 2000),
		programs: PROGRAMS.filter(wanted),
		realPrograms: REAL_PROGRAMS.filter(wanted),
		platforms: PLATFORMS.filter((platform) => platforms.includes(platform)),
		guest: oneOf('--guest', values.guest ?? 'cloud', GUEST_NAMES),
		cpuTime: values['cpu-time'] ?? false,
		record: values.record ?? false,
	}
}

const isSuite = (name: string): name is Suite => (SUITES as readonly string[]).includes(name)

function parse(args: readonly string[]) {
	const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const
	const options = { rounds: text, ms: text, only: text, on: text, guest: text, 'cpu-time': flag, record: flag } as const
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
