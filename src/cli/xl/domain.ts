/** xl's commands on one domain that differ from xm's. */
import { UserError } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { attachConsole, describeEnd } from '../console.ts'
import { UsageError } from '../options.ts'

export const XL_DESTROY: Command = {
	name: 'destroy',
	args: '[options] <Domain>',
	help: 'End a domain at once.',
	options: [{ short: 'f', long: '', help: 'Even domain 0, which is this host: it is refused all the same.' }],
	operands: [1, 1],
	usageOnFault: false,
	async run(context, args) {
		const [reference = ''] = args.positional
		const client = await context.connect()
		const { domid } = await client.domain(reference)
		if (domid === 0 && !args.options.has('f')) {
			context.complain('Not destroying domain 0; use -f to force.\nThis can only be done where the toolstack runs in another domain.\n')
			return 1
		}
		await client.destroy(reference)
		return 0
	},
}

export const XL_DOMID: Command = {
	name: 'domid',
	args: '<DomainName>',
	help: "Print a domain's number.",
	options: [],
	operands: [1, 1],
	usageOnFault: false,
	async run(context, args) {
		const [wanted = ''] = args.positional
		const found = (await (await context.connect()).list()).find(({ name, domid }) => name === wanted && domid !== null)
		if (found === undefined) {
			context.complain(`Can't get domid of domain name '${wanted}', maybe this domain does not exist.`)
			return 1
		}
		context.print(String(found.domid))
		return 0
	},
}

export const XL_DOMNAME: Command = {
	name: 'domname',
	args: '<DomainId>',
	help: "Print a domain's name.",
	options: [],
	operands: [1, 1],
	usageOnFault: false,
	async run(context, args) {
		const [text = ''] = args.positional
		if (!/^\d/.test(text)) {
			context.complain('Invalid domain id.\n')
			return 1
		}
		const wanted = Number.parseInt(text, 10)
		const found = (await (await context.connect()).list()).find(({ domid }) => domid === wanted)
		if (found === undefined) {
			context.complain(`Can't get domain name of domain id '${wanted}', maybe this domain does not exist.`)
			return 1
		}
		context.print(found.name)
		return 0
	},
}

export const XL_CONSOLE: Command = {
	name: 'console',
	args: '[options] <Domain>',
	help: "Attach to a domain's console; Ctrl-] detaches.",
	limits: 'a domain here has one console, of type pv',
	options: [
		{ short: 't', long: 'type', value: 'TYPE', help: "Which of its consoles: 'pv' is the only one here." },
		{ short: 'n', long: 'num', value: 'NUMBER', help: 'The number of the console: 0 is the only one here.' },
		{ short: 'e', long: 'escape', value: 'CHAR', help: 'What detaches: one character, or ^ and a letter for Ctrl with it.' },
	],
	operands: [1, 1],
	usageOnFault: false,
	async run(context, args) {
		const type = args.options.get('type') ?? 'pv'
		const number = args.options.get('num') ?? '0'
		if (type !== 'pv') throw new UserError(`a domain here has no ${type} console: the type must be pv`)
		if (number !== '0') throw new UserError(`a domain here has no console ${number}: the number must be 0`)
		const detachOn = escapeCode(String(args.options.get('escape') ?? '^]'))
		const client = await context.connect()
		const { name, domid } = await client.domain(args.positional[0] as string)
		if (domid === null) throw new UserError(`Domain '${name}' is not started`)
		const outcome = await attachConsole(context, client, String(domid), undefined, detachOn)
		if (context.stdout.isTTY) context.print(`\r\n${outcome.detached ? `Detached; '${name}' runs on.` : describeEnd(name, outcome.end)}`)
		return 0
	},
}

/** `^]` is 0x1d, `q` is 0x71. */
function escapeCode(text: string): number {
	if (/^[!-~]$/.test(text)) return text.charCodeAt(0)
	if (/^\^[@-_a-z]$/.test(text)) return text.charCodeAt(1) & 0x1f
	throw new UsageError(`--escape=${text} is not valid: it must be one character, or ^ and a letter or one of @[\\]^_`)
}
