import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon, until } from '../../tests/support/daemon.ts'
import { runXendomains } from './xendomains.ts'

async function withAuto(files: Readonly<Record<string, string>>) {
	const xend = await TestDaemon.start()
	const directory = join(xend.directory, 'auto')
	mkdirSync(directory)
	for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
	const run = (words: string[], env: Record<string, string> = {}, whileRunning?: () => Promise<void>) =>
		xend.run((given, context) => runXendomains(given, context, { XENDOMAINS_AUTO: directory, ...env }), words, whileRunning)
	return { xend, run, [Symbol.asyncDispose]: () => xend[Symbol.asyncDispose]() }
}

const KERNEL = "kernel = '/k'\n"
const asked = (xend: TestDaemon) => xend.xen.live.every(({ requests }) => requests.length === 1)

test('xendomains start creates the auto directory’s domains once, in order, and passes over what is no configuration', async () => {
	await using auto = await withAuto({
		'20-db': `${KERNEL}name = 'db'\n`,
		'10-web': `${KERNEL}name = 'web'\n`,
		'web~': 'junk(',
		'.hidden': 'junk(',
	})
	assert.deepEqual(await auto.run(['start']), { status: 0, out: 'Started domain web (id=1)\nStarted domain db (id=2)\n', err: '' })
	assert.deepEqual(await auto.run(['start']), { status: 0, out: 'web runs already\ndb runs already\n', err: '' })
	assert.deepEqual(await auto.run(['status']), { status: 0, out: 'web runs\ndb runs\n', err: '' })
})

test('words that xendomains does not know are named, with those that it does', async () => {
	await using auto = await withAuto({})
	const { status, out, err } = await auto.run(['dance'])
	assert.deepEqual(
		[status, err],
		[1, "Error: 'xendomains dance' is not valid: the one word after xendomains must be start, stop, restart or status\n"],
	)
	assert.match(out, /^Usage: xendomains start/)
	assert.deepEqual([(await auto.run([])).err, (await auto.run(['--help'])).status], ['', 0])
})

test('a file that makes no sense keeps no other domain back', async () => {
	await using auto = await withAuto({ bad: 'memory = 64\n', good: KERNEL })
	const { status, out, err } = await auto.run(['start'])
	assert.deepEqual([status, out], [1, 'Started domain good (id=1)\n'])
	assert.match(err, /^Error: .*\/auto\/bad: .*no kernel is named/)
})

test('xendomains stop ends all domains, or with XENDOMAINS_AUTO_ONLY its own', async () => {
	await using auto = await withAuto({ web: KERNEL })
	await auto.run(['start'])
	await auto.xend.client.create({ values: { name: 'other', kernel: '/k' } })
	const [web, other] = auto.xend.xen.live
	const own = await auto.run(['stop'], { XENDOMAINS_AUTO_ONLY: 'true' }, async () => {
		await until('web is asked', () => web?.requests.length === 1)
		web?.end('poweroff')
	})
	assert.deepEqual([own, other?.requests], [{ status: 0, out: 'Domain web terminated\n', err: '' }, []])
	assert.deepEqual(await auto.run(['status']), { status: 3, out: 'web does not run\n', err: '' })
	await auto.run(['start'])
	const all = await auto.run(['stop'], {}, async () => {
		await until('both are asked', () => asked(auto.xend))
		for (const domain of auto.xend.xen.live) domain.end('poweroff')
	})
	assert.deepEqual([all.status, all.out.split('\n').sort()], [0, ['', 'Domain other terminated', 'Domain web terminated']])
})

test('with XENDOMAINS_SAVE and XENDOMAINS_RESTORE domains are saved at stop, and come back at start', async () => {
	await using auto = await withAuto({ web: KERNEL, db: KERNEL })
	await auto.run(['start'])
	const [db, web] = auto.xend.xen.live
	const directory = join(auto.xend.directory, 'save')
	const env = { XENDOMAINS_SAVE: directory, XENDOMAINS_RESTORE: 'true' }
	await auto.xend.client.pause('db')
	const stopped = await auto.run(['stop'], env, async () => {
		await until('db is asked', () => db?.requests.length === 1)
		db?.end('poweroff')
	})
	assert.deepEqual([stopped.status, stopped.out, web?.requests], [0, 'Domain web saved\nDomain db terminated\n', ['suspend']])
	assert.match(stopped.err, /^Error: Domain 'db' is paused: .*: it is shut down\n$/)
	// The hypervisor of this test has no files.
	writeFileSync(join(directory, 'web'), '')
	writeFileSync(join(directory, 'db-incomplete'), '')
	assert.deepEqual(await auto.run(['start'], env), {
		status: 0,
		out: 'Restored domain web (id=3)\nStarted domain db (id=4)\nweb runs already\n',
		err: '',
	})
	assert.deepEqual(readdirSync(directory), ['db-incomplete'])
	assert.match(
		(await auto.run(['stop'], { XENDOMAINS_SAVE: 'here' })).err,
		/XENDOMAINS_SAVE = 'here' is not valid: it must be an absolute path/,
	)
})

test('xendomains stop waits no longer than XENDOMAINS_CMD_MAXWAIT', async () => {
	await using auto = await withAuto({ web: KERNEL })
	await auto.run(['start'])
	assert.deepEqual(await auto.run(['stop'], { XENDOMAINS_CMD_MAXWAIT: '0.05' }), {
		status: 1,
		out: '',
		err: "Error: Domain 'web' has not ended within 0.05 s\n",
	})
	assert.match((await auto.run(['stop'], { XENDOMAINS_CMD_MAXWAIT: 'long' })).err, /XENDOMAINS_CMD_MAXWAIT = 'long' is not valid/)
})

test('xendomains restart ends and starts its domains, and other words get the usage', async () => {
	await using auto = await withAuto({ web: KERNEL })
	await auto.run(['start'])
	const { status, out } = await auto.run(['restart'], {}, async () => {
		await until('web is asked', () => asked(auto.xend))
		auto.xend.xen.last.end('poweroff')
	})
	assert.deepEqual([status, out], [0, 'Domain web terminated\nStarted domain web (id=2)\n'])
	assert.equal((await auto.run(['frob'])).status, 1)
	assert.equal((await auto.run(['--help'])).status, 0)
	assert.match(
		(await auto.run(['status'], { XENDOMAINS_MIGRATE: 'other', XENDOMAINS_SYSRQ: 's e' })).err,
		/^Warning: XENDOMAINS_MIGRATE = 'other' has no effect: a domain cannot be moved to another host yet\nWarning: XENDOMAINS_SYSRQ = 's e' has no effect: /,
	)
})
