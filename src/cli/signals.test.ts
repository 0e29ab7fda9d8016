import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon } from '../../tests/support/daemon.ts'
import { parseMemory } from './memory.ts'

async function withGuest(text = "kernel = '/k'\nmemory = 64\nmaxmem = 128\n"): Promise<TestDaemon> {
	const xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest'), text)
	await xend.xm(['create', '-q', 'guest'])
	return xend
}

test('xm mem-set writes the target where the balloon driver looks, in KiB', async () => {
	await using xend = await withGuest()
	for (const [text, kib] of [
		['96', '98304'],
		['100m', '102400'],
		['65536K', '65536'],
	]) {
		assert.deepEqual(await xend.xm(['mem-set', 'guest', text!]), { status: 0, out: '', err: '' })
		assert.equal(xend.xen.node('/local/domain/1/memory/target'), kib)
	}
	assert.match(
		(await xend.xm(['mem-set', 'guest', '129'])).err,
		/memory_dynamic_max too large: domain 'guest' may have 128 MiB at most, not 129/,
	)
	assert.match(
		(await xend.xm(['mem-set', 'guest', 'much'])).err,
		/^Error: Invalid argument: 'much' is no amount of memory: it must be .*\n$/,
	)
	assert.match((await xend.xm(['mem-set', 'guest', '512K'])).err, /Invalid memory size: 512K is less than 1 MiB/)
	assert.match((await xend.xm(['mem-set', 'guest', '1'])).err, /memory = 1 is not valid: it must be from 4 to 3840 MiB/)
	assert.equal((await xend.xm(['mem-set', '0', '64'])).err, 'Error: memory_dynamic_max too small\n')
	assert.match((await xend.xm(['mem-set', '0', '2G'])).err, /Domain 0 is this host/)
})

test('xm mem-max sets the limit, down to what the domain is to use', async () => {
	await using xend = await withGuest()
	assert.deepEqual(await xend.xm(['mem-max', 'guest', '96']), { status: 0, out: '', err: '' })
	assert.equal(xend.xen.last.maxMemory_kib, 96 * 1024)
	assert.equal(xend.xen.node('/local/domain/1/memory/static-max'), '98304')
	assert.match((await xend.xm(['mem-max', 'guest', '63'])).err, /memory_static_max too small/)
	assert.match((await xend.xm(['mem-set', 'guest', '97'])).err, /may have 96 MiB at most/)
})

test("memory of a halted domain is its configuration's", async () => {
	await using xend = await withGuest()
	await xend.xm(['new', '-q', 'guest', 'name=kept'])
	await xend.xm(['mem-max', 'kept', '1G'])
	await xend.xm(['mem-set', 'kept', '256'])
	await xend.xm(['start', 'kept'])
	assert.deepEqual([xend.xen.last.spec.memory_kib, xend.xen.last.spec.maxMemory_kib], [256 * 1024, 1024 * 1024])
})

test('parseMemory() knows G, M and K and takes a bare number for MiB', () => {
	assert.deepEqual(['2g', '512', '512M', '2048k'].map(parseMemory), [2048, 512, 512, 2])
})

test('xm sysrq writes one letter to control/sysrq', async () => {
	await using xend = await withGuest()
	assert.deepEqual(await xend.xm(['sysrq', 'guest', 't']), { status: 0, out: '', err: '' })
	assert.equal(xend.xen.node('/local/domain/1/control/sysrq'), 't')
	assert.match((await xend.xm(['sysrq', 'guest', 'xy'])).err, /a sysrq is one character, not 'xy'/)
	assert.equal((await xend.xm(['sysrq', '0', 't'])).err, 'Error: Cannot send a sysrq to privileged domain 0\n')
})

test('xm trigger passes trigger and vCPU on', async () => {
	await using xend = await withGuest()
	await xend.xm(['trigger', 'guest', 'nmi'])
	await xend.xm(['trigger', 'guest', 'NMI', '3'])
	assert.deepEqual(xend.xen.last.triggers, ['nmi 0', 'nmi 3'])
	assert.match((await xend.xm(['trigger', 'guest', 'wake'])).err, /^Error: Invalid trigger: wake: it must be one of nmi, reset, init/)
	assert.equal((await xend.xm(['trigger', 'guest', 'nmi', 'x'])).err, "Error: Invalid argument: 'x' is no VCPU: it must be a number\n")
})

test('xm dump-core writes where it is told, and to a file of its own otherwise', async () => {
	await using xend = await withGuest()
	const { status, out, err } = await xend.xm(['dump-core', '-L', 'guest', 'here.core'])
	assert.deepEqual([status, out], [0, 'Dumping core of domain: guest ...\n'])
	assert.equal(err, `0 MiB written to ${join(xend.directory, 'here.core')}\n`)
	assert.deepEqual(await xend.xm(['dump-core', '-q', 'guest']), { status: 0, out: '', err: '' })
	assert.deepEqual(xend.xen.last.cores, [
		{ path: join(xend.directory, 'here.core'), live: true },
		{ path: '/cores/guest.1.core', live: false },
	])
})

test('xm dump-core -C destroys the domain and -R resets it', async () => {
	await using xend = await withGuest()
	await xend.xm(['dump-core', '-R', 'guest'])
	assert.equal((await xend.xm(['domid', 'guest'])).out, '2\n')
	await xend.xm(['dump-core', '--crash', 'guest'])
	assert.equal((await xend.xm(['domid', 'guest'])).status, 3)
	assert.match((await xend.xm(['dump-core', '-CR', 'guest'])).err, /You may not specify more than one '-CR' option/)
	assert.equal((await xend.xm(['dump-core', '0'])).err, 'Error: Cannot dump core for privileged domain 0\n')
})

test('a crash with on_crash = coredump-destroy writes a core first', async () => {
	await using xend = await withGuest("kernel = '/k'\non_crash = 'coredump-destroy'\n")
	await using events = await xend.client.events()
	xend.xen.last.end('crash')
	for await (const event of events) if (event.type === 'ended') break
	assert.deepEqual(xend.xen.last.cores, [{ path: '/cores/guest.1.core', live: false }])
	assert.equal(xend.xen.last.destroyed, true)
})
