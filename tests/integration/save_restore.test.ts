import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isAlive } from '../../src/daemon/process_state.ts'
import { kill, reconnect } from '../support/processes.ts'
import { delay, guests, inShell, PATIENCE_MS, PrivateXend, type XmProcess } from '../support/xend.ts'

// Debian kernels are saved and restored while programs run in them.

const { assets, skip } = await guests('cloud-6.1', 'cloud-6.12')

/** Debian's xen-utils: checks a stream by Xen's own description of it. */
const VERIFY = '/usr/lib/xen-4.17/bin/verify-stream-v2'

const TROUBLE = /wrong roots|BUG|WARNING|Call Trace/

/** Counts in the background ten times a second, beside a program that computes. */
const COUNTER = 'mkdir -p /tmp; (n=0; while :; do n=$((n+1)); echo $n > /tmp/count; sleep 0.1; done) & true'
/** The file is empty for the moment in which it is written. */
const COUNT = 'until read n < /tmp/count; do sleep 0.01; done; echo $n'
/** Numbers in registers of floating point: what it prints at its end is known. */
const ROOTS = `awk 'BEGIN { for (i = 1; i <= 60000; i++) { x = i; for (j = 0; j < 9; j++) x = (x + i / x) / 2; s = s * 0.75 + x } printf "%.12e", s }'`

for (const kernel of ['cloud-6.1', 'cloud-6.12']) {
	test(`${kernel} goes on where it was saved, its programs, console and clock with it`, { skip, timeout: PATIENCE_MS }, async (t) => {
		await using xend = new PrivateXend()
		const file = join(xend.rundir.path, 'guest.save')
		const console = await start(xend, 'create', xend.config('guest', assets[kernel]!, 'console=hvc0'))
		await inShell(console, `${ROOTS} > /tmp/expected`)
		await inShell(
			console,
			`export KEPT=in-memory; (while :; do ${ROOTS} > /tmp/roots; cmp /tmp/roots /tmp/expected || echo wrong roots; done) & true`,
		)
		const before = await facts(console)

		await succeeds(xend, 'save', 'guest', file)
		assert.doesNotMatch((await xend.xm('list')).out, /guest/)
		t.diagnostic(`${Math.round(statSync(file).size / 1048576)} MiB`)
		verify(t, file)
		await delay(2000)

		await succeeds(xend, 'restore', file)
		const again = await reattach(xend)
		const after = await facts(again)
		assert.ok(after.count > before.count, 'its programs count on')
		assert.ok(
			after.uptime_s > before.uptime_s && after.uptime_s < before.uptime_s + 60,
			`up ${before.uptime_s} s, then ${after.uptime_s} s`,
		)
		assert.ok(Math.abs(after.date_s - Date.now() / 1000) < 20, 'its clock is right')
		const { output } = await inShell(again, 'echo $KEPT; sleep 3; dmesg | tail -60')
		assert.match(output, /^in-memory\n/)
		assert.doesNotMatch(output, TROUBLE)

		if (kernel !== 'cloud-6.1') return

		// What was restored can be saved again, and left to run on.
		await succeeds(xend, 'save', '-c', 'guest', file)
		verify(t, file)
		const onward = await facts(again)
		assert.ok(onward.count > after.count && onward.uptime_s > after.uptime_s)
		assert.doesNotMatch((await inShell(again, 'sleep 1; dmesg | tail -60')).output, TROUBLE)
		assert.equal((await inShell(again, 'echo $KEPT')).output, 'in-memory\n')
		await xend.client.hold('guest')
		assert.match((await xend.xm('list', 'guest')).out, / ---s-- /)
		await delay(1000)
		await xend.client.release('guest')
		assert.ok((await facts(again)).count > onward.count)
		assert.equal((await xend.xm('mem-set', 'guest', '200')).status, 0)
		await delay(2000)
		await succeeds(xend, 'save', 'guest', file)
		await succeeds(xend, 'restore', file)
		const last = await reattach(xend)
		assert.ok((await facts(last)).count > onward.count)
		const { output: memory } = await inShell(last, 'grep MemTotal /proc/meminfo; xenstore-read memory/target 2>/dev/null')
		assert.ok(Number(/(\d+) kB/.exec(memory)?.[1]) < 200 * 1024, memory)
		assert.equal((await xend.xm('shutdown', '-w', 'guest')).status, 0)
	})
}

