import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const url = (path: string) => new URL(path, import.meta.url).href

/** What a process prints that strips our types with what the cache has. */
function run(cache: string, code: string): string {
	const { NODE_COMPILE_CACHE: _, ...env } = process.env
	const hook = `--import=${url('../../scripts/strip_types.mjs')}`
	const args = [
		'--disable-warning=ExperimentalWarning',
		hook,
		'--input-type=module',
		'-e',
		`await import('${url('./hypervisor_process.ts')}'); ${code}`,
	]
	return execFileSync(process.execPath, args, { env: { ...env, XDG_CACHE_HOME: cache }, encoding: 'utf8' }).trim()
}

test('after a cold start all is stripped that the hypervisor loads the core with and that its threads import', () => {
	const cache = mkdtempSync(join(tmpdir(), 'xenotype-sources-'))
	const isLoaded = `console.log(process.moduleLoadList.some((name) => name.includes('amaro')))`
	try {
		assert.equal(run(cache, `await (await import('${url('./hypervisor_sources.ts')}')).importLater(); ${isLoaded}`), 'true', 'it was cold')
		const threads = ['vcpu_worker', 'compile_worker'].map((name) => `await import('${url(`../platform/node/${name}.ts`)}')`).join('; ')
		assert.equal(run(cache, `await (await import('${url('../platform/node/load_core.ts')}')).loadCore(); ${threads}; ${isLoaded}`), 'false')
	} finally {
		rmSync(cache, { recursive: true })
	}
})
