import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { XenstoreServer } from '../../xenstore/server.ts'
import { handOver } from './xenstore_handover.ts'
import { connectXenstore, listenXenstore, type XenstoreListener } from './xenstore_socket.ts'

// The test is the XenStore that hands over, and holds back its own end.

const HEIR = fileURLToPath(new URL('../../../tests/support/xenstore_heir_main.ts', import.meta.url))

interface Handover {
	readonly listener: XenstoreListener
	readonly heir: ChildProcess
	/** Who hands over is gone. */
	leave(): void
}

async function setUp(context: TestContext): Promise<Handover> {
	const directory = mkdtempSync(join(tmpdir(), 'xenstore-'))
	const listener = await listenXenstore(new XenstoreServer(), join(directory, 'socket'))
	const heir = fork(HEIR, [listener.path], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
	context.after(() => {
		heir.kill('SIGKILL')
		void listener.close()
		rmSync(directory, { recursive: true })
	})
	await once(heir, 'message')
	return { listener, heir, leave: () => heir.disconnect() }
}

const handOverAll = ({ heir, listener }: Handover) => handOver(heir, listener, [], (() => {}) as () => never)

/** A client that has an answer which it does not read. */
async function unreading({ listener }: Handover): Promise<Socket> {
	const socket = connect(listener.path)
	socket.pause()
	await once(socket, 'connect')
	// XS_CONTROL, which is answered whatever it says.
	const request = Buffer.alloc(16)
	socket.write(request)
	await until(() => listener.clients().some((client) => client.socket.bytesRead === request.length && client.socket.bytesWritten > 0))
	return socket
}

async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('a client that breaks its connection before the heir serves it ends nothing but that', { timeout: 60_000 }, async (context) => {
	const handover = await setUp(context)
	const { heir, listener, leave } = handover
	const open = () => (heir.exitCode === null ? readdirSync(`/proc/${heir.pid}/fd`).length : 0)
	const patient = await connectXenstore(listener.path)
	await patient.write('/a', 'x')
	const broken = await unreading(handover)
	const before = open()
	await handOverAll(handover)
	await until(() => open() === before + 3)
	broken.destroy()
	await until(() => open() < before + 3)
	assert.equal(heir.exitCode, null)
	leave()
	await patient.write('/b', 'y')
	assert.equal(await patient.read('/b'), 'y')
	patient.close()
})

test('a client whose connection ended while it waited to be sent is left out', { timeout: 60_000 }, async (context) => {
	const handover = await setUp(context)
	const { heir, listener, leave } = handover
	const client = await connectXenstore(listener.path)
	const state = { input: new Uint8Array(0), output: [], delivered: 0, watches: [], transactions: [] }
	heir.send({ kind: 'client', state })
	await handOverAll(handover)
	leave()
	await client.write('/a', 'x')
	assert.equal(await client.read('/a'), 'x')
	client.close()
})

test('an heir that dies in the middle of the handover is noticed', { timeout: 60_000 }, async (context) => {
	const handover = await setUp(context)
	const { heir, listener } = handover
	const clients = await Promise.all([connectXenstore(listener.path), connectXenstore(listener.path)])
	heir.kill('SIGSTOP')
	const handedOver = handOverAll(handover)
	heir.kill('SIGKILL')
	await assert.rejects(handedOver, /the next xenstored has died/)
	for (const client of clients) client.close()
})
