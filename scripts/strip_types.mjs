// Node runs TypeScript, but not under node_modules: there, where the package is installed, this hook strips the types. What it has stripped is kept, as Node
// keeps it elsewhere: the stripper takes 10 MiB in every thread that has loaded it (src/daemon/start_over.ts).
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OURS = new URL('../', import.meta.url).href
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'xenotype', 'stripped')

registerHooks({
	load(url, context, nextLoad) {
		if (!url.startsWith(OURS) || !url.endsWith('.ts')) return nextLoad(url, context)
		return { format: 'module', shortCircuit: true, source: stripped(readFileSync(fileURLToPath(url), 'utf8')) }
	},
})

function stripped(source) {
	const path = join(CACHE, `${createHash('sha256').update(process.version).update(source).digest('hex', 0, 16)}.mjs`)
	try {
		return readFileSync(path, 'utf8')
	} catch {
		// It has not been stripped yet.
	}
	const result = stripTypeScriptTypes(source)
	try {
		mkdirSync(CACHE, { recursive: true, mode: 0o700 })
		writeFileSync(`${path}.${process.pid}`, result, { mode: 0o600 })
		renameSync(`${path}.${process.pid}`, path)
	} catch {
		// It is stripped anew next time.
	}
	return result
}
