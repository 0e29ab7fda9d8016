// Writes docs/openapi.json, the daemon's API, from the table of its calls: node scripts/openapi.ts
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openApi } from '../src/daemon/openapi.ts'

const root = new URL('../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string }

export const OPENAPI_FILE = new URL('docs/openapi.json', root)

export function openApiText(): string {
	return `${JSON.stringify(openApi(version), undefined, '\t')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(OPENAPI_FILE, openApiText())
