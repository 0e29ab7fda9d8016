import type { Command } from './command.ts'
import { COMMON_COMMANDS } from './command_names.ts'
import type { OptionSpec } from './options.ts'
import { wrap } from './tables.ts'

const USAGE_HELP = 'Usage: xm <subcommand> [args]\n\nControl, list, and manipulate Xen guest instances.\n'
const USAGE_FOOTER =
	"<Domain> can either be the Domain Name or Id.\nFor more help on 'xm' see the xm(1) man page.\n" +
	"For more help on 'xm create' see the xmdomain.cfg(5)  man page.\n"

/** What `xm` alone prints. */
export function shortHelp(commands: readonly Command[]): string {
	const common = COMMON_COMMANDS.flatMap((name) => commands.filter((command) => command.name === name))
	const list = common.map(helpRow).join('\n')
	return `${USAGE_HELP}\nCommon 'xm' commands:\n\n${list}\n\n${USAGE_FOOTER}\nFor a complete list of subcommands run 'xm help'.`
}

/** What `xm help` prints. */
export function longHelp(commands: readonly Command[]): string {
	return `${USAGE_HELP}\nxm full list of subcommands:\n\n${commands.map(helpRow).join('\n')}\n\n${USAGE_FOOTER}`
}

/** One command's usage. */
export function commandHelp(command: Command): string {
	const options = command.options.map(optionRow)
	return [`Usage: xm ${command.name} ${command.args}`.trimEnd(), '', command.help, ...options, ...(options.length > 0 ? [''] : [])].join(
		'\n',
	)
}

function helpRow(command: Command): string {
	const [first = '', ...rest] = wrap(command.help, 50)
	return [` ${command.name.padEnd(20)} ${first.padEnd(50)}`, ...rest.map((line) => ' '.repeat(22) + line)].join('\n')
}

export function optionRow(option: OptionSpec): string {
	const short = option.short === '' ? '' : `-${option.short}${option.value === undefined ? '' : ` ${option.value}`}`
	const long = option.long === '' ? '' : `--${option.long}${option.value === undefined ? '' : `=${option.value}`}`
	const names = [short, long].filter((name) => name !== '').join(', ')
	const [first = '', ...rest] = wrap(option.help, 43)
	return [`  ${names.padEnd(30)} ${first.padEnd(43)}`, ...rest.map((line) => ' '.repeat(33) + line)].join('\n')
}
