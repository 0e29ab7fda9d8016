import { UserError } from '../base/errors.ts'
import { type Command, type CommandContext, JSON_OPTION } from './command.ts'
import { type OptionSpec, type ParsedArguments, UsageError } from './options.ts'

/** A command that is parsed like any other, and then says in one sentence why it can't act. */
export interface RefusedCommand extends Pick<Command, 'name' | 'args' | 'help'> {
	readonly operands: NonNullable<Command['operands']>
	readonly options?: readonly OptionSpec[]
	/** Throws a UsageError for words that could not be meant, however many there are. */
	check?(args: ParsedArguments, context: Pick<CommandContext, 'cwd'>): void
	readonly refusal: string
}

/** Of rows in a table: everything but their sentence. */
export type RefusedRow = readonly [
	name: string,
	args: string,
	help: string,
	operands: readonly [low: number, high: number],
	more?: Partial<Pick<RefusedCommand, 'options' | 'check'>>,
]

/** Commands that list something: they know --json, as those do that are served. */
const LISTING = /(^|-)list(-|$)|^(labels|resources)$/

export function refused(program: string, { name, args, help, operands, options = [], check, refusal }: RefusedCommand): Command {
	return {
		name,
		args,
		help,
		operands,
		options: LISTING.test(name) ? [...options, JSON_OPTION] : options,
		usageOnFault: false,
		refusal,
		async run(context, words) {
			check?.(words, context)
			throw new UserError(`'${program} ${name}' cannot act: ${refusal}.`, { code: 'unbuilt' })
		},
	}
}

/** Rows that share a reason. */
export function refusedRows(refusal: string, rows: readonly RefusedRow[]): RefusedCommand[] {
	return rows.map(([name, args, help, operands, more]) => ({ name, args, help, operands, refusal, ...more }))
}

/** An option with a value, or without when `value` is ''. */
export function option(short: string, long: string, value: string, help: string): OptionSpec {
	return value === '' ? { short, long, help } : { short, long, value, help }
}

export const ANY_NUMBER = Number.POSITIVE_INFINITY
export const FORCE = option('f', 'force', '', 'Without waiting for the guest.')
export const LONG = option('l', 'long', '', 'With all there is to know.')
export const PAUSED = option('p', 'paused', '', 'Leave the domain paused.')
export const AUTOPASS: readonly OptionSpec[] = [
	option('', 'autopass', '', 'Hand the password to the viewer.'),
	option('', 'vncviewer-autopass', '', 'The same.'),
]

/** A check of the words or options by number or name, each with what it may be. */
export function expect(what: string, text: string | true | undefined, allowed: RegExp, description: string): void {
	if (typeof text === 'string' && !allowed.test(text)) throw new UsageError(`${what} '${text}' is not valid: it must be ${description}`)
}

/** A number of decimal digits in a range. */
export function expectNumber(what: string, text: string | true | undefined, low: number, high = Number.MAX_SAFE_INTEGER): void {
	if (typeof text !== 'string') return
	const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
	if (value >= low && value <= high) return
	const range = high === Number.MAX_SAFE_INTEGER ? `of ${low} or more` : `from ${low} to ${high}`
	throw new UsageError(`${what} '${text}' is not valid: it must be a whole number ${range}`)
}

/** Words of the form name=value, with one of these names. */
export function expectSettings(words: readonly string[], names: readonly string[]): void {
	for (const word of words) {
		const [, name] = /^([a-z-]+)=/.exec(word) ?? []
		if (name === undefined || !names.includes(name)) {
			throw new UsageError(`'${word}' is not valid: it must be ${names.map((known) => `${known}=...`).join(', ')}`)
		}
	}
}

/** `0-3,5,^1`, or all. */
export const CPU_LIST = /^(all|\^?\d{1,5}(-\d{1,5})?(,\^?\d{1,5}(-\d{1,5})?)*)$/
export const CPU_LIST_WORDS = 'all or a list like 0-3,5,^1'
/** A PCI device: domain, bus, slot and function in hexadecimal. */
export const PCI_ADDRESS = /^([0-9a-f]{1,4}:)?[0-9a-f]{1,2}:[01]?[0-9a-f]\.[0-7]$/i
export const PCI_ADDRESS_WORDS = 'like 0000:03:00.0'
