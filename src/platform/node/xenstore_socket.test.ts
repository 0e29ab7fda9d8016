import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { UserError } from '../../base/errors.ts'
import { XenstoreError } from '../../xenstore/client.ts'
import { XenstoreServer } from '../../xenstore/server.ts'
import { connectXenstore, listenXenstore } from './xenstore_socket.ts'

function socketPath(context: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), 'xenstore-'))
	context.after(() => rmSync(directory, { recursive: true }))
	return join(directory, 'socket')
}

test('clients on the socket share one store, and only its owner may connect', async (context) => {
	const listener = await listenXenstore(new XenstoreServer(), socketPath(context))
	assert.equal(statSync(listener.path).mode & 0o777, 0o600)
	const [one, other] = await Promise.all([connectXenstore(listener.path), connectXenstore(listener.path)])
	await one.write('/a', 'x')
	assert.equal(await other.read('/a'), 'x')
	await listener.close()
	assert.equal(existsSync(listener.path), false)
})

test("a client's requests are rejected with EIO when the server goes", async (context) => {
	const listener = await listenXenstore(new XenstoreServer(), socketPath(context))
	const client = await connectXenstore(listener.path)
	await client.write('/a', 'x')
	await listener.close()
	await assert.rejects(client.read('/a'), (error) => error instanceof XenstoreError && error.errno === 'EIO')
})

test('a socket that a killed server left is replaced, one that is served and any other file are not', async (context) => {
	const path = socketPath(context)
	const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
	spawnSync(process.execPath, ['-e', program])
	assert.ok(existsSync(path))
	const listener = await listenXenstore(new XenstoreServer(), path)
	await assert.rejects(listenXenstore(new XenstoreServer(), path), (error) => error instanceof UserError && /already/.test(error.message))
	await listener.close()
	writeFileSync(path, 'a file')
	await assert.rejects(listenXenstore(new XenstoreServer(), path), UserError)
	assert.ok(existsSync(path))
})
