import { domainJson, factsOfConfig, showLibxlJson } from '../../toolstack/libxl_json.ts'
import type { Command } from '../command.ts'
import { loadConfiguration, refuseViewer, runStarted } from '../create.ts'
import { QUIET, UsageError } from '../options.ts'

export const XL_CREATE: Command = {
	name: 'create',
	args: '<ConfigFile> [options] [vars]',
	help: 'Create a domain from a configuration file.',
	limits: '-V and -A: there is no graphical display',
	options: [
		{ short: 'c', long: 'console_autoconnect', help: "Attach to the domain's console." },
		{ short: 'd', long: 'debug', help: 'Print the resulting configuration as JSON, and go on.' },
		{ short: 'e', long: '', help: 'Leave no process behind to wait for its end: xend does that in any case.' },
		{ short: 'F', long: '', help: 'Stay until the domain has ended.' },
		{ short: 'f', long: 'defconfig', value: 'FILE', help: 'The configuration file, when it is not the first argument.' },
		{ short: 'n', long: 'dryrun', help: 'Print the resulting configuration as JSON and create nothing.' },
		{ short: 'p', long: 'paused', help: 'Leave the domain paused.' },
		QUIET,
		{ short: 'V', long: 'vncviewer', help: 'View its display: there is none.' },
		{ short: 'A', long: 'vncviewer-autopass', help: 'View its display: there is none.' },
		{ short: '', long: 'ignore-global-affinity-masks', help: 'Pay no heed to masks of processors: there are none.' },
	],
	usageOnFault: false,
	async run(context, args) {
		const on = (name: string) => args.options.has(name)
		refuseViewer('xl create', args.options)
		if (args.positional.length === 0 && !on('defconfig')) throw new UsageError('no configuration file is named')
		const { config, values } = loadConfiguration(context, args, (path) => {
			if (!on('quiet')) context.complain(`Parsing config from ${path.replace(/^\.\//, '')}`)
		})
		if (on('dryrun') || on('debug')) context.print(showLibxlJson(domainJson(null, factsOfConfig(config))))
		if (on('dryrun')) return 0
		const client = await context.connect()
		// xl does not say that a domain has started.
		const options = new Map([...args.options, ['quiet', true] as const])
		if (on('F')) options.set('console_autoconnect', true)
		return runStarted(context, client, { ...args, options }, (paused) => client.create({ values, paused }))
	},
}
