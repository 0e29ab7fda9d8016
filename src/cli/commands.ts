import { UserError } from '../base/errors.ts'
import { prettySxp } from '../toolstack/sxp.ts'
import type { Command, CommandContext } from './command.ts'
import { ALL_COMMANDS } from './command_names.ts'
import { attachConsole, describeEnd } from './console.ts'
import { CREATE } from './create.ts'
import { commandHelp, longHelp, shortHelp } from './help.ts'
import { lookUp } from './lookup.ts'
import { type ParsedArguments, UsageError } from './options.ts'
import { REBOOT, SHUTDOWN } from './shutdown.ts'
import { infoRow, listHeading, listRow } from './tables.ts'
import { UNBUILT_COMMANDS } from './unbuilt_commands.ts'

const LIST: Command = {
	name: 'list',
	args: '[options] [Domain, ...]',
	help: 'List all domains, or some.',
	options: [
		{ short: 'l', long: 'long', help: 'All there is to know, as SXP.' },
		{ short: '', long: 'label', help: 'With security labels.' },
		{ short: '', long: 'state', value: '<state>', help: 'Only domains in this state.' },
		{ short: 'v', long: 'vcpus', help: 'Deprecated: see vcpu-list.' },
	],
	usageOnFault: true,
	async run(context, args) {
		const state = args.options.get('state') ?? 'all'
		if (state !== 'all' && args.positional.length > 0) {
			throw new UsageError('You may specify either a state or a particular VM, but not both')
		}
		if (args.options.has('label')) throw new UserError("'xm list --label' cannot act: security labels are not supported yet.")
		if (args.options.has('vcpus')) throw new UserError("'xm list -v' cannot act: xm vcpu-list is not built yet.")
		const wanted = stateFilter(String(state))
		const client = await context.connect()
		const named = await Promise.all(args.positional.map((reference) => client.domain(reference)))
		if (args.options.has('long')) {
			const domains = args.positional.length > 0 ? named : await client.listLong()
			for (const domain of domains.filter(wanted)) context.print(prettySxp(domain.sxp))
			return 0
		}
		const domains = args.positional.length > 0 ? named : await client.list()
		context.print(listHeading())
		for (const domain of domains.filter(wanted)) context.print(listRow(domain))
		return 0
	},
}

function stateFilter(state: string): (domain: { readonly state: string }) => boolean {
	if (state === 'all') return () => true
	if (state === 'halted' || state === 'suspended') return () => false
	if (state === 'paused') return (domain) => domain.state.includes('p')
	if (state === 'running') return (domain) => !/[psc]/.test(domain.state)
	throw new UsageError(`--state=${state} is not valid: it must be one of all, halted, paused, running, suspended`)
}

const CONSOLE: Command = {
	name: 'console',
	args: '[-q|--quiet] <Domain>',
	help: "Attach to a domain's console; Ctrl-] detaches.",
	options: [{ short: 'q', long: 'quiet', help: 'Say nothing when the domain does not exist.' }],
	arity: [1, 2],
	usageOnFault: true,
	async run(context, args) {
		const [reference] = args.positional
		if (reference === undefined || args.positional.length > 1) throw new UsageError('No domain given')
		const client = await context.connect()
		try {
			const { name, domid } = await client.domain(reference)
			if (domid === null) throw new UserError(`Domain '${name}' is not started`)
			if (context.stdout.isTTY) context.print(`Attached to the console of '${name}' (id ${domid}); Ctrl-] detaches.`)
			const outcome = await attachConsole(context, client, String(domid))
			if (context.stdout.isTTY) context.print(`\r\n${outcome.detached ? `Detached; '${name}' runs on.` : describeEnd(name, outcome.end)}`)
			return 0
		} catch (error) {
			if (args.options.has('quiet') && error instanceof UserError && error.code === 'no-such-domain') return 1
			throw error
		}
	},
}

