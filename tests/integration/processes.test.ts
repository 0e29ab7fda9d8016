import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import { kill, processesOf, reconnect } from '../support/processes.ts'
import { SLEEPER } from '../support/tiny_kernel.ts'
import { delay, guests, inShell, PrivateXend, type XmProcess } from '../support/xend.ts'

// xend, the hypervisor and xenstored as processes, killed with -9 while a real kernel runs.

const { assets, skip } = await guests('cloud-6.1')
const options = { skip, timeout: 300_000 }

async function shellOf(xend: PrivateXend, name: string): Promise<XmProcess> {
	const console = xend.start('console', name)
	await console.shown(/\/# /)
	return console
}

test('xend is killed while a guest runs: the guest runs on, and the next xend has it, its console and its policies', options, async () => {
	await using xend = new PrivateXend()
	const created = await xend.xm('create', '-q', xend.config('web', assets['cloud-6.1']!, 'console=hvc0'))
	assert.equal(created.status, 0, created.err)
	const first = await shellOf(xend, 'web')
	await inShell(first, '(sleep 5; echo la""ter) & echo a mark in the his""tory')
	const before = await xend.client.daemon()
	const uuid = (await xend.client.domain('web')).uuid

	const store = await connectXenstore(xend.rundir.xenstore)
	const fired: string[] = []
	await store.watch('/local/domain/1/data', (path) => fired.push(path))
	await kill(before.pid)
	// Its client starts the next one, and goes on where it was.
	await first.shown(/later/)
	assert.equal((await inShell(first, 'echo "$((6 * 7)) once"')).output, '42 once\n')
	assert.equal(first.out.match(/a mark in the history/g)?.length, 1)

	const client = await reconnect(xend)
	const after = await client.daemon()
	assert.notEqual(after.pid, before.pid)
	assert.equal(after.hypervisorPid, before.hypervisorPid)
	const web = await client.domain('web')
	assert.deepEqual([web.domid, web.uuid], [1, uuid])
	const second = xend.start('console', 'web')
	await second.shown(/a mark in the history/)
	assert.equal((await inShell(second, 'echo $((6 * 7))')).output, '42\n')
	await store.write('/local/domain/1/data/x', '1')
	await delay(100)
	assert.deepEqual(fired, ['/local/domain/1/data', '/local/domain/1/data/x'])
	store.close()

	// Whether this xend or the next carries out the policy: the guest is restarted, once.
	await client.shutdown('web', 'reboot')
	await second.shown(/reboot: Restarting system/)
	await kill(after.pid)
	const again = await reconnect(xend)
	const rebooted = await again.domain('web')
	assert.deepEqual([rebooted.uuid, rebooted.restartCount], [uuid, 1])
	assert.equal((await again.list()).length, 2)
})

test('the hypervisor is killed: xend says what is gone, and the next domain can be created', options, async () => {
	await using xend = new PrivateXend()
	const path = xend.config('web', assets['cloud-6.1']!, 'console=hvc0')
	await xend.xm('create', '-qp', path)
	const { pid, hypervisorPid } = await xend.client.daemon()
	await using events = await xend.client.events()
	await kill(hypervisorPid)
	for await (const event of events) {
		assert.deepEqual([event.type, 'name' in event && event.name], ['ended', 'web'])
		break
	}
	const { domain } = await xend.client.create({ values: { name: 'next', kernel: assets['cloud-6.1']!.kernel, memory: 128 }, paused: true })
	assert.equal(domain.domid, 1)
	assert.deepEqual(
		(await xend.client.list()).map(({ name }) => name),
		['Domain-0', 'next'],
	)
	const now = await xend.client.daemon()
	assert.equal(now.pid, pid)
	assert.notEqual(now.hypervisorPid, hypervisorPid)
	const log = readFileSync(xend.rundir.log, 'utf8')
	assert.match(log, /CRITICAL: The connection to the hypervisor or to XenStore is lost\./)
	assert.match(log, /ERROR: Domain web \(1\) is gone: the hypervisor has ended\./)
	const store = await connectXenstore(xend.rundir.xenstore)
	assert.deepEqual(await store.ls('/local/domain'), ['0', '1'])
	assert.equal(await store.read('/local/domain/1/name'), 'next')
	store.close()
})

test('xend start, status, restart and stop: three processes with a domain, none without', { timeout: 60_000 }, async () => {
	await using xend = new PrivateXend()
	const run = (...words: string[]) => {
		const env = { ...process.env, XENOTYPE_RUNDIR: xend.rundir.path }
		const { status, stdout, stderr } = spawnSync(join(import.meta.dirname, '../../bin/xend'), words, { env, encoding: 'utf8' })
		assert.equal(stderr, '')
		return { status, out: stdout }
	}
	assert.equal(run('start').status, 0)
	assert.deepEqual(run('start'), { status: 0, out: '' }, 'it runs already')
	const programs = () =>
		processesOf(xend.rundir)
			.map((process) => process.split(' ')[0])
			.sort()
	assert.deepEqual(programs(), ['hypervisor_main', 'main', 'xenstored_main'])
	const kernel = join(xend.rundir.path, 'sleeper')
	writeFileSync(kernel, SLEEPER)
	await xend.client.create({ values: { name: 'web', kernel, memory: 4 } })
	const before = await xend.client.daemon()
	assert.match(
		run('status').out,
		new RegExp(`^xend is running  : pid ${before.pid}, .*domains 1\n(.*\n)*XENSTORED_RUNDIR : ${xend.rundir.path}/xenstored\n$`),
	)
	assert.equal(run('restart').status, 0)
	const after = await xend.client.daemon()
	assert.notEqual(after.pid, before.pid)
	assert.equal((await xend.client.domain('web')).domid, 1)
	assert.equal(run('stop').status, 0)
	assert.deepEqual(programs(), ['hypervisor_main', 'xenstored_main'], 'the domain runs on')
	assert.equal(run('status').status, 3)
	await (await reconnect(xend)).destroy('web')
	assert.equal(run('stop').status, 0)
	assert.deepEqual(programs(), [])
})
