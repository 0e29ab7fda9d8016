import type { XendClient } from '../sdk/client.ts'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import type { ShutdownRequest } from '../toolstack/domain_steps.ts'
import type { Command, CommandContext } from './command.ts'
import { type DomainNews, domainNews, type NewsOf, type WatchedDomain } from './domain_news.ts'
import { type OptionSpec, type ParsedArguments, QUIET, UsageError } from './options.ts'
import { whileWaiting } from './progress.ts'

const COMMON: readonly OptionSpec[] = [
	{ short: 'a', long: 'all', help: 'Every domain but domain 0.' },
	{ short: 'w', long: 'wait', help: 'Wait until it is done.' },
	QUIET,
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
	const domains = await chosen(client, args)
	await using news = await domainNews(context, client)
	for (const { name } of domains) await client.shutdown(name, request)
	if (!args.options.has('wait')) return 0
	const print = args.options.has('quiet') ? () => {} : context.print
	const waiting = new Set(domains)
	await whileWaiting(context, args.options.has('quiet') ? undefined : 'waiting', (clear) =>
		waitFor(news, waiting, request === 'reboot' ? howRebooted : howEnded, (line) => {
			clear()
			print(line)
		}),
	)
	print(request === 'reboot' ? 'All domains rebooted' : 'All domains terminated')
	return 0
}

async function chosen(client: XendClient, args: ParsedArguments): Promise<WatchedDomain[]> {
	const [reference, ...more] = args.positional
	if (reference === undefined && !args.options.has('all')) throw new UsageError('No domain parameter given')
	if (more.length > 0) throw new UsageError('No multiple domain parameters allowed')
	if (args.options.has('all'))
		return (await client.list()).filter((domain): domain is DomainInfo & { domid: number } => (domain.domid ?? 0) > 0)
	const domain = await client.domain(reference as string)
	// One that is halted is the daemon's to refuse.
	return [{ ...domain, domid: domain.domid ?? -1 }]
}

/** Prints a line for each until all are over, as `how` says: undefined where there is more to come. */
async function waitFor(
	news: NewsOf,
	waiting: Set<WatchedDomain>,
	how: (event: DomainNews['event']) => string | undefined,
	print: (line: string) => void,
): Promise<void> {
	if (waiting.size === 0) return
	for await (const { domain, event } of news.of([...waiting])) {
		const said = how(event)
		if (said !== undefined && waiting.delete(domain)) print(`Domain ${domain.name} ${said}`)
		if (waiting.size === 0) return
	}
}

function howEnded(event: DomainNews['event']): string | undefined {
	const over = (event.type === 'ended' && !event.restarting) || ['restarted', 'restart-failed', 'unseen'].includes(event.type)
	return over ? 'terminated' : undefined
}

function howRebooted(event: DomainNews['event']): string | undefined {
	if (event.type === 'restarted' || (event.type === 'unseen' && event.restarted)) return 'rebooted'
	const lost = (event.type === 'ended' && !event.restarting) || event.type === 'restart-failed' || event.type === 'unseen'
	return lost ? 'destroyed for failing to reboot' : undefined
}
