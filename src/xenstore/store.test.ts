import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectInProcess, XenstoreError } from './client.ts'
import type { Path } from './path.ts'
import { XenstoreServer } from './server.ts'

function store() {
	const server = new XenstoreServer()
	return { server, dom0: connectInProcess(server), domain: (domid: number) => connectInProcess(server, domid) }
}

async function refusal(operation: Promise<unknown>): Promise<string> {
	const error = await operation.then(
		() => undefined,
		(reason: unknown) => reason,
	)
	assert.ok(error instanceof XenstoreError, `refused, not ${error}`)
	return error.errno
}

/** A tree as xl gives it to a domain: the domain reads everything and owns `data`. */
async function withDomain(domid = 1) {
	const all = store()
	await all.dom0.write(`/local/domain/${domid}`, '')
	await all.dom0.setPerms(`/local/domain/${domid}`, ['n0', `r${domid}`])
	await all.dom0.write(`/local/domain/${domid}/name`, 'guest')
	await all.dom0.write(`/local/domain/${domid}/data`, '')
	await all.dom0.setPerms(`/local/domain/${domid}/data`, [`n${domid}`])
	return { ...all, guest: all.domain(domid) }
}

test('what is written is read, byte for byte', async () => {
	const { dom0 } = store()
	const value = Uint8Array.from({ length: 256 }, (_, i) => i)
	await dom0.write('/a/b', value)
	assert.deepEqual(await dom0.readBytes('/a/b'), value)
	assert.equal(await dom0.read('/a'), '')
	assert.equal(await dom0.read('/a/c'), undefined)
})

test('children are listed in the order of their creation, and a write does not move one', async () => {
	const { dom0 } = store()
	for (const name of ['z', 'a', '10', '9']) await dom0.write(`/d/${name}`, '')
	await dom0.write('/d/z', 'again')
	assert.deepEqual(await dom0.ls('/d'), ['z', 'a', '10', '9'])
})

test('a list longer than a message comes in parts, in full', async () => {
	const { dom0 } = store()
	const names = Array.from({ length: 1500 }, (_, i) => `child-${i}`)
	for (const name of names) await dom0.mkdir(`/long/${name}`)
	assert.deepEqual(await dom0.ls('/long'), names)
})

test('rm takes all that is below; without the parent it is ENOENT, and the root stays', async () => {
	const { server, dom0 } = store()
	const rm = (path: string) =>
		server.store.execute(
			server.store.openSession(0, () => {}),
			0,
			{ kind: 'rm', path: path as Path },
		)
	await dom0.write('/a/b/c', '')
	assert.equal(rm('/a'), undefined)
	assert.equal(await dom0.read('/a/b/c'), undefined)
	assert.equal(rm('/a'), undefined, 'that the node is not there is no error')
	assert.equal(rm('/a/b'), 'ENOENT')
	assert.equal(await refusal(dom0.rm('/')), 'EINVAL')
})

test('mkdir leaves a node that is there as it is', async () => {
	const { dom0 } = store()
	await dom0.write('/a', 'x')
	await dom0.mkdir('/a')
	assert.equal(await dom0.read('/a'), 'x')
})

test('new nodes inherit permissions; an unprivileged domain owns what it creates', async () => {
	const { dom0, guest } = await withDomain()
	assert.deepEqual(await dom0.getPerms('/local/domain/1/name'), ['n0', 'r1'])
	await dom0.setPerms('/local/domain/1/data', ['n0', 'b1'])
	await guest.write('data/x/y', '1')
	assert.deepEqual(await dom0.getPerms('/local/domain/1/data/x'), ['n1', 'b1'])
	assert.deepEqual(await dom0.getPerms('/local/domain/1/data/x/y'), ['n1', 'b1'])
})

test('a domain reads what it may, writes what it owns, and learns nothing of the rest', async () => {
	const { dom0, guest, domain } = await withDomain()
	await dom0.write('/local/domain/0/secret', 'x')
	assert.equal(await guest.read('name'), 'guest')
	assert.equal(await refusal(guest.write('name', 'other')), 'EACCES')
	assert.equal(await guest.read('nothing'), undefined)
	assert.equal(await refusal(guest.write('nothing', '')), 'EACCES')
	assert.equal(await refusal(guest.read('/local/domain/0/secret')), 'EACCES')
	assert.equal(await refusal(guest.read('/local/domain/0/nothing')), 'EACCES')
	assert.equal(await refusal(guest.rm('name')), 'EACCES')
	await guest.write('data', 'mine')
	assert.equal(await refusal(domain(2).read('/local/domain/1/data')), 'EACCES')
})

