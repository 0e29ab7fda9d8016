import { nearestName } from '../base/nearest_name.ts'
import type { Command } from './command.ts'
import { DEPRECATED_NAMES } from './command_names.ts'

export interface Lookup {
	readonly command: Command
	/** Set when an old name was used: the line to print. */
	readonly deprecation?: string
}

/** The command of that name, of that old name, or the only one that begins with it (two letters at least). */
export function lookUp(name: string, commands: readonly Command[]): Lookup | undefined {
	const exact = commands.find((command) => command.name === name)
	if (exact !== undefined) return { command: exact }
	const renamed = DEPRECATED_NAMES.get(name)
	if (renamed !== undefined) {
		const command = commands.find((candidate) => candidate.name === renamed) as Command
		return { command, deprecation: `Command ${name} is deprecated.  Please use xm ${renamed} instead.` }
	}
	const matches = name.length > 1 ? commands.filter((command) => command.name.startsWith(name)) : []
	return matches.length === 1 ? { command: matches[0] as Command } : undefined
}

/** Letters that a mistake may have wrong: a third, and two at most. */
const mistakes = (name: string) => Math.min(2, Math.ceil(name.length / 3))

/** For a name that is no command's: those that it may be the beginning or a misspelling of. */
export function similar(name: string, commands: readonly Command[]): { readonly hint?: string } {
	const names = commands.map((command) => command.name)
	const begun = name === '' ? [] : names.filter((known) => known.startsWith(name))
	const near = nearestName(name, names)
	const meant = begun.length > 0 ? begun : near.distance <= mistakes(name) && name.length > 1 ? [near.name] : []
	return meant.length === 0 ? {} : { hint: `Did you mean ${meant.join(', ')}?` }
}
