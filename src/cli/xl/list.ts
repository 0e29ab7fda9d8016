/** xl's lists of domains. */
import type { DomainDetail } from '../../daemon/api.ts'
import type { XendClient } from '../../sdk/client.ts'
import { domain0Json, domainJson, factsOfSxp, showLibxlJson } from '../../toolstack/libxl_json.ts'
import { type Command, type CommandContext, JSON_OPTION } from '../command.ts'
import { type ParsedArguments, UsageError } from '../options.ts'
import { showJson } from '../tables.ts'

interface Columns {
	readonly verbose?: boolean
	readonly context?: boolean
	readonly claim?: boolean
	readonly cpupool?: boolean
	readonly numa?: boolean
}

export type Running = DomainDetail & { readonly domid: number }

export const XL_LIST: Command = {
	name: 'list',
	args: '[options] [Domain]',
	help: 'List all domains, or one.',
	options: [
		{ short: 'l', long: 'long', help: 'All there is to know, as JSON.' },
		{ short: 'v', long: 'verbose', help: 'With UUIDs, the reason of a shutdown and security labels.' },
		{ short: 'Z', long: 'context', help: 'With security labels.' },
		{ short: 'c', long: 'cpupool', help: 'With the pool of processors that each is in.' },
		{ short: 'n', long: 'numa', help: 'With the nodes of memory that each may use.' },
		JSON_OPTION,
	],
	usageOnFault: false,
	async run(context, args) {
		if (args.positional.length > 1) throw new UsageError(`one domain was expected, not ${args.positional.length}`)
		const domains = await running(await context.connect(), args)
		const on = (name: string) => args.options.has(name)
		if (on('json')) context.print(showJson(domains.map(({ sxp: _, ...info }) => info)))
		else if (on('long')) context.print(`${showLibxlJson(domains.map(detailJson))}\n`)
		else
			printTable(context, domains, {
				verbose: on('verbose'),
				context: on('context'),
				cpupool: on('cpupool'),
				numa: on('numa'),
			})
		return 0
	},
}

export const XL_CLAIMS: Command = {
	name: 'claims',
	args: '',
	help: 'List the memory that domains have claimed and not taken yet.',
	options: [JSON_OPTION],
	operands: [0, 0],
	usageOnFault: false,
	async run(context, args) {
		const domains = await running(await context.connect(), args)
		if (args.options.has('json')) context.print(showJson(domains.map(({ name, domid }) => ({ name, domid, claimed_mib: 0 }))))
		else printTable(context, domains, { claim: true })
		return 0
	},
}

export const XL_VM_LIST: Command = {
	name: 'vm-list',
	args: '',
	help: 'List all domains but domain 0, with their UUIDs.',
	options: [JSON_OPTION],
	operands: [0, 0],
	usageOnFault: false,
	async run(context, args) {
		const domains = (await running(await context.connect(), args)).filter(({ domid }) => domid !== 0)
		if (args.options.has('json')) {
			context.print(showJson(domains.map(({ uuid, domid, name }) => ({ uuid, domid, name }))))
			return 0
		}
		context.print('UUID                                  ID    name')
		for (const { uuid, domid, name } of domains) context.print(`${uuid}  ${domid}    ${name.padEnd(30)}`)
		return 0
	},
}

export const XL_VCPU_LIST: Command = {
	name: 'vcpu-list',
	args: '[Domain, ...]',
	help: "List domains' virtual processors.",
	options: [JSON_OPTION],
	usageOnFault: false,
	async run(context, args) {
		const client = await context.connect()
		const chosen = await running(client, args)
		const all = await client.vcpus()
		if (args.options.has('json')) {
			context.print(showJson(all.filter(({ domid }) => chosen.some((domain) => domain.domid === domid))))
			return 0
		}
		const heading = ['ID', 'VCPU', 'CPU', 'State'].map((title) => title.padStart(5)).join(' ')
		context.print(`${'Name'.padEnd(32)} ${heading}   Time(s) Affinity (Hard / Soft)`)
		for (const { name, domid } of chosen) {
			const vcpus = all.find((domain) => domain.domid === domid)?.vcpus ?? []
			for (const [vcpu, { online, running, blocked, cpuTime_s }] of vcpus.entries()) {
				// Which of the host's processors it is on is the host's affair.
				const cpu = '-'.padStart(5)
				const state = online ? `${cpu}   ${running ? 'r' : '-'}${blocked ? 'b' : '-'}- ` : `${cpu}  --p `
				const id = String(domid).padStart(5)
				context.print(`${name.padEnd(32)} ${id} ${String(vcpu).padStart(5)}${state}${cpuTime_s.toFixed(1).padStart(9)}  all / all`)
			}
		}
		return 0
	},
}

/** The domains named, or all: xl knows of none that does not run. */
export async function running(client: XendClient, args: ParsedArguments): Promise<Running[]> {
	const { positional } = args
	const domains = positional.length > 0 ? await Promise.all(positional.map((name) => client.domain(name))) : await client.listLong()
	return domains.filter((domain): domain is Running => domain.domid !== null)
}

function detailJson({ name, domid, sxp, maxmem_mib, memory_mib }: Running): ReturnType<typeof domainJson> {
	return domid === 0 ? domain0Json(name, maxmem_mib, memory_mib) : domainJson(domid, factsOfSxp(sxp))
}

function printTable(context: CommandContext, domains: readonly Running[], columns: Columns): void {
	const label = columns.verbose || columns.context
	context.print(
		[
			'Name                                        ID   Mem VCPUs\tState\tTime(s)',
			columns.verbose ? '   UUID                            Reason-Code\tSecurity Label' : '',
			columns.context && !columns.verbose ? '   Security Label' : '',
			columns.claim ? '  Claimed' : '',
			columns.cpupool ? '         Cpupool' : '',
			columns.numa ? ' NODE Affinity' : '',
		].join(''),
	)
	for (const domain of domains) {
		const { name, domid, memory_mib, vcpus, cpuTime_s, uuid } = domain
		const numbers = [domid, memory_mib, vcpus].map((number) => String(number).padStart(5)).join(' ')
		context.print(
			[
				`${name.padEnd(40)} ${numbers}     ${xlState(domain.state)}  ${cpuTime_s.toFixed(1).padStart(8)}`,
				columns.verbose ? ` ${uuid} ${reasonCode(domain.state).padStart(8)}` : '',
				columns.claim ? '     0' : '',
				label ? ` ${'-'.padStart(16)}` : '',
				columns.cpupool ? 'Pool-0'.padStart(16) : '',
				columns.numa ? ' all' : '',
			].join(''),
		)
	}
}

/** A crashed domain shows 's' beside its 'c'; xm shows the 'c' alone. */
function xlState(state: string): string {
	return state[4] === 'c' ? `${state.slice(0, 3)}sc${state.slice(5)}` : state
}

/** SHUTDOWN_crash is 3. Why else a guest that is kept has ended, the daemon does not tell: `?`. */
function reasonCode(state: string): string {
	if (state[4] === 'c') return '3'
	return state[3] === 's' ? '?' : '-'
}
