// Node runs TypeScript, but not under node_modules: there, where the package is installed, this hook strips the types.
import { readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'

const OURS = new URL('../', import.meta.url).href

registerHooks({
	load(url, context, nextLoad) {
		if (!url.startsWith(OURS) || !url.endsWith('.ts')) return nextLoad(url, context)
		return { format: 'module', shortCircuit: true, source: stripTypeScriptTypes(readFileSync(fileURLToPath(url), 'utf8')) }
	},
})
