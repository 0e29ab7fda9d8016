import type { UserError } from '../../base/errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { optionRow } from '../help.ts'
import { type Lookup, similar } from '../lookup.ts'
import { runProgram } from '../main.ts'
import { UsageError } from '../options.ts'
import type { Personality } from '../personality.ts'
import { XL_COMMANDS } from './commands.ts'

/** Commands that xl's -N applies to, with what it means here. */
const DRY_RUN = new Set(['create'])

const HELP: Command = {
	name: 'help',
	args: '[<subcommand>]',
	help: 'Display this message.',
	options: [],
	usageOnFault: false,
	async run(context, { positional: [name] }) {
		const found = name === undefined || name === 'help' ? undefined : lookUp(name)
		if (found !== undefined) context.print(commandHelp(found.command))
		else context.print(name === undefined || name === 'help' ? longHelp() : `command "${name}" not implemented`)
		return 0
	},
}

/** xl, as Xen 4 has it. */
export const XL: Personality = {
	program: 'xl',
	commands: XL_COMMANDS,
	lookUp: (name) => lookUp(name) ?? (name === 'help' ? { command: HELP } : undefined),
	shortHelp: longHelp,
	longHelp,
	commandHelp,
	helpStatus: 0,
	notFound: (name) => ({ line: 'command not implemented', help: false, ...similar(name, XL_COMMANDS) }),
	operandFault({ name, operands: [low, high] = [0, Number.POSITIVE_INFINITY] }, _words, { positional }) {
		if (positional.length < low) return `'xl ${name}' requires at least ${low} argument${low === 1 ? '' : 's'}.\n`
		return positional.length > high ? `'xl ${name}' takes at most ${high} argument${high === 1 ? '' : 's'}.\n` : undefined
	},
	describe: (_command, error) => describe(error),
}

/** Runs `xl WORDS...`: its global options come before the subcommand. */
export async function runXl(words: readonly string[], context: CommandContext): Promise<number> {
	const rest = [...words]
	let dryRun = false
	for (let word = rest[0]; word !== undefined && /^-[^-h]/.test(word); word = rest[0]) {
		rest.shift()
		if (/[^vftTN]/.test(word.slice(1))) {
			context.complain('unknown global option')
			return 1
		}
		dryRun ||= word.includes('N')
	}
	const [name, ...others] = rest
	const command = name === undefined ? undefined : lookUp(name)?.command
	if (!dryRun || command === undefined) return runProgram(XL, rest, context)
	if (DRY_RUN.has(command.name)) return runProgram(XL, [command.name, '-n', ...others], context)
	context.complain('command does not implement -N (dryrun) option')
	return 1
}

/** Any beginning that only one has will do, of one letter too. */
function lookUp(name: string): Lookup | undefined {
	const exact = XL_COMMANDS.find((command) => command.name === name)
	const matches = XL_COMMANDS.filter((command) => command.name.startsWith(name))
	const command = exact ?? (matches.length === 1 ? matches[0] : undefined)
	return command && { command }
}

function longHelp(): string {
	const rows = XL_COMMANDS.map(({ name, help }) => ` ${name.padEnd(19)} ${name.length > 19 ? `\n ${' '.repeat(19)} ` : ''}${help}`)
	return `Usage xl [-vfNtT] <subcommand> [args]\n\nxl full list of subcommands:\n\n${rows.join('\n')}`
}

function commandHelp({ name, args, help, options }: Command): string {
	const flags = `-vtTf${DRY_RUN.has(name) ? 'N' : ''}`
	const shown = options.length === 0 ? '' : `\nOptions:\n\n${options.map(optionRow).join('\n')}\n`
	return `Usage: xl [${flags}] ${name} ${args}\n\n${help}\n${shown}`
}

/** A name that nobody has is no identifier to libxl (ERROR_INVAL); a number may be one of a domain that is gone. */
function describe(error: UserError): { line: string; usage: boolean; status: number } {
	if (error instanceof UsageError) return { line: error.message, usage: true, status: 2 }
	const missing = error.code === 'no-such-domain' ? /^Domain '(.*)' does not exist\.$/.exec(error.message)?.[1] : undefined
	if (missing === undefined || /^\d+$/.test(missing)) return { line: `Error: ${error.message}`, usage: false, status: 1 }
	return { line: `${missing} is an invalid domain identifier (rc=-6)`, usage: false, status: 1 }
}
