import { UserError } from '../base/errors.ts'
import type { Command, CommandContext } from './command.ts'
import { completionScript, SHELLS } from './completion.ts'
import { parseArguments, UsageError } from './options.ts'
import type { Personality } from './personality.ts'
import { XM } from './xm_personality.ts'

/** Runs `xm WORDS...` and returns the exit status. Never throws for the user's faults. */
export function runXm(words: readonly string[], context: CommandContext): Promise<number> {
	return runProgram(XM, words, context)
}

/** Runs `PROGRAM WORDS...` and returns the exit status. Never throws for the user's faults. */
export async function runProgram(program: Personality, words: readonly string[], context: CommandContext): Promise<number> {
	const [name, ...rest] = words
	if (name === undefined) {
		context.print(program.shortHelp())
		return 1
	}
	if (name === '--help' || name === '-h') {
		context.print(program.longHelp())
		return 0
	}
	if (name === '--completion') return printCompletion(program, rest[0], context)
	if (name === '--names') return printNames(context)
	const found = program.lookUp(name)
	if (found === undefined) {
		const { line, help, hint } = program.notFound(name)
		context.complain(line)
		if (help) context.print(program.shortHelp())
		if (hint !== undefined) context.complain(hint)
		return 1
	}
	if (rest.includes('--help') || rest.includes('-h')) {
		context.print(program.commandHelp(found.command))
		return program.helpStatus
	}
	if (found.deprecation !== undefined) context.complain(found.deprecation)
	return runCommand(program, found.command, rest, context)
}

function printCompletion({ program, commands }: Personality, shell: string | undefined, context: CommandContext): number {
	const known = SHELLS.find((candidate) => candidate === shell)
	if (known === undefined) {
		context.complain(`Error: --completion needs the name of a shell: ${SHELLS.join(', ')}`)
		return 1
	}
	context.print(completionScript(known, program, commands).trimEnd())
	return 0
}

/** Domains' names for a shell's completion: a word typed should not start a daemon. */
async function printNames(context: CommandContext): Promise<number> {
	const client = await context.connectRunning()
	for (const { name } of (await client?.list()) ?? []) context.print(name)
	return 0
}

async function runCommand(program: Personality, command: Command, words: readonly string[], context: CommandContext): Promise<number> {
	try {
		const args = parseArguments(words, command.options)
		const fault = program.operandFault(command, words, args)
		if (fault !== undefined) throw new UsageError(fault)
		return await command.run(args.options.has('quiet') ? quietly(context) : context, args)
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		const { line, usage, status } = program.describe(command, error)
		context.complain(line)
		if (usage) context.print(program.commandHelp(command))
		return status
	}
}

/** The same context, in which a daemon's start shows nothing. */
function quietly(context: CommandContext): CommandContext {
	return { ...context, connect: () => context.connect({ quiet: true }) }
}
