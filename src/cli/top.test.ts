import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon } from '../../tests/support/daemon.ts'
import type { Statistics } from '../daemon/api.ts'
import { TopScreen } from './top_live.ts'
import { pcpuTable, type TopView, topHeading, topLines, topRows, topSummary } from './top_screen.ts'

const VIEW: TopView = {
	sortColumn: 0,
	vcpus: false,
	networks: false,
	vbds: false,
	repeatHeader: false,
	fullName: false,
	dom0First: false,
	pcpus: false,
}
const HEADING =
	'      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID'

function sample(time_s: number, used_s: number, names = ['web', 'db-with-a-long-name']): Statistics {
	const vcpus = [{ online: true, cpuTime_s: used_s }]
	const guest = (name: string, n: number) => ({
		name,
		domid: n + 1,
		state: '-b----',
		cpuTime_s: used_s * (n + 1),
		memory_kib: 262144,
		maxMemory_kib: 524288,
		vcpus,
	})
	const own = { name: 'Domain-0', domid: 0, state: 'r-----', cpuTime_s: 9.9, memory_kib: 1048576, maxMemory_kib: null, vcpus }
	const pcpus = [
		{ busy_s: used_s, idle_s: time_s },
		{ busy_s: 5, idle_s: time_s },
	]
	const host = { memory_kib: 2097152, freeMemory_kib: 524288, cpus: 2, cpu_mhz: 1000, pcpus }
	return { version: '4.17-xenotype', time_s, host, domains: [own, ...names.map(guest)] }
}

test('the table of xm top has the columns of xentop', () => {
	assert.equal(topHeading(), HEADING)
	const [row] = topRows(sample(10, 4), sample(8, 3), VIEW).filter(({ domain }) => domain.name === 'web')
	assert.deepEqual(topLines(row!, VIEW), [
		'       web --b---          4   50.0     262144   12.5     524288      25.0     1    0        0        0    0        0        0        0          0          0    0',
	])
	const [own] = topRows(sample(10, 4), undefined, VIEW).filter(({ domain }) => domain.domid === 0)
	assert.match(topLines(own!, VIEW)[0]!, /^ {2}Domain-0 -----r {10}9 {4}0\.0 {4}1048576 {3}50\.0 {3}no limit {7}n\/a {5}1 /)
})

test('names are cut to their column unless they are wanted in full, and -v adds processors', () => {
	const row = topRows(sample(10, 4), undefined, VIEW).find(({ domain }) => domain.domid === 2)!
	assert.match(topLines(row, VIEW)[0]!, /^db-with-a- --b---/)
	assert.match(topLines(row, { ...VIEW, fullName: true })[0]!, /^db-with-a-long-name --b---/)
	assert.equal(topLines(row, { ...VIEW, vcpus: true })[1], 'VCPUs(sec):   0:          4s')
})

test('the share of a processor is of the time between two samples, and 0 for a domain that is new', () => {
	const shares = topRows(sample(10, 4), sample(8, 3, ['web']), VIEW).map(({ domain, cpu_percent }) => [domain.domid, cpu_percent])
	assert.deepEqual(shares.sort(), [
		[0, 0],
		[1, 50],
		[2, 0],
	])
})

test('-z puts domain 0 first, and -p adds what each of the processors does', async () => {
	const names = topRows(sample(10, 4), undefined, { ...VIEW, dom0First: true }).map(({ domain }) => domain.name)
	assert.deepEqual(names, ['Domain-0', 'db-with-a-long-name', 'web'])
	assert.deepEqual(pcpuTable(sample(10, 4), sample(7, 3)), [
		'',
		'Physical CPU Usage:',
		'+-------+--------+',
		'| Core  | Usage  |',
		'+-------+--------+',
		'| 0     |  25.0% |',
		'| 1     |   0.0% |',
		'+-------+--------+',
	])
	const screen = new TopScreen({ view: { ...VIEW, pcpus: true }, delay_s: 3 })
	assert(screen.draw(sample(10, 4), undefined, { rows: 24, columns: 80, date: new Date() }).includes('| 0     |   0.0% |'))
	await using xend = await TestDaemon.start()
	assert.match(
		(await xend.xm(['top', '-bzp', '-i', '1'])).out,
		/\n {2}Domain-0 .*\n\nPhysical CPU Usage:\n(.*\n){3}\| 0 {5}\| {3}0\.0% \|\n/,
	)
	assert.match((await xend.xm(['top', '-V'])).out, /^xentop 4\.17/)
})

test('the summary counts domains by state', () => {
	assert.deepEqual(topSummary(sample(10, 4), new Date(2009, 9, 1, 8, 5, 9)), [
		'xentop - 08:05:09   Xen 4.17-xenotype',
		'3 domains: 1 running, 2 blocked, 0 paused, 0 crashed, 0 dying, 0 shutdown ',
		'Mem: 2097152k total, 1572864k used, 524288k free    CPUs: 2 @ 1000MHz',
	])
})

test('the keys of xm top sort, scroll, show more and end it', () => {
	const screen = new TopScreen({ view: VIEW, delay_s: 3 })
	const draw = () => screen.draw(sample(10, 4), sample(8, 3), { rows: 12, columns: 200, date: new Date() })
	const names = () =>
		draw()
			.slice(4, -1)
			.filter((line) => line !== '')
			.map((line) => line.trim().split(' ')[0])
	assert.deepEqual(names(), ['db-with-a-', 'Domain-0', 'web'])
	assert.equal(draw().length, 12)
	for (const key of 'ss') screen.press(key)
	assert.deepEqual(names(), ['Domain-0', 'db-with-a-', 'web'], 'by CPU seconds')
	screen.press('\u001b[B')
	assert.deepEqual(names(), ['db-with-a-', 'web'])
	screen.press('\u001b[A')
	screen.press('v')
	assert.equal(draw().filter((line) => line.startsWith('VCPUs(sec):')).length, 3)
	for (const key of 'd15') screen.press(key)
	assert.equal(draw().at(-1), 'Change delay from 3 to: 15')
	screen.press('\r')
	assert.equal(screen.delay_s, 15)
	assert.equal(screen.press('z'), false)
	screen.press('Q')
	assert.equal(screen.done, true)
	assert.equal(screen.draw(sample(10, 4), undefined, { rows: 5, columns: 20, date: new Date() }).length, 5)
})

test('xm top -b prints without a terminal, and --json for programs; on no terminal it says so', async () => {
	await using xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest'), "kernel = '/k'\nmemory = 64\n")
	await xend.xm(['create', '-q', 'guest'])
	const { out, status } = await xend.xm(['top', '-b', '-i', '1', '-v'])
	assert.equal(status, 0)
	assert.match(out, /^ {6}NAME {2}STATE .*\n {2}Domain-0 -----r .*\nVCPUs\(sec\): .*\n(.*\n)* {5}guest --b--- {10}1 {4}0\.0 {6}65536 /)
	const json = JSON.parse((await xend.xm(['top', '--json', '-i', '1'])).out)
	assert.deepEqual(
		json.domains.map(({ name, cpu_percent }: Record<string, unknown>) => [name, cpu_percent]),
		[
			['Domain-0', 0],
			['guest', 0],
		],
	)
	assert.match((await xend.xm(['top'])).err, /xm top shows its screen on a terminal; without one use xm top -b/)
	assert.match((await xend.xm(['top', '-b', '-d', '0'])).err, /--delay=0 is not valid/)
})
