import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectInProcess } from '../../xenstore/client.ts'
import { XenstoreServer } from '../../xenstore/server.ts'
import { runXenstore } from './programs.ts'
import { escapeValue, unescapeValue } from './values.ts'

function setUp(columns?: number) {
	const server = new XenstoreServer()
	const run = async (line: string, words = line.split(' ')) => {
		const chunks: Uint8Array[] = []
		let err = ''
		const [name, ...rest] = words
		const status = await runXenstore(name!, rest, {
			connect: async () => connectInProcess(server),
			write: (bytes) => void chunks.push(Buffer.from(bytes)),
			complain: (text) => void (err += `${text}\n`),
			columns,
		})
		return { status, out: Buffer.concat(chunks).toString('latin1'), err }
	}
	return { server, run }
}

test('values are written and read back whatever their bytes are', () => {
	const bytes = Uint8Array.from({ length: 256 }, (_, n) => n)
	assert.deepEqual([...unescapeValue(escapeValue(bytes))], [...bytes])
	assert.equal(escapeValue(Uint8Array.of(0, 7, 8, 9, 0x5c, 0x7f, 0xff, 0x41)), '\\000\\007\\x08\\t\\\\\\x7f\\xffA')
	assert.deepEqual([...unescapeValue('\\q\\')], [0x71])
})

test('xenstore-write, -read and -exists', async () => {
	const { run } = setUp()
	assert.deepEqual(await run('xenstore-write /a one /b two'), { status: 0, out: '', err: '' })
	assert.equal((await run('xenstore-read /a /b')).out, 'one\ntwo\n')
	assert.equal((await run('xenstore-read -p /a')).out, '/a: one\n')
	await run('', ['xenstore-write', '/a', 'x\\n\\x01'])
	assert.equal((await run('xenstore-read /a')).out, 'x\\n\\001\n')
	assert.equal((await run('xenstore-read -R /a')).out, 'x\n\x01')
	await run('', ['xenstore-write', '-R', '/a', 'x\\n'])
	assert.equal((await run('xenstore-read -R /a')).out, 'x\\n')
	assert.deepEqual(await run('xenstore-read /a /c'), { status: 1, out: '', err: "xenstore-read: couldn't read path /c\n" })
	assert.equal((await run('xenstore-exists /a')).status, 0)
	assert.equal((await run('xenstore-exists /a /c')).status, 1)
	assert.match((await run('xenstore-write /a')).err, /^xenstore-write: Usage: xenstore-write \[-h\] \[-R\] key value \[...\]\n$/)
})

test('a write of several values is one transaction', async () => {
	const { run, server } = setUp()
	let fired = 0
	const client = connectInProcess(server)
	await client.watch('/t', () => void fired++)
	const { status, err } = await run('xenstore-write /t/a 1 /bad//path 2')
	assert.deepEqual([status, err], [1, 'xenstore-write: could not write path /bad//path\n'])
	assert.equal((await run('xenstore-exists /t/a')).status, 1)
	assert.equal(fired, 1)
})

test('xenstore-list and xenstore-ls', async () => {
	const { run } = setUp()
	await run('xenstore-write /d/a 1 /d/b/c 2')
	assert.equal((await run('xenstore-list /d')).out, 'a\nb\n')
	assert.equal((await run('xenstore-list -p /d')).out, '/d/a\n/d/b\n')
	assert.equal((await run('xenstore-ls /d')).out, 'a = "1"\nb = ""\n c = "2"\n')
	assert.equal((await run('xenstore-ls -f /d')).out, '/d/a = "1"\n/d/b = ""\n/d/b/c = "2"\n')
	assert.equal((await run('xenstore-ls -fp /d')).out, '/d/a = "1"   (n0)\n/d/b = ""   (n0)\n/d/b/c = "2"   (n0)\n')
	assert.equal((await run('xenstore-ls -p /d')).out.split('\n')[0], `a = "1" ${' .'.repeat(26)}  (n0)`)
	assert.deepEqual(await run('xenstore-ls /no'), {
		status: 1,
		out: '',
		err: 'xenstore-ls: xs_directory (/no): No such file or directory\n',
	})
	assert.deepEqual(await run('xenstore-list /no'), { status: 1, out: '', err: 'xenstore-list: could not list path /no\n' })
})

