import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

const START_OVER = new URL('./start_over.ts', import.meta.url).href
const PROGRAM = `
import { startOverIfCold } from '${START_OVER}'
await startOverIfCold(async () => console.log('cold'))
const stripper: boolean = process.moduleLoadList.some((name) => name.includes('amaro'))
console.log(JSON.stringify({ pid: process.pid, stripper, words: process.argv.slice(2), own: process.env.OWN, mark: process.env.XENOTYPE_STARTED_OVER }))
`
let directory = ''
before(() => {
	directory = mkdtempSync(join(tmpdir(), 'xenotype-start-'))
	writeFileSync(join(directory, 'program.ts'), PROGRAM)
})
after(() => rmSync(directory, { recursive: true }))

function run(cache: string): { readonly pid: number; readonly lines: readonly string[] } {
	const env = { ...process.env, NODE_COMPILE_CACHE: cache, OWN: 'kept' }
	const { pid, stdout } = spawnSync(
		process.execPath,
		['--disable-warning=ExperimentalWarning', join(directory, 'program.ts'), 'a', 'b c'],
		{
			env,
			encoding: 'utf8',
		},
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
