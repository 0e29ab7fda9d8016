import { UserError } from '../base/errors.ts'
import type { Command, CommandContext } from './command.ts'
import { ALL_COMMANDS } from './command_names.ts'
import { attachConsole, describeEnd } from './console.ts'
import { CREATE } from './create.ts'
import { commandHelp, longHelp, shortHelp } from './help.ts'
import { DEBUG_KEYS, DMESG, INFO, LOG } from './host.ts'
import { LIST, UPTIME, VCPU_LIST } from './list.ts'
import { lookUp, similar } from './lookup.ts'
import { DELETE, NEW, RESUME, START, SUSPEND } from './managed.ts'
import { MEM_MAX, MEM_SET } from './memory.ts'
import { type ParsedArguments, QUIET } from './options.ts'
import { whileWaiting } from './progress.ts'
import { RESTORE, SAVE } from './save.ts'
import { SCHED_CREDIT } from './sched_credit.ts'
import { SERVE } from './serve.ts'
import { SHELL } from './shell.ts'
import { REBOOT, SHUTDOWN } from './shutdown.ts'
import { DUMP_CORE, SYSRQ, TRIGGER } from './signals.ts'
import { TOP } from './top.ts'
import { UNBUILT_COMMANDS } from './unbuilt_commands.ts'

const CONSOLE: Command = {
	name: 'console',
	args: '[-q|--quiet] <Domain>',
	help: "Attach to a domain's console; Ctrl-] detaches.",
	options: [{ short: 'q', long: 'quiet', help: 'Say nothing when the domain does not exist.' }],
	operands: [1, 1],
	usageOnFault: true,
	async run(context, args) {
		const [reference] = args.positional as [string]
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
			const { hint } = similar(name, COMMANDS)
			if (hint !== undefined) context.complain(hint)
			return 1
		}
		context.print(found === undefined ? longHelp(COMMANDS) : commandHelp(found.command))
		return 0
	},
}

/** A command on one domain that the daemon carries out and that prints nothing, or one line. `doing` is shown while it lasts. */
function onDomain(
	name: string,
	args: string,
	help: string,
	act: (context: CommandContext, client: Awaited<ReturnType<CommandContext['connect']>>, reference: string) => Promise<void>,
	doing?: string,
): Command {
	return {
		name,
		args,
		help,
		options: doing === undefined ? [] : [QUIET],
		operands: [1, 1],
		usageOnFault: true,
		async run(context: CommandContext, { options, positional: [reference = ''] }: ParsedArguments) {
			const done = act(context, await context.connect(), reference)
			await whileWaiting(context, options.has('quiet') ? undefined : doing, done)
			return 0
		},
	}
}

const RENAME: Command = {
	name: 'rename',
	args: '<Domain> <NewDomainName>',
	help: 'Give a domain another name.',
	options: [],
	operands: [2, 2],
	usageOnFault: true,
	async run(context, args) {
		const [reference, name] = args.positional as [string, string]
		await (await context.connect()).rename(reference, name)
		return 0
	},
}

const BUILT: readonly Command[] = [
	CONSOLE,
	CREATE,
	onDomain('destroy', '<Domain>', 'End a domain at once.', (_context, client, reference) => client.destroy(reference), 'destroying'),
	DMESG,
	DEBUG_KEYS,
	DELETE,
	DUMP_CORE,
	onDomain('domid', '<DomainName>', "Print a domain's number.", async (context, client, name) => {
		context.print(String((await client.domain(name)).domid ?? 'None'))
	}),
	onDomain('domname', '<DomId>', "Print a domain's name.", async (context, client, id) => {
		context.print((await client.domain(id)).name)
	}),
	HELP,
	INFO,
	LIST,
	LOG,
	MEM_MAX,
	MEM_SET,
	NEW,
	onDomain('pause', '<Domain>', "Stop a domain's processors.", (_context, client, reference) => client.pause(reference)),
	REBOOT,
	RENAME,
	onDomain(
		'reset',
		'<Domain>',
		'End a domain at once and start it anew.',
		(_context, client, reference) => client.reset(reference),
		'resetting',
	),
	RESTORE,
	RESUME,
	SAVE,
	SCHED_CREDIT,
	SERVE,
	SHELL,
	SHUTDOWN,
	START,
	SUSPEND,
	SYSRQ,
	TOP,
	TRIGGER,
	UPTIME,
	VCPU_LIST,
	onDomain('unpause', '<Domain>', "Let a domain's processors run again.", (_context, client, reference) => client.unpause(reference)),
]

/** Every subcommand of xm, in the order of the full help. */
export const COMMANDS: readonly Command[] = [...BUILT, ...UNBUILT_COMMANDS].sort(
	(a, b) => ALL_COMMANDS.indexOf(a.name) - ALL_COMMANDS.indexOf(b.name),
)
