import type { Command, CommandContext } from '../command.ts'
import { type DomainNews, domainNews, type NewsOf, type WatchedDomain } from '../domain_news.ts'
import { type ParsedArguments, UsageError } from '../options.ts'
import { type Running, running } from './list.ts'

/** SHUTDOWN_* of xen/include/public/sched.h. */
const REASON_CODES: Readonly<Record<string, number>> = { poweroff: 0, reboot: 1, suspend: 2, crash: 3, watchdog: 4, soft_reset: 5 }

export const XL_SHUTDOWN = asking('shutdown', 'Ask a domain to shut down.', 'Shutting down', 'poweroff')
export const XL_REBOOT = asking('reboot', 'Ask a domain to reboot.', 'Rebooting', 'reboot')

function asking(name: string, help: string, doing: string, request: 'poweroff' | 'reboot'): Command {
	return {
		name,
		args: '[options] <-a|Domain>',
		help,
		options: [
			{ short: 'a', long: 'all', help: 'Every domain but domain 0.' },
			{ short: 'w', long: 'wait', help: 'Wait until it is done.' },
			{ short: 'F', long: '', help: 'Send an ACPI event to a guest without PV control: every guest here has it.' },
		],
		usageOnFault: false,
		run: (context, args) => ask(context, args, doing, request),
	}
}

async function ask(context: CommandContext, args: ParsedArguments, doing: string, request: 'poweroff' | 'reboot'): Promise<number> {
	const all = args.options.has('all')
	if (args.positional.length === 0 && !all) {
		context.complain('You must specify -a or a domain id.\n')
		return 1
	}
	if (args.positional.length > 1) throw new UsageError(`one domain was expected, not ${args.positional.length}`)
	const client = await context.connect()
	const chosen = await running(client, all ? { ...args, positional: [] } : args)
	const domains = all ? chosen.filter(({ domid }) => domid !== 0) : chosen
	await using news = await domainNews(context, client)
	for (const { name, domid } of domains) {
		context.complain(`${doing} domain ${domid}`)
		await client.shutdown(name, request)
	}
	if (args.options.has('wait')) await waitForEnds(context, news, domains)
	return 0
}

async function waitForEnds(context: CommandContext, news: NewsOf, domains: readonly Running[]): Promise<void> {
	context.complain(`Waiting for ${domains.length} domains`)
	const waiting = new Set<WatchedDomain>(domains)
	if (waiting.size === 0) return
	for await (const { domain, event } of news.of(domains)) {
		if ((event.type !== 'ended' && event.type !== 'unseen') || !waiting.delete(domain)) continue
		context.complain(`Domain ${domain.domid} has ${howEnded(event)}`)
		if (waiting.size === 0) return
	}
}

function howEnded(event: Extract<DomainNews['event'], { type: 'ended' | 'unseen' }>): string {
	if (event.type === 'unseen') return 'ended while no xend ran: how is not known'
	const code = REASON_CODES[event.reason]
	return code === undefined ? 'been destroyed' : `been shut down, reason code ${code}`
}
