import { COMMANDS } from './commands.ts'
import { commandHelp, longHelp, shortHelp } from './help.ts'
import { lookUp } from './lookup.ts'
import { UsageError } from './options.ts'
import type { Personality } from './personality.ts'

const FAULTS_WITHOUT_USAGE = ['no-such-domain', 'unreachable', 'internal']

/** xm, as Xen 3 had it. */
export const XM: Personality = {
	program: 'xm',
	commands: COMMANDS,
	lookUp: (name) => lookUp(name, COMMANDS),
	shortHelp: () => shortHelp(COMMANDS),
	longHelp: () => longHelp(COMMANDS),
	commandHelp,
	helpStatus: 1,
	notFound: (name) => ({ line: `Error: Subcommand ${name} not found!`, help: true }),
	arityFault({ name, arity }, words) {
		const count = words.filter((word) => word !== '--').length
		if (arity === undefined) return undefined
		const [low, high] = arity
		if (count >= low && count <= high) return undefined
		if (low !== high) return `'xm ${name}' requires between ${low} and ${high} arguments.\n`
		return `'xm ${name}' requires ${low} argument${low === 1 ? '' : 's'}.\n`
	},
	describe: (command, error) => ({
		line: `Error: ${error.message}`,
		usage: error instanceof UsageError || (command.usageOnFault && !FAULTS_WITHOUT_USAGE.includes(error.code)),
		status: error.exitCode,
	}),
}
