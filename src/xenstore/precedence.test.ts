import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectInProcess } from './client.ts'
import { XenstoreServer } from './server.ts'
import { TestHost } from './test_guest.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a guest that never stops writing makes a transaction of dom0 fail once, not for ever', async (context) => {
	// However long the host takes, the guest waits until the transaction has succeeded.
	context.mock.timers.enable({ apis: ['setTimeout'] })
	const host = new TestHost()
	const server = new XenstoreServer({ ringHost: host, defer: setImmediate })
	const dom0 = connectInProcess(server)
	await dom0.write('/local/domain/1', '')
	await dom0.setPerms('/local/domain/1', ['b1'])
	const { client: guest } = host.introduce(server.domains, 1)
	let running = true
	let written = 0
	const writing = (async () => {
		for (; running; written++) {
			await guest.write('data', written)
			await turn()
		}
	})()
	while (written < 10) await turn()
	for (let round = 0; round < 5; round++) {
		let attempts = 0
		await dom0.transaction(async (nodes) => {
			attempts++
			const value = await nodes.read('/local/domain/1/data')
			for (let n = 0; n < 20; n++) await turn()
			await nodes.write('/seen', value ?? '')
		})
		assert(attempts <= 2, `${attempts} attempts`)
		// As long as guests are sure of theirs.
		const before = written
		while (written < before + 10) await turn()
		context.mock.timers.tick(25)
	}
	running = false
	await writing
})

test('guests do not wait for transactions that dom0 makes fail itself', async () => {
	const server = new XenstoreServer()
	const [one, other] = [connectInProcess(server), connectInProcess(server)]
	let attempts = 0
	await one.transaction(async (nodes) => {
		await nodes.read('/a')
		if (++attempts === 1) await other.write('/a', '1')
		assert.equal(server.store.precedence.guestsWait, false)
		await nodes.write('/b', '1')
	})
	assert.equal(attempts, 2)
})

test('guests go on after a while though dom0 does not try again', async () => {
	const host = new TestHost()
	const server = new XenstoreServer({ ringHost: host, defer: setImmediate })
	const dom0 = connectInProcess(server)
	await dom0.write('/local/domain/1', '')
	await dom0.setPerms('/local/domain/1', ['b1'])
	const { client: guest } = host.introduce(server.domains, 1)
	const session = server.store.openSession(0, () => {})
	const tx = server.store.startTransaction(session, 0) as number
	server.store.execute(session, tx, { kind: 'read', path: '/local/domain/1/data' as never })
	await guest.write('data', 'new')
	assert.equal(server.store.endTransaction(session, tx, true), 'EAGAIN')
	assert.equal(server.store.precedence.guestsWait, true)
	await guest.write('data', 'later')
	assert.equal(server.store.precedence.guestsWait, false)
	assert.equal(await dom0.read('/local/domain/1/data'), 'later')
})
