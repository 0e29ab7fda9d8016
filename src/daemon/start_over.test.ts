import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const START_OVER = new URL('./start_over.ts', import.meta.url)
const HOOK = new URL('../../scripts/strip_types.mjs', import.meta.url)
const PROGRAM = `
import { startOverIfCold } from './start_over.ts'
await startOverIfCold(async () => console.log('cold'))
const stripper: boolean = process.moduleLoadList.some((name) => name.includes('amaro'))
console.log(JSON.stringify({ pid: process.pid, stripper, words: process.argv.slice(2), own: process.env.OWN, mark: process.env.XENOTYPE_STARTED_OVER }))
`
let directory = ''
before(() => {
	directory = mkdtempSync(join(tmpdir(), 'xenotype-start-'))
	for (const folder of ['src', 'scripts']) mkdirSync(join(directory, folder))
	writeFileSync(join(directory, 'src/program.ts'), PROGRAM)
	copyFileSync(fileURLToPath(START_OVER), join(directory, 'src/start_over.ts'))
	copyFileSync(fileURLToPath(HOOK), join(directory, 'scripts/strip_types.mjs'))
})
after(() => rmSync(directory, { recursive: true }))

function run(cache: string): { readonly pid: number; readonly lines: readonly string[] } {
	const { NODE_COMPILE_CACHE: _, ...env } = process.env
	const hook = `--import=${join(directory, 'scripts/strip_types.mjs')}`
	const { pid, stdout } = spawnSync(
		process.execPath,
		['--disable-warning=ExperimentalWarning', hook, join(directory, 'src/program.ts'), 'a', 'b c'],
		{ env: { ...env, XDG_CACHE_HOME: cache, OWN: 'kept' }, encoding: 'utf8' },
	)
	return { pid, lines: stdout.trim().split('\n') }
}

test('a program that had to be stripped starts over as the same process, without the stripper', () => {
	const cold = run(join(directory, 'cache'))
	assert.equal(cold.lines.length, 2)
	assert.equal(cold.lines[0], 'cold')
	assert.deepEqual(JSON.parse(cold.lines[1]!), { pid: cold.pid, stripper: false, words: ['a', 'b c'], own: 'kept' })
	const warm = run(join(directory, 'cache'))
	assert.equal(warm.lines.length, 1)
	assert.equal(JSON.parse(warm.lines[0]!).stripper, false)
})

test('a program whose cache cannot be written starts over once only', () => {
	const { lines, pid } = run('/dev/null/cache')
	assert.equal(lines.length, 2)
	assert.deepEqual(JSON.parse(lines[1]!), { pid, stripper: true, words: ['a', 'b c'], own: 'kept' })
})

test('what was stripped is not taken for a source that has changed to one of the same size and time', () => {
	const path = join(directory, 'src/program.ts')
	const long_ago = new Date('1985-10-26T08:15:00Z')
	const outputOf = (source: string): string => {
		writeFileSync(path, source)
		utimesSync(path, long_ago, long_ago)
		return run(join(directory, 'cache')).lines.at(-1)!
	}
	assert.equal(outputOf(`const n: number = 1; console.log(n)`), '1')
	assert.equal(outputOf(`const n: number = 2; console.log(n)`), '2')
})
