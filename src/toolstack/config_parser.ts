import { CONFIG_KEYS } from './config_keys.ts'
import { ConfigError, type Position } from './python/errors.ts'
import { evaluate } from './python/evaluate.ts'
import { type ConfigHost, NO_HOST } from './python/host.ts'
import type { Variable } from './python/scopes.ts'
import { Callable, Dict, ExceptionValue, isSequence, List, Namespace, typeName, type Value } from './python/values.ts'

export { ConfigError } from './python/errors.ts'
export { type ConfigHost, NO_HOST } from './python/host.ts'

/** What a configuration can say of a domain: strings, numbers, booleans, None, and lists (or tuples) of them. */
export type ConfigValue = string | number | boolean | null | ConfigValue[]

export interface Assignment extends Position {
	readonly value: ConfigValue
}

export interface ParseOptions {
	readonly host?: ConfigHost
	/** Variables of the command line, which the file finds when it starts and cannot change. */
	readonly given?: ReadonlyMap<string, ConfigValue>
}

/** Text that a file may have. */
const MAX_CHARACTERS = 1 << 20

/**
 * Reads a domain configuration file, in the part of Python's language that python/ knows; what xl's grammar allows is in that. Returns the variables that say
 * something of a domain. A name that is no configuration variable is one of the file's own when the file looks at it, or it is a function, or starts with `_`;
 * otherwise it is returned too, for it is a mistake. `file` only names it in errors. Throws ConfigError.
 */
export function parseConfig(text: string, file: string, { host = NO_HOST, given = new Map() }: ParseOptions = {}): Map<string, Assignment> {
	if (text.length > MAX_CHARACTERS) {
		throw new ConfigError(file, { line: 1, column: 1 }, `the file has ${text.length} characters: at most ${MAX_CHARACTERS} are read`)
	}
	const start = new Map([...given].map(([name, value]) => [name, fromConfig(value)]))
	const assignments = new Map<string, Assignment>()
	for (const [name, variable] of evaluate(text, file, host, start)) {
		if (!CONFIG_KEYS.has(name) && isOwn(name, variable)) continue
		const at = variable.at ?? { line: 0, column: 0 }
		assignments.set(name, { value: toConfig(name, variable, file), ...at })
	}
	for (const [name, value] of given) {
		const old = assignments.get(name)
		if (old !== undefined) assignments.set(name, { value, line: 0, column: 0 })
	}
	return assignments
}

function isOwn(name: string, { value, used }: Variable): boolean {
	return used || name.startsWith('_') || value instanceof Callable || value instanceof Namespace || value instanceof ExceptionValue
}

function fromConfig(value: ConfigValue): Value {
	if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
	return Array.isArray(value) ? new List(value.map(fromConfig)) : value
}

function toConfig(name: string, { value, at }: Variable, file: string): ConfigValue {
	const convert = (part: Value): ConfigValue => {
		if (part === null || typeof part === 'string' || typeof part === 'number' || typeof part === 'boolean') return part
		if (isSequence(part)) return part.items.map(convert)
		if (typeof part === 'bigint' && part >= -(2n ** 53n) && part <= 2n ** 53n) return Number(part)
		const what = typeof part === 'bigint' ? `the number ${part}` : `a ${part instanceof Dict ? 'dictionary' : typeName(part)}`
		throw new ConfigError(file, at ?? { line: 1, column: 1 }, `${name} is ${what}: a variable is a string, a number, or a list of these`)
	}
	return convert(value)
}
