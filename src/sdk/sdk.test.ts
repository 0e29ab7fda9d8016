import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { test } from 'node:test'
import { TestDaemon, until } from '../../tests/support/daemon.ts'
import { type DomainConsole, hasCode, Xen, XendClient } from './index.ts'

async function linesOf(console: DomainConsole): Promise<string[]> {
	const lines: string[] = []
	for await (const line of console) lines.push(line)
	return lines
}

const UUID = '00000000-0000-4000-8000-000000000001'
const web = { name: 'web', kernel: '/k' }

test('create() gives a domain, which is destroyed at the end of its block', async () => {
	await using xend = await TestDaemon.start()
	const xen = new Xen(xend.client)
	{
		await using domain = await xen.create({ ...web, ramdisk: undefined, memory: 64 })
		assert.equal(await domain.domid(), 1)
		assert.deepEqual(
			(await xen.list()).map(({ name }) => name),
			['Domain-0', 'web'],
		)
		assert.equal(xend.xen.last.destroyed, false)
	}
	assert.equal(xend.xen.last.destroyed, true)
})

test('a domain that is detached, or that was there before, outlives its block', async () => {
	await using xend = await TestDaemon.start()
	const xen = new Xen(xend.client)
	{
		await using domain = await xen.create(web)
		domain.detach()
	}
	{
		await using same = await xen.domain('web')
		assert.equal((await xen.domain(1)).uuid, same.uuid)
	}
	assert.equal(xend.xen.last.destroyed, false)
})

test('the end of a block leaves alone what has taken the name of a domain that is gone', async () => {
	await using xend = await TestDaemon.start()
	const xen = new Xen(xend.client)
	{
		await using domain = await xen.create(web)
		await domain.destroy()
		;(await xen.create(web)).detach()
	}
	assert.equal(xend.xen.last.destroyed, false)
	assert.equal(xend.xen.domainsMade.length, 2)
})

test('create() resolves paths against the working directory', async () => {
	await using xend = await TestDaemon.start()
	await using _ = await new Xen(xend.client).create({ name: 'web', kernel: 'vmlinuz' })
	assert.equal(xend.xen.last.spec.kernel, `${process.cwd()}/vmlinuz`)
})

test('save() puts a domain into a file, and restore() brings it back as another object', async () => {
	await using xend = await TestDaemon.start()
	const xen = new Xen(xend.client)
	{
		await using domain = await xen.create(web)
		await domain.save('web.save', { afterwards: 'run' })
		assert.equal(await domain.domid(), 1)
		await domain.save('web.save')
		const restored = (await xen.restore('web.save', { paused: true })).detach()
		assert.deepEqual([restored.uuid, (await restored.info()).state], [domain.uuid, '--p---'])
		assert.deepEqual([...xend.xen.files.keys()], [`${process.cwd()}/web.save`])
	}
	assert.deepEqual([xend.xen.domainsMade.length, xend.xen.last.destroyed], [2, false])
})

test('a domain is paused, unpaused, renamed and rebooted', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create(web, { paused: true })
	const guest = xend.xen.last
	assert.equal(guest.paused, true)
	await domain.unpause()
	assert.equal(guest.paused, false)
	await domain.pause()
	assert.equal(guest.paused, true)
	await domain.unpause()
	await domain.rename('www')
	assert.equal((await domain.info()).name, 'www')
	const rebooted = domain.reboot({ wait: true })
	await until('the request', () => guest.requests.includes('reboot'))
	guest.end('reboot')
	assert.equal((await rebooted)?.restarting, true)
	await until('the next domain', () => xend.xen.live.length === 1 && xend.xen.last !== guest)
})

test('shutdown() with wait resolves with how the guest ended', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create(web)
	const ended = domain.shutdown({ wait: true })
	await until('the request', () => xend.xen.last.requests.includes('poweroff'))
	xend.xen.last.end('poweroff')
	const { type, reason, domid } = await ended
	assert.deepEqual({ type, reason, domid }, { type: 'ended', reason: 'poweroff', domid: 1 })
})

test('ended() outlives its daemon: it tells of an end that the next one sees, and of one that nobody has seen', async () => {
	for (const endsBetween of [false, true]) {
		const before = await TestDaemon.start()
		const { client } = before
		const domain = (await new Xen(client).create({ ...web, uuid: UUID })).detach()
		// It asks for the domain's number when its stream is open.
		const asked = Promise.withResolvers<void>()
		client.domain = (reference) => XendClient.prototype.domain.call(client, reference).finally(asked.resolve)
		const ended = domain.ended({ timeout_s: 10 })
		ended.catch(() => {})
		await asked.promise
		await before.daemon.end('a test', { domains: 'leave' })
		await using after = await TestDaemon.start()
		if (!endsBetween) await after.client.create({ values: { ...web, uuid: UUID } })
		symlinkSync(after.client.socketPath, before.client.socketPath)
		if (endsBetween) await assert.rejects(ended, { code: 'lost' })
		else {
			after.xen.last.end('poweroff')
			assert.equal((await ended).reason, 'poweroff')
		}
		await before[Symbol.asyncDispose]()
	}
})

