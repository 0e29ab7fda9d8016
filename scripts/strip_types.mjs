// Strips the types of our TypeScript, and keeps on disk what it has stripped, for the daemons everywhere and for all programs where the package is installed (Node strips no types
// below node_modules). Node's own way, a compile cache, keeps each source and its code in every thread's memory for good; and the stripper takes 10 MiB in every thread that has
// loaded it (src/daemon/start_over.ts).
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OURS = new URL('../', import.meta.url).href
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'xenotype', 'stripped', process.version)

registerHooks({
	// Our imports name files: there is nothing to look for, and the files need not be looked at before they are read.
	resolve(specifier, context, nextResolve) {
		if (!/^\.\.?\/.*\.ts$/.test(specifier) || !context.parentURL?.startsWith(OURS)) return nextResolve(specifier, context)
		return { format: 'module', shortCircuit: true, url: new URL(specifier, context.parentURL).href }
	},
	load(url, context, nextLoad) {
		if (!url.startsWith(OURS) || !url.endsWith('.ts')) return nextLoad(url, context)
		return { format: 'module', shortCircuit: true, source: stripped(fileURLToPath(url)) }
	},
})

/** What is kept ends with the size of the file that it was made from, and the time when that changed last, which nobody can set. */
function stripped(path) {
	const { size, ctimeMs } = statSync(path)
	const mark = `\n//${size} ${ctimeMs}`
	const kept = join(CACHE, path)
	try {
		const source = readFileSync(kept, 'utf8')
		if (source.endsWith(mark)) return source
	} catch {
		// It has not been stripped yet.
	}
	const source = stripTypeScriptTypes(readFileSync(path, 'utf8')) + mark
	try {
		mkdirSync(dirname(kept), { recursive: true, mode: 0o700 })
		writeFileSync(`${kept}.${process.pid}`, source, { mode: 0o600 })
		renameSync(`${kept}.${process.pid}`, kept)
	} catch {
		// It is stripped anew next time.
	}
	return source
}
