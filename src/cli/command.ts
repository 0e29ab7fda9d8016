import type { Readable, Writable } from 'node:stream'
import type { XendClient } from '../sdk/client.ts'
import type { OptionSpec, ParsedArguments } from './options.ts'

/** What a command may touch. Tests hand in their own. */
export interface CommandContext {
	readonly stdin: Readable & { isTTY?: boolean; setRawMode?(raw: boolean): unknown }
	readonly stdout: Writable & { isTTY?: boolean }
	readonly stderr: Writable & { isTTY?: boolean }
	readonly cwd: string
	/** The daemon's client; starts the daemon when none runs, and shows what takes long about it unless it is to be quiet. */
	connect(options?: { readonly quiet?: boolean }): Promise<XendClient>
	/** The same where a daemon runs already. */
	connectRunning(): Promise<XendClient | undefined>
	/** A line on stdout. */
	print(line: string): void
	/** A line on stderr. */
	complain(line: string): void
}

/** For every command that lists something. */
export const JSON_OPTION: OptionSpec = { short: '', long: 'json', help: 'As JSON, for programs.' }

/** One subcommand. The help, the parser and the completion of names all come from this table's rows. */
export interface Command {
	readonly name: string
	/** As the usage line shows them. */
	readonly args: string
	/** One line, for the lists of commands. */
	readonly help: string
	readonly options: readonly OptionSpec[]
	/** How many words it takes beside its options; absent when the command says it better itself. */
	readonly operands?: readonly [low: number, high: number]
	/** Why it cannot act, where its subsystem is not built. */
	readonly refusal?: string
	/** What of it cannot act, where the rest does. */
	readonly limits?: string
	/** The usage follows an error that the daemon reports. */
	readonly usageOnFault: boolean
	/** Returns the exit status. */
	run(context: CommandContext, args: ParsedArguments): Promise<number>
}
