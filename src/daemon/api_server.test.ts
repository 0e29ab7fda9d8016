import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import * as v from 'valibot'
import { TestDaemon, until } from '../../tests/support/daemon.ts'
import type { DomainEvent } from '../sdk/client.ts'
import { API_EVENT, API_FAILURE } from './api.ts'
import { type ConsoleEnd, encodeFrame, FRAME_DATA, FRAME_END, FrameReader } from './console_frames.ts'

const web = { name: 'web', kernel: '/k' }

function post(test: TestDaemon, path: string, body: string): Promise<{ status: number; text: string }> {
	return new Promise((resolve, reject) => {
		const call = request({ socketPath: test.client.socketPath, method: 'POST', path }, async (response) => {
			let text = ''
			for await (const chunk of response) text += chunk
			resolve({ status: response.statusCode ?? 0, text })
		})
		call.on('error', reject)
		call.end(body)
	})
}

async function attach(test: TestDaemon, reference: string) {
	const socket = await test.client.console(reference)
	const console = { text: '', end: undefined as ConsoleEnd | undefined, socket }
	const frames = new FrameReader((type, payload) => {
		if (type === FRAME_DATA) console.text += new TextDecoder().decode(payload)
		if (type === FRAME_END) console.end = JSON.parse(new TextDecoder().decode(payload))
	})
	socket.on('data', (chunk) => frames.push(chunk))
	return console
}

test('the socket is open to its owner alone', async () => {
	await using xend = await TestDaemon.start()
	assert.equal(statSync(xend.client.socketPath).mode & 0o077, 0)
})

test('a domain is created, listed after domain 0, and destroyed', async () => {
	await using xend = await TestDaemon.start()
	const { domain } = await xend.client.create({ values: web })
	assert.equal(domain.domid, 1)
	const listed = await xend.client.list()
	assert.deepEqual(
		listed.map(({ name, domid }) => `${name} ${domid}`),
		['Domain-0 0', 'web 1'],
	)
	assert.equal(listed[0]!.state, 'r-----')
	await xend.client.destroy('web')
	assert.equal((await xend.client.list()).length, 1)
	await assert.rejects(xend.client.domain('web'), { message: "Domain 'web' does not exist.", exitCode: 3, code: 'no-such-domain' })
})

test('a wrong configuration is refused with its sentence and creates nothing', async () => {
	await using xend = await TestDaemon.start()
	await assert.rejects(xend.client.create({ values: { ...web, memory: -1 } }), /memory = -1 is not valid/)
	assert.equal((await xend.client.daemon()).domains, 0)
})

test('requests that make no sense get 400 or 404, and the daemon lives on', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: web })
	const cases: [path: string, body: string, status: number][] = [
		['/v1/domains', 'nonsense', 400],
		['/v1/domains', '[]', 400],
		['/v1/domains', '{"values":{"name":{"a":1}}}', 400],
		['/v1/domains', `{"values":{"name":"${'x'.repeat(2_000_000)}"}}`, 400],
		['/v1/domains/web/shutdown', '{"request":"explode"}', 400],
		['/v1/domains/web/pause', '{"how":"gently"}', 400],
		['/v1/domains?long=1', '{"values":{}}', 400],
		['/v1/domains/web/dance', '{}', 404],
		['/v1/domains/nobody/pause', '{}', 404],
		['/v2/domains', '{}', 404],
		['/v1/domains/%ff/pause', '{}', 400],
	]
	for (const [path, body, status] of cases) {
		const reply = await post(xend, path, body).catch((error) => ({ status: 400, text: String(error) }))
		assert.equal(reply.status, status, `${path} ${body.slice(0, 40)}: ${reply.text}`)
		if (reply.text.startsWith('{')) v.parse(API_FAILURE, JSON.parse(reply.text))
	}
	assert.equal((await xend.client.daemon()).domains, 1)
})

test('a console replays its history, carries both ways and tells the end', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: web })
	const guest = xend.xen.last
	guest.say('booting\r\n')
	const console = await attach(xend, 'web')
	await until('history', () => console.text === 'booting\r\n')
	guest.say('login: ')
	await until('output', () => console.text.endsWith('login: '))
	console.socket.write(encodeFrame(FRAME_DATA, new TextEncoder().encode('root\r')))
	await until('input', () => guest.typed === 'root\r')
	guest.say('bye')
	guest.end('poweroff')
	await until('the end', () => console.end !== undefined)
	assert.equal(console.text, 'booting\r\nlogin: bye')
	assert.equal(console.end!.reason, 'poweroff')
})

test('a console whose domain restarts tells the number of the next', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: web })
	const console = await attach(xend, '1')
	await xend.client.shutdown('web', 'reboot')
	xend.xen.last.end('reboot')
	await until('the end', () => console.end !== undefined)
	assert.deepEqual(console.end, { reason: 'reboot', next: 2 })
})

test('a client that is killed, or floods, or stops reading harms neither the domain nor another client', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: web })
	const guest = xend.xen.last
	const killed = await attach(xend, 'web')
	const bad = await attach(xend, 'web')
	const idle = await xend.client.console('web')
	const good = await attach(xend, 'web')
	killed.socket.destroy()
	bad.socket.write(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff))
	for (let i = 0; i < 2000; i++) guest.say(`line ${i}\n`.padEnd(100, '.'))
	guest.say('last')
	await until('the good client sees the newest output', () => good.text.endsWith('last'))
	assert.match(good.text, /bytes of console output lost/)
	idle.destroy()
	assert.equal((await xend.client.list()).length, 2)
})

