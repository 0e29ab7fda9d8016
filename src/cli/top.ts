import { UserError } from '../base/errors.ts'
import type { Statistics } from '../daemon/api.ts'
import { hasCode } from '../sdk/errors.ts'
import { type Command, type CommandContext, JSON_OPTION } from './command.ts'
import type { ParsedArguments } from './options.ts'
import { liveTop } from './top_live.ts'
import { pcpuTable, type TopView, topRows, topTable } from './top_screen.ts'

const DELAY_S = 3

export const TOP: Command = {
	name: 'top',
	args: '[options]',
	limits: 'networks and block devices count 0: there are none yet',
	help: 'Watch the host and its domains.',
	options: [
		{ short: 'd', long: 'delay', value: 'SECONDS', help: 'Between updates (default 3).' },
		{ short: 'n', long: 'networks', help: "Show domains' networks." },
		{ short: 'x', long: 'vbds', help: "Show domains' block devices." },
		{ short: 'r', long: 'repeat-header', help: 'Repeat the heading above each domain.' },
		{ short: 'v', long: 'vcpus', help: "Show domains' virtual processors." },
		{ short: 'b', long: 'batch', help: 'Print, without a terminal.' },
		{ short: 'i', long: 'iterations', value: 'ITERATIONS', help: 'Updates before it ends.' },
		{ short: 'f', long: 'full-name', help: 'Do not cut names.' },
		{ short: 'z', long: 'dom0-first', help: 'Domain 0 before all others, however they are sorted.' },
		{ short: 'p', long: 'pcpus', help: "Show the host's processors." },
		{ short: 'V', long: 'version', help: 'Print the version, and nothing else.' },
		{ ...JSON_OPTION, help: 'As JSON, a line for each update; implies -b.' },
	],
	usageOnFault: true,
	async run(context, args) {
		const delay_s = positive(args, 'delay') ?? DELAY_S
		const iterations = positive(args, 'iterations') ?? Number.POSITIVE_INFINITY
		const view: TopView = {
			sortColumn: 0,
			vcpus: args.options.has('vcpus'),
			networks: args.options.has('networks'),
			vbds: args.options.has('vbds'),
			repeatHeader: args.options.has('repeat-header'),
			fullName: args.options.has('full-name'),
			dom0First: args.options.has('dom0-first'),
			pcpus: args.options.has('pcpus'),
		}
		const json = args.options.has('json')
		const batch = json || args.options.has('batch')
		if (args.options.has('version')) {
			context.print(`xentop ${(await (await context.connect()).statistics()).version}`)
			return 0
		}
		if (!batch && (context.stdout.isTTY !== true || context.stdin.isTTY !== true)) {
			throw new UserError('xm top shows its screen on a terminal; without one use xm top -b')
		}
		const take = await sampler(context)
		if (!batch) return liveTop(context, take, { view, delay_s, iterations })
		await batchTop(context, take, { view, delay_s, iterations, json })
		return 0
	},
}

interface Batch {
	readonly view: TopView
	readonly delay_s: number
	readonly iterations: number
	readonly json: boolean
}

/** Takes the statistics. A xend that has ended is started again, as by any other command. */
async function sampler(context: CommandContext): Promise<() => Promise<Statistics>> {
	let client = await context.connect()
	return async () => {
		try {
			return await client.statistics()
		} catch (error) {
			if (!hasCode(error, 'unreachable')) throw error
		}
		client = await context.connect()
		return client.statistics()
	}
}

async function batchTop(
	context: CommandContext,
	take: () => Promise<Statistics>,
	{ view, delay_s, iterations, json }: Batch,
): Promise<void> {
	let before: Statistics | undefined
	for (let n = 0; n < iterations; n++) {
		if (n > 0) await new Promise((resolve) => setTimeout(resolve, delay_s * 1000))
		const now = await take()
		const rows = topRows(now, before, view)
		if (json) {
			const domains = rows.map(({ domain, ...shares }) => ({ ...domain, ...shares }))
			context.print(JSON.stringify({ ...now, domains }))
		} else for (const line of [...topTable(rows, view), ...(view.pcpus ? pcpuTable(now, before) : [])]) context.print(line)
		before = now
	}
}

function positive(args: ParsedArguments, name: string): number | undefined {
	const text = args.options.get(name)
	if (text === undefined) return undefined
	const value = Number(text)
	if (!/^\d{1,6}$/.test(String(text)) || value < 1) throw new UserError(`--${name}=${text} is not valid: it must be a whole number above 0`)
	return value
}