// A guest's whole life six times over, and each time with a new xend.
test('a managed domain is suspended and resumed, and killing xend meanwhile loses nothing', {
	skip,
	timeout: 3 * PATIENCE_MS,
}, async (t) => {
	await using xend = new PrivateXend()
	const config = xend.config('guest', assets['cloud-6.1']!, 'console=hvc0')
	await succeeds(xend, 'new', '-q', config)
	let console = await start(xend, 'start', 'guest')
	await inShell(console, 'export KEPT=in-memory')
	let { count } = await facts(console)
	const moments_ms = [20, 150, 400, 700, 1100]
	for (const [n, moment_ms] of [...moments_ms, ...moments_ms].entries()) {
		const command = n % 2 === 0 ? 'suspend' : 'resume'
		const { pid } = await xend.client.daemon()
		const running = xend.xm(command, 'guest')
		await delay(moment_ms)
		await kill(pid)
		const { status } = await running
		await reconnect(xend)
		const state = (await xend.xm('list', 'guest')).out
		t.diagnostic(`${command}, xend killed after ${moment_ms} ms: status ${status}, ${state.trim().split(/\s+/).slice(-2)[0]}`)
		const isSuspended = / ---s-- /.test(state)
		if (status === 0) assert.equal(isSuspended, command === 'suspend')
		if (isSuspended) assert.equal(readdirSync(join(xend.rundir.state, 'saved')).length, 1)
		if (command === 'suspend' && !isSuspended) await succeeds(xend, 'suspend', 'guest')
		if (command === 'resume' && isSuspended) await succeeds(xend, 'resume', 'guest')
		if (command === 'resume') {
			console = await reattach(xend)
			const after = await facts(console)
			assert.ok(after.count > count, `counted to ${after.count} after ${count}`)
			count = after.count
			assert.equal((await inShell(console, 'echo $KEPT')).output, 'in-memory\n')
		}
	}
	assert.deepEqual(readdirSync(join(xend.rundir.state, 'saved')), [])

	// It outlives every process of ours; the next hypervisor's clock begins anew, and its own goes on.
	const { hypervisorPid } = await xend.client.daemon()
	const before = await facts(console)
	await succeeds(xend, 'suspend', 'guest')
	await xend.client.stop()
	while (isAlive(hypervisorPid)) await delay(20)
	await succeeds(xend, 'resume', 'guest')
	console = await reattach(xend)
	const after = await facts(console)
	assert.ok(after.count > before.count, `counted to ${after.count} after ${before.count}`)
	assert.ok(after.uptime_s > before.uptime_s && after.uptime_s < before.uptime_s + 60, `up ${before.uptime_s} s, then ${after.uptime_s} s`)
	assert.doesNotMatch((await inShell(console, 'sleep 1; dmesg | tail -60')).output, TROUBLE)
	assert.equal((await xend.xm('shutdown', '-w', 'guest')).status, 0)
})

async function start(xend: PrivateXend, command: 'create' | 'start', domain: string): Promise<XmProcess> {
	const console = xend.start(command, '-q', '-c', domain)
	await console.shown(/# /)
	await inShell(console, COUNTER)
	return console
}

async function reattach(xend: PrivateXend): Promise<XmProcess> {
	const console = xend.start('console', 'guest')
	console.type('\n')
	await console.shown(/# /)
	return console
}

async function succeeds(xend: PrivateXend, ...words: string[]): Promise<void> {
	assert.deepEqual(await xend.xm(...words), { status: 0, out: '', err: '' }, words.join(' '))
}

function verify(t: TestContext, file: string): void {
	if (!existsSync(VERIFY)) return t.diagnostic('verify-stream-v2 is not installed')
	const env = { ...process.env, PYTHONPATH: '/usr/lib/xen-4.17/lib/python' }
	assert.match(
		execFileSync('python3', [VERIFY, '-f', 'xl', '-v', '-i', file], { env, encoding: 'utf8' }),
		/Libxc Record: x86 PV vcpu extended/,
	)
}

async function facts(console: XmProcess): Promise<{ count: number; uptime_s: number; date_s: number }> {
	const { output } = await inShell(console, `sleep 0.3; ${COUNT}; cut -d " " -f 1 /proc/uptime; date +%s`)
	const [count, uptime_s, date_s] = output.trim().split('\n').map(Number) as [number, number, number]
	return { count, uptime_s, date_s }
}
