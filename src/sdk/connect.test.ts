import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { takeLock } from '../daemon/lock.ts'
import { openRunDir } from '../daemon/rundir.ts'
import { runXend } from '../daemon/xend.ts'
import { connect } from './connect.ts'

const PROGRAM = fileURLToPath(new URL('../../tests/support/fake_daemon_main.ts', import.meta.url))

function scratch(): { path: string } & Disposable {
	const path = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

function runDirIn(path: string) {
	return openRunDir({ XENOTYPE_RUNDIR: join(path, 'run') })
}

async function gone(pid: number): Promise<void> {
	for (let i = 0; i < 1500; i++) {
		try {
			process.kill(pid, 0)
		} catch {
			return
		}
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
	throw new Error(`process ${pid} did not end`)
}

test('several connect() at once start one daemon, which ends when it is asked to', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const connections = await Promise.all([1, 2, 3, 4].map(() => connect({ rundir, program: PROGRAM })))
	const pids = await Promise.all(connections.map(async ({ client }) => (await client.daemon()).pid))
	assert.equal(new Set(pids).size, 1)
	assert.equal(connections.filter(({ started }) => started).length, 1)
	assert.equal((await connect({ rundir, program: PROGRAM })).started, false)
	await connections[0]!.client.stop()
	await gone(pids[0]!)
	assert.match(readFileSync(rundir.log, 'utf8'), /INFO: xend ends: asked to stop\./)
})

test('connect() starts a daemon where a dead one left its socket and lock', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const first = await (await connect({ rundir, program: PROGRAM })).client.daemon()
	process.kill(first.pid, 'SIGKILL')
	await gone(first.pid)
	const { client, started } = await connect({ rundir, program: PROGRAM })
	assert.equal(started, true)
	const second = await client.daemon()
	assert.notEqual(second.pid, first.pid)
	process.kill(second.pid, 'SIGTERM')
	await gone(second.pid)
	assert.match(readFileSync(rundir.log, 'utf8'), /INFO: xend ends: got SIGTERM\./)
})

test('connect() starts a daemon when the one that has the lock was just about to end', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const lock = takeLock(rundir.lock)
	const connecting = connect({ rundir, program: PROGRAM })
	await new Promise((resolve) => setTimeout(resolve, 1000))
	lock?.[Symbol.dispose]()
	const { client, started } = await connecting
	assert.equal(started, true)
	const { pid } = await client.daemon()
	await client.stop()
	await gone(pid)
})

test('a call that finds the daemon gone starts another, whatever the call is', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const { client } = await connect({ rundir, program: PROGRAM })
	const first = await client.daemon()
	await client.stop()
	await gone(first.pid)
	const { domain } = await client.define({ values: { name: 'kept', kernel: '/k' } })
	assert.equal(domain.name, 'kept')
	const second = await client.daemon()
	assert.notEqual(second.pid, first.pid)
	process.kill(second.pid, 'SIGKILL')
	await gone(second.pid)
	const [, kept] = await client.list()
	assert.equal(kept?.name, 'kept')
	await client.stop()
})

test('a daemon that is stopped by several at once is stopped for each of them', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const { pid } = await (await connect({ rundir, program: PROGRAM })).client.daemon()
	assert.deepEqual(await Promise.all([1, 2, 3, 4].map(() => runXend(['stop'], rundir, assert.fail))), [0, 0, 0, 0])
	await gone(pid)
})

test('no process that connect() started comes up after a daemon that answered has ended', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const program = join(directory.path, 'second_is_late.ts')
	const [first, left] = [join(directory.path, 'first'), join(directory.path, 'left')]
	writeFileSync(
		program,
		`import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
		const late = existsSync('${first}') || (mkdirSync('${first}'), false)
		process.on('exit', () => late && writeFileSync('${left}', ''))
		if (late) await new Promise((resolve) => setTimeout(resolve, 1000))
		await import('${pathToFileURL(PROGRAM).href}')`,
	)
	const [{ client }] = await Promise.all([connect({ rundir, program }), connect({ rundir, program })])
	assert.ok(existsSync(left))
	const { pid } = await client.daemon()
	await client.stop()
	await gone(pid)
})

test('connect() tells what the start is at, once for each', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const program = join(directory.path, 'slow.ts')
	const note = new URL('../daemon/start_note.ts', import.meta.url).href
	// Each is there until it has been told of.
	const heard = (what: string) => join(directory.path, `heard-${what}`)
	const say = (what: string) =>
		`writeStartNote('${rundir.startNote}', '${what}'); while (!existsSync('${heard(what)}')) await new Promise((resolve) => setTimeout(resolve, 5))`
	writeFileSync(
		program,
		`import { existsSync } from 'node:fs'
		import { removeStartNote, writeStartNote } from '${note}'
		${say('building')}
		${say('polishing')}
		removeStartNote('${rundir.startNote}')
		await import('${pathToFileURL(PROGRAM).href}')`,
	)
	const told: string[] = []
	const report = (what: string) => {
		// A host that is busy may take so long about it that this is told too.
		if (what.includes('its log is')) return
		told.push(what)
		writeFileSync(heard(what), '')
	}
	const { client } = await connect({ rundir, program, report })
	const { pid } = await client.daemon()
	await client.stop()
	await gone(pid)
	assert.deepEqual(told, ['building', 'polishing'])
})

test('connect() shows why a daemon does not start', async () => {
	using directory = scratch()
	const program = join(directory.path, 'broken.ts')
	writeFileSync(program, "throw new Error('no luck')")
	await assert.rejects(connect({ rundir: runDirIn(directory.path), program }), /xend did not start:\n(.*\n)*.*no luck/)
	writeFileSync(program, "console.error('worse luck'); process.exitCode = 1")
	await assert.rejects(connect({ rundir: runDirIn(directory.path), program }), { message: 'xend did not start:\nworse luck' })
})

test('openRunDir() takes the first of XENOTYPE_RUNDIR, XDG_RUNTIME_DIR and /tmp', () => {
	using directory = scratch()
	assert.equal(openRunDir({ XENOTYPE_RUNDIR: join(directory.path, 'a'), XDG_RUNTIME_DIR: directory.path }).path, join(directory.path, 'a'))
	assert.equal(openRunDir({ XDG_RUNTIME_DIR: directory.path }).path, join(directory.path, 'xenotype'))
})

test('openRunDir() refuses a directory that others may enter, a link, and a path too long for a socket', () => {
	using directory = scratch()
	const { path } = runDirIn(directory.path)
	symlinkSync(path, join(directory.path, 'link'))
	assert.throws(() => openRunDir({ XENOTYPE_RUNDIR: join(directory.path, 'link') }), /is not a directory/)
	assert.throws(() => openRunDir({ XENOTYPE_RUNDIR: join(directory.path, 'x'.repeat(100)) }), /too long for a socket/)
	chmodSync(path, 0o755)
	assert.throws(() => openRunDir({ XENOTYPE_RUNDIR: path }), /has mode 755, open to others: it must be 700/)
})

test('a socket file that somebody else serves is not taken for a daemon', async () => {
	using directory = scratch()
	const rundir = runDirIn(directory.path)
	const server = createServer((socket) => socket.end('hello')).listen(rundir.socket)
	await new Promise((resolve) => server.once('listening', resolve))
	await assert.rejects(connect({ rundir, program: PROGRAM }), /Xend has probably crashed!/).finally(() => server.close())
})
