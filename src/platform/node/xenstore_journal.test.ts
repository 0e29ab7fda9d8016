import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connectInProcess } from '../../xenstore/client.ts'
import { XenstoreServer } from '../../xenstore/server.ts'
import { TestHost } from '../../xenstore/test_guest.ts'
import { FileJournal, readJournal } from './xenstore_journal.ts'

const directory = mkdtempSync(join(tmpdir(), 'xenotype-journal-'))
after(() => rmSync(directory, { recursive: true }))
let files = 0

/** A server that writes a journal down. */
function serverWithJournal(path = join(directory, `journal-${++files}`)) {
	const server = new XenstoreServer({ ringHost: new TestHost(), defer: setImmediate })
	const failures: Error[] = []
	const journal = new FileJournal({ path, bootId: 'boot', snapshot: () => server.snapshot(), onFailure: (error) => failures.push(error) })
	server.store.startJournal(journal)
	return { server, path, dom0: connectInProcess(server), journal, failures }
}

function restored(path: string, bootId = 'boot'): XenstoreServer {
	const server = new XenstoreServer({ ringHost: new TestHost(), defer: setImmediate })
	server.restore(readJournal(path, bootId))
	return server
}

/** All that a snapshot says but generations and which conversations are empty. */
const contents = (server: XenstoreServer) => [...server.snapshot()].filter(({ kind }) => kind !== 'generation' && kind !== 'converse')

test('the next server has every node, permission, quota and domain, from the journal and from its snapshot', async () => {
	const { server, path, dom0 } = serverWithJournal()
	await dom0.write('/local/domain/1/data', 'a value\xff')
	await dom0.setPerms('/local/domain/1', ['n1', 'r2'])
	await dom0.setPerms('/local/domain/1/data', ['b1'])
	await dom0.write('/a/b/c', '1')
	await dom0.rm('/a/b')
	await dom0.transaction(async (transaction) => {
		await transaction.write('/a/b/d', '2')
		await transaction.rm('/a')
		await transaction.write('/a/e', '3')
	})
	await dom0.introduceDomain(1, 17, 3)
	await dom0.introduceDomain(2, 18, 3)
	await dom0.releaseDomain(2)
	server.store.setLimit('nodes', 500)
	server.store.setLimit('watches', 7, 1)
	const next = restored(path)
	assert.deepEqual(contents(next), contents(server))
	assert.deepEqual(next.store.usage(1), server.store.usage(1))
	assert.deepEqual(next.domains.introduced, [1])
	const again = new XenstoreServer()
	again.restore(server.snapshot())
	assert.deepEqual(contents(again), contents(server))
})

test('a cut-off last line does not count; damage before it is an error; another boot has nothing', async () => {
	const { path, dom0, journal } = serverWithJournal()
	await dom0.write('/a', '1')
	await dom0.write('/b', '2')
	journal.close()
	const whole = readFileSync(path)
	truncateSync(path, whole.length - 3)
	assert.equal(await connectInProcess(restored(path)).read('/a'), '1')
	assert.equal(await connectInProcess(restored(path)).read('/b'), undefined)
	writeFileSync(path, whole.toString().replace('"/a"', '"/c"'))
	assert.throws(() => restored(path), /journal .* is damaged in line \d+: its checksum is wrong/)
	writeFileSync(path, 'something else\n')
	assert.throws(() => restored(path), /damaged in line 1/)
	writeFileSync(path, whole)
	assert.deepEqual(readJournal(path, 'another boot'), [])
	assert.deepEqual(readJournal(`${path}-none`, 'boot'), [])
})

test('the file follows the size of the store, not its history', async () => {
	const { path, server, dom0 } = serverWithJournal()
	const value = 'x'.repeat(2000)
	for (let i = 0; i < 2000; i++) await dom0.write(`/node${i % 3}`, `${i}${value}`)
	await new Promise((resolve) => setImmediate(resolve))
	assert.ok(statSync(path).size < 1.2e6, `${statSync(path).size} bytes`)
	assert.deepEqual(contents(restored(path)), contents(server))
})

test('a journal that cannot be written is reported once and leaves no file', async () => {
	const { path, dom0, failures } = serverWithJournal(join(directory, 'missing', 'journal'))
	await dom0.write('/a', '1')
	assert.equal(await dom0.read('/a'), '1')
	assert.equal(failures.length, 1)
	assert.deepEqual(readJournal(path, 'boot'), [])
})
