import { UserError } from '../base/errors.ts'

/** One option of a command: the help shows it and the parser knows it from the same words. */
export interface OptionSpec {
	/** One letter, or ''. */
	readonly short: string
	/** Without the dashes, or ''. */
	readonly long: string
	/** The value's name in the help, when it takes one. */
	readonly value?: string
	readonly help: string
}

/** Of commands that show how long they take, or what they have done. */
export const QUIET: OptionSpec = { short: 'q', long: 'quiet', help: 'Print nothing but errors.' }

export interface ParsedArguments {
	/** By long name (short where there is none): true, or the last value given. */
	readonly options: ReadonlyMap<string, string | true>
	readonly positional: readonly string[]
}

/** Wrong words on the command line: the message, then the command's usage. */
export class UsageError extends UserError {
	constructor(message: string) {
		super(message, { code: 'usage' })
		this.name = 'UsageError'
	}
}

/** getopt's rules, GNU style: options and arguments in any order, `--` ends the options, long names may be abbreviated. */
export function parseArguments(words: readonly string[], specs: readonly OptionSpec[]): ParsedArguments {
	const options = new Map<string, string | true>()
	const positional: string[] = []
	const rest = [...words]
	const set = (spec: OptionSpec, value: string | true) => options.set(spec.long || spec.short, value)
	for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
		if (word === '--') positional.push(...rest.splice(0))
		else if (word.startsWith('--')) long(word.slice(2), specs, rest, set)
		else if (word.startsWith('-') && word.length > 1) short(word.slice(1), specs, rest, set)
		else positional.push(word)
	}
	return { options, positional }
}

type Setter = (spec: OptionSpec, value: string | true) => void

function long(text: string, specs: readonly OptionSpec[], rest: string[], set: Setter): void {
	const [name = '', inline] = splitOnce(text, '=')
	const matches = specs.filter((spec) => spec.long !== '' && spec.long.startsWith(name))
	const spec = matches.find((candidate) => candidate.long === name) ?? matches[0]
	if (spec === undefined) throw new UsageError(`option --${name} not recognized`)
	if (matches.length > 1 && spec.long !== name) throw new UsageError(`option --${name} not a unique prefix`)
	if (spec.value === undefined) {
		if (inline !== undefined) throw new UsageError(`option --${spec.long} must not have an argument`)
		set(spec, true)
		return
	}
	const value = inline ?? rest.shift()
	if (value === undefined) throw new UsageError(`option --${spec.long} requires argument`)
	set(spec, value)
}

function short(letters: string, specs: readonly OptionSpec[], rest: string[], set: Setter): void {
	for (let at = 0; at < letters.length; at++) {
		const letter = letters[at] as string
		const spec = specs.find((candidate) => candidate.short === letter)
		if (spec === undefined) throw new UsageError(`option -${letter} not recognized`)
		if (spec.value === undefined) {
			set(spec, true)
			continue
		}
		const value = letters.slice(at + 1) || rest.shift()
		if (value === undefined) throw new UsageError(`option -${letter} requires argument`)
		set(spec, value)
		return
	}
}

export function splitOnce(text: string, separator: string): [string, string | undefined] {
	const at = text.indexOf(separator)
	return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}
