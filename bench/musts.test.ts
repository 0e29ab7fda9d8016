import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Results } from './measurement.ts'
import { MUSTS, type Must, mustTable } from './musts.ts'
import { PROGRAMS } from './programs.ts'

const must = (bound: Must['bound'], value: number): Must => ({
	work: 'work',
	must: 2,
	aim: bound === 'at most' ? 1 : 4,
	bound,
	measured: () => value,
	format: (number) => `${number}x`,
})
const row = (text: string, line: number) =>
	text
		.split('\n')
		[line]!.split('|')
		.map((cell) => cell.trim())

test('mustTable() says whether a must and its aim were reached', () => {
	const cases: [Must['bound'], number, string][] = [
		['at most', 2.1, '**not met**'],
		['at most', 2, 'met'],
		['at most', 1, 'met, and the aim'],
		['at least', 1.9, '**not met**'],
		['at least', 2, 'met'],
		['at least', 4, 'met, and the aim'],
		['at least', Number.NaN, 'not measured'],
	]
	const text = mustTable(
		new Results(),
		cases.map(([bound, value]) => must(bound, value)),
	)
	assert.deepEqual(row(text, 2), ['', 'work', 'at most 2x', 'at most 1x', '2.1x', '**not met**', ''])
	cases.forEach(([, , verdict], index) => {
		assert.equal(row(text, index + 2)[5], verdict)
	})
})

test('a must over a group is measured when every program of the group was', () => {
	const results = new Results()
	const run = (platform: 'domain' | 'tcg', name: string, time_ns: number) =>
		results.runs.push({ platform, measurement: { name, iterations: 1, time_ns, checksum: null, all: { iterations: 1, time_ns } } })
	const [first, ...others] = PROGRAMS.filter(({ group }) => group === 'floating')
	for (const { name } of others) for (const platform of ['domain', 'tcg'] as const) run(platform, name, platform === 'tcg' ? 700 : 100)
	const floating = () => MUSTS[1]!.measured(results)
	assert.ok(Number.isNaN(floating()))
	run('domain', first!.name, 100)
	run('tcg', first!.name, 700)
	assert.ok(Math.abs(floating() - 7) < 1e-9)
})
