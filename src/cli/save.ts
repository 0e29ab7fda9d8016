/** save and restore, of xm and of xl. */
import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import type { SaveRequest } from '../daemon/api.ts'
import type { XendClient } from '../sdk/client.ts'
import type { Command, CommandContext } from './command.ts'
import { type ParsedArguments, UsageError } from './options.ts'
import { whileWaiting } from './progress.ts'
import { NO_DISPLAY } from './refusals.ts'
import { option, PAUSED } from './refused.ts'

export const SAVE: Command = {
	name: 'save',
	args: '[-c] <Domain> <CheckpointFile>',
	help: 'Save a domain to a file.',
	options: [option('c', 'checkpoint', '', 'Let it run on afterwards.')],
	operands: [2, 2],
	usageOnFault: true,
	run: (context, args) => save(context, args, args.options.has('checkpoint') ? 'run' : 'destroy'),
}

export const RESTORE: Command = {
	name: 'restore',
	args: '<CheckpointFile> [-p]',
	help: 'Bring back a saved domain.',
	options: [PAUSED],
	operands: [1, 1],
	usageOnFault: true,
	run: (context, args) => restore(context, args, args.positional[0] as string),
}

export const XL_SAVE: Command = {
	...SAVE,
	args: '[options] <Domain> <CheckpointFile> [<ConfigFile>]',
	limits: 'the domain is saved with its own configuration, and goes, runs on or is left paused: it is not kept without running (-D)',
	options: [
		option('c', '', '', 'Let it run on afterwards.'),
		option('p', '', '', 'Leave it paused afterwards.'),
		option('D', '', '', 'Keep the domain, without running it: refused.'),
	],
	operands: [2, 3],
	usageOnFault: false,
	run(context, args) {
		if (args.options.has('D'))
			throw new UserError('-D cannot act: a domain that is saved goes, unless it runs on (-c) or is left paused (-p)')
		if (args.positional.length > 2) throw new UserError('a configuration file cannot act: a domain is saved with its own configuration')
		return save(context, args, args.options.has('p') ? 'pause' : args.options.has('c') ? 'run' : 'destroy')
	},
}

export const XL_RESTORE: Command = {
	...RESTORE,
	args: '[options] [<ConfigFile>] <CheckpointFile>',
	limits: 'a domain is restored with the configuration in its file',
	options: [
		PAUSED,
		option('e', '', '', 'Leave no process behind to wait for its end: none is.'),
		option('d', '', '', 'Say what is done: it is said.'),
		option('V', 'vncviewer', '', 'View its display: there is none.'),
		option('A', 'vncviewer-autopass', '', 'The same, with its password.'),
	],
	operands: [1, 2],
	usageOnFault: false,
	run(context, args) {
		if (args.options.has('vncviewer') || args.options.has('vncviewer-autopass')) throw new UserError(`-V cannot act: ${NO_DISPLAY}`)
		if (args.positional.length > 1)
			throw new UserError('a configuration file cannot act: a domain is restored with the one in its own file')
		return restore(context, args, args.positional[0] as string)
	},
}

export const XL_SUSPEND = inMemory('suspend', 'Suspend a domain, which keeps its memory.', (client, domain) => client.hold(domain))
export const XL_RESUME = inMemory('resume', 'Let a suspended domain go on.', (client, domain) => client.release(domain))

function inMemory(name: string, help: string, act: (client: XendClient, domain: string) => Promise<void>): Command {
	return {
		name,
		args: '<Domain>',
		help,
		options: [],
		operands: [1, 1],
		usageOnFault: false,
		async run(context, args) {
			await act(await context.connect(), args.positional[0] as string)
			return 0
		},
	}
}

async function save(context: CommandContext, args: ParsedArguments, afterwards: NonNullable<SaveRequest['afterwards']>): Promise<number> {
	const [domain, file] = args.positional as [string, string]
	if (file === '') throw new UsageError('the file has no name')
	const client = await context.connect()
	await whileWaiting(context, 'saving', client.save(domain, { path: resolve(context.cwd, file), afterwards }))
	return 0
}

async function restore(context: CommandContext, args: ParsedArguments, file: string): Promise<number> {
	const path = resolve(context.cwd, file)
	try {
		accessSync(path, constants.R_OK)
	} catch {
		throw new UserError(`xm restore: Unable to read file ${file}`)
	}
	const client = await context.connect()
	const { warnings } = await whileWaiting(context, 'restoring', client.restore({ path, paused: args.options.has('paused') }))
	for (const warning of warnings) context.complain(`Warning: ${warning}`)
	return 0
}
