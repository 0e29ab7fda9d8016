import { existsSync, readFileSync, statSync } from 'node:fs'
import { hostname, machine, release, type, version } from 'node:os'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import type { CreateReply } from '../daemon/api.ts'
import { systemErrorText } from '../platform/node/system_error.ts'
import type { XendClient } from '../sdk/client.ts'
import { ConfigValueError, type ConfigValues, checkConfig, type DomainConfig, overrideValue } from '../toolstack/config.ts'
import { CONFIG_KEYS } from '../toolstack/config_keys.ts'
import { type Assignment, ConfigError, type ConfigHost, type ConfigValue, parseConfig } from '../toolstack/config_parser.ts'
import { configSxp } from '../toolstack/domain_record.ts'
import { prettySxp } from '../toolstack/sxp.ts'
import { parseSxpConfig } from '../toolstack/sxp_config.ts'
import { configXml } from '../toolstack/xenapi_xml.ts'
import type { Command, CommandContext } from './command.ts'
import { attachConsole, describeEnd, endedWell } from './console.ts'
import { type OptionSpec, type ParsedArguments, QUIET, splitOnce, UsageError } from './options.ts'
import { whileWaiting } from './progress.ts'
import { NO_DISPLAY } from './refusals.ts'

const PATH_VARIABLES = ['kernel', 'ramdisk']

/** Of every command that reads a configuration file. */
export const CONFIG_OPTIONS: readonly OptionSpec[] = [
	{ short: 'h', long: 'help', help: 'Print this help.' },
	QUIET,
	{
		short: '',
		long: 'path',
		value: 'PATH',
		help: 'Directories, separated by colons, in which to look for the configuration file (default .:/etc/xen).',
	},
	{ short: '', long: 'help_config', help: 'Print the variables that a configuration may have.' },
	{ short: 'f', long: 'defconfig', value: 'FILE', help: 'The configuration file, when it is not the first argument.' },
	{ short: 'F', long: 'config', value: 'FILE', help: 'The configuration as SXP, as -n and xm list --long print it.' },
	{ short: 'x', long: 'xmldryrun', help: "Print the resulting configuration as the Xen-API's XML and create nothing." },
	{ short: 's', long: 'skipdtd', help: 'No effect: that XML is not compared with its DTD in any case.' },
	{ short: '', long: 'vncviewer', help: 'View its graphical display: there is none.' },
	{ short: '', long: 'vncviewer-autopass', help: 'The same, with its password.' },
	{ short: '', long: 'no-cache', help: "Translate the guest's code anew: as translation_cache=0." },
]

export const VIEWER_LIMITS = `--vncviewer and --vncviewer-autopass: ${NO_DISPLAY}`

export const DRYRUN: OptionSpec = { short: 'n', long: 'dryrun', help: 'Print the resulting configuration as SXP and create nothing.' }

export const CREATE: Command = {
	name: 'create',
	args: '<ConfigFile> [options] [vars]',
	help: 'Create a domain from a configuration file.',
	limits: VIEWER_LIMITS,
	options: [
		...CONFIG_OPTIONS,
		DRYRUN,
		{ short: 'p', long: 'paused', help: 'Leave the domain paused.' },
		{ short: 'c', long: 'console_autoconnect', help: "Attach to the domain's console." },
	],
	usageOnFault: false,
	run: runCreate,
}

async function runCreate(context: CommandContext, args: ParsedArguments): Promise<number> {
	const values = readConfiguration(context, 'create', args, { transient: true })
	if (values === undefined) return 0
	const client = await context.connect()
	return runStarted(context, client, args, (paused) => client.create({ values, paused }))
}

