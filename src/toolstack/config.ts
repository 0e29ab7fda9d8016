import { UserError } from '../base/errors.ts'
import { nearestName } from '../base/nearest_name.ts'
import { CONFIG_KEYS, type ConfigKind } from './config_keys.ts'
import type { ConfigValue } from './config_parser.ts'

export const EXIT_ACTIONS = ['destroy', 'restart', 'preserve', 'rename-restart'] as const
const CRASH_ACTIONS = [...EXIT_ACTIONS, 'coredump-destroy', 'coredump-restart'] as const
export type ExitAction = (typeof CRASH_ACTIONS)[number]
/** What the older variable `restart` stands for: actions for on_poweroff, on_reboot and on_crash where those are not given. */
const RESTART_MODES: Readonly<Record<string, readonly [ExitAction, ExitAction, ExitAction]>> = {
	onreboot: ['destroy', 'restart', 'destroy'],
	always: ['restart', 'restart', 'restart'],
	never: ['destroy', 'destroy', 'destroy'],
}
const XEND_START_ACTIONS = ['ignore', 'start'] as const
const XEND_STOP_ACTIONS = ['ignore', 'shutdown', 'suspend'] as const

/** A domain as it is to be built: checked, with every default filled in. Plain data: it is what the API carries. */
export interface DomainConfig {
	readonly name: string
	/** 36 characters; undefined lets the toolstack choose. */
	readonly uuid: string | undefined
	/** Absolute paths on the host. */
	readonly kernel: string
	readonly ramdisk: string | undefined
	readonly root: string
	readonly extra: string
	readonly memory_mib: number
	readonly maxmem_mib: number
	readonly vcpus: number
	readonly on_poweroff: ExitAction
	readonly on_reboot: ExitAction
	readonly on_crash: ExitAction
	/** What the toolstack does with a managed domain when it starts, and with any when it is told to stop. */
	readonly on_xend_start: (typeof XEND_START_ACTIONS)[number]
	readonly on_xend_stop: (typeof XEND_STOP_ACTIONS)[number]
	/** Whether its translated code is taken from the translation cache on disk, and kept there. */
	readonly translation_cache: boolean
}

export const DEFAULT_MEMORY_MIB = 128
export const MIN_MEMORY_MIB = 4
/** A domain's memory, page tables and caches share one 4 GiB WebAssembly memory. */
export const MAX_MEMORY_MIB = 3840

export type ConfigValues = Readonly<Record<string, ConfigValue>>

export interface CheckedConfig {
	readonly config: DomainConfig
	/** Sentences about variables that have no effect here. */
	readonly warnings: string[]
}

/** What is wrong with one variable's value. The command line adds the place in the file. */
export class ConfigValueError extends UserError {
	readonly key: string
	constructor(key: string, message: string) {
		super(message, { code: 'config' })
		this.name = 'ConfigValueError'
		this.key = key
	}
}

/** Turns a configuration file's (or the API's) variables into a DomainConfig. Throws ConfigValueError on the first that is wrong. */
export function checkConfig(values: ConfigValues): CheckedConfig {
	const warnings: string[] = []
	for (const [key, value] of Object.entries(values)) checkKey(key, value, warnings)
	const text = (key: string) => asText(values[key])
	const builder = text('builder') || 'linux'
	if (builder === 'hvm') {
		throw new ConfigValueError(
			'builder',
			"HVM guest support is unavailable: only paravirtual guests run here; builder may be 'linux' or 'generic'",
		)
	}
	if (builder !== 'linux' && builder !== 'generic') throw wrong('builder', values.builder, "'linux' or 'generic'")
	const type = text('type') || 'pv'
	if (type !== 'pv')
		throw new ConfigValueError('type', `type = '${type}' cannot be honoured: only paravirtual guests run here; type may be 'pv'`)
	const name = text('name')
	if (name === '') throw new ConfigValueError('name', 'Missing VM Name')
	if (!/^[A-Za-z0-9_.:+-]{1,64}$/.test(name) || /^\d+$/.test(name)) {
		throw new ConfigValueError('name', `Invalid VM Name: '${name}' must be 1 to 64 letters, digits and _ . : + -, and not a number`)
	}
	const uuid = text('uuid').toLowerCase()
	if (uuid !== '' && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) {
		throw wrong('uuid', values.uuid, 'like 7cf8024a-e646-11f1-940d-9e4b9dc02f2e')
	}
	if (text('kernel') === '')
		throw new ConfigValueError('kernel', 'no kernel is named: kernel must be the path of a Xen-capable kernel image')
	const memory = integer(values, 'memory', DEFAULT_MEMORY_MIB, MIN_MEMORY_MIB, MAX_MEMORY_MIB, 'MiB')
	const maxmem = integer(values, 'maxmem', memory, MIN_MEMORY_MIB, MAX_MEMORY_MIB, 'MiB')
	if (maxmem < memory) throw wrong('maxmem', values.maxmem, `at least memory (${memory} MiB)`)
	const config: DomainConfig = {
		name,
		uuid: uuid === '' ? undefined : uuid,
		kernel: text('kernel'),
		ramdisk: text('ramdisk') === '' ? undefined : text('ramdisk'),
		// xl's cmdline is the whole command line.
		root: text('cmdline') === '' ? text('root') : '',
		extra: text('cmdline') || text('extra'),
		memory_mib: memory,
		maxmem_mib: maxmem,
		vcpus: integer(values, 'vcpus', integer(values, 'maxvcpus', 1, 1, 1, 'for now'), 1, 1, 'for now'),
		...exitActions(values),
		on_xend_start: action(values, 'on_xend_start', 'ignore', XEND_START_ACTIONS),
		on_xend_stop: action(values, 'on_xend_stop', 'ignore', XEND_STOP_ACTIONS),
		translation_cache: integer(values, 'translation_cache', 1, 0, 1, '(1 uses the cache)') === 1,
	}
	if (config.on_xend_stop === 'suspend') warnings.push("on_xend_stop = 'suspend' acts for managed domains alone (xm new)")
	return { config, warnings }
}