test('xenstore-ls cuts what is wider than the terminal', async () => {
	const { run } = setUp(22)
	await run('xenstore-write /d/name 0123456789')
	assert.equal((await run('xenstore-ls /d')).out, 'name = "01234567\\..."\n')
	assert.equal((await run('xenstore-ls -f /d')).out, '/d/name = "0123456789"\n')
})

test('xenstore-rm removes, and with -t the bare nodes above too', async () => {
	const { run } = setUp()
	await run('xenstore-write /k/a/b/c 1 /k/a/v 2')
	assert.deepEqual(await run('xenstore-rm -t /k/a/b/c'), { status: 0, out: '', err: '' })
	assert.equal((await run('xenstore-ls -f /k')).out, '/k/a = ""\n/k/a/v = "2"\n')
	assert.deepEqual(await run('xenstore-rm /no/such'), { status: 1, out: '', err: 'xenstore-rm: could not remove path /no/such\n' })
})

test('xenstore-chmod sets permissions, above and below too', async () => {
	const { run } = setUp()
	await run('xenstore-write /p/q/r 1')
	await run('xenstore-chmod -r /p/q n0 r3')
	assert.equal((await run('xenstore-ls -fp /p')).out, '/p/q = ""   (n0,r3)\n/p/q/r = "1"   (n0,r3)\n')
	await run('xenstore-chmod -u /p/q/r b5')
	assert.equal((await run('xenstore-ls -fp /')).out.match(/^\/p.*\(b5\)$/gm)?.length, 3)
	assert.deepEqual(await run('xenstore-chmod /p x1'), {
		status: 1,
		out: '',
		err: "xenstore-chmod: Invalid permission specification: 'x'\n",
	})
})

test('xenstore-watch prints the paths of so many events', async () => {
	const { run, server } = setUp()
	const client = connectInProcess(server)
	const done = run('xenstore-watch -n 3 /w')
	await new Promise((resolve) => setTimeout(resolve, 10))
	await client.write('/w/x', '1')
	await client.write('/w', '2')
	assert.deepEqual(await done, { status: 0, out: '/w\n/w/x\n/w\n', err: '' })
})

test('one program has all modes', async () => {
	const { run } = setUp()
	await run('xenstore write /a 1')
	assert.equal((await run('xenstore read /a')).out, '1\n')
	assert.equal((await run('xenstore')).err, 'xenstore: Usage: xenstore <mode> [-h] [...]\n')
	assert.match((await run('xenstore dance')).err, /unknown mode dance; it must be one of read, write/)
	assert.match((await run('xenstore read -t /a')).err, /option -t not recognized\nxenstore: Usage: xenstore read/)
})

test('xenstore-control passes its words on, and says why the server refuses', async () => {
	const { run } = setUp()
	assert.equal((await run('xenstore-control help')).status, 0)
	assert.deepEqual(await run('xenstore-control dance'), { status: 1, out: '', err: 'xenstore-control: dance: Invalid argument\n' })
	assert.equal(
		(await run('xenstore-control', ['xenstore-control'])).err,
		'xenstore-control: Usage: xenstore-control <command> [<arg>...]\n',
	)
})

test("xenstore-control live-update takes the options of Xen's own", async () => {
	const { run, server } = setUp()
	let begun = 0
	server.store.liveUpdate.begin = async () => {
		begun++
	}
	assert.deepEqual(await run('xenstore-control live-update -c -N -t 5 -F /usr/sbin/xenstored'), { status: 0, out: 'OK\n', err: '' })
	assert.equal((await run('xenstore-control live-update -s')).out, 'OK\n')
	assert.equal(begun, 2)
	const dom0 = server.store.openSession(0, () => {})
	server.store.startTransaction(dom0, 0)
	assert.deepEqual(await run('xenstore-control live-update -t 0 file'), {
		status: 1,
		out: 'Transactions are open: 1 of domain 0\n',
		err: '',
	})
	assert.equal((await run('xenstore-control live-update -q file')).err, 'xenstore-control: live-update: option -q not recognized\n')
	assert.equal(begun, 2)
})
