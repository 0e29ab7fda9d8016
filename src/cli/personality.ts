import type { UserError } from '../base/errors.ts'
import type { Command } from './command.ts'
import type { Lookup } from './lookup.ts'
import type { ParsedArguments } from './options.ts'

/** What makes one program of another: xm and xl differ in their commands, their words and their exit statuses. */
export interface Personality {
	readonly program: string
	readonly commands: readonly Command[]
	lookUp(name: string): Lookup | undefined
	/** For no subcommand at all. */
	shortHelp(): string
	longHelp(): string
	commandHelp(command: Command): string
	/** The exit status of `CMD --help`. */
	readonly helpStatus: number
	/** Said of a subcommand that does not exist, which one may be meant, and whether the short help follows. */
	notFound(name: string): { readonly line: string; readonly help: boolean; readonly hint?: string }
	/** What is wrong with the number of words; undefined when nothing is. */
	operandFault(command: Command, words: readonly string[], args: ParsedArguments): string | undefined
	/** The line for an error, whether the command's usage follows, and the exit status. */
	describe(command: Command, error: UserError): { readonly line: string; readonly usage: boolean; readonly status: number }
}