/** The kernel's command line, as xend composes it. */
export function commandLine(config: Pick<DomainConfig, 'root' | 'extra'>): string {
	return [config.root === '' ? '' : `root=${config.root}`, config.extra].filter((part) => part !== '').join(' ')
}

/** Applies `name=value` words of a command line over a file's variables: text, converted to the variable's kind. */
export function overrideValue(key: string, text: string): ConfigValue {
	return CONFIG_KEYS.get(key)?.kind === 'list' ? (text === '' || text === '[]' ? [] : [text]) : text
}

function checkKey(key: string, value: ConfigValue, warnings: string[]): void {
	const known = CONFIG_KEYS.get(key)
	if (known === undefined) {
		throw new ConfigValueError(key, `unknown variable '${key}': the nearest known one is '${nearestName(key, CONFIG_KEYS.keys()).name}'`)
	}
	if (value === null || !hasKind(value, known.kind)) throw wrong(key, value, KIND_NAMES[known.kind])
	const empty = value === '' || (Array.isArray(value) && value.length === 0)
	if (empty || known.effect === 'acts') return
	if (known.effect === 'refused') throw new ConfigValueError(key, `${key} = ${show(value)} cannot be honoured: ${known.why}`)
	warnings.push(`${key} = ${show(value)} has no effect: ${known.why}`)
}

const KIND_NAMES: Record<ConfigKind, string> = {
	string: 'a string',
	integer: 'a whole number',
	number: 'a number',
	list: 'a list',
	any: 'a value',
}

function hasKind(value: ConfigValue, kind: ConfigKind): boolean {
	if (kind === 'any') return true
	if (kind === 'list') return Array.isArray(value)
	if (kind === 'string') return typeof value === 'string' || typeof value === 'number'
	return typeof value === 'number' || (typeof value === 'string' && (value === '' || /^-?\d+(\.\d+)?$/.test(value)))
}

function asText(value: ConfigValue | undefined): string {
	return value === undefined || value === null ? '' : String(value)
}

function integer(values: ConfigValues, key: string, fallback: number, low: number, high: number, unit: string): number {
	const value = values[key]
	if (value === undefined || value === '') return fallback
	const number = Number(value)
	if (!Number.isInteger(number) || number < low || number > high) {
		throw wrong(key, value, low === high ? `${low} ${unit}` : `from ${low} to ${high} ${unit}`)
	}
	return number
}

function exitActions(values: ConfigValues): Pick<DomainConfig, 'on_poweroff' | 'on_reboot' | 'on_crash'> {
	const mode = asText(values.restart)
	if (mode !== '' && !Object.hasOwn(RESTART_MODES, mode))
		throw wrong('restart', values.restart, `one of ${Object.keys(RESTART_MODES).join(', ')}`)
	const [poweroff, reboot, crash] = RESTART_MODES[mode] ?? ['destroy', 'restart', 'restart']
	return {
		on_poweroff: action(values, 'on_poweroff', poweroff, EXIT_ACTIONS),
		on_reboot: action(values, 'on_reboot', reboot, EXIT_ACTIONS),
		on_crash: action(values, 'on_crash', crash, CRASH_ACTIONS),
	}
}

function action<A extends string>(values: ConfigValues, key: string, fallback: A, allowed: readonly A[]): A {
	const text = asText(values[key]) || fallback
	const found = allowed.find((name) => name === text)
	if (found === undefined) throw wrong(key, values[key], `one of ${allowed.join(', ')}`)
	return found
}

function wrong(key: string, value: ConfigValue | undefined, allowed: string): ConfigValueError {
	return new ConfigValueError(key, `${key} = ${show(value ?? null)} is not valid: it must be ${allowed}`)
}

function show(value: ConfigValue): string {
	if (value === null) return 'None'
	if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
	if (typeof value === 'boolean') return value ? 'True' : 'False'
	return typeof value === 'string' ? `'${value}'` : String(value)
}
