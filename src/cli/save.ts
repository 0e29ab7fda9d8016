/** save and restore, of xm and of xl. */
import { resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import type { SaveRequest } from '../daemon/api.ts'
import type { XendClient } from '../sdk/client.ts'
import type { ConfigValues } from '../toolstack/config.ts'
import type { Command, CommandContext } from './command.ts'
import { loadConfiguration, refuseViewer } from './create.ts'
import { type ParsedArguments, QUIET, UsageError } from './options.ts'
import { whileWaiting } from './progress.ts'
import { option, PAUSED } from './refused.ts'

export const SAVE: Command = {
	name: 'save',
	args: '[-c] <Domain> <CheckpointFile>',
	help: 'Save a domain to a file.',
	options: [option('c', 'checkpoint', '', 'Let it run on afterwards.'), QUIET],
	operands: [2, 2],
	usageOnFault: true,
	run: (context, args) => save(context, args, args.options.has('checkpoint') ? 'run' : 'destroy'),
}

export const RESTORE: Command = {
	name: 'restore',
	args: '<CheckpointFile> [-p]',
	help: 'Bring back a saved domain.',
	options: [PAUSED, QUIET],
	operands: [1, 1],
	usageOnFault: true,
	run: (context, args) => restore(context, args, args.positional[0] as string),
}

export const XL_SAVE: Command = {
	...SAVE,
	args: '[options] <Domain> <CheckpointFile> [<ConfigFile>]',
	options: [
		option('c', '', '', 'Let it run on afterwards.'),
		option('p', '', '', 'Leave it paused afterwards.'),
		option('D', '', '', 'Have it restored with the number that it has.'),
		QUIET,
	],
	operands: [2, 3],
	usageOnFault: false,
	run: (context, args) => save(context, args, args.options.has('p') ? 'pause' : args.options.has('c') ? 'run' : 'destroy'),
}

export const XL_RESTORE: Command = {
	...RESTORE,
	args: '[options] [<ConfigFile>] <CheckpointFile>',
	limits: '-V and -A: there is no graphical display',
	options: [
		PAUSED,
		option('e', '', '', 'Leave no process behind to wait for its end: none is.'),
		option('d', '', '', 'Say what is done: it is said.'),
		option('V', 'vncviewer', '', 'View its display: there is none.'),
		option('A', 'vncviewer-autopass', '', 'The same, with its password.'),
		QUIET,
	],
	operands: [1, 2],
	usageOnFault: false,
	run(context, args) {
		refuseViewer('xl restore', args.options)
		const [first = '', second] = args.positional
		return second === undefined ? restore(context, args, first) : restore(context, args, second, first)
	},
}

export const XL_SUSPEND = inMemory('suspend', 'Suspend a domain, which keeps its memory.', 'suspending', (client, domain) =>
	client.hold(domain),
)
export const XL_RESUME = inMemory('resume', 'Let a suspended domain go on.', 'resuming', (client, domain) => client.release(domain))

function inMemory(name: string, help: string, doing: string, act: (client: XendClient, domain: string) => Promise<void>): Command {
	return {
		name,
		args: '<Domain>',
		help,
		options: [QUIET],
		operands: [1, 1],
		usageOnFault: false,
		async run(context, args) {
			const done = act(await context.connect(), args.positional[0] as string)
			await whileWaiting(context, args.options.has('quiet') ? undefined : doing, done)
			return 0
		},
	}
}

async function save(context: CommandContext, args: ParsedArguments, afterwards: NonNullable<SaveRequest['afterwards']>): Promise<number> {
	const [domain, file, config] = args.positional as [string, string, string | undefined]
	if (file === '') throw new UsageError('the file has no name')
	const request = { path: resolve(context.cwd, file), afterwards, keepDomid: args.options.has('D'), ...otherConfig(context, args, config) }
	const client = await context.connect()
	await whileWaiting(context, args.options.has('quiet') ? undefined : 'saving', client.save(domain, request))
	return 0
}

/** The variables of a configuration file that is named. */
function otherConfig(context: CommandContext, { options }: ParsedArguments, file: string | undefined): { readonly values?: ConfigValues } {
	return file === undefined ? {} : { values: loadConfiguration(context, { options, positional: [file] }, () => {}).values }
}

async function restore(context: CommandContext, args: ParsedArguments, file: string, config?: string): Promise<number> {
	const path = resolve(context.cwd, file)
	const request = { path, paused: args.options.has('paused'), ...otherConfig(context, args, config) }
	const client = await context.connect()
	const { warnings } = await whileWaiting(
		context,
		args.options.has('quiet') ? undefined : 'restoring',
		client.restore(request).catch(inWordsOfXm),
	)
	if (config === undefined) for (const warning of warnings) context.complain(`Warning: ${warning}`)
	return 0
}

/** Whether the file can be read is for the daemon to say: it may be on another host. */
function inWordsOfXm(error: unknown): never {
	if (!(error instanceof UserError) || !error.message.startsWith('Unable to read file ')) throw error
	throw new UserError(`xm restore: ${error.message}`, { code: error.code, exitCode: error.exitCode, cause: error })
}
