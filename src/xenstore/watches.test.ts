import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectInProcess, type XenstoreClient, XenstoreError } from './client.ts'
import { XenstoreServer } from './server.ts'
import { TestHost } from './test_guest.ts'

async function watching(path: string, options: { depth?: number; domid?: number } = {}) {
	const server = new XenstoreServer()
	const dom0 = connectInProcess(server)
	await dom0.write('/a/b/c', '')
	await dom0.write('/local/domain/1', '')
	await dom0.setPerms('/local/domain/1', ['n0', 'r1'])
	await dom0.write('/local/domain/1/memory/target', '1')
	const watcher = options.domid === undefined ? dom0 : connectInProcess(server, options.domid)
	const events: string[] = []
	const unwatch = await watcher.watch(path, (at) => events.push(at), options)
	await settled(watcher)
	return { server, dom0, watcher, events, unwatch }
}

/** Whatever was sent before has arrived. */
async function settled(client: XenstoreClient): Promise<void> {
	await client.getPerms('/').catch(() => {})
	await new Promise((resolve) => setImmediate(resolve))
}

test('a watch fires once when it is set, whether or not the path exists', async () => {
	assert.deepEqual((await watching('/a')).events, ['/a'])
	assert.deepEqual((await watching('/not/there')).events, ['/not/there'])
})

test('writes, new nodes, permissions and removals below the path fire, those beside it do not', async () => {
	const { dom0, events } = await watching('/a')
	await dom0.write('/a/b/c', '1')
	await dom0.write('/ab', '1')
	await dom0.mkdir('/a/n/m')
	await dom0.mkdir('/a/n/m')
	await dom0.setPerms('/a/b', ['n0', 'r1'])
	await dom0.rm('/a/n/m')
	await settled(dom0)
	assert.deepEqual(events, ['/a', '/a/b/c', '/a/n/m', '/a/b', '/a/n/m'])
})

test('removing a parent fires the watch on a child with the child as its path, and fires once', async () => {
	const { dom0, events } = await watching('/a/b/c')
	await dom0.rm('/a')
	await settled(dom0)
	assert.deepEqual(events, ['/a/b/c', '/a/b/c'])
})

test('removing a subtree fires a watch above it once', async () => {
	const { dom0, events } = await watching('/a')
	await dom0.rm('/a/b')
	await settled(dom0)
	assert.deepEqual(events, ['/a', '/a/b'])
})

test("a relative watch's events are relative", async () => {
	const { dom0, watcher, events } = await watching('memory', { domid: 1 })
	await dom0.write('/local/domain/1/memory/target', '2')
	await settled(watcher)
	assert.deepEqual(events, ['memory', 'memory/target'])
})

test('a depth limits how far below the path a change is heard', async () => {
	const { dom0, events } = await watching('/a', { depth: 1 })
	await dom0.write('/a/b', '1')
	await dom0.write('/a/b/c', '1')
	await settled(dom0)
	assert.deepEqual(events, ['/a', '/a/b'])
})

test('a domain hears only of what it may read, or could until now', async () => {
	const { dom0, watcher, events } = await watching('/', { domid: 1 })
	await dom0.write('/a/b/c', 'secret')
	await dom0.write('/local/domain/1/memory/target', '3')
	await dom0.setPerms('/local/domain/1/memory/target', ['n0'])
	await dom0.write('/local/domain/1/memory/target', '4')
	await dom0.rm('/local/domain/1/memory')
	await settled(watcher)
	const target = '/local/domain/1/memory/target'
	assert.deepEqual(events, ['/', target, target, target, '/local/domain/1/memory'], 'its parent is readable all the time')
	await dom0.setPerms('/local/domain/1', ['n0'])
	await dom0.write('/local/domain/1/x', '')
	await settled(watcher)
	assert.deepEqual(events.slice(5), ['/local/domain/1'])
})

test('the same path and token twice is EEXIST, unwatch ends the events, a second unwatch is ENOENT', async () => {
	const { server, dom0, events, unwatch } = await watching('/a')
	const session = server.store.openSession(0, () => {})
	assert.equal(typeof server.store.watch(session, '/a', 't'), 'object')
	assert.equal(server.store.watch(session, '/a', 't'), 'EEXIST')
	assert.equal(server.store.unwatch(session, '/a', 't'), undefined)
	assert.equal(server.store.unwatch(session, '/a', 't'), 'ENOENT')
	await unwatch()
	await dom0.write('/a', '1')
	await settled(dom0)
	assert.deepEqual(events, ['/a'])
})

test('@introduceDomain and @releaseDomain fire for dom0, each shutdown once until the domain is resumed', async () => {
	const host = new TestHost()
	const server = new XenstoreServer({ ringHost: host })
	const dom0 = connectInProcess(server)
	const events: string[] = []
	await dom0.watch('@introduceDomain', (path) => events.push(path))
	await dom0.watch('@releaseDomain', (path) => events.push(path))
	await dom0.watch('@releaseDomain', (path) => events.push(`depth ${path}`), { depth: 1 })
	await dom0.watch('@releaseDomain/5', (path) => events.push(`only ${path}`))
	await settled(dom0)
	const next = async (what: () => unknown) => {
		events.length = 0
		await what()
		await settled(dom0)
		return events
	}
	const released = ['@releaseDomain', 'depth @releaseDomain/5', 'only @releaseDomain/5']
	assert.deepEqual(await next(() => dom0.introduceDomain(5, 1, 1)), ['@introduceDomain'])
	assert.equal(await dom0.isDomainIntroduced(5), true)
	assert.deepEqual(await next(() => server.domains.shutDown(5)), released)
	assert.deepEqual(await next(() => server.domains.shutDown(5)), [])
	await dom0.resumeDomain(5)
	assert.deepEqual(await next(() => server.domains.shutDown(5)), released)
	assert.deepEqual(await next(() => server.domains.gone(5)), released)
	assert.equal(await dom0.isDomainIntroduced(5), false)
	await assert.rejects(dom0.releaseDomain(5), (error) => error instanceof XenstoreError && error.errno === 'ENOENT')
})

test('an unprivileged domain hears of domains only when dom0 allows it', async () => {
	const { server, dom0, watcher, events } = await watching('@releaseDomain', { domid: 1 })
	server.store.domainReleased(9)
	await settled(watcher)
	assert.deepEqual(events, ['@releaseDomain'], 'only the first event')
	await dom0.setPerms('@releaseDomain', ['n0', 'r1'])
	server.store.domainReleased(9)
	await settled(watcher)
	assert.deepEqual(events, ['@releaseDomain', '@releaseDomain'])
})
