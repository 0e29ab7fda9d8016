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

test('xm console says that the domain runs on when xend is killed', async () => {
	await using xend = await withGuest()
	const attach = xend.client.console.bind(xend.client)
	xend.client.console = async (reference) => {
		const socket = await attach(reference)
		setImmediate(() => socket.destroy())
		return socket
	}
	const { status, err } = await xend.xm(['console', 'guest'])
	assert.deepEqual([status, err], [1, 'Error: the connection to xend was lost: the domain runs on, and xm console 1 joins it again\n'])
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
