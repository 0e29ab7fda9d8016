/** Commands that list domains. */
import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import { prettySxp } from '../toolstack/sxp.ts'
import { type Command, type CommandContext, JSON_OPTION } from './command.ts'
import { UsageError } from './options.ts'
import {
	clockTime,
	labelTable,
	listHeading,
	listRow,
	NO_POLICY,
	showJson,
	span,
	uptimeHeading,
	uptimeRow,
	vcpuHeading,
	vcpuRow,
} from './tables.ts'

export const LIST: Command = {
	name: 'list',
	args: '[options] [Domain, ...]',
	help: 'List all domains, or some.',
	limits: 'no security policy is active, which is what --label shows',
	options: [
		{ short: 'l', long: 'long', help: 'All there is to know, as SXP.' },
		{ short: '', long: 'label', help: 'With security labels.' },
		{ short: '', long: 'state', value: '<state>', help: 'Only domains in this state.' },
		{ short: 'v', long: 'vcpus', help: 'Deprecated: see vcpu-list.' },
		JSON_OPTION,
	],
	usageOnFault: true,
	async run(context, args) {
		const state = args.options.get('state') ?? 'all'
		if (state !== 'all' && args.positional.length > 0) {
			throw new UsageError('You may specify either a state or a particular VM, but not both')
		}
		if (args.options.has('vcpus')) {
			context.complain('xm list -v is deprecated.  Please use xm vcpu-list.')
			return VCPU_LIST.run(context, args)
		}
		const wanted = stateFilter(String(state))
		const client = await context.connect()
		const named = await Promise.all(args.positional.map((reference) => client.domain(reference)))
		if (args.options.has('long')) {
			const domains = args.positional.length > 0 ? named : await client.listLong()
			const chosen = domains.filter(wanted)
			if (args.options.has('json')) context.print(showJson(chosen))
			else for (const domain of chosen) context.print(prettySxp(domain.sxp))
			return 0
		}
		const domains = (args.positional.length > 0 ? named.map(({ sxp: _, ...info }) => info) : await client.list()).filter(wanted)
		const labelled = args.options.has('label')
		if (args.options.has('json')) context.print(showJson(labelled ? domains.map((domain) => ({ ...domain, label: NO_POLICY })) : domains))
		else for (const line of labelled ? labelTable(domains) : [listHeading(), ...domains.map(listRow)]) context.print(line)
		return 0
	},
}

function stateFilter(state: string): (domain: Pick<DomainInfo, 'state' | 'domid'>) => boolean {
	if (state === 'all') return () => true
	if (state === 'halted') return (domain) => domain.domid === null && domain.state === ''
	if (state === 'suspended') return (domain) => domain.domid === null && domain.state !== ''
	if (state === 'paused') return (domain) => domain.state.includes('p')
	if (state === 'running') return (domain) => domain.domid !== null && !/[psc]/.test(domain.state)
	throw new UsageError(`--state=${state} is not valid: it must be one of all, halted, paused, running, suspended`)
}

export const VCPU_LIST: Command = {
	name: 'vcpu-list',
	args: '[Domain, ...]',
	help: "List domains' virtual processors.",
	options: [JSON_OPTION],
	usageOnFault: true,
	async run(context, args) {
		const client = await context.connect()
		const names = await Promise.all(args.positional.map(async (reference) => (await client.domain(reference)).name))
		const all = await client.vcpus()
		const domains = names.length === 0 ? all : names.flatMap((name) => all.filter((domain) => domain.name === name))
		if (args.options.has('json')) {
			context.print(showJson(domains))
			return 0
		}
		context.print(vcpuHeading())
		for (const { name, domid, vcpus } of domains) {
			for (const [vcpu, state] of vcpus.entries()) context.print(vcpuRow(name, domid, vcpu, state))
		}
		return 0
	},
}

export const UPTIME: Command = {
	name: 'uptime',
	args: '[-s] [Domain, ...]',
	help: 'Show how long domains have run.',
	options: [{ short: 's', long: 'short', help: 'In one line each, with the time of day.' }, JSON_OPTION],
	usageOnFault: true,
	async run(context, args) {
		const client = await context.connect()
		const named = await Promise.all(args.positional.map((reference) => client.domain(reference)))
		const domains = args.positional.length > 0 ? named : await client.list()
		const now_s = Date.now() / 1000
		const rows = domains.flatMap(({ name, domid, startTime_s }) => {
			if (domid === null) return []
			return [{ name, domid, uptime_s: Math.max(0, Math.round(domid === 0 ? hostUptime_s() : now_s - startTime_s)) }]
		})
		report(context, rows, { short: args.options.has('short'), json: args.options.has('json') })
		return 0
	},
}

interface UptimeRow {
	readonly name: string
	readonly domid: number
	readonly uptime_s: number
}

function report(context: CommandContext, rows: readonly UptimeRow[], { short, json }: { short: boolean; json: boolean }): void {
	if (json) return context.print(showJson(rows))
	if (!short) context.print(uptimeHeading())
	const now = clockTime(new Date())
	for (const { name, domid, uptime_s } of rows) {
		context.print(short ? ` ${now} up ${span(uptime_s, { seconds: false })}, ${name} (${domid})` : uptimeRow(name, domid, uptime_s))
	}
}

function hostUptime_s(): number {
	try {
		return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
	} catch {
		// Not Linux.
		return uptime()
	}
}
