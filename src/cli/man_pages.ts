import { XEND_CONFIG_KEYS, type XendConfigKey } from '../daemon/xend_config_keys.ts'
import { CONFIG_KEYS, type ConfigKey } from '../toolstack/config_keys.ts'
import type { Command } from './command.ts'

/** roff: backslashes and lines that begin with a dot or an apostrophe mean something. */
const plain = (text: string) =>
	text
		.replaceAll('\\', '\\e')
		.replaceAll('-', '\\-')
		.replace(/^([.'])/gm, '\\&$1')
const paragraph = (...lines: readonly string[]) => `.PP\n${lines.map(plain).join('\n')}`
const item = (head: string, ...lines: readonly string[]) => `.TP\n\\fB${plain(head)}\\fR\n${lines.map(plain).join('\n')}`

function optionHead({ short, long, value }: Command['options'][number]): string {
	const names = [short && `-${short}`, long && `--${long}`].filter((name) => name !== '')
	return names.join(', ') + (value === undefined ? '' : ` ${value}`)
}

function section(command: Command): string {
	const options = command.options.map((option) => item(optionHead(option), option.help))
	const inner = options.length === 0 ? '' : `\n.RS\n${options.join('\n')}\n.RE`
	return `${item(`${command.name} ${command.args}`.trimEnd(), command.help, ...(command.refusal === undefined ? [] : [`It cannot act: ${command.refusal}.`]))}${inner}`
}

const ENVIRONMENT = [
	item('XENOTYPE_RUNDIR', 'The directory with sockets, locks and logs. Without it $XDG_RUNTIME_DIR/xenotype, else /tmp/xenotype-<uid>.'),
	item('XENOTYPE_XEND', 'A command, such as ssh HOST xm serve: xm asks the daemon behind it. Files that are named are those of that host.'),
	item('XENOTYPE_STATEDIR', "Where managed domains' records are kept. Without it $XDG_STATE_HOME/xenotype, else ~/.local/state/xenotype."),
	item(
		'XENOTYPE_CONFIGDIR',
		'Where xend looks for xend-config.sxp. Without it $XDG_CONFIG_HOME/xenotype, else ~/.config/xenotype, else /etc/xen.',
	),
]

interface ProgramPage {
	readonly program: string
	readonly synopsis: string
	readonly description: readonly string[]
	readonly exit: readonly string[]
	readonly seeAlso: string
}

function programPage(page: ProgramPage, commands: readonly Command[], version: string): string {
	const { program, synopsis, description, exit, seeAlso } = page
	return `.TH ${program.toUpperCase()} 1 "" "Xenotype ${version}" "Xenotype"
.SH NAME
${program} \\- control Xen domains
.SH SYNOPSIS
${synopsis}
.SH DESCRIPTION
${description.map((text) => paragraph(text)).join('\n')}
.SH SUBCOMMANDS
${commands.map(section).join('\n')}
.SH EXIT STATUS
${exit.join('\n')}
.SH ENVIRONMENT
${ENVIRONMENT.join('\n')}
.SH SEE ALSO
${seeAlso}
`
}

/** xm(1), from the table of commands that the parser and the help use. */
export function xmPage(commands: readonly Command[], version: string): string {
	const page: ProgramPage = {
		program: 'xm',
		synopsis: '\\fBxm\\fR \\fIsubcommand\\fR [\\fIargs\\fR]',
		description: [
			'xm creates, lists, watches and ends domains. It asks the daemon xend to do it, and starts xend when that is not running.',
			'A <Domain> is a name or a number. A subcommand may be shortened to any beginning, of two letters at least, that no other has.',
		],
		exit: [
			item('0', 'It is done.'),
			item('1', 'It could not be done, or the words make no sense: the reason is on the standard error.'),
			item('3', 'There is no such domain.'),
		],
		seeAlso: '\\fBxl\\fR(1), \\fBxmdomain.cfg\\fR(5), \\fBxend\\-config.sxp\\fR(5)',
	}
	return programPage(page, commands, version)
}

/** xl(1), from xl's table. */
export function xlPage(commands: readonly Command[], version: string): string {
	const page: ProgramPage = {
		program: 'xl',
		synopsis: '\\fBxl\\fR [\\fB\\-vftTN\\fR] \\fIsubcommand\\fR [\\fIargs\\fR]',
		description: [
			'xl is xm with the commands and the outputs of the toolstack of Xen 4: it asks the same daemon for the same domains.',
			'A <Domain> is a name or a number. A subcommand may be shortened to any beginning that no other has.',
			'Before the subcommand, -N makes create print what it would create, as JSON; -v, -f, -t and -T are accepted and change nothing.',
		],
		exit: [
			item('0', 'It is done.'),
			item('1', 'It could not be done: the reason is on the standard error.'),
			item('2', 'The words make no sense.'),
		],
		seeAlso: '\\fBxm\\fR(1), \\fBxmdomain.cfg\\fR(5)',
	}
	return programPage(page, commands, version)
}

const EFFECTS: Readonly<Record<ConfigKey['effect'], string>> = {
	acts: 'It has the effect that it has in Xen.',
	refused: 'It must be empty: ',
	ignored: 'It is accepted with a warning and has no effect: ',
}

function keySection([name, { kind, effect, why, origin }]: [string, ConfigKey]): string {
	const type = { string: 'a string', integer: 'a whole number', number: 'a number', list: 'a list', any: 'any value' }[kind]
	return item(
		name,
		`${type[0]!.toUpperCase()}${type.slice(1)}${{ xm: '', xl: ", of xl's files", xenotype: ', of Xenotype alone' }[origin]}. ${EFFECTS[effect]}${why}${why === '' ? '' : '.'}`,
	)
}

/** xmdomain.cfg(5), from the table of variables that the checks use. */
export function configPage(version: string): string {
	const keys = [...CONFIG_KEYS].sort(([a], [b]) => (a < b ? -1 : 1))
	return `.TH XMDOMAIN.CFG 5 "" "Xenotype ${version}" "Xenotype"
.SH NAME
xmdomain.cfg \\- a domain's configuration file
.SH DESCRIPTION
${paragraph(
	'xm create reads a file in the syntax of Python: assignments to the variables below, and what computes their values. xl files are read too.',
	'Allowed are strings, numbers, lists and dictionaries with their operators and methods, % and format(), if, for, while, def, try, and import of os, re, string, sys, math',
	'or a file beside it. Anything else is refused with its line and column; nothing of the host can be changed from a configuration file.',
)}
.SH VARIABLES
${keys.map(keySection).join('\n')}
.SH SEE ALSO
\\fBxm\\fR(1)
`
}

const XEND_KINDS: Readonly<Record<XendConfigKey['kind'], string>> = {
	string: 'A string.',
	integer: 'A whole number.',
	boolean: 'yes or no.',
	list: 'Any number of strings.',
}

/** Empty where a file's path decides. */
const defaultOf = ({ fallback }: XendConfigKey) => (fallback === undefined || fallback === '' ? '' : ` Default: ${fallback}.`)

/** xend-config.sxp(5), from the table that the daemon reads the file by. */
export function xendConfigPage(version: string): string {
	const keys = [...XEND_CONFIG_KEYS].sort(([a], [b]) => (a < b ? -1 : 1))
	const acting = keys.filter(([, { why }]) => why === undefined)
	const others = keys.filter(([, { why }]) => why !== undefined)
	return `.TH XEND\\-CONFIG.SXP 5 "" "Xenotype ${version}" "Xenotype"
.SH NAME
xend\\-config.sxp \\- settings of the daemon xend
.SH DESCRIPTION
${paragraph('xend reads it when it starts. Each entry is a list of a name and its value, like (loglevel INFO); # begins a comment. A name that is not known and a value that means nothing keep xend from starting.')}
${paragraph('xm info -c prints what holds.')}
.SH KEYS THAT ACT
${acting.map(([name, key]) => item(name, `${XEND_KINDS[key.kind]} ${key.help}${defaultOf(key)}`)).join('\n')}
.SH KEYS WITHOUT EFFECT
${paragraph('They are accepted. A value other than what holds in any case is warned of, in the log and by xm info -c.')}
${others.map(([name, { why }]) => item(name, `It has no effect: ${why}.`)).join('\n')}
.SH FILES
${paragraph('xend-config.sxp in $XENOTYPE_CONFIGDIR when that is set; else in $XDG_CONFIG_HOME/xenotype (~/.config/xenotype), else in /etc/xen.')}
.SH SEE ALSO
\\fBxm\\fR(1), \\fBxmdomain.cfg\\fR(5)
`
}
