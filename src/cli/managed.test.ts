import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon, until } from '../../tests/support/daemon.ts'

async function withConfig(): Promise<TestDaemon> {
	const xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest'), "kernel = '/boot/vmlinuz'\nmemory = 64\nvcpus = 1\n")
	return xend
}

test('xm new keeps a domain that is listed with a blank number and state, and xm delete forgets it', async () => {
	await using xend = await withConfig()
	assert.deepEqual(await xend.xm(['new', 'guest']), {
		status: 0,
		out: 'Using config file "./guest".\nDefined domain guest\n',
		err: '',
	})
	const halted = 'guest                                             64     1                 0.0\n'
	assert((await xend.xm(['list'])).out.endsWith(halted))
	assert((await xend.xm(['list', '--state=halted'])).out.endsWith(halted))
	assert.equal((await xend.xm(['list', '--state=running'])).out.split('\n').length, 3)
	assert.equal((await xend.xm(['domid', 'guest'])).out, 'None\n')
	assert.equal((await xend.xm(['domname', 'guest'])).out, 'guest\n')
	assert(
		(await xend.xm(['vcpu-list', 'guest'])).out.endsWith('guest                                      0                   0.0 any cpu\n'),
	)
	assert.deepEqual(await xend.xm(['delete', 'guest']), { status: 0, out: '', err: '' })
	assert.equal((await xend.xm(['delete', 'guest'])).status, 3)
})

test('xm new -n prints the configuration and keeps nothing', async () => {
	await using xend = await withConfig()
	assert.match((await xend.xm(['new', '-n', 'guest'])).out, /\(vm\n {4}\(name guest\)/)
	assert.equal((await xend.client.list()).length, 1)
})

test('xm start starts a kept domain, which cannot be started twice or deleted then', async () => {
	await using xend = await withConfig()
	await xend.xm(['new', '-q', 'guest'])
	assert.deepEqual(await xend.xm(['start', 'guest']), { status: 0, out: 'Started domain guest (id=1)\n', err: '' })
	assert.equal((await xend.xm(['start', 'guest'])).err, "Error: Domain 'guest' is already running\n")
	assert.equal((await xend.xm(['delete', 'guest'])).err, 'Error: Domain is not halted.\n')
	await xend.xm(['destroy', 'guest'])
	await xend.xm(['start', '-p', 'guest'])
	assert.match((await xend.xm(['list', 'guest'])).out, /--p---/)
})

test('xm start -c follows the console to the end', async () => {
	await using xend = await withConfig()
	await xend.xm(['new', '-q', 'guest'])
	const { status, out } = await xend.xm(['start', '-c', 'guest'], async () => {
		await until('the domain runs', () => xend.xen.domainsMade.length === 1 && !xend.xen.last.paused)
		xend.xen.last.say('hello')
		xend.xen.last.end('poweroff')
	})
	assert.deepEqual([status, out], [0, 'Started domain guest (id=1)\nhello'])
})

test('xm start says that there is no graphical display', async () => {
	await using xend = await withConfig()
	assert.equal(
		(await xend.xm(['start', '--vncviewer', 'guest'])).err,
		"Error: 'xm start --vncviewer' cannot act: there is no graphical display.\n",
	)
})

test('xm delete, start, suspend and resume refuse a domain that was created', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-q', 'guest'])
	for (const command of ['delete', 'start', 'suspend', 'resume']) {
		assert.match((await xend.xm([command, 'guest'])).err, /^Error: Domain 'guest' is not managed by xend/, command)
	}
	await xend.xm(['new', '-q', 'guest', 'name=kept'])
	assert.equal((await xend.xm(['suspend', 'kept'])).err, "Error: Domain 'kept' is not running\n")
	assert.equal((await xend.xm(['resume', '-p', 'kept'])).err, "Error: Domain 'kept' is not suspended\n")
})

test('xm suspend and resume leave a kept domain in a file and bring it back, and xm list tells it from a halted one', async () => {
	await using xend = await withConfig()
	await xend.xm(['new', '-q', 'guest', 'name=kept'])
	await xend.xm(['new', '-q', 'guest', 'name=idle'])
	await xend.xm(['start', '-q', 'kept'])
	assert.deepEqual(await xend.xm(['suspend', 'kept']), { status: 0, out: '', err: '' })
	assert.match((await xend.xm(['list', 'kept'])).out, /\nkept +64 +1 +---s-- +0\.0\n$/)
	assert.deepEqual((await xend.xm(['list', '--state=suspended'])).out.match(/kept|idle/g), ['kept'])
	assert.deepEqual((await xend.xm(['list', '--state=halted'])).out.match(/kept|idle/g), ['idle'])
	assert.match((await xend.xm(['start', 'kept'])).err, /^Error: Domain 'kept' is suspended/)
	assert.equal((await xend.xm(['delete', 'kept'])).err, 'Error: Domain is not halted.\n')
	assert.deepEqual(await xend.xm(['resume', '-p', 'kept']), { status: 0, out: '', err: '' })
	assert.match((await xend.xm(['list', 'kept'])).out, /--p---/)
	assert.equal(xend.xen.files.size, 0, 'its file has served')
	await xend.xm(['unpause', 'kept'])
	await xend.xm(['suspend', 'kept'])
	await xend.xm(['destroy', 'kept'])
	assert.deepEqual((await xend.xm(['list', '--state=halted'])).out.match(/kept|idle/g), ['idle', 'kept'])
	assert.equal(xend.xen.files.size, 0)
})

test('xm rename gives a domain another name', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-q', 'guest'])
	assert.deepEqual(await xend.xm(['rename', 'guest', 'web']), { status: 0, out: '', err: '' })
	assert.equal((await xend.xm(['domname', '1'])).out, 'web\n')
	assert.equal(xend.xen.last.name, 'web')
	assert.match((await xend.xm(['rename', 'web', 'a b'])).err, /^Error: Invalid VM Name/)
	assert.match((await xend.xm(['rename', 'web'])).err, /'xm rename' requires 2 arguments/)
	assert.equal((await xend.xm(['rename', '0', 'web'])).err, 'Error: Cannot rename privileged domain 0\n')
})

test('xm reset ends a domain at once and builds it anew under another number', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-q', 'guest'])
	assert.deepEqual(await xend.xm(['reset', 'guest']), { status: 0, out: '', err: '' })
	assert.equal(xend.xen.domainsMade[0]!.destroyed, true)
	assert.equal((await xend.xm(['domid', 'guest'])).out, '2\n')
	xend.xen.failure = new Error('no luck')
	const { status, err } = await xend.xm(['reset', 'guest'])
	assert.deepEqual([status, err], [1, 'Error: no luck\n'])
	assert.equal((await xend.client.list()).length, 1)
})
