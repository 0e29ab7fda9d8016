import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectInProcess, type XenstoreNodes } from './client.ts'
import type { Path } from './path.ts'
import { XenstoreServer } from './server.ts'
import type { NodeOperation } from './transaction.ts'

/** A store with one session in a transaction and another beside it. */
function open() {
	const { store } = new XenstoreServer()
	const inside = store.openSession(0, () => {})
	const outside = store.openSession(0, () => {})
	const put = (path: string, value: string): NodeOperation => ({
		kind: 'write',
		path: path as Path,
		value: new TextEncoder().encode(value),
	})
	const on = (kind: 'read' | 'directory' | 'mkdir' | 'rm', path: string): NodeOperation => ({ kind, path: path as Path })
	for (const path of ['/a', '/b', '/d/x']) store.execute(outside, 0, put(path, 'old'))
	const start = () => store.startTransaction(inside, 0) as number
	return { store, inside, outside, put, on, start }
}

const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array)

test('a transaction sees its own writes and the store as it was at the start; others see nothing before the commit', () => {
	const { store, inside, outside, put, on, start } = open()
	const tx = start()
	store.execute(inside, tx, put('/a', 'new'))
	store.execute(outside, 0, put('/b', 'changed'))
	assert.equal(text(store.execute(inside, tx, on('read', '/a'))), 'new')
	assert.equal(text(store.execute(inside, tx, on('read', '/b'))), 'old')
	assert.equal(text(store.execute(outside, 0, on('read', '/a'))), 'old')
})

test('an aborted transaction leaves nothing behind, and its number is no longer valid', () => {
	const { store, inside, put, on, start } = open()
	const tx = start()
	store.execute(inside, tx, put('/a', 'new'))
	assert.equal(store.endTransaction(inside, tx, false), undefined)
	assert.equal(text(store.execute(inside, 0, on('read', '/a'))), 'old')
	assert.equal(store.execute(inside, tx, on('read', '/a')), 'ENOENT')
	assert.equal(store.endTransaction(inside, tx, true), 'ENOENT')
})

test('startTransaction() is EBUSY in a transaction', () => {
	const { store, inside, start } = open()
	assert.equal(store.startTransaction(inside, start()), 'EBUSY')
	assert.equal(store.startTransaction(inside, 99), 'ENOENT')
})

/** What the transaction does, what happens beside it, and whether they conflict. */
const conflicts: [what: string, result: 'EAGAIN' | undefined, inside: string[][], outside: string[][]][] = [
	[
		'a value that it read was changed',
		'EAGAIN',
		[
			['read', '/a'],
			['write', '/b'],
		],
		[['write', '/a']],
	],
	[
		'a value that it read was changed and changed back',
		undefined,
		[
			['read', '/a'],
			['write', '/b'],
		],
		[
			['write', '/a'],
			['write', '/a', 'old'],
		],
	],
	['a value that it only wrote was changed', undefined, [['write', '/a']], [['write', '/a']]],
	[
		'another value was changed',
		undefined,
		[
			['read', '/a'],
			['write', '/b'],
		],
		[['write', '/d/x']],
	],
	['a child was added to a list that it read', 'EAGAIN', [['directory', '/d']], [['write', '/d/y']]],
	['a child was added to a directory in which it made another', undefined, [['write', '/d/z']], [['write', '/d/y']]],
	['the value of a child was changed whose list it read', undefined, [['directory', '/d']], [['write', '/d/x']]],
	['a child was added to a node whose value it read', undefined, [['read', '/d']], [['write', '/d/y']]],
	['a node that it read was removed', 'EAGAIN', [['read', '/a']], [['rm', '/a']]],
	['a node that it did not find was made', 'EAGAIN', [['read', '/n']], [['write', '/n']]],
	['a node that it wrote was removed', undefined, [['write', '/d/x']], [['rm', '/d']]],
	['the parent was removed of what it removed', 'EAGAIN', [['rm', '/d/x']], [['rm', '/d']]],
]

for (const [what, expected, operations, others] of conflicts) {
	test(`commit is ${expected ?? 'no conflict'} when ${what}`, () => {
		const { store, inside, outside, put, on, start } = open()
		const operation = ([kind, path, value]: string[]) => (kind === 'write' ? put(path, value ?? 'new') : on(kind as 'read', path))
		const tx = start()
		for (const each of operations) store.execute(inside, tx, operation(each))
		for (const each of others) store.execute(outside, 0, operation(each))
		assert.equal(store.endTransaction(inside, tx, true), expected)
	})
}

test('two transactions that each read what the other writes: the second to commit gets EAGAIN', () => {
	const { store, inside, put, on, start } = open()
	const [first, second] = [start(), start()]
	store.execute(inside, first, on('read', '/a'))
	store.execute(inside, second, on('read', '/b'))
	store.execute(inside, first, put('/b', '1'))
	store.execute(inside, second, put('/a', '2'))
	assert.equal(store.endTransaction(inside, first, true), undefined)
	assert.equal(store.endTransaction(inside, second, true), 'EAGAIN')
	assert.equal(text(store.execute(inside, 0, on('read', '/a'))), 'old')
})

