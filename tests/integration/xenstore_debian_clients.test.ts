/**
 * Debian's own XenStore programs against our server on a Unix socket. They come with the packages xenstore-utils, xen-utils-4.17 and
 * libxenstore4; where they are not installed, XENSTORE_CLIENTS_ROOT names a directory that those packages were unpacked into.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connectXenstore, listenXenstore, type XenstoreListener } from '../../src/platform/node/xenstore_socket.ts'
import { XenstoreServer } from '../../src/xenstore/server.ts'

const root = process.env.XENSTORE_CLIENTS_ROOT ?? '/'
const xenLibraries = join(root, 'usr/lib')
const xenBin = existsSync(xenLibraries)
	? readdirSync(xenLibraries)
			.filter((name) => /^xen-\d/.test(name))
			.map((name) => join(xenLibraries, name, 'bin'))
	: []

function find(name: string): string | undefined {
	return [join(root, 'usr/bin'), ...xenBin].map((directory) => join(directory, name)).find((path) => existsSync(path))
}

function needs(name: string): { skip?: string; timeout?: number } {
	return find(name) === undefined
		? { skip: `${name} is not here: install xenstore-utils and xen-utils-4.17, or set XENSTORE_CLIENTS_ROOT` }
		: { timeout: 60_000 }
}

const directory = mkdtempSync(join(tmpdir(), 'xenstore-'))
const environment = {
	...process.env,
	XENSTORED_RUNDIR: directory,
	...(root !== '/' && { LD_LIBRARY_PATH: join(root, 'usr/lib/x86_64-linux-gnu') }),
}
const server = new XenstoreServer({ defer: setImmediate })
let listener: XenstoreListener

before(async () => {
	listener = await listenXenstore(server, join(directory, 'socket'))
})

after(async () => {
	await listener.close()
	rmSync(directory, { recursive: true })
})

function run(name: string, ...parameters: string[]): Promise<{ status: number; output: string }> {
	return new Promise((resolve) => {
		execFile(find(name)!, parameters, { env: environment, timeout: 60_000 }, (error, stdout, stderr) => {
			resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr })
		})
	})
}

test('test-xenstore passes all its tests', needs('test-xenstore'), async () => {
	const { status, output } = await run('test-xenstore', '-i', '50')
	assert.equal(status, 0, output)
	assert.equal(output.match(/^(read|write|dir|rm|ta) .*avg: \d+ ns/gm)?.length, 12, output)
})

test('three of them at once, in random order, do not disturb each other', needs('test-xenstore'), async () => {
	const all = await Promise.all([1, 2, 3].map(() => run('test-xenstore', '-r', '2', '-i', '5')))
	for (const { status, output } of all) assert.deepEqual({ status, output }, { status: 0, output: '' })
	assert.equal((await run('xenstore-exists', '/local/domain/0/xenstore-test')).status, 1, 'they clean up')
})

test('xenstore-write, -read, -list, -ls, -chmod, -exists and -rm', needs('xenstore-ls'), async () => {
	assert.deepEqual(await run('xenstore-write', '/o2/a', 'one', '/o2/b/c', 'two words'), { status: 0, output: '' })
	assert.deepEqual(await run('xenstore-read', '/o2/a', '/o2/b/c'), { status: 0, output: 'one\ntwo words\n' })
	assert.deepEqual(await run('xenstore-list', '/o2'), { status: 0, output: 'a\nb\n' })
	assert.deepEqual(await run('xenstore-chmod', '/o2/a', 'n0', 'r7'), { status: 0, output: '' })
	const listed = '/o2/a = "one"   (n0,r7)\n/o2/b = ""   (n0)\n/o2/b/c = "two words"   (n0)\n'
	assert.deepEqual(await run('xenstore-ls', '-f', '-p', '/o2'), { status: 0, output: listed })
	assert.equal((await run('xenstore-exists', '/o2/a')).status, 0)
	assert.equal((await run('xenstore-rm', '/o2')).status, 0)
	assert.equal((await run('xenstore-exists', '/o2/a')).status, 1)
	assert.match((await run('xenstore-read', '/o2/a')).output, /couldn't read path/)
})

test('xenstore-list shows a directory that does not fit into one message', needs('xenstore-list'), async () => {
	const client = await connectXenstore(listener.path)
	const names = Array.from({ length: 1200 }, (_, i) => `entry-${i}`)
	for (const name of names) await client.write(`/long/${name}`, '')
	const { output } = await run('xenstore-list', '/long')
	assert.deepEqual(output.trim().split('\n'), names)
	client.close()
})

test('xenstore-watch hears of changes and of the removal of the parent', needs('xenstore-watch'), async () => {
	const client = await connectXenstore(listener.path)
	await client.write('/w/x/y', '')
	const child = spawn(find('xenstore-watch')!, ['-n', '3', '/w/x'], { env: environment })
	let output = ''
	const exit = new Promise((resolve) => child.on('close', resolve))
	const told = (line: string) =>
		new Promise<void>((resolve) => {
			const look = () => output.endsWith(`${line}\n`) && resolve()
			child.stdout.on('data', look)
			look()
		})
	child.stdout.on('data', (chunk) => (output += chunk))
	await told('/w/x')
	await client.write('/w/x/y', '1')
	await told('/w/x/y')
	await client.rm('/w')
	await exit
	assert.equal(output, '/w/x\n/w/x/y\n/w/x\n')
	client.close()
})

test('a client that sends half a message and leaves, or never reads, holds nobody up', async () => {
	const half = connect(listener.path)
	half.end(new Uint8Array([2, 0, 0, 0, 1]))
	const deaf = connect(listener.path)
	deaf.pause()
	const payload = new TextEncoder().encode('/alive\0')
	const request = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, payload.length, 0, 0, 0, ...payload)
	const requests = 200_000
	deaf.write(Buffer.alloc(request.length * requests, request))
	const client = await connectXenstore(listener.path)
	const start = performance.now()
	for (let i = 0; i < 100; i++) await client.write('/alive', String(i))
	assert.equal(await client.read('/alive'), '99')
	assert.ok(performance.now() - start < 2000)
	assert.ok(deaf.writableLength > 0, 'its requests are not taken any more')
	for (const socket of [half, deaf]) socket.destroy()
	client.close()
})

/** One of our programs, like run(). */
function ours(name: string, ...parameters: string[]): Promise<{ status: number; output: string }> {
	return new Promise((resolve) => {
		const path = fileURLToPath(new URL(`../../bin/${name}`, import.meta.url))
		execFile(path, parameters, { env: { ...process.env, XENSTORED_RUNDIR: directory }, timeout: 60_000 }, (error, stdout, stderr) => {
			resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr })
		})
	})
}