test("shutdown() with wait rejects with code 'timeout' when the guest goes on", async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create(web)
	await assert.rejects(domain.shutdown({ wait: true, timeout_s: 0.05 }), { code: 'timeout', message: /'web' did not end within 0.05 s/ })
})

test('what the daemon refuses is told by code and exit code', async () => {
	await using xend = await TestDaemon.start()
	const xen = new Xen(xend.client)
	await using _ = await xen.create(web)
	await assert.rejects(xen.domain('nobody'), { code: 'no-such-domain', exitCode: 3 })
	await assert.rejects(xen.create(web), (error) => hasCode(error, 'busy', 'name-taken'))
	assert.equal(hasCode(new Error('no'), 'busy'), false)
})

test('console: expect() takes what is matched, and writing types', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create({ ...web, on_crash: 'destroy' })
	const guest = xend.xen.last
	guest.say('booting\r\nlogin: ')
	await using console = await domain.console()
	assert.deepEqual(await console.expect('login: '), { before: 'booting\r\n', match: 'login: ', groups: [] })
	console.write('root\n')
	await until('typed', () => guest.typed === 'root\n')
	const found = console.expect(/id=(\d+)/)
	guest.say('uid=')
	guest.say('x id=42 rest')
	assert.deepEqual(await found, { before: 'uid=x ', match: 'id=42', groups: ['42'] })
	await assert.rejects(console.expect('never', { timeout_s: 0.02 }), { code: 'timeout', message: /within 0.02 s; .*\n rest/ })
	guest.end('crash', 'oops')
	await assert.rejects(console.expect('never'), { code: 'console-ended' })
	assert.deepEqual(console.ending, { reason: 'crash', detail: 'oops' })
})

test('console: lines come one by one until the guest ends', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create({ ...web, on_poweroff: 'destroy' })
	const guest = xend.xen.last
	await using console = await domain.console()
	guest.say('one\r\ntw')
	guest.say('o\nthree')
	guest.end('poweroff')
	assert.deepEqual(await linesOf(console), ['one', 'two', 'three'])
	assert.equal(console.ending?.reason, 'poweroff')
})

test('console: it is a stream of bytes as any other, and a reader who is slow loses nothing that is kept', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create(web)
	const guest = xend.xen.last
	await using console = await domain.console()
	let text = ''
	console.setEncoding('utf8').on('data', (chunk: string) => {
		text += chunk
	})
	const ended = new Promise((resolve) => console.on('end', resolve))
	guest.say('é'.repeat(1000))
	guest.end('poweroff')
	await ended
	assert.equal(text, 'é'.repeat(1000))
})

test('console: when another xend takes the place of its own it goes on after its last byte', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create(web)
	const guest = xend.xen.last
	guest.say('x'.repeat(2_000_000))
	await using console = await domain.console()
	guest.say('before ')
	await console.expect('before ')
	await xend.replaceDaemon(() => guest.say('meanwhile '))
	assert.equal((await console.expect('meanwhile ')).before, '')
	console.write('typed')
	await until('typed', () => guest.typed === 'typed')
	guest.say('after')
	assert.equal((await console.expect('after')).before, '')
})

test('console: it fails when its domain has ended while there was no xend', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create({ ...web, on_poweroff: 'destroy' })
	const guest = xend.xen.last
	await using console = await domain.console()
	await xend.replaceDaemon(() => guest.end('poweroff'))
	await assert.rejects(console.expect('never'), { code: 'console-ended', message: /while no xend could tell how/ })
})

test('console: closing it closes the connection', async () => {
	await using xend = await TestDaemon.start()
	await using domain = await new Xen(xend.client).create(web)
	const console = await domain.console()
	await console[Symbol.asyncDispose]()
	assert.deepEqual(await linesOf(console), [])
})

test('events() begins where it is told to', async () => {
	await using xend = await TestDaemon.start()
	const xen = new Xen(xend.client)
	await using all = await xen.events()
	await using _ = await xen.create(web)
	const { value: created } = await all.next()
	assert.equal(created!.type, 'created')
	await (await xen.domain('web')).rename('www')
	await using since = await xen.events({ since: created!.seq })
	const { value: renamed } = await since.next()
	assert.deepEqual(renamed, { type: 'renamed', name: 'www', domid: 1, from: 'web', seq: created!.seq + 1 })
	await using before = await xen.events({ since: 1 })
	assert.equal((await before.next()).value!.type, 'lost')
	await assert.rejects(xen.events({ since: -1 }), { code: 'bad-request' })
})

test('events() goes on with the next daemon, and says that there may have been more', async () => {
	const before = await TestDaemon.start()
	const xen = new Xen(before.client)
	await using events = await xen.events()
	const next = events.next()
	await before.daemon.end('a test', { domains: 'leave' })
	await using after = await TestDaemon.start()
	symlinkSync(after.client.socketPath, before.client.socketPath)
	assert.equal((await next).value?.type, 'lost')
	await using _ = await new Xen(after.client).create(web)
	assert.equal((await events.next()).value?.type, 'created')
	await before[Symbol.asyncDispose]()
})
