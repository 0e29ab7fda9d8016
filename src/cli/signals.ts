/** Commands that do something to a running guest from outside: sysrq, trigger, dump-core. */
import { resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { TRIGGERS } from '../xenctrl/interface.ts'
import type { Command } from './command.ts'
import { QUIET, UsageError } from './options.ts'
import { whileWaiting } from './progress.ts'

export const SYSRQ: Command = {
	name: 'sysrq',
	args: '<Domain> <letter>',
	help: 'Send a sysrq to a domain.',
	options: [],
	operands: [2, 2],
	usageOnFault: true,
	async run(context, args) {
		const [domain, letter] = args.positional as [string, string]
		if (!/^[\x21-\x7e]$/.test(letter)) throw new UsageError(`a sysrq is one character, not '${letter}'`)
		await (await context.connect()).sysrq(domain, letter)
		return 0
	},
}

export const TRIGGER: Command = {
	name: 'trigger',
	args: '<Domain> <nmi|reset|init|s3resume|power> [<VCPU>]',
	help: 'Send a trigger to a domain.',
	limits: 'only nmi is for a paravirtual domain; the others get the errors that Xen has for them',
	options: [],
	operands: [2, 3],
	usageOnFault: true,
	async run(context, args) {
		const [domain, name, vcpu = '0'] = args.positional as [string, string, string?]
		const trigger = TRIGGERS.find((known) => known === name.toLowerCase())
		if (trigger === undefined) throw new UserError(`Invalid trigger: ${name}: it must be one of ${TRIGGERS.join(', ')}`)
		if (!/^\d{1,9}$/.test(vcpu)) throw new UserError(`Invalid argument: '${vcpu}' is no VCPU: it must be a number`, { code: 'internal' })
		await (await context.connect()).trigger(domain, { trigger, vcpu: Number(vcpu) })
		return 0
	},
}

export const DUMP_CORE: Command = {
	name: 'dump-core',
	args: '[-L|--live] [-C|--crash] [-R|--reset] <Domain> [Filename]',
	help: "Write a domain's memory to a core file.",
	options: [
		{ short: 'L', long: 'live', help: 'Let the domain run on meanwhile.' },
		{ short: 'C', long: 'crash', help: 'Destroy the domain afterwards.' },
		{ short: 'R', long: 'reset', help: 'Reset the domain afterwards.' },
		QUIET,
	],
	usageOnFault: true,
	async run(context, args) {
		const crash = args.options.has('crash')
		const reset = args.options.has('reset')
		if (crash && reset) throw new UsageError("You may not specify more than one '-CR' option")
		const [domain, file, ...more] = args.positional
		if (domain === undefined) throw new UsageError("'xm dump-core' requires at least 1 argument.\n")
		if (more.length > 0) throw new UsageError("'xm dump-core' requires between 1 and 2 arguments.\n")
		const quiet = args.options.has('quiet')
		if (!quiet) context.print(`Dumping core of domain: ${domain} ...`)
		const client = await context.connect()
		const request = {
			live: args.options.has('live'),
			...(file === undefined ? {} : { path: resolve(context.cwd, file) }),
			...(crash ? { afterwards: 'destroy' as const } : reset ? { afterwards: 'reset' as const } : {}),
		}
		const { path, size_bytes } = await whileWaiting(context, quiet ? undefined : 'writing', client.dumpCore(domain, request))
		if (!quiet) context.complain(`${Math.round(size_bytes / 1048576)} MiB written to ${path}`)
		return 0
	},
}