const INFO: Command = {
	name: 'info',
	args: '[-c|--config]',
	help: 'Show facts about this host and its hypervisor.',
	options: [{ short: 'c', long: 'config', help: "The daemon's settings instead." }],
	arity: [0, 1],
	usageOnFault: true,
	async run(context, args) {
		if (args.positional.length > 0) throw new UsageError('No parameter required')
		if (args.options.has('config')) throw new UserError("'xm info -c' cannot act: the daemon has no settings file yet.")
		const client = await context.connect()
		for (const [name, value] of await client.host()) context.print(infoRow(name, value))
		return 0
	},
}

const DMESG: Command = {
	name: 'dmesg',
	args: '[-c|--clear]',
	help: "Print the hypervisor's log.",
	options: [{ short: 'c', long: 'clear', help: 'Empty the log as well.' }],
	arity: [0, 1],
	usageOnFault: true,
	async run(context, args) {
		if (args.positional.length > 0) throw new UsageError('No parameter required')
		const client = await context.connect()
		context.stdout.write(await client.hypervisorLog(args.options.has('clear')))
		return 0
	},
}

const DEBUG_KEYS: Command = {
	name: 'debug-keys',
	args: '<Keys>',
	help: "Have the hypervisor write its state to its log (xm dmesg); 'h' lists the keys.",
	options: [],
	arity: [1, 1],
	usageOnFault: true,
	async run(context, args) {
		const [keys] = args.positional as [string]
		const client = await context.connect()
		await client.debugKeys(keys)
		return 0
	},
}

const HELP: Command = {
	name: 'help',
	args: '[<subcommand>]',
	help: 'Display this message.',
	options: [{ short: '', long: 'long', help: 'The full list, as without it.' }],
	usageOnFault: true,
	async run(context, args) {
		const [name] = args.positional
		const found = name === undefined ? undefined : lookUp(name, COMMANDS)
		if (name !== undefined && found === undefined) {
			context.complain(`Error: Subcommand ${name} not found!`)
			context.print(shortHelp(COMMANDS))
			return 1
		}
		context.print(found === undefined ? longHelp(COMMANDS) : commandHelp(found.command))
		return 0
	},
}

/** A command on one domain that the daemon carries out and that prints nothing, or one line. */
function onDomain(
	name: string,
	args: string,
	help: string,
	act: (context: CommandContext, client: Awaited<ReturnType<CommandContext['connect']>>, reference: string) => Promise<void>,
): Command {
	return {
		name,
		args,
		help,
		options: [],
		arity: [1, 1],
		usageOnFault: true,
		async run(context: CommandContext, words: ParsedArguments) {
			await act(context, await context.connect(), words.positional[0] as string)
			return 0
		},
	}
}

const BUILT: readonly Command[] = [
	CONSOLE,
	CREATE,
	onDomain('destroy', '<Domain>', 'End a domain at once.', (_context, client, reference) => client.destroy(reference)),
	DMESG,
	DEBUG_KEYS,
	onDomain('domid', '<DomainName>', "Print a domain's number.", async (context, client, name) => {
		context.print(String((await client.domain(name)).domid ?? 'None'))
	}),
	onDomain('domname', '<DomId>', "Print a domain's name.", async (context, client, id) => {
		context.print((await client.domain(id)).name)
	}),
	HELP,
	INFO,
	LIST,
	onDomain('pause', '<Domain>', "Stop a domain's processors.", (_context, client, reference) => client.pause(reference)),
	REBOOT,
	SHUTDOWN,
	onDomain('unpause', '<Domain>', "Let a domain's processors run again.", (_context, client, reference) => client.unpause(reference)),
]

/** Every subcommand of xm, in the order of the full help. */
export const COMMANDS: readonly Command[] = [...BUILT, ...UNBUILT_COMMANDS].sort(
	(a, b) => ALL_COMMANDS.indexOf(a.name) - ALL_COMMANDS.indexOf(b.name),
)