test("our programs print what Debian's print", needs('xenstore-ls'), async () => {
	const client = await connectXenstore(listener.path)
	await client.write('/cmp/empty', '')
	await client.write(
		'/cmp/bytes',
		Uint8Array.from({ length: 256 }, (_, n) => n),
	)
	await client.write(`/cmp/${'long-name-'.repeat(12)}`, 'v'.repeat(300))
	await client.write('/cmp/a/b/c', 'one "two" three')
	await client.setPerms('/cmp/a/b', ['n0', 'r1', 'w2', 'b3'])
	const commands = [
		'xenstore-ls /cmp',
		'xenstore-ls -p /cmp',
		'xenstore-ls -f /cmp',
		'xenstore-ls -f -p /cmp',
		'xenstore-ls /absent',
		'xenstore-list /cmp',
		'xenstore-list -p /cmp /cmp/a',
		'xenstore-list /absent',
		'xenstore-read /cmp/bytes /cmp/empty',
		'xenstore-read -p /cmp/a/b/c',
		'xenstore-read /absent',
		'xenstore-exists /cmp/a /cmp/empty',
		'xenstore-exists /absent',
		'xenstore-write /cmp/w x\\ty\\x41\\101 /cmp/v 2',
		'xenstore-read /cmp/w /cmp/v',
		'xenstore-chmod -r /cmp/a n0 r7',
		'xenstore-ls -f -p /cmp/a',
		'xenstore-rm -t /cmp/a/b/c',
		'xenstore-rm /cmp/absent/below',
		'xenstore-list /cmp',
		'xenstore-watch -n 1 /cmp',
	]
	// A command that changes the store does the same twice.
	for (const command of commands) {
		const [name, ...parameters] = command.split(' ') as [string, ...string[]]
		if (name === 'xenstore-rm') await client.write('/cmp/a/b/c', '')
		const theirs = await run(name, ...parameters)
		if (name === 'xenstore-rm') await client.write('/cmp/a/b/c', '')
		const mine = await ours(name, ...parameters)
		assert.deepEqual(mine, { ...theirs, output: theirs.output.replaceAll(/^\/\S*\/(xenstore-\w+: )/gm, '$1') }, command)
	}
	client.close()
})