test('events arrive in order from the moment that events() resolves', async () => {
	await using xend = await TestDaemon.start()
	await using events = await xend.client.events()
	await xend.client.create({ values: web })
	xend.xen.last.end('crash', 'oops')
	const seen: DomainEvent[] = []
	for await (const event of events) if (seen.push(event) === 2) break
	assert.deepEqual(
		seen.map((event) => event.type),
		['created', 'ended'],
	)
	for (const event of seen) assert.deepEqual(v.parse(API_EVENT, event), event)
})

test('without domains and callers the daemon ends by itself', async () => {
	await using xend = await TestDaemon.start(0.05)
	await xend.daemon.lifecycle.create(web)
	await new Promise((resolve) => setTimeout(resolve, 120))
	assert.equal((await xend.client.daemon()).domains, 1, 'it stays while a domain lives')
	await xend.daemon.lifecycle.destroy('web')
	await xend.daemon.ended
	await assert.rejects(xend.client.daemon(), /Unable to connect to xend: ENOENT/)
})

test('stop with ifIdle leaves a daemon that has domains alone', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: web })
	await assert.rejects(xend.client.stop({ ifIdle: true }), /the daemon has 1 domain/)
	await xend.client.stop()
	await xend.daemon.ended
	assert.equal(xend.xen.last.destroyed, false, 'guests run on without the toolstack')
})

test('stop destroys the domains if it is told to', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: web })
	await xend.client.stop({ domains: 'destroy' })
	await xend.daemon.ended
	assert.equal(xend.xen.last.destroyed, true)
})

test('a daemon that is told to stop ends though its hypervisor is lost before its domains have stopped', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.create({ values: { ...web, on_xend_stop: 'shutdown' } })
	await xend.client.stop()
	await until('the guest is asked', () => xend.xen.last.requests.length === 1)
	xend.loseHypervisor()
	await xend.daemon.ended
})

/** What comes back on a connection of its own until the other side ends it. */
async function raw(xend: TestDaemon, ...parts: string[]): Promise<{ readonly reply: Promise<string>; close(): void }> {
	const socket = connect({ path: xend.client.socketPath, allowHalfOpen: true })
	socket.on('error', () => {})
	await new Promise((resolve) => socket.once('connect', resolve))
	for (const part of parts) socket.write(part)
	let text = ''
	socket.on('data', (chunk) => {
		text += chunk
	})
	return {
		reply: new Promise((resolve) => socket.on('close', () => resolve(text)).on('end', () => resolve(text))),
		close: () => {
			socket.end()
			// The other side need not be in a hurry.
			setTimeout(() => socket.destroy(), 200)
		},
	}
}

test('HTTP that is cut short, too long or none keeps nobody else waiting', async () => {
	await using xend = await TestDaemon.start()
	const head = 'POST /v1/domains HTTP/1.1\r\nHost: x\r\n'
	const [nonsense, longHeader, longBody, halfClosed] = await Promise.all([
		raw(xend, '\0\u0001\u0002 this is not HTTP\r\n\r\n'),
		raw(xend, `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
		raw(xend, `${head}Content-Length: 9999999999\r\n\r\n`, 'x'.repeat(1_200_000)),
		raw(xend, 'GET /v1/daemon HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
	])
	const stuck = await Promise.all([raw(xend, head), raw(xend, `${head}Content-Length: 10\r\n\r\n{`), raw(xend, 'G')])
	halfClosed.close()
	for (let n = 0; n < 20; n++) assert.equal((await xend.client.list()).length, 1)
	assert.match(await nonsense.reply, /^HTTP\/1\.1 400 /)
	// What is sent behind it may undo the reply.
	assert.match(await longHeader.reply, /^(HTTP\/1\.1 431 |$)/)
	assert.match(await halfClosed.reply, /^HTTP\/1\.1 200 OK[\s\S]*"hypervisorPid"/)
	longBody.close()
	assert.match(await longBody.reply, /^(HTTP\/1\.1 400 [\s\S]*longer than 1048576 bytes|$)/)
	for (const connection of stuck) connection.close()
	assert.equal((await xend.client.daemon()).domains, 0)
})

test('a client that does not read its event stream is kept no queue, and the others hear everything', async () => {
	await using xend = await TestDaemon.start()
	const deaf = connect(xend.client.socketPath)
	deaf.on('error', () => {})
	deaf.pause().write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n')
	await using events = await xend.client.events()
	await xend.client.define({ values: web })
	let heard = 0
	const all = (async () => {
		for await (const event of events) if (event.type === 'renamed' && ++heard === 3000) return
	})()
	let last = 'web'
	for (let n = 0; n < 3000; n++) {
		const next = `web${n}`.padEnd(60, 'x')
		await xend.daemon.lifecycle.rename(last, next)
		last = next
		// The daemon's other work, and the reader's.
		await new Promise((resolve) => setImmediate(resolve))
	}
	await all
	deaf.destroy()
})
