import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { nearestName } from '../base/nearest_name.ts'
import { systemErrorText } from '../platform/node/system_error.ts'
import { LOG_LEVELS, type LogLevel } from '../toolstack/log_level.ts'
import { ConfigError } from '../toolstack/python/errors.ts'
import { parseSxp, type SxpNode } from '../toolstack/sxp_parser.ts'
import { XEND_CONFIG_KEYS, type XendConfigKey } from './xend_config_keys.ts'

/** What xend-config.sxp makes of the daemon. */
export interface XendConfig {
	/** Absolute paths. */
	readonly logfile: string | undefined
	readonly domainsPath: string | undefined
	readonly loglevel: LogLevel
	readonly consoleLimit_bytes: number
	readonly dom0MinMemory_kib: number
	readonly dumpCrashed: boolean
	/** Every value that the file sets, as it is shown: secrets are not. */
	readonly given: ReadonlyMap<string, string>
	/** Sentences about keys that have no effect here. */
	readonly warnings: readonly string[]
}

const FILE = 'xend-config.sxp'
const MAX_CONSOLE_KIB = 65536
const MAX_MIB = 2 ** 30

type Environment = Readonly<Record<string, string | undefined>>

/** `$XENOTYPE_CONFIGDIR`; without it the user's own configuration directory, then the host's. */
export function configDirectories(env: Environment = process.env): string[] {
	const user = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'xenotype')
	return env.XENOTYPE_CONFIGDIR ? [env.XENOTYPE_CONFIGDIR] : [user, '/etc/xen']
}

/** The first that there is is read. */
export function xendConfigFiles(env: Environment = process.env): string[] {
	return configDirectories(env).map((directory) => join(directory, FILE))
}

/** Reads the first of the files that there is. Throws UserError when it cannot be read or means nothing. */
export function readXendConfig(files: readonly string[]): XendConfig & { readonly file: string | undefined } {
	for (const file of files) {
		try {
			return { ...parseXendConfig(readFileSync(file, 'utf8'), file), file }
		} catch (error) {
			if (error instanceof UserError) throw error
			const { code } = error as NodeJS.ErrnoException
			if (code !== 'ENOENT' && code !== 'ENOTDIR')
				throw new UserError(`Cannot read file ${file}: ${systemErrorText(error)}`, { code: 'config' })
		}
	}
	return { ...parseXendConfig('', ''), file: undefined }
}

/** Throws ConfigError with line and column. */
export function parseXendConfig(text: string, file: string): XendConfig {
	const entries = new Map<string, Entry>()
	for (const node of parseSxp(text, file)) {
		const entry = readEntry(node, file)
		// As in xend, a key that is given twice counts as it was given first.
		if (!entries.has(entry.name)) entries.set(entry.name, entry)
	}
	const value = (name: string) => entries.get(name)?.value ?? XEND_CONFIG_KEYS.get(name)?.fallback ?? ''
	const wrong = (name: string, allowed: string) =>
		new ConfigError(file, entries.get(name) as Entry, `${name} = '${value(name)}' is not valid: it must be ${allowed}`)
	const integer = (name: string, low: number, high: number, unit: string) => {
		const number = Number(value(name))
		if (number < low || number > high) throw wrong(name, `from ${low} to ${high} ${unit}`)
		return number
	}
	const path = (name: string) => {
		const text = value(name)
		if (text !== '' && !isAbsolute(text)) throw wrong(name, 'an absolute path')
		return text === '' ? undefined : text
	}
	const loglevel = LOG_LEVELS.find((level) => level === value('loglevel').toLowerCase())
	if (loglevel === undefined) throw wrong('loglevel', `one of ${LOG_LEVELS.join(', ').toUpperCase()}`)
	return {
		logfile: path('logfile'),
		domainsPath: path('xend-domains-path'),
		loglevel,
		consoleLimit_bytes: integer('console-limit', 1, MAX_CONSOLE_KIB, 'KiB') * 1024,
		dom0MinMemory_kib: integer('dom0-min-mem', 0, MAX_MIB, 'MiB') * 1024,
		dumpCrashed: value('enable-dump') === 'yes',
		given: new Map([...entries.values()].map(({ name, value, key }) => [name, key.secret && value !== '' ? '********' : value])),
		warnings: [...entries.values()].flatMap(warningOf),
	}
}

interface Entry {
	readonly name: string
	readonly key: XendConfigKey
	readonly value: string
	readonly line: number
	readonly column: number
}

/** `(name value)`; a boolean becomes `yes` or `no`. */
function readEntry(node: SxpNode, file: string): Entry {
	const shape = 'an entry is a list of a name and its value, like (loglevel DEBUG)'
	if (!('items' in node)) throw new ConfigError(file, node, `'${node.atom}' stands alone: ${shape}`)
	const [head, ...rest] = node.items
	if (head === undefined || !('atom' in head)) throw new ConfigError(file, node, `this list has no name: ${shape}`)
	const name = head.atom
	const key = XEND_CONFIG_KEYS.get(name)
	if (key === undefined) {
		const nearest = nearestName(name, XEND_CONFIG_KEYS.keys()).name
		throw new ConfigError(file, head, `unknown key '${name}': the nearest known one is '${nearest}'`)
	}
	const { line, column } = rest[0] ?? node
	if (key.kind === 'list') return { name, key, value: rest.map(show).join(' '), line, column }
	const [only, more] = rest
	if (more !== undefined) throw new ConfigError(file, more, `${name} takes one value: put quotes around it`)
	if (only !== undefined && !('atom' in only)) throw new ConfigError(file, only, `${name} takes ${KINDS[key.kind]}, not a list`)
	return { name, key, value: checkKind(name, key, only?.atom ?? '', file, { line, column }), line, column }
}

const KINDS = { string: 'a string', integer: 'a whole number', boolean: 'yes or no' } as const

function checkKind(name: string, key: XendConfigKey, text: string, file: string, at: { line: number; column: number }): string {
	if (key.kind === 'string') return text
	const shown = key.secret ? '********' : text
	if (key.kind === 'integer') {
		if (/^\d{1,15}$/.test(text)) return String(Number(text))
	} else if (/^(yes|y|on|true|t|1)$/i.test(text)) return 'yes'
	else if (/^(no|n|off|false|f|0)$/i.test(text)) return 'no'
	throw new ConfigError(file, at, `${name} = '${shown}' is not valid: it must be ${KINDS[key.kind as 'integer' | 'boolean']}`)
}

function show(node: SxpNode): string {
	return 'atom' in node ? node.atom : `(${node.items.map(show).join(' ')})`
}

function warningOf({ name, key, value }: Entry): string[] {
	if (key.why === undefined || value === '' || value === key.fallback) return []
	return [`(${name} ${key.secret ? '********' : value}) has no effect: ${key.why}`]
}
