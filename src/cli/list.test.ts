import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon } from '../../tests/support/daemon.ts'

async function withGuest(): Promise<TestDaemon> {
	const xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest'), "kernel = '/boot/vmlinuz'\nmemory = 64\n")
	await xend.xm(['create', '-q', 'guest'])
	return xend
}

test('xm vcpu-list has a row for each vCPU of each domain, and xm list -v is its old name', async () => {
	await using xend = await withGuest()
	const { out } = await xend.xm(['vcpu-list'])
	const [heading, first] = out.split('\n')
	assert.equal(heading, 'Name                                ID  VCPU   CPU State   Time(s) CPU Affinity')
	assert.match(first!, /^Domain-0 {29}0 {5}0 {5}- {3}r-- +\d+\.\d any cpu$/)
	const row = 'guest                                1     0     -   -b-       1.5 any cpu\n'
	assert(out.endsWith(row))
	assert.equal((await xend.xm(['vcpu-list', '1'])).out, `${heading}\n${row}`)
	assert.deepEqual(await xend.xm(['list', '-v', 'guest']), {
		status: 0,
		out: `${heading}\n${row}`,
		err: 'xm list -v is deprecated.  Please use xm vcpu-list.\n',
	})
	assert.equal((await xend.xm(['vcpu-list', 'nobody'])).status, 3)
})

test('xm uptime shows how long each domain has run, and -s in one line with the time of day', async () => {
	await using xend = await withGuest()
	const lines = (await xend.xm(['uptime'])).out.trimEnd().split('\n')
	assert.equal(lines[0], 'Name                                ID Uptime')
	assert.match(lines[1]!, /^Domain-0 {29}0 (\d+ days?, )?[ \d]\d:\d\d:\d\d$/)
	assert.match(lines[2]!, /^guest {32}1 {2}0:00:0\d$/)
	assert.match((await xend.xm(['uptime', '-s', 'guest'])).out, /^ \d\d:\d\d:\d\d up {2}0:00, guest \(1\)\n$/)
})

test('every listing is to be had as JSON', async () => {
	await using xend = await withGuest()
	const json = async (...words: string[]) => JSON.parse((await xend.xm([...words, '--json'])).out)
	assert.deepEqual(
		(await json('list')).map(({ name, domid, state }: Record<string, unknown>) => [name, domid, state]),
		[
			['Domain-0', 0, 'r-----'],
			['guest', 1, '-b----'],
		],
	)
	assert.equal((await json('list', '-l', 'guest'))[0].sxp[0], 'domain')
	assert.deepEqual(await json('vcpu-list', 'guest'), [
		{ name: 'guest', domid: 1, vcpus: [{ online: true, running: false, blocked: true, cpuTime_s: 1.5 }] },
	])
	assert.equal((await json('uptime', 'guest'))[0].domid, 1)
	assert.equal((await json('info')).xen_scheduler, 'credit')
})

test('xm list --label has a column for labels, which says that no policy is active', async () => {
	await using xend = await withGuest()
	assert.deepEqual((await xend.xm(['list', '--label', 'guest'])).out.split('\n'), [
		'Name                              ID   Mem VCPUs State   Time(s) Label   ',
		'guest                              1    64     1     -b----      1.5  INACTIVE',
		'',
	])
	assert.equal(JSON.parse((await xend.xm(['list', '--label', '--json'])).out)[1].label, 'INACTIVE')
})

test('xm info -c lists the settings and xm log the log', async () => {
	await using xend = await withGuest()
	assert.equal((await xend.xm(['info', '-c'])).out, 'console-limit                         : 1024\n')
	assert.deepEqual(await xend.xm(['log']), { status: 0, out: 'a line\n', err: '' })
})
