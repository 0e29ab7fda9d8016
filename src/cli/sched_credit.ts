import { UserError } from '../base/errors.ts'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import { CAP, WEIGHT } from '../toolstack/libxl_json.ts'
import { type Command, JSON_OPTION } from './command.ts'
import { type ParsedArguments, UsageError } from './options.ts'
import { NO_SCHEDULER } from './refusals.ts'
import { option } from './refused.ts'
import { showJson } from './tables.ts'

export const CREDIT_LIMITS = `weights and caps are shown and cannot be set: ${NO_SCHEDULER}`

export const CREDIT_OPTIONS = [
	option('d', 'domain', 'DOMAIN', 'The domain.'),
	option('w', 'weight', 'WEIGHT', 'Its share, from 1 to 65535.'),
	option('c', 'cap', 'CAP', 'The most that it may use, in percent of a processor; 0 for no limit.'),
]

export const SCHED_CREDIT: Command = {
	name: 'sched-credit',
	args: '[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]]',
	help: "Show the credit scheduler's parameters.",
	limits: CREDIT_LIMITS,
	options: [...CREDIT_OPTIONS, JSON_OPTION],
	operands: [0, 0],
	usageOnFault: true,
	async run(context, args) {
		if (!args.options.has('domain') && changes(args)) throw new UsageError('No domain given.')
		const client = await context.connect()
		const domain = args.options.get('domain')
		const all = typeof domain === 'string' ? [await client.domain(domain)] : await client.list()
		if (changes(args)) refuseChange('xm', args, all[0] as DomainInfo)
		const domains = all.filter(({ domid }) => domid !== null)
		if (args.options.has('json')) context.print(showJson(creditJson(domains)))
		else for (const line of creditTable(domains)) context.print(line)
		return 0
	},
}

export function changes({ options }: ParsedArguments): boolean {
	return options.has('weight') || options.has('cap')
}

/** Says what is wrong with the numbers, and else why they can't be set. */
export function refuseChange(program: string, { options }: ParsedArguments, { vcpus }: Pick<DomainInfo, 'vcpus'>): never {
	const weight = numberOf(options.get('weight'))
	const cap = numberOf(options.get('cap'))
	if (weight < 1 || weight > 65535) throw new UsageError('Cpu weight out of range, valid values are within range from 1 to 65535')
	if (cap < 0 || cap > 100 * vcpus)
		throw new UsageError(`Cpu cap out of range, valid range is from 0 to ${100 * vcpus} for specified number of vcpus`)
	throw new UserError(`'${program} sched-credit' cannot act: ${NO_SCHEDULER}.`, { code: 'unbuilt' })
}

/** The value may come with the `=` that the usage shows behind -w and -c. One that is not given is in any range. */
function numberOf(text: string | true | undefined): number {
	if (typeof text !== 'string') return 1
	if (!/^=?-?\d{1,9}$/.test(text)) throw new UserError(`Invalid argument: '${text}' is no number`, { code: 'internal' })
	return Number(text.replace('=', ''))
}

export function creditJson(domains: readonly Pick<DomainInfo, 'name' | 'domid'>[]) {
	return domains.map(({ name, domid }) => ({ name, domid, weight: WEIGHT, cap: CAP }))
}

export function creditTable(domains: readonly Pick<DomainInfo, 'name' | 'domid'>[]): string[] {
	const row = (name: string, id: string, weight: string, cap: string) =>
		`${name.padEnd(33)} ${id.padStart(4)} ${weight.padStart(6)} ${cap.padStart(4)}`
	return [row('Name', 'ID', 'Weight', 'Cap'), ...domains.map(({ name, domid }) => row(name, String(domid), String(WEIGHT), String(CAP)))]
}
