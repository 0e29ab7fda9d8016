import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestDaemon, until } from '../../tests/support/daemon.ts'
import { DaemonUnreachable } from './client.ts'
import { remoteClient } from './remote.ts'

// Copies both ways between its stdio and the socket that it is given, as `xm serve` does.
const BRIDGE =
	"const s = require('net').connect(process.argv[1]); process.stdin.pipe(s); s.pipe(process.stdout); s.on('close', () => process.exit()); process.stdout.on('error', () => process.exit())"

test('a client over a command calls, hears events and joins a console', async () => {
	await using xend = await TestDaemon.start()
	const client = remoteClient([process.execPath, '-e', BRIDGE, xend.client.socketPath])
	assert.equal((await client.daemon()).pid, process.pid)
	await using events = await client.events()
	const { domain } = await client.create({ values: { name: 'web', kernel: '/k', memory: 64 } })
	for await (const event of events) if (event.type === 'created') break
	await assert.rejects(client.pause('nobody'), /Domain 'nobody' does not exist/)
	const console = await client.console(String(domain.domid))
	let text = ''
	console.on('data', (chunk) => {
		text += chunk
	})
	xend.xen.last.say('hello')
	await until('hello', () => text.endsWith('hello'))
	console.destroy()
})

test('a command that cannot be run, or that ends, is an error in one sentence', async () => {
	await assert.rejects(remoteClient(['/no/such/program']).daemon(), DaemonUnreachable)
	await assert.rejects(
		remoteClient([process.execPath, '-e', '0']).daemon(),
		/Unable to connect to xend|Xend has probably crashed|connection to xend was lost/,
	)
})
