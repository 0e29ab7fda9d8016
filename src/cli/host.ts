/** Commands about the host, its hypervisor and the daemon. */
import { type Command, JSON_OPTION } from './command.ts'
import { infoRow, settingRow, showJson } from './tables.ts'

export const INFO: Command = {
	name: 'info',
	args: '[-c|--config]',
	help: 'Show facts about this host and its hypervisor.',
	options: [{ short: 'c', long: 'config', help: "The daemon's settings instead." }, JSON_OPTION],
	operands: [0, 0],
	usageOnFault: true,
	async run(context, args) {
		const client = await context.connect()
		const config = args.options.has('config')
		const rows = config ? await client.daemonSettings() : await client.host()
		if (args.options.has('json')) context.print(showJson(Object.fromEntries(rows)))
		else for (const [name, value] of rows) context.print(config ? settingRow(name, value) : infoRow(name, value))
		return 0
	},
}

export const DMESG: Command = {
	name: 'dmesg',
	args: '[-c|--clear]',
	help: "Print the hypervisor's log.",
	options: [{ short: 'c', long: 'clear', help: 'Empty the log as well.' }],
	operands: [0, 0],
	usageOnFault: true,
	async run(context, args) {
		const client = await context.connect()
		context.stdout.write(await client.hypervisorLog(args.options.has('clear')))
		return 0
	},
}

export const LOG: Command = {
	name: 'log',
	args: '',
	help: "Print the daemon's log.",
	options: [],
	operands: [0, 0],
	usageOnFault: true,
	async run(context) {
		const client = await context.connect()
		context.stdout.write(await client.daemonLog())
		return 0
	},
}

export const DEBUG_KEYS: Command = {
	name: 'debug-keys',
	args: '<Keys>',
	help: "Have the hypervisor write its state to its log (xm dmesg); 'h' lists the keys.",
	options: [],
	operands: [1, 1],
	usageOnFault: true,
	async run(context, args) {
		const [keys] = args.positional as [string]
		const client = await context.connect()
		await client.debugKeys(keys)
		return 0
	},
}
