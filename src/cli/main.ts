import { UserError } from '../base/errors.ts'
import type { Command, CommandContext } from './command.ts'
import { COMMANDS } from './commands.ts'
import { completionScript, SHELLS } from './completion.ts'
import { commandHelp, longHelp, shortHelp } from './help.ts'
import { lookUp } from './lookup.ts'
import { parseArguments, UsageError } from './options.ts'

/** Runs `xm WORDS...` and returns the exit status. Never throws for the user's faults. */
export async function runXm(words: readonly string[], context: CommandContext): Promise<number> {
	const [name, ...rest] = words
	if (name === undefined) {
		context.print(shortHelp(COMMANDS))
		return 1
	}
	if (name === '--help' || name === '-h') {
		context.print(longHelp(COMMANDS))
		return 0
	}
	if (name === '--completion') return printCompletion(rest[0], context)
	if (name === '--names') return printNames(context)
	const found = lookUp(name, COMMANDS)
	if (found === undefined) {
		context.complain(`Error: Subcommand ${name} not found!`)
		context.print(shortHelp(COMMANDS))
		return 1
	}
	if (rest.includes('--help') || rest.includes('-h')) {
		context.print(commandHelp(found.command))
		return 1
	}
	if (found.deprecation !== undefined) context.complain(found.deprecation)
	return runCommand(found.command, rest, context)
}

function printCompletion(shell: string | undefined, context: CommandContext): number {
	const known = SHELLS.find((candidate) => candidate === shell)
	if (known === undefined) {
		context.complain(`Error: --completion needs the name of a shell: ${SHELLS.join(', ')}`)
		return 1
	}
	context.print(completionScript(known, 'xm', COMMANDS).trimEnd())
	return 0
}

/** Domains' names for a shell's completion: a word typed should not start a daemon. */
async function printNames(context: CommandContext): Promise<number> {
	const client = await context.connectRunning()
	for (const { name } of (await client?.list()) ?? []) context.print(name)
	return 0
}

async function runCommand(command: Command, words: readonly string[], context: CommandContext): Promise<number> {
	try {
		if (command.raw) return await command.run(context, { options: new Map(), positional: words })
		const args = parseArguments(words, command.options)
		checkArity(command, words.filter((word) => word !== '--').length)
		return await command.run(context, args)
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		context.complain(`Error: ${error.message}`)
		const usage = error instanceof UsageError || (command.usageOnFault && FAULTS_WITHOUT_USAGE.includes(error.code) === false)
		if (usage) context.print(commandHelp(command))
		return error.exitCode
	}
}

const FAULTS_WITHOUT_USAGE = ['no-such-domain', 'unreachable', 'internal']

function checkArity(command: Command, count: number): void {
	if (command.arity === undefined) return
	const [low, high] = command.arity
	if (count >= low && count <= high) return
	if (low !== high) throw new UsageError(`'xm ${command.name}' requires between ${low} and ${high} arguments.\n`)
	throw new UsageError(`'xm ${command.name}' requires ${low} argument${low === 1 ? '' : 's'}.\n`)
}
