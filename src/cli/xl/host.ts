/** xl's commands about the host. */
import { UserError } from '../../base/errors.ts'
import type { HostTopology } from '../../daemon/api.ts'
import { type Command, JSON_OPTION } from '../command.ts'
import { UsageError } from '../options.ts'
import { NO_SCHEDULER } from '../refusals.ts'
import { expectNumber, option } from '../refused.ts'
import { CREDIT_LIMITS, CREDIT_OPTIONS, changes, creditJson, creditTable, refuseChange } from '../sched_credit.ts'
import { showJson } from '../tables.ts'
import { running } from './list.ts'

/** The one pool of processors. */
const POOL = 'Pool-0'

/** Lines that xm has and xl has not. */
const XM_ONLY = new Set(['node_to_cpu', 'node_to_memory'])

export const XL_INFO: Command = {
	name: 'info',
	args: '[-n|--numa]',
	help: 'Show facts about this host and its hypervisor.',
	options: [{ short: 'n', long: 'numa', help: "With the host's topology." }, JSON_OPTION],
	operands: [0, 0],
	usageOnFault: false,
	async run(context, args) {
		const client = await context.connect()
		if (args.options.has('json')) {
			const topology = args.options.has('numa') ? { topology: await client.hostTopology() } : {}
			context.print(showJson({ ...Object.fromEntries(xlInfo(await client.host())), ...topology }))
			return 0
		}
		for (const [name, value] of xlInfo(await client.host())) {
			context.print(`${name.padEnd(23)}: ${value}`)
			if (name === 'free_cpus' && args.options.has('numa'))
				for (const line of topologyLines(await client.hostTopology())) context.print(line)
		}
		return 0
	},
}

/** No device is the host's to give away, so none is placed. */
export function topologyLines({ cpus, nodes }: HostTopology): string[] {
	const right = (number: number, width: number) => String(number).padStart(width)
	return [
		'cpu_topology           :',
		'cpu:    core    socket     node',
		...cpus.map(({ cpu, core, socket, node }) => `${right(cpu, 3)}:    ${right(core, 4)}     ${right(socket, 4)}     ${right(node, 4)}`),
		'device topology        :',
		'device           node',
		'No device topology data available',
		'numa_info              :',
		'node:    memsize    memfree    distances',
		...nodes.map(
			({ memory_mib, freeMemory_mib, distances }, node) =>
				`${right(node, 4)}:    ${right(memory_mib, 6)}     ${right(freeMemory_mib, 6)}      ${distances.join(',')}`,
		),
	]
}

/** xm's lines in xl's order, with those that xl adds. Nothing is shared or claimed between domains, and no processor is outside the one pool. */
export function xlInfo(rows: readonly (readonly [name: string, value: string])[]): (readonly [string, string])[] {
	const values = new Map(rows)
	const value = (name: string) => values.get(name) ?? ''
	const added: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
		nr_cpus: [['max_cpu_id', String(Number(value('nr_cpus')) - 1)]],
		free_memory: ['sharing_freed_memory', 'sharing_used_memory', 'outstanding_claims', 'free_cpus'].map((name) => [name, '0'] as const),
		xen_extra: [['xen_version', `${value('xen_major')}.${value('xen_minor')}${value('xen_extra')}`]],
		xen_changeset: [['xen_commandline', value('xen_commandline')]],
		cc_compile_date: [['build_id', value('build_id')]],
	}
	return rows.filter(([name]) => !XM_ONLY.has(name) && name !== 'xen_commandline').flatMap((row) => [row, ...(added[row[0]] ?? [])])
}

export const XL_CPUPOOL_LIST: Command = {
	name: 'cpupool-list',
	args: '[-c|--cpus] [<CPU Pool>]',
	help: 'List the pools of processors: there is one.',
	options: [{ short: 'c', long: 'cpus', help: 'Which processors each has.' }, JSON_OPTION],
	usageOnFault: false,
	async run(context, args) {
		const [pool, ...more] = args.positional
		if (more.length > 0) throw new UsageError(`one pool was expected, not ${args.positional.length}`)
		expectPool(pool)
		const client = await context.connect()
		const info = new Map(await client.host())
		const count = Number(info.get('nr_cpus'))
		const cpus = Array.from({ length: count }, (_, cpu) => cpu)
		const domains = await running(client, { ...args, positional: [] })
		if (args.options.has('json')) {
			context.print(showJson([{ name: POOL, cpus, scheduler: info.get('xen_scheduler'), active: true, domains: domains.length }]))
			return 0
		}
		const name = POOL.padEnd(19)
		if (args.options.has('cpus')) {
			context.print(`${'Name'.padEnd(19)}CPU list`)
			context.print(`${name}${cpus.join(',')}`)
			return 0
		}
		const scheduler = (info.get('xen_scheduler') ?? '').padStart(9)
		context.print(`${'Name'.padEnd(19)}CPUs   Sched     Active   Domain count`)
		context.print(`${name}${String(count).padStart(3)} ${scheduler}       y       ${String(domains.length).padStart(4)}`)
		return 0
	},
}

export const XL_SCHED_CREDIT: Command = {
	name: 'sched-credit',
	args: '[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]] [-s [-t TSLICE] [-r RATELIMIT] [-m DELAY]] [-p CPUPOOL]',
	help: "Show the credit scheduler's parameters.",
	limits: CREDIT_LIMITS,
	options: [
		...CREDIT_OPTIONS,
		option('s', 'schedparam', '', "The scheduler's own parameters."),
		option('t', 'tslice_ms', 'MS', 'How long a vCPU runs at most.'),
		option('r', 'ratelimit_us', 'US', 'How long a vCPU runs at least.'),
		option('m', 'migration_delay_us', 'US', 'How long a vCPU stays on a processor at least.'),
		option('p', 'cpupool', 'CPUPOOL', 'The pool of processors.'),
		JSON_OPTION,
	],
	operands: [0, 0],
	usageOnFault: false,
	async run(context, args) {
		const { options } = args
		const domain = options.get('domain')
		const tuned = ['tslice_ms', 'ratelimit_us', 'migration_delay_us'].filter((name) => options.has(name))
		if (domain === undefined && changes(args)) throw new UserError('Must specify a domain.')
		if (tuned.length > 0 && !options.has('schedparam')) throw new UsageError(`--${tuned[0]} needs -s`)
		for (const name of tuned) expectNumber(`--${name}`, options.get(name), 0)
		if (tuned.length > 0) throw new UserError(`'xl sched-credit -s' cannot act: ${NO_SCHEDULER}.`, { code: 'unbuilt' })
		expectPool(options.get('cpupool'))
		const client = await context.connect()
		const domains = await running(client, { ...args, positional: typeof domain === 'string' ? [domain] : [] })
		if (changes(args)) refuseChange('xl', args, domains[0] ?? { vcpus: 1 })
		if (options.has('json')) {
			context.print(showJson(creditJson(domains)))
			return 0
		}
		// The host schedules: there is no slice, no limit and no delay of ours.
		if (domain === undefined) context.print(`Cpupool ${POOL}: tslice=0ms ratelimit=0us migration-delay=0us`)
		if (!options.has('schedparam')) for (const line of creditTable(domains)) context.print(line)
		return 0
	},
}

function expectPool(pool: string | true | undefined): void {
	if (typeof pool === 'string' && pool !== POOL && pool !== '0') throw new UserError(`Pool '${pool}' does not exist.`)
}
