import { JSON_OPTION } from './command.ts'
import { COMMANDS } from './commands.ts'
import { commandHelp, longHelp, shortHelp } from './help.ts'
import { lookUp, similar } from './lookup.ts'
import { type OptionSpec, QUIET, UsageError } from './options.ts'
import type { Personality } from './personality.ts'

function countFault(name: string, count: number, [low, high]: readonly [number, number]): string | undefined {
	if (count >= low && count <= high) return undefined
	if (high === Number.POSITIVE_INFINITY) return `'xm ${name}' requires at least ${low} argument${low === 1 ? '' : 's'}.\n`
	if (low !== high) return `'xm ${name}' requires between ${low} and ${high} arguments.\n`
	return `'xm ${name}' requires ${low} argument${low === 1 ? '' : 's'}.\n`
}

/** Of every command that can use them, and none of xm's. */
const ADDED: readonly OptionSpec[] = [QUIET, JSON_OPTION]

const FAULTS_WITHOUT_USAGE = ['no-such-domain', 'unreachable', 'internal', 'unbuilt']

/** xm, as Xen 3 had it. */
export const XM: Personality = {
	program: 'xm',
	commands: COMMANDS,
	lookUp: (name) => lookUp(name, COMMANDS),
	shortHelp: () => shortHelp(COMMANDS),
	longHelp: () => longHelp(COMMANDS),
	commandHelp,
	helpStatus: 1,
	notFound: (name) => ({ line: `Error: Subcommand ${name} not found!`, help: true, ...similar(name, COMMANDS) }),
	// Words are counted with the options, as xm counts them, and then without. Options that xm has not do not count.
	operandFault({ name, operands, options }, words, { positional }) {
		if (operands === undefined) return undefined
		const added = options.filter((option) => ADDED.includes(option)).flatMap(({ short, long }) => [`-${short}`, `--${long}`])
		const count = words.filter((word) => word !== '--' && !added.includes(word)).length
		const optionWords = options
			.filter((option) => !ADDED.includes(option))
			.reduce((sum, { value }) => sum + (value === undefined ? 1 : 2), 0)
		const [low, high] = operands
		return countFault(name, count, [low, high + optionWords]) ?? countFault(name, positional.length, operands)
	},
	describe: (command, error) => ({
		line: `Error: ${error.message}`,
		usage: error instanceof UsageError || (command.usageOnFault && !FAULTS_WITHOUT_USAGE.includes(error.code)),
		status: error.exitCode,
	}),
}
