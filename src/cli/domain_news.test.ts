import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon, until } from '../../tests/support/daemon.ts'

async function withGuest(): Promise<TestDaemon> {
	const xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest'), "kernel = '/boot/vmlinuz'\nmemory = 64\n")
	await xend.xm(['create', '-q', 'guest'])
	return xend
}

test('xm shutdown -w waits on through another xend', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const { status, out, err } = await xend.xm(['shutdown', '-w', 'guest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		await xend.replaceDaemon()
		guest.end('poweroff')
	})
	assert.deepEqual([status, out, err], [0, 'Domain guest terminated\nAll domains terminated\n', ''])
})

test('xm shutdown -w sees an end that no xend could tell of', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const { status, out } = await xend.xm(['shutdown', '-w', 'guest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		await xend.replaceDaemon(() => guest.end('poweroff'))
	})
	assert.deepEqual([status, out], [0, 'Domain guest terminated\nAll domains terminated\n'])
})

test('xm reboot -w sees a reboot during which xend was killed', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const { status, out } = await xend.xm(['reboot', '-w', 'guest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		await xend.replaceDaemon(() => guest.end('reboot'))
	})
	assert.deepEqual([status, out], [0, 'Domain guest rebooted\nAll domains rebooted\n'])
})

test('xl shutdown -w says that the end was not seen', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const { status, err } = await xend.xl(['shutdown', '-w', 'guest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		await xend.replaceDaemon(() => guest.end('poweroff'))
	})
	assert.equal(status, 0)
	assert.match(
		err,
		/^Shutting down domain 1\nWaiting for 1 domains\nDomain 1 has (ended while no xend ran: how is not known|been shut down, reason code 0)\n$/,
	)
})

test('xm top goes on with another xend', async () => {
	await using xend = await withGuest()
	const { status, out } = await xend.xm(['top', '-b', '-d', '1', '-i', '2'], () => xend.replaceDaemon())
	assert.equal(status, 0)
	assert.equal(out.match(/^ *guest /gm)?.length, 2)
})

test('xm console goes on with another xend, after its last byte', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const { status, out, err } = await xend.xm(['console', 'guest'], async ({ stdin }) => {
		guest.say('before ')
		stdin.write('a')
		await until('typed', () => guest.typed === 'a')
		await xend.replaceDaemon(() => guest.say('meanwhile '))
		stdin.write('b')
		await until('typed again', () => guest.typed === 'ab')
		guest.say('after')
		guest.end('poweroff')
	})
	assert.deepEqual([status, out, err], [0, 'before meanwhile after', ''])
})

test('xm console fails when its domain has ended while there was no xend', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const { status, err } = await xend.xm(['console', 'guest'], async ({ stdin }) => {
		stdin.write('a')
		await until('typed', () => guest.typed === 'a')
		await xend.replaceDaemon(() => guest.end('poweroff'))
	})
	assert.deepEqual([status, err], [1, 'Error: the domain has ended while no xend could tell how\n'])
})

test('xm shutdown -wq prints nothing', async () => {
	await using xend = await withGuest()
	const guest = xend.xen.last
	const said = await xend.xm(['shutdown', '-wq', 'guest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		guest.end('poweroff')
	})
	assert.deepEqual(said, { status: 0, out: '', err: '' })
})