/** The checked variables of the configuration that the words name; undefined when it was only to be printed. Prints warnings. */
export function readConfiguration(
	context: CommandContext,
	command: string,
	args: ParsedArguments,
	domain: { readonly transient: boolean },
): ConfigValues | undefined {
	const quiet = args.options.has('quiet')
	if (args.options.has('help_config')) {
		for (const line of configHelp()) context.print(line)
		return undefined
	}
	refuseViewer(`xm ${command}`, args.options)
	const { config, values } = loadConfiguration(context, args, (path) => {
		if (!quiet) context.print(`Using config file "${path}".`)
	})
	const dry = [
		...(args.options.has('dryrun') ? [prettySxp(configSxp(config, values))] : []),
		...(args.options.has('xmldryrun') ? [configXml(config, values, domain)] : []),
	]
	for (const text of dry) context.print(text)
	return dry.length === 0 ? values : undefined
}

/** `command` with its program's name. */
export function refuseViewer(command: string, options: ParsedArguments['options']): void {
	const viewer = ['vncviewer', 'vncviewer-autopass'].find((name) => options.has(name))
	if (viewer !== undefined) throw new UserError(`'${command} --${viewer}' cannot act: ${NO_DISPLAY}.`, { code: 'unbuilt' })
}

/** A line for each variable, and what it does here. */
function configHelp(): string[] {
	const state = { acts: '', refused: 'must be empty: ', ignored: 'without effect: ' }
	return [...CONFIG_KEYS]
		.sort(([a], [b]) => (a < b ? -1 : 1))
		.map(([name, { effect, why }]) => `${name.padEnd(28)} ${state[effect]}${why}`.trimEnd())
}

/** The same without xm's words: `announce` is told the file's path before it is read. Prints warnings, unless it is to be quiet. */
export function loadConfiguration(
	context: CommandContext,
	args: ParsedArguments,
	announce: (path: string) => void,
): { readonly config: DomainConfig; readonly values: ConfigValues } {
	const { file, overrides } = splitWords(args)
	if (args.options.has('no-cache')) overrides.push(['translation_cache', '0'])
	const path = findConfig(context, file, String(args.options.get('path') ?? '.:/etc/xen'))
	announce(path)
	const values = readValues(context, path, overrides, args.options.has('config'))
	const { config, warnings } = checked(path, values)
	if (!args.options.has('quiet')) for (const warning of warnings) context.complain(`Warning: ${warning}`)
	return { config, values: Object.fromEntries([...values].map(([key, { value }]) => [key, value])) }
}

/** Starts a domain as -p, -c and -q say, and follows its console with -c. Returns the exit status. */
export async function runStarted(
	context: CommandContext,
	client: XendClient,
	args: ParsedArguments,
	start: (paused: boolean) => Promise<CreateReply>,
): Promise<number> {
	const quiet = args.options.has('quiet')
	const paused = args.options.has('paused')
	const watched = args.options.has('console_autoconnect')
	// With its console the domain starts once somebody listens: however short its life, nothing of it is missed.
	const { domain } = await whileWaiting(context, quiet ? undefined : 'building the domain', start(paused || watched))
	if (!quiet) context.print(`Started domain ${domain.name} (id=${domain.domid})`)
	if (!watched) return 0
	const unpause = () => (paused ? Promise.resolve() : client.unpause(String(domain.domid)))
	const { status, detached } = await followConsole(context, client, domain, unpause)
	if (detached && context.stdout.isTTY) context.print(`\r\nDetached; '${domain.name}' runs on. xm console ${domain.name} joins it again.`)
	return status
}

/** The console to its end, through restarts, or until it is left. The exit status is 0 for a domain that ended well. */
export async function followConsole(
	context: CommandContext,
	client: XendClient,
	{ name, domid }: { readonly name: string; readonly domid: number },
	onAttached: () => Promise<void>,
): Promise<{ readonly status: number; readonly detached: boolean }> {
	let attached = onAttached
	for (let current = domid; ; ) {
		const outcome = await attachConsole(context, client, String(current), attached)
		attached = () => Promise.resolve()
		if (outcome.detached) return { status: 0, detached: true }
		const { end } = outcome
		if (context.stdout.isTTY) context.print('')
		if (!endedWell(end)) context.complain(`Error: ${describeEnd(name, end)}`)
		else if (context.stdout.isTTY) context.print(describeEnd(name, end))
		if (end.next === undefined) return { status: endedWell(end) ? 0 : 1, detached: false }
		current = end.next
	}
}

