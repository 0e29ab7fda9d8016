/** xl's commands about the host. */
import { UserError } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { UsageError } from '../options.ts'
import { running } from './list.ts'

/** Lines that xm has and xl has not. */
const XM_ONLY = new Set(['node_to_cpu', 'node_to_memory'])

export const XL_INFO: Command = {
	name: 'info',
	args: '[-n|--numa]',
	help: 'Show facts about this host and its hypervisor.',
	limits: '-n: the host keeps its topology to itself',
	options: [{ short: 'n', long: 'numa', help: "With the host's topology." }],
	usageOnFault: false,
	async run(context, args) {
		if (args.options.has('numa')) throw new UserError("'xl info -n' cannot act: the host keeps its topology to itself.")
		for (const [name, value] of xlInfo(await (await context.connect()).host())) context.print(`${name.padEnd(23)}: ${value}`)
		return 0
	},
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
	options: [{ short: 'c', long: 'cpus', help: 'Which processors each has.' }],
	usageOnFault: false,
	async run(context, args) {
		const [pool, ...more] = args.positional
		if (more.length > 0) throw new UsageError(`one pool was expected, not ${args.positional.length}`)
		if (pool !== undefined && pool !== 'Pool-0' && pool !== '0') throw new UserError(`Pool '${pool}' does not exist.`)
		const client = await context.connect()
		const info = new Map(await client.host())
		const count = Number(info.get('nr_cpus'))
		const name = 'Pool-0'.padEnd(19)
		if (args.options.has('cpus')) {
			context.print(`${'Name'.padEnd(19)}CPU list`)
			context.print(`${name}${Array.from({ length: count }, (_, cpu) => cpu).join(',')}`)
			return 0
		}
		const domains = await running(client, { ...args, positional: [] })
		const scheduler = (info.get('xen_scheduler') ?? '').padStart(9)
		context.print(`${'Name'.padEnd(19)}CPUs   Sched     Active   Domain count`)
		context.print(`${name}${String(count).padStart(3)} ${scheduler}       y       ${String(domains.length).padStart(4)}`)
		return 0
	},
}