test('only the owner sets permissions, and only dom0 gives a node away', async () => {
	const { dom0, guest, domain } = await withDomain()
	await guest.setPerms('data', ['n1', 'r2'])
	assert.equal(await domain(2).read('/local/domain/1/data'), '')
	assert.equal(await refusal(domain(2).setPerms('/local/domain/1/data', ['n2'])), 'EACCES')
	assert.equal(await refusal(guest.setPerms('data', ['n2'])), 'EPERM')
	assert.equal(await refusal(guest.setPerms('data', ['x1'])), 'EINVAL')
	await dom0.setPerms('/local/domain/1/data', ['b2'])
	assert.equal(await guest.read('data'), '', "the owner's letter is for everyone else")
})

test('quotas hold for domains and not for dom0', async () => {
	const { server, dom0, guest } = await withDomain()
	const limits = server.store.ownLimits(1)
	Object.assign(limits, { nodes: 4, 'node-size': 100, 'node-permissions': 2, watches: 1, transactions: 0 })
	await guest.write('data/a/b', '')
	await guest.write('data/c', '')
	assert.equal(await refusal(guest.write('data/d', '')), 'ENOSPC')
	await guest.rm('data/c')
	assert.equal(await refusal(guest.write('data/d/e', '')), 'ENOSPC', 'two nodes where one is left')
	assert.equal(await dom0.read('/local/domain/1/data/d'), undefined, 'nothing of it was made')
	await guest.write('data/d', 'x'.repeat(50))
	assert.equal(await refusal(guest.write('data/d', 'x'.repeat(100))), 'ENOSPC')
	assert.equal(await refusal(guest.setPerms('data', ['n1', 'r2', 'r3'])), 'ENOSPC')
	await guest.watch('data', () => {})
	assert.equal(await refusal(guest.watch('name', () => {})), 'ENOSPC')
	await dom0.write('/local/domain/1/data/d', 'x'.repeat(1000))
})

test('at the limit of transactions, starting one more is ENOSPC', async () => {
	const { server, guest } = await withDomain()
	server.store.ownLimits(1).transactions = 1
	await guest.transaction(async () => {
		assert.equal(await refusal(guest.transaction(async () => {})), 'ENOSPC')
	})
	await guest.transaction(async (nodes) => assert.equal(await nodes.read('name'), 'guest'))
})

test("a domain's limits follow the common ones until they are set", () => {
	const { server } = store()
	const own = server.store.ownLimits(4)
	server.store.limits().nodes = 77
	own.watches = 3
	assert.deepEqual([own.nodes, own.watches, server.store.limits(5).watches], [77, 3, 128])
})

test('accounts come out even when everything is undone', async () => {
	const { server, guest } = await withDomain()
	const before = server.store.usage(1)
	const unwatch = await guest.watch('data', () => {})
	await guest.write('data/a/b/c', 'xyz')
	await guest.transaction(async (nodes) => nodes.write('data/t', '1'))
	await assert.rejects(
		guest.transaction(async (nodes) => {
			await nodes.write('data/u', '1')
			throw new Error('undo')
		}),
	)
	assert.equal(server.store.usage(1).nodes, before.nodes + 4)
	await guest.rm('data/a')
	await guest.rm('data/t')
	await unwatch()
	assert.deepEqual(server.store.usage(1), before)
})

test('when a domain is gone its nodes go, and its name goes from the permissions of others', async () => {
	const { server, dom0, guest } = await withDomain()
	await dom0.write('/shared', 'x')
	await dom0.setPerms('/shared', ['n0', 'r2', 'w1'])
	await guest.write('data/x', '')
	server.store.forgetDomain(1)
	assert.deepEqual(await dom0.getPerms('/shared'), ['n0', 'r2'])
	assert.deepEqual(await dom0.ls('/local/domain/1'), ['name'])
	assert.deepEqual(await dom0.getPerms('/local/domain/1/name'), ['n0'])
	assert.equal(server.store.usage(1).nodes, 0)
})