function splitWords(args: ParsedArguments): { file: string; overrides: [string, string][] } {
	const overrides: [string, string][] = []
	const files: string[] = []
	for (const word of args.positional) {
		const [name, value] = splitOnce(word, '=')
		if (value === undefined) files.push(word)
		else overrides.push([name.trim(), value.trim()])
	}
	for (const name of ['defconfig', 'config']) {
		const option = args.options.get(name)
		if (typeof option === 'string') files.unshift(option)
	}
	if (files.length > 1) throw new UsageError(`one configuration file was expected, not ${files.length}: ${files.join(' ')}`)
	return { file: files[0] ?? 'xmdefconfig', overrides }
}

function findConfig(context: CommandContext, file: string, searchPath: string): string {
	for (const directory of ['', ...searchPath.split(':')]) {
		const joined = directory === '' ? file : join(directory, file)
		const path = isAbsolute(joined) ? joined : `./${joined}`
		if (existsSync(resolve(context.cwd, path))) return path
	}
	throw new UsageError(`Unable to open config file: ${file}`)
}

/** The file's variables with the command line's over them; a missing name is the file's own; paths made absolute. */
function readValues(
	context: CommandContext,
	path: string,
	overrides: readonly [string, string][],
	isSxp: boolean,
): Map<string, Assignment> {
	let text: string
	try {
		text = readFileSync(resolve(context.cwd, path), 'utf8')
	} catch (error) {
		throw new UserError(`Cannot read file ${path}: ${systemErrorText(error)}`)
	}
	const given = new Map(overrides.map(([key, value]) => [key, overrideValue(key, value)]))
	const values = isSxp
		? parseSxpConfig(text, path)
		: parseConfig(text, path, { host: configHost(context, dirname(resolve(context.cwd, path))), given })
	if (isSxp) for (const [key, value] of given) values.set(key, { value, line: 0, column: 0 })
	const set = (key: string, value: ConfigValue) =>
		values.set(key, { value, line: values.get(key)?.line ?? 0, column: values.get(key)?.column ?? 0 })
	if (values.get('name') === undefined) set('name', basename(path))
	for (const key of PATH_VARIABLES) {
		const value = values.get(key)?.value
		if (typeof value === 'string' && value !== '') set(key, resolve(context.cwd, value))
	}
	return values
}

/** What a configuration file can ask of this machine: its environment, what files there are, and the text of files beside it. */
function configHost(context: CommandContext, directory: string): ConfigHost {
	return {
		env: process.env,
		cwd: context.cwd,
		uname: [type(), hostname(), release(), version(), machine()],
		pathKind(path) {
			const found = statSync(path, { throwIfNoEntry: false })
			return found?.isDirectory() ? 'directory' : found && 'file'
		},
		readBeside(name) {
			if (name === '' || name.startsWith('.') || basename(name) !== name) return undefined
			const path = join(directory, name)
			return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, 'utf8') : undefined
		},
		print: (line) => context.complain(line),
	}
}

function checked(path: string, values: ReadonlyMap<string, Assignment>): ReturnType<typeof checkConfig> {
	try {
		return checkConfig(Object.fromEntries([...values].map(([key, { value }]) => [key, value])))
	} catch (error) {
		if (!(error instanceof ConfigValueError)) throw error
		const at = values.get(error.key)
		if (at !== undefined && at.line > 0) throw new ConfigError(path, at, error.message)
		throw new UserError(at === undefined ? `${path}: ${error.message}` : error.message, { code: 'config' })
	}
}
