// Writes docs/toolstack-coverage.md from the tables of commands and keys: node scripts/toolstack_coverage.ts
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from '../src/cli/command.ts'
import { DEPRECATED_NAMES } from '../src/cli/command_names.ts'
import { COMMANDS } from '../src/cli/commands.ts'
import { XL_COMMANDS } from '../src/cli/xl/commands.ts'
import { XEND_CONFIG_KEYS } from '../src/daemon/xend_config_keys.ts'
import { CONFIG_KEYS, type ConfigKey } from '../src/toolstack/config_keys.ts'

export const coverageFile = fileURLToPath(new URL('../docs/toolstack-coverage.md', import.meta.url))

interface Row {
	readonly name: string
	readonly state: 'works' | 'refused' | 'warned'
	readonly note: string
}

function commandRow({ name, refusal, limits }: Command): Row {
	return { name, state: refusal === undefined ? 'works' : 'refused', note: refusal ?? limits ?? '' }
}

const STATES: Readonly<Record<ConfigKey['effect'], Row['state']>> = { acts: 'works', refused: 'refused', ignored: 'warned' }

function keyRows(origin: ConfigKey['origin']): Row[] {
	const rows = [...CONFIG_KEYS].filter(([, key]) => key.origin === origin)
	return byName(rows.map(([name, { effect, why }]) => ({ name, state: STATES[effect], note: why })))
}

function xendRows(): Row[] {
	return byName([...XEND_CONFIG_KEYS].map(([name, { why }]) => ({ name, state: why === undefined ? 'works' : 'warned', note: why ?? '' })))
}

const byName = (rows: readonly Row[]) => [...rows].sort((a, b) => (a.name < b.name ? -1 : 1))
const cell = (text: string) => text.replaceAll('|', '\\|')

function table(title: string, intro: string, rows: readonly Row[]): string[] {
	const count = (state: Row['state']) => rows.filter((row) => row.state === state).length
	const tally = (['works', 'refused', 'warned'] as const).flatMap((state) => (count(state) === 0 ? [] : [`${count(state)} ${state}`]))
	const lines = rows.map(({ name, state, note }) => `| \`${name}\` | ${state} | ${cell(note)} |`)
	return ['', `## ${title}`, '', `${intro} ${rows.length}: ${tally.join(', ')}.`, '', '| | state | note |', '|---|---|---|', ...lines]
}

/** The whole document. */
export function renderCoverage(): string {
	const old = [...DEPRECATED_NAMES].map(([name, successor]) => `\`${name}\` (${successor})`).join(', ')
	const lines = [
		'# Toolstack',
		'',
		'Every subcommand of xm and xl, every variable of a domain configuration file and every key of xend-config.sxp, and what it does here.',
		'Generated from the tables that the parsers use, by `scripts/toolstack_coverage.ts`; a test checks that it is current.',
		'',
		'- *works*: it does what it does in Xen; a note says which part does not.',
		'- *refused*: it is known; a command says why in one sentence and exits with status 1, a variable must be empty.',
		'- *warned*: it is accepted and has no effect; a warning says why.',
		'',
		'Any other name is an error; of variables and keys it tells the nearest known one.',
		...table('xm', `Old names work too, and say which is the new one: ${old}.`, byName(COMMANDS.map(commandRow))),
		...table('xl', 'The same program under another name.', byName(XL_COMMANDS.map(commandRow))),
		...table('Configuration variables of xm', 'Most are those of xl too.', keyRows('xm')),
		...table('Configuration variables of our own', 'Files with them are for Xenotype alone.', keyRows('xenotype')),
		...table("Configuration variables of xl's own", 'xm reads them too.', keyRows('xl')),
		...table('xend-config.sxp', 'What they do is in man xend-config.sxp.', xendRows()),
	]
	return `${lines.join('\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(coverageFile, renderCoverage())