test('a commit fires each changed path once, and only then', async () => {
	const server = new XenstoreServer()
	const client = connectInProcess(server)
	const events: string[] = []
	await client.watch('/d', (path) => events.push(path))
	await client.transaction(async (nodes) => {
		await nodes.write('/d/a', '1')
		await nodes.write('/d/a', '2')
		await nodes.write('/d/b', '1')
		assert.deepEqual(events, ['/d'])
	})
	await client.read('/')
	assert.deepEqual(events, ['/d', '/d/a', '/d/b'])
})

test('many clients that count up in transactions lose no count', async () => {
	const server = new XenstoreServer()
	const clients = Array.from({ length: 10 }, () => connectInProcess(server))
	await clients[0].write('/count', '0')
	const countUp = async (nodes: XenstoreNodes) => nodes.write('/count', Number(await nodes.read('/count')) + 1)
	await Promise.all(
		clients.map(async (client) => {
			for (let i = 0; i < 20; i++) await client.transaction(countUp)
		}),
	)
	assert.equal(await clients[0].read('/count'), '200')
})

test('a domain cannot make a transaction grow without bound', async () => {
	const server = new XenstoreServer()
	const dom0 = connectInProcess(server)
	await dom0.write('/g', '')
	await dom0.setPerms('/g', ['n1'])
	const { store } = server
	const session = store.openSession(1, () => {})
	const tx = store.startTransaction(session, 0) as number
	const results = Array.from({ length: 2000 }, () =>
		store.execute(session, tx, { kind: 'write', path: '/g' as Path, value: new Uint8Array(1000) }),
	)
	assert.equal(results.indexOf('ENOSPC'), store.limits(1)['transaction-nodes'])
	const reads = store.startTransaction(session, 0) as number
	for (let i = 0; i < 5000; i++) store.execute(session, reads, { kind: 'read', path: '/g' as Path })
	assert.ok(
		store.execute(session, reads, { kind: 'read', path: '/g' as Path }) instanceof Uint8Array,
		'the same read again and again is free',
	)
})

test('an open transaction goes on in another server, and fails there only for what it depends on', async () => {
	const server = new XenstoreServer()
	const dom0 = connectInProcess(server)
	for (const path of ['/a', '/b', '/c']) await dom0.write(path, 'old')
	const session = server.store.openSession(0, () => {})
	const operation = (kind: 'read' | 'mkdir', path: string): NodeOperation => ({ kind, path: path as Path })
	const begin = (read: string, made: string) => {
		const tx = server.store.startTransaction(session, 0) as number
		server.store.execute(session, tx, operation('read', read))
		server.store.execute(session, tx, operation('mkdir', made))
		return tx
	}
	const [kept, stale] = [begin('/a', '/new'), begin('/b', '/other')]
	await dom0.write('/b', 'changed')
	await dom0.write('/c', 'changed')

	const heir = new XenstoreServer()
	heir.restore(server.snapshot())
	const taken = heir.store.openSession(0, () => {})
	heir.store.restoreSession(taken, [], structuredClone(session.transactions))
	assert.equal(heir.store.usage(0).transactions, 2)
	assert.equal(text(heir.store.execute(taken, kept, operation('read', '/c'))), 'changed')
	assert.equal(heir.store.endTransaction(taken, kept, true), undefined)
	assert.equal(heir.store.endTransaction(taken, stale, true), 'EAGAIN')
	const other = connectInProcess(heir)
	assert.equal(await other.read('/new'), '')
	assert.equal(await other.read('/other'), undefined)
	assert.deepEqual([heir.store.usage(0).transactions, taken.account.bytes], [0, 0])
})

test('an open transaction of a guest goes on with its conversation', async () => {
	const server = new XenstoreServer()
	await connectInProcess(server).setPerms('/tool', ['b1'])
	const session = server.store.durableSession(1)
	const tx = server.store.startTransaction(session, 0) as number
	const make: NodeOperation = { kind: 'mkdir', path: '/tool/mine' as Path }
	assert.equal(server.store.execute(session, tx, make), undefined)
	const killed = new XenstoreServer()
	killed.restore(server.snapshot())
	assert.equal(killed.store.endTransaction(killed.store.durableSession(1), tx, true), 'EAGAIN', 'after a kill')
	const heir = new XenstoreServer()
	heir.restore(server.snapshot())
	heir.store.resumeGuests(structuredClone(server.store.guestTransactions))
	const taken = heir.store.durableSession(1)
	assert.deepEqual([taken.account.transactions, taken.account.bytes], [1, session.account.bytes])
	assert.equal(heir.store.endTransaction(taken, tx, true), undefined)
	assert.equal(await connectInProcess(heir).read('/tool/mine'), '')
})
