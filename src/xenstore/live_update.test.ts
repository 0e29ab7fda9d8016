import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectInProcess } from './client.ts'
import { XenstoreServer } from './server.ts'

/** A store that could go on elsewhere, and how often it was told to. */
function setUp() {
	const server = new XenstoreServer()
	const { liveUpdate } = server.store
	let begun = 0
	let decline = () => {}
	liveUpdate.begin = () => {
		begun++
		return new Promise((resolve) => {
			decline = resolve
		})
	}
	const [operator, other] = [connectInProcess(server), connectInProcess(server)]
	const { promise: released, resolve: release } = Promise.withResolvers<void>()
	let done: Promise<unknown> = Promise.resolve()
	const openTransaction = () =>
		new Promise<void>((opened) => {
			done = other.transaction(async (nodes) => {
				await nodes.write('/a', '1')
				opened()
				await released
			})
		})
	return {
		operator,
		other,
		openTransaction,
		begun: () => begun,
		/** Nobody took over after all. */
		decline: () => decline(),
		end: async () => {
			release()
			await done
		},
	}
}

test('live-update -s takes open transactions along at once', async () => {
	const { operator, openTransaction, begun, end } = setUp()
	await openTransaction()
	assert.equal(await operator.control('live-update', '-s'), 'OK')
	assert.equal(begun(), 1)
	await end()
})

test('a live update that has begun is busy for others, until it turns out that nobody takes over', async () => {
	const { operator, other, begun, decline } = setUp()
	assert.equal(await operator.control('live-update', '-s'), 'OK')
	await assert.rejects(other.control('live-update', '-s'), /EBUSY/)
	assert.equal(begun(), 1)
	decline()
	await new Promise(setImmediate)
	assert.equal(await other.control('live-update', '-s'), 'OK')
	assert.equal(begun(), 2)
})

test('live-update -t waits for the end of open transactions; who asked is answered then, in order, and nobody else waits', async () => {
	const { operator, other, openTransaction, begun, end } = setUp()
	await openTransaction()
	const order: string[] = []
	const updated = operator.control('live-update', '-s', '-t', '60').then((answer) => order.push(answer))
	const read = operator.read('/nothing').then(() => order.push('read'))
	await other.write('/b', '2')
	assert.equal(begun(), 0)
	await assert.rejects(other.control('live-update', '-s'), /EBUSY/)
	await end()
	await Promise.all([updated, read])
	assert.equal(begun(), 1)
	assert.deepEqual(order, ['OK', 'read'])
})

test('a client that goes away ends its transactions, too', async () => {
	const { operator, other, openTransaction, begun, end } = setUp()
	await openTransaction()
	const updated = operator.control('live-update', '-s', '-t', '60', '-F')
	other.close()
	assert.equal(await updated, 'OK')
	assert.equal(begun(), 1)
	await end().catch(() => {})
})

test('after the time there is no update while transactions are open, unless it is forced', async () => {
	const { operator, openTransaction, begun, end } = setUp()
	await openTransaction()
	assert.equal(await operator.control('live-update', '-s', '-t', '0'), 'Transactions are open: 1 of domain 0')
	assert.equal(begun(), 0)
	assert.equal(await operator.control('live-update', '-s', '-t', '0', '-F'), 'OK')
	assert.equal(begun(), 1)
	await end()
})

test('other words than those are refused', async () => {
	const { operator, begun } = setUp()
	for (const words of [['-s', '-t'], ['-s', '-t', 'x'], ['-s', '-F', '-F'], ['-x'], []])
		await assert.rejects(operator.control('live-update', ...words), /EINVAL/, words.join(' '))
	assert.equal(begun(), 0)
})
