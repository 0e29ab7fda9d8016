import type { XendClient } from '../../sdk/client.ts'
import type { Command, CommandContext } from '../command.ts'
import { type ParsedArguments, UsageError } from '../options.ts'
import { running } from './list.ts'

/** SHUTDOWN_* of xen/include/public/sched.h. */
const REASON_CODES: Readonly<Record<string, number>> = { poweroff: 0, reboot: 1, suspend: 2, crash: 3, watchdog: 4, soft_reset: 5 }

type Events = Awaited<ReturnType<XendClient['events']>>

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
	await using events = await client.events()
	for (const { name, domid } of domains) {
		context.complain(`${doing} domain ${domid}`)
		await client.shutdown(name, request)
	}
	if (args.options.has('wait')) await waitForEnds(context, events, new Set(domains.map(({ domid }) => domid)))
	return 0
}

async function waitForEnds(context: CommandContext, events: Events, waiting: Set<number>): Promise<void> {
	context.complain(`Waiting for ${waiting.size} domains`)
	if (waiting.size === 0) return
	for await (const event of events) {
		if (event.type !== 'ended' || !waiting.delete(event.domid)) continue
		const code = REASON_CODES[event.reason]
		const how = code === undefined ? 'destroyed' : `shut down, reason code ${code}`
		context.complain(`Domain ${event.domid} has been ${how}`)
		if (waiting.size === 0) return
	}
}
