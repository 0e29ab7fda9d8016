import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { guests, inShell, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

// A Debian kernel is saved and restored while programs run in it.

const { assets, skip } = await guests('cloud-6.1')

/** Debian's xen-utils: checks a stream by Xen's own description of it. */
const VERIFY = '/usr/lib/xen-4.17/bin/verify-stream-v2'

/** Counts in the background, with a number in memory and one in floating point. */
const COUNTER = "(n=0; while :; do n=$((n+1)); echo $n > /tmp/count; sleep 0.1; done) & awk 'BEGIN { while (1) x = sqrt(2) }' & "

test('a guest goes on where it was saved', { skip, timeout: PATIENCE_MS }, async (t) => {
	await using xend = new PrivateXend()
	const config = xend.config('guest', assets['cloud-6.1']!, 'console=hvc0')
	const file = join(xend.rundir.path, 'guest.save')
	const console = xend.start('create', '-q', '-c', config)
	await console.shown(/# /)
	await inShell(console, `mkdir -p /tmp; ${COUNTER} true`)
	await inShell(console, 'export KEPT=in-memory; sleep 1')
	const before = await facts(console)

	const saved = await xend.xm('save', 'guest', file)
	assert.deepEqual([saved.status, saved.out], [0, ''], saved.err)
	assert.doesNotMatch((await xend.xm('list')).out, /guest/)
	t.diagnostic(saved.err.trim())
	if (existsSync(VERIFY)) {
		const env = { ...process.env, PYTHONPATH: '/usr/lib/xen-4.17/lib/python' }
		const said = execFileSync('python3', [VERIFY, '-f', 'xl', '-v', '-i', file], { env, encoding: 'utf8' })
		assert.match(said, /Libxc Record: x86 PV vcpu extended/)
	} else t.diagnostic('verify-stream-v2 is not installed')

	const restored = await xend.xm('restore', file)
	assert.deepEqual([restored.status, restored.out], [0, ''], restored.err)
	const again = xend.start('console', 'guest')
	again.type('\n')
	await again.shown(/# /)
	const after = await facts(again)
	t.diagnostic(JSON.stringify({ before, after }))
	assert.equal((await inShell(again, 'echo $KEPT')).output.trim(), 'in-memory')
	assert.ok(after.count > before.count, 'its programs count on')
	assert.ok(after.uptime_s > before.uptime_s && after.uptime_s < before.uptime_s + 60)
	assert.ok(Math.abs(after.date_s - Date.now() / 1000) < 20, 'its clock is right')
	const { output } = await inShell(again, 'sleep 1; dmesg | tail -40')
	assert.doesNotMatch(output, /BUG|WARNING|Call Trace/)
	assert.equal((await xend.xm('shutdown', '-w', 'guest')).status, 0)
})

async function facts(console: Parameters<typeof inShell>[0]): Promise<{ count: number; uptime_s: number; date_s: number }> {
	const { output } = await inShell(console, 'cat /tmp/count; cut -d " " -f 1 /proc/uptime; date +%s')
	const [count, uptime_s, date_s] = output.trim().split('\n').map(Number) as [number, number, number]
	return { count, uptime_s, date_s }
}
