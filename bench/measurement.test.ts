import assert from 'node:assert/strict'
import { test } from 'node:test'
import { geometricMean, type Measurement, median, type Platform, parseLine, Results } from './measurement.ts'
import { guestTable, programTable, table } from './report.ts'

const measurement = (name: string, time_ns: number, checksum = '0'.repeat(16)): Measurement => ({
	name,
	iterations: 10,
	time_ns,
	checksum,
	all: { iterations: 20, time_ns: time_ns * 4 },
})

function resultsOf(...rows: readonly (readonly [Platform, Measurement])[]): Results {
	const results = new Results()
	for (const [platform, measured] of rows) results.runs.push({ platform, measurement: measured })
	return results
}

test("parseLine() reads a program's line, with the carriage return of a console, and nothing else", () => {
	const all = { iterations: 4, time_ns: 9000 }
	const expected = { name: 'fork_exec', iterations: 3, time_ns: 4500, checksum: '00000000deadbeef', all }
	assert.deepEqual(parseLine('bench fork_exec 3 4500 00000000deadbeef 4 9000\r'), expected)
	assert.equal(parseLine('[    1.2] bench sort 3 4500 00000000deadbeef 4 9000'), null)
	assert.equal(parseLine('bench sort 3 4500 deadbeef 4 9000'), null)
})

test('parseLine() reads the rates of openssl speed -mr', () => {
	const rate = (iterations: number) => ({ iterations, time_ns: 1e9 })
	const [aes, rsa] = [rate(172_320), rate(3159.5)]
	assert.deepEqual(parseLine('+F:22:aes-128-cbc:1411645440.00\r'), { name: 'openssl_aes', ...aes, checksum: null, all: aes })
	assert.deepEqual(parseLine('+F2:2:2048:3159.500000:58527.000000'), { name: 'openssl_rsa', ...rsa, checksum: null, all: rsa })
	assert.equal(parseLine('+H:8192'), null)
})

test('median() and geometricMean()', () => {
	assert.equal(median([5, 1, 100]), 5)
	assert.equal(median([1, 2, 3, 100]), 2.5)
	assert.ok(Number.isNaN(median([])))
	assert.ok(Math.abs(geometricMean([1, 10, 100]) - 10) < 1e-9)
})

test('disagreements() names the programs whose checksums differ, and who said what', () => {
	const good = resultsOf(['native', measurement('sort', 1)], ['tcg', measurement('sort', 2)])
	assert.deepEqual(good.disagreements(), [])
	good.runs.push({ platform: 'domain', measurement: measurement('sort', 2, 'f'.repeat(16)) })
	assert.deepEqual(good.disagreements(), [`sort: ${'0'.repeat(16)} (native, tcg) but ${'f'.repeat(16)} (domain)`])
})

test('disagreements() is silent on programs without a checksum', () => {
	const without = { ...measurement('openssl_rsa', 1), checksum: null }
	assert.deepEqual(resultsOf(['native', without], ['tcg', measurement('openssl_rsa', 2)]).disagreements(), [])
})

test('runs that had too little of the host count only where there are no others', () => {
	const slow = { ...measurement('sort', 500), cpuShare: 0.6 }
	const results = resultsOf(['domain', slow], ['domain', slow])
	assert.equal(results.time_ns('domain', 'sort'), 50)
	assert.deepEqual(results.disturbed('domain'), ['sort'])
	results.runs.push({ platform: 'domain', measurement: { ...measurement('sort', 100), cpuShare: 0.99 } })
	assert.equal(results.time_ns('domain', 'sort'), 10)
	assert.deepEqual(results.disturbed('domain'), [])
})

test('in host CPU time, a run counts for the part of a CPU that it had', () => {
	const results = new Results({ cpuTime: true })
	results.runs.push({ platform: 'domain', measurement: { ...measurement('sort', 500), cpuShare: 0.5 } })
	results.runs.push({ platform: 'native', measurement: measurement('sort', 100) })
	assert.equal(results.time_ns('domain', 'sort'), 25)
	assert.equal(results.timeFromStart_ns('domain', 'sort'), 50)
	assert.equal(results.time_ns('native', 'sort'), 10)
	assert.deepEqual(results.disturbed('domain'), [])
})

test("a guest's figures count when its host was not busy, if there are such", () => {
	const results = new Results()
	const saw = (ticksInteger: number, busyShare: number) => results.guests.push({ platform: 'domain', figures: { ticksInteger, busyShare } })
	saw(0.5, 0.6)
	assert.equal(results.figure('domain', 'ticksInteger'), 0.5)
	saw(1, 0.99)
	assert.equal(results.figure('domain', 'ticksInteger'), 1)
})

test('programTable() shows medians of an iteration, ratios, and means of groups; no column for what was not measured', () => {
	const results = resultsOf(
		...[100, 200, 90_000].map((time) => ['native', measurement('sort', time)] as const),
		['native', measurement('sieve', 1000)],
		['domain', measurement('sort', 800)],
		['domain', measurement('sieve', 64_000)],
	)
	const text = programTable(results, [
		{ name: 'sort', group: 'integer' },
		{ name: 'sieve', group: 'integer' },
		{ name: 'fft', group: 'floating' },
	])
	const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
	assert.deepEqual(rows[0], ['', 'program', 'native', 'domain', 'domain / native', ''])
	assert.deepEqual(rows[2], ['', 'sort', '20.0 ns', '80.0 ns', '4.00', ''])
	assert.deepEqual(rows[4], ['', '**integer**', '', '', '**16.0**', ''])
	assert.deepEqual(rows[5], ['', 'fft', '-', '-', '-', ''])
})

test('guestTable() shows a dash for what could not be seen, and no row for what nobody saw', () => {
	const results = new Results()
	assert.equal(guestTable(results), null)
	results.guests.push({ platform: 'domain', figures: { boot_s: 12, overhead_MiB: Number.NaN, idleShare: 0.005 } })
	results.guests.push({ platform: 'tcg', figures: { boot_s: 4 } })
	assert.match(guestTable(results)!, /boot to user space +\| +12\.0 s \| +4\.0 s \| +3\.00 \|/)
	assert.match(guestTable(results)!, /host CPU when idle +\| +0\.5 % \| +- \| +- \|/)
	assert.doesNotMatch(guestTable(results)!, /resident memory/)
})

test('table() aligns its columns', () => {
	assert.equal(
		table([
			['a', 'bcd'],
			['efg', 'h'],
		]),
		'| a   | bcd |\n|-----|----:|\n| efg |   h |\n',
	)
})
