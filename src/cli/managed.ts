/** Domains that xend keeps while they do not run. */
import type { XendClient } from '../sdk/client.ts'
import type { Command } from './command.ts'
import { CONFIG_OPTIONS, DRYRUN, readConfiguration, refuseViewer, runStarted, VIEWER_LIMITS } from './create.ts'
import { type ParsedArguments, QUIET } from './options.ts'
import { whileWaiting } from './progress.ts'

export const NEW: Command = {
	name: 'new',
	args: '<ConfigFile> [options] [vars]',
	help: 'Keep a domain for later starts.',
	limits: VIEWER_LIMITS,
	options: [...CONFIG_OPTIONS, DRYRUN],
	usageOnFault: false,
	async run(context, args) {
		const values = readConfiguration(context, 'new', args, { transient: false })
		if (values === undefined) return 0
		const { domain } = await (await context.connect()).define({ values })
		if (!args.options.has('quiet')) context.print(`Defined domain ${domain.name}`)
		return 0
	},
}

export const START: Command = {
	name: 'start',
	args: '<DomainName>',
	help: 'Start a kept domain.',
	limits: VIEWER_LIMITS,
	options: [
		QUIET,
		{ short: 'p', long: 'paused', help: 'Leave the domain paused.' },
		{ short: 'c', long: 'console_autoconnect', help: "Attach to the domain's console." },
		{ short: '', long: 'vncviewer', help: 'View its graphical display: there is none.' },
		{ short: '', long: 'vncviewer-autopass', help: 'The same, with its password.' },
	],
	operands: [1, 1],
	usageOnFault: true,
	async run(context, args) {
		const [reference] = args.positional as [string]
		refuseViewer('xm start', args.options)
		const client = await context.connect()
		return runStarted(context, client, args, (paused) => client.start(reference, { paused }))
	},
}

export const DELETE = managed('delete', 'Forget a kept domain.', (client, name) => client.undefine(name))

export const SUSPEND = managed('suspend', 'Suspend a kept domain to its file.', (client, name) => client.suspend(name), 'suspending')
export const RESUME: Command = {
	...managed(
		'resume',
		'Resume a suspended domain.',
		(client, name, args) => client.resume(name, { paused: args.options.has('paused') }),
		'resuming',
	),
	options: [{ short: 'p', long: 'paused', help: 'Leave the domain paused.' }, QUIET],
}

/** `doing` is shown while it lasts. */
function managed(
	name: string,
	help: string,
	act: (client: XendClient, domain: string, args: ParsedArguments) => Promise<unknown>,
	doing?: string,
): Command {
	return {
		name,
		args: '<DomainName>',
		help,
		options: doing === undefined ? [] : [QUIET],
		operands: [1, 1],
		usageOnFault: true,
		async run(context, args) {
			const [domain] = args.positional as [string]
			await whileWaiting(context, args.options.has('quiet') ? undefined : doing, act(await context.connect(), domain, args))
			return 0
		},
	}
}
