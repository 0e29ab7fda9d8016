import type { DomainEvent, XendClient } from '../sdk/client.ts'
import type { ShutdownRequest } from '../toolstack/domain_steps.ts'
import type { Command, CommandContext } from './command.ts'
import { type OptionSpec, type ParsedArguments, UsageError } from './options.ts'

const COMMON: readonly OptionSpec[] = [
	{ short: 'a', long: 'all', help: 'Every domain but domain 0.' },
	{ short: 'w', long: 'wait', help: 'Wait until it is done.' },
]

export const SHUTDOWN: Command = {
	name: 'shutdown',
	args: '<Domain> [-waRH]',
	help: 'Ask a domain to shut down.',
	options: [...COMMON, { short: 'H', long: 'halt', help: 'Halt, without a reboot.' }, { short: 'R', long: 'reboot', help: 'Reboot.' }],
	usageOnFault: false,
	run(context, args) {
		const halt = args.options.has('halt')
		const reboot = args.options.has('reboot')
		if (halt && reboot) throw new UsageError("Can't specify halt and reboot")
		return ask(context, args, halt ? 'halt' : reboot ? 'reboot' : 'poweroff')
	},
}

export const REBOOT: Command = {
	name: 'reboot',
	args: '<Domain> [-wa]',
	help: 'Ask a domain to reboot.',
	options: COMMON,
	usageOnFault: false,
	run: (context, args) => ask(context, args, 'reboot'),
}

async function ask(context: CommandContext, args: ParsedArguments, request: ShutdownRequest): Promise<number> {
	const client = await context.connect()
	const names = await chosen(client, args)
	await using events = await client.events()
	for (const name of names) await client.shutdown(name, request)
	if (!args.options.has('wait')) return 0
	if (request === 'reboot') await waitForReboots(context, events, new Set(names))
	else await waitForEnds(context, events, new Set(names))
	return 0
}

async function chosen(client: XendClient, args: ParsedArguments): Promise<string[]> {
	if (args.options.has('all'))
		return (await client.list()).filter((domain) => domain.domid !== 0 && domain.domid !== null).map((domain) => domain.name)
	const [reference, ...more] = args.positional
	if (reference === undefined) throw new UsageError('No domain parameter given')
	if (more.length > 0) throw new UsageError('No multiple domain parameters allowed')
	return [(await client.domain(reference)).name]
}

async function waitForEnds(context: CommandContext, events: AsyncIterable<DomainEvent>, waiting: Set<string>): Promise<void> {
	if (waiting.size > 0) {
		for await (const event of events) {
			const over = (event.type === 'ended' && !event.restarting) || event.type === 'restarted' || event.type === 'restart-failed'
			if (over && waiting.delete(event.name)) context.print(`Domain ${event.name} terminated`)
			if (waiting.size === 0) break
		}
	}
	context.print('All domains terminated')
}

async function waitForReboots(context: CommandContext, events: AsyncIterable<DomainEvent>, waiting: Set<string>): Promise<void> {
	if (waiting.size > 0) {
		for await (const event of events) {
			const lost = (event.type === 'ended' && !event.restarting) || event.type === 'restart-failed'
			if (event.type === 'restarted' && waiting.delete(event.name)) context.print(`Domain ${event.name} rebooted`)
			else if (lost && waiting.delete(event.name)) context.print(`Domain ${event.name} destroyed for failing to reboot`)
			if (waiting.size === 0) break
		}
	}
	context.print('All domains rebooted')
}
