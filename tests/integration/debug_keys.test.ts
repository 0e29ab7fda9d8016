import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guests, inShell, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

// What xm debug-keys shows of a Debian kernel at its shell.

const { assets, skip } = await guests('cloud-6.1')

test('xm debug-keys has the state of a guest that runs written to xm dmesg', { skip, timeout: PATIENCE_MS }, async () => {
	await using xend = new PrivateXend()
	const console = xend.start('create', '-q', '-c', xend.config('guest', assets['cloud-6.1']!, 'console=hvc0'))
	await console.shown(/# /)
	await inShell(console, 'i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done')
	await xend.xm('dmesg', '-c')
	const { status, out, err } = await xend.xm('debug-keys', 'hqrdegmpZ')
	assert.deepEqual({ status, out, err }, { status: 0, out: '', err: '' })
	const log = (await xend.xm('dmesg')).out
	assert.match(log, /^\(XEN\) 'h' pressed -> showing installed handlers\n/)
	assert.match(log, /General information for domain 1:\n.*dying=0 pause_count=0\n.*nr_pages=65536 max_pages=65536\n/)
	assert.match(log, /VCPU0: \[online=T\]/)
	assert.match(log, /\[1\.0\] (running|blocked): running=[1-9]?\d\.\d+s/)
	assert.match(log, /Dumping Dom1 vcpu#0 state: \*\*\*\n\(XEN\) CPU: {4}0\n\(XEN\) RIP: {4}e033:\[<ffffffff8/)
	assert.match(
		log,
		/Event channel information for domain 1:\n[\s\S]*\bs=3 n=0 x=0 d=0 p=\d+\n[\s\S]*\bs=5 n=0 x=0 v=0\n/,
		'console and store, the timer',
	)
	assert.match(log, /grant-table for remote d1 \(v[12]\)\n/)
	assert.match(log, /types in use: L1 [1-9]\d*, L2 [1-9]\d*, L3 [1-9]\d*, L4 [1-9]\d*,/)

	const processor = /Processor of d1v0: (\d+) instructions, ([\d.]+) % in translated regions/.exec(log)
	assert.ok(Number(processor?.[1]) > 100_000_000, 'a boot is more than that')
	assert.ok(Number(processor?.[2]) > 10 && Number(processor?.[2]) <= 100)
	assert.match(log, /TLB misses: read [1-9]\d*, write [1-9]\d*, exec [1-9]\d*; one in [1-9]\d* instructions/)
	assert.match(log, /exits: .*exception [1-9]\d*, syscall [1-9]\d*/)
	assert.match(log, /exceptions: .*#PF [1-9]\d*/)
	assert.match(log, /translator: regions=[1-9]\d* /)
	assert.match(log, /hypercalls: .*iret [1-9]\d*/)

	await xend.xm('dmesg', '-c')
	await xend.xm('debug-keys', 'Pp')
	const after = /Processor of d1v0: (\d+) instructions/.exec((await xend.xm('dmesg')).out)
	assert.ok(Number(after?.[1]) < Number(processor?.[1]) / 10, 'counted anew')
})
