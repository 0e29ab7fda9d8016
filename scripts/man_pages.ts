// Writes man/ from the tables of commands and configuration variables: node scripts/man_pages.ts
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { COMMANDS } from '../src/cli/commands.ts'
import { configPage, xendConfigPage, xlPage, xmPage } from '../src/cli/man_pages.ts'
import { XL_COMMANDS } from '../src/cli/xl/commands.ts'

const root = new URL('../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string }

/** Path from the root, and what belongs there. */
export const MAN_PAGES: readonly (readonly [path: string, text: string])[] = [
	['man/xend-config.sxp.5', xendConfigPage(version)],
	['man/xl.1', xlPage(XL_COMMANDS, version)],
	['man/xm.1', xmPage(COMMANDS, version)],
	['man/xmdomain.cfg.5', configPage(version)],
]

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	mkdirSync(new URL('man', root), { recursive: true })
	for (const [path, text] of MAN_PAGES) writeFileSync(new URL(path, root), text)
}
