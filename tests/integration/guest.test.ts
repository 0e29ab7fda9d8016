// One Linux guest with a shell: what it sees, what time does, what it computes, and what is done to it from outside.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import type { XenstoreClient } from '../../src/xenstore/client.ts'
import { HOT_LOOP, SLEEP, STRESS, TRACING } from '../support/guest_scripts.ts'
import { compareKernelLog } from '../support/kernel_log.ts'
import { delay, guests, inShell, PATIENCE_MS, PrivateXend, type XmProcess } from '../support/xend.ts'

const { assets, skip } = await guests('cloud-6.1')
const options = { skip, timeout: PATIENCE_MS }
const xend = new PrivateXend()
const data = pseudoRandomBytes(512 << 10)
let console: XmProcess
let uptimeAtStart: Bracketed

before(async () => {
	if (skip !== false) return
	const config = xend.config('guest', assets['cloud-6.1']!, 'console=hvc0 earlyprintk=xen', {
		data,
		'data.gz': gzipSync(data),
		'sleep.sh': SLEEP,
		'hot_loop.sh': HOT_LOOP,
		'stress.sh': STRESS,
		'tracing.sh': TRACING,
	})
	console = xend.start('create', '-c', config)
	await console.shown(/root@domU:\/# /)
	uptimeAtStart = await uptime()
}, options)
after(() => xend[Symbol.asyncDispose]())

test('its kernel logs what it logs on Xen, and no other warning', options, async () => {
	const { output } = await inShell(console, 'dmesg -r')
	assert.deepEqual(compareKernelLog(output, 'linux_6.1_cloud.txt'), { missing: [], complaints: [] }, output)
})

test('the XenStore tree is that of a domain on Xen, with what the guest itself wrote', options, async () => {
	const store = await connectXenstore(xend.rundir.xenstore)
	try {
		const domid = (await xend.xm('domid', 'guest')).out.trim()
		const uuid = (await store.read(`/local/domain/${domid}/vm`))!.slice('/vm/'.length)
		const listed = await listTree(store)
		const expected = expectedTree(domid, uuid)
		assert.deepEqual(
			listed.map(({ path, permissions }) => `${path} ${permissions}`).sort(),
			expected.map(({ path, permissions }) => `${path} ${permissions}`).sort(),
		)
		const values = new Map(listed.map(({ path, value }) => [path, value]))
		for (const { path, value } of expected) if (value !== undefined) assert.equal(values.get(path), value, path)
		for (const feature of ['poweroff', 'reboot', 'suspend'])
			assert.equal(values.get(`/local/domain/${domid}/control/feature-${feature}`), '1', 'the guest wrote it')
		for (const name of ['store/ring-ref', 'console/ring-ref', 'store/port', 'console/port', 'memory/target'])
			assert.match(values.get(`/local/domain/${domid}/${name}`)!, /^[1-9]\d*$/, name)
	} finally {
		store.close()
	}
})

test('sleep 1 takes a second', options, async () => {
	const { output } = await inShell(console, 'sh /test/sleep.sh')
	const slept_s = output.trim().split(/\s+/).map(Number)
	assert.equal(slept_s.length, 5, output)
	assert.ok(Math.min(...slept_s) >= 0.98, output)
	assert.ok(Math.min(...slept_s) <= 1.2, output)
})

test('the clock never runs backwards and timer interrupts come while a program computes', options, async () => {
	const { output, status } = await inShell(console, 'sh /test/hot_loop.sh')
	const [, ticks, elapsed_s] = /^ticks (\d+) in ([\d.]+)$/m.exec(output) ?? []
	assert.equal(status, 0, output)
	assert.doesNotMatch(output, /backwards/)
	// The kernel asks for 250 a second; a busy host may swallow many.
	assert.ok(Number(ticks) > 25 * Number(elapsed_s), output)
})

test('it computes what the host computes: digests, gzip, processes, pipes and floating point', options, async () => {
	const { output, status } = await inShell(console, 'sh /test/stress.sh')
	const digest = (algorithm: string) => createHash(algorithm).update(data).digest('hex')
	assert.equal(status, 0, output)
	assert.deepEqual(Object.fromEntries([...output.matchAll(/^(\w+): (.*?) *-?$/gm)].map(([, name, value]) => [name, value])), {
		md5: digest('md5'),
		sha1: digest('sha1'),
		sha256: digest('sha256'),
		sha512: digest('sha512'),
		dd: digest('sha256'),
		gunzip: digest('sha256'),
		roundtrip: digest('sha256'),
		bzip2: digest('sha256'),
		processes: '200',
		jobs: '1 2 3 4 5 6 7 8',
		sorted: String((20000 * 20001) / 2),
		harmonic: harmonic().toExponential(16),
		roots: roots().toExponential(16),
		killed: '137',
	})
})

test('its kernel patches its own code and runs what it has patched', options, async () => {
	const { output } = await inShell(console, 'sh /test/tracing.sh')
	const [, functions, probes] = /^functions: (\d+)\nprobes: (\d+)\nstatus: 0$/m.exec(output) ?? []
	assert.ok(Number(functions) > 0, output)
	assert.ok(Number(probes) >= 3, output)
})

test('a program that takes all the memory is killed, and nothing else', options, async () => {
	const { output } = await inShell(console, 'dmesg -n 1; tail /dev/zero; echo $?; dmesg -n 7')
	assert.match(output, /^137$/m)
	assert.equal((await inShell(console, 'echo here')).output, 'here\n')
})

test('the console carries what is typed and what is printed whole, and echoes', options, async () => {
	const from = console.out.length
	console.type('echo ty""ped\n')
	await console.shown(/echo ty""ped\r?\ntyped\r?\n/, from)
	// Without a message of the kernel's in between.
	const { output } = await inShell(console, 'dmesg -n 1; seq 1 20000; dmesg -n 7')
	assert.equal(output, Array.from({ length: 20000 }, (_, n) => `${n + 1}\n`).join(''))
	const lines = Array.from({ length: 200 }, (_, n) => `line ${n} ${'x'.repeat(n % 60)}\n`).join('')
	console.type(`cat > /tmp/typed\n${lines}\x04`)
	assert.equal((await inShell(console, 'md5sum < /tmp/typed')).output.split(' ')[0], createHash('md5').update(lines).digest('hex'))
})

test('xm pause stops a counter, xm unpause lets it go on', options, async () => {
	const from = console.out.length
	console.type('n=0; while sleep 0.05; do echo count $((n += 1)); done\n')
	await console.shown(/count 3\r?\n/, from)
	assert.equal((await xend.xm('pause', 'guest')).status, 0)
	await delay(500)
	const at = console.out.length
	await delay(1000)
	assert.equal(console.out.length, at, 'nothing comes from a paused guest')
	const [, last] = [...console.out.matchAll(/count (\d+)/g)].at(-1)!
	assert.equal((await xend.xm('unpause', 'guest')).status, 0)
	await console.shown(new RegExp(`count ${Number(last) + 3}\r?\n`), from)
	console.type('\x03')
	assert.equal((await inShell(console, 'echo here')).output, 'here\n')
})

test('a second domain in an endless loop outlives its xm, hinders nobody and is destroyed', options, async () => {
	const config = xend.config('spinner', assets['cloud-6.1']!, 'console=hvc0 xenotype.run=awk,BEGIN{while(1);}')
	const spinner = xend.start('create', '-c', config)
	await spinner.shown(/guest ready/)
	spinner.child.kill('SIGKILL')
	assert.equal((await spinner.ended).status, null)
	const cpuTime_s = async () => (await xend.client.domain('spinner')).cpuTime_s
	const before_s = await cpuTime_s()
	assert.equal((await inShell(console, 'echo $((6 * 7))')).output, '42\n')
	while ((await cpuTime_s()) < before_s + 0.5) await delay(100)
	assert.match((await xend.xm('list')).out, /^guest .*\nspinner /m)
	assert.equal((await xend.xm('destroy', 'spinner')).status, 0)
	assert.doesNotMatch((await xend.xm('list')).out, /^spinner /m)
	assert.equal((await inShell(console, 'echo still here')).output, 'still here\n')
})

test("the guest's time passes as the host's, within 2 %", options, async () => {
	while (performance.now() - uptimeAtStart.before_ms < 10_000) await delay(100)
	const end = await uptime()
	const guest_ms = end.guest_ms - uptimeAtStart.guest_ms
	// Each reading was made at some moment between typing and the answer.
	const atLeast_ms = end.before_ms - uptimeAtStart.after_ms
	const atMost_ms = end.after_ms - uptimeAtStart.before_ms
	assert.ok(guest_ms >= atLeast_ms * 0.98 && guest_ms <= atMost_ms * 1.02, `${atLeast_ms} <= ${guest_ms} <= ${atMost_ms} ms`)
})

test('a crash of its kernel ends xm create -c with status 1 and the reason', options, async () => {
	console.type('echo c > /proc/sysrq-trigger\n')
	const { status, out, err } = await console.ended
	assert.match(out, /Kernel panic - not syncing: sysrq triggered crash/)
	assert.deepEqual([status, err], [1, "Error: Domain 'guest' has crashed\n"])
	assert.doesNotMatch((await xend.xm('list')).out, /^guest /m)
	assert.match(readFileSync(xend.rundir.log, 'utf8'), /Domain has crashed: name=guest id=\d+\./)
})

function harmonic(): number {
	let sum = 0
	for (let i = 1; i <= 20000; i++) sum += 1 / i
	return sum
}

/** Square roots by Newton's method. */
function roots(): number {
	let sum = 0
	for (let i = 1; i <= 3000; i++) {
		let x = i
		for (let j = 0; j < 9; j++) x = (x + i / x) / 2
		sum = sum * 0.75 + x
	}
	return sum
}

/** Half of it noise, half of it text that packs. */
function pseudoRandomBytes(length: number): Uint8Array {
	let state = 12345
	return Uint8Array.from({ length }, (_, n) => {
		state = (Math.imul(state, 1103515245) + 12345) >>> 0
		return (n >> 12) & 1 ? 97 + ((state >>> 20) % 7) : state >>> 24
	})
}

interface Bracketed {
	readonly before_ms: number
	readonly guest_ms: number
	readonly after_ms: number
}

async function uptime(): Promise<Bracketed> {
	const before_ms = performance.now()
	const { output } = await inShell(console, 'cat /proc/uptime')
	return { before_ms, guest_ms: Number(output.split(' ')[0]) * 1000, after_ms: performance.now() }
}

interface Node {
	readonly path: string
	readonly permissions: string
	readonly value: string | undefined
}

async function listTree(store: XenstoreClient, path = ''): Promise<Node[]> {
	const nodes: Node[] = []
	for (const name of (await store.ls(path === '' ? '/' : path))!) {
		const at = `${path}/${name}`
		nodes.push({ path: at, permissions: (await store.getPerms(at))!.join(), value: await store.read(at) })
		nodes.push(...(await listTree(store, at)))
	}
	return nodes
}

function expectedTree(domid: string, uuid: string): Node[] {
	const text = readFileSync(new URL('../fixtures/xenstore/plain_pv_domain.txt', import.meta.url), 'utf8')
	const lines = text.replaceAll('DOMID', domid).replaceAll('UUID', uuid).split('\n')
	return lines
		.filter((line) => line !== '' && !line.startsWith('#'))
		.map((line) => {
			const [path, permissions, value] = line.replace('*', '').split(' ')
			return { path: path!, permissions: permissions!, value }
		})
}
