import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { FakeFactory } from '../../tests/support/fake_domains.ts'
import { Lifecycle } from '../toolstack/lifecycle.ts'
import { DomainConsoles, type KeptConsoles } from './domain_consoles.ts'

function setUp(kept?: KeptConsoles) {
	const factory = new FakeFactory()
	let uuids = 0
	const lifecycle = new Lifecycle({
		factory,
		newUuid: () => `uuid-${++uuids}`,
		now_s: () => 1000,
		freeMemory_kib: () => 1024 * 1024,
		log: () => {},
	})
	const consoles = new DomainConsoles(lifecycle, kept)
	/** A domain that says something and powers off. */
	const live = async (words: string) => {
		await lifecycle.create({ name: 'web', kernel: '/k' })
		factory.last.say(words)
		factory.last.end('poweroff')
		await settle()
	}
	const said = (reference: string) => new TextDecoder().decode(consoles.find(reference).console.history().bytes)
	return { factory, lifecycle, consoles, live, said }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))
const SHORT_MS = 60_000

test('the console of a domain that is gone is found by its number, with how it ended, and not by its name', async () => {
	const { consoles, lifecycle, live, said } = setUp()
	await live('bye')
	assert.equal(lifecycle.list().length, 0)
	assert.equal(said('1'), 'bye')
	assert.deepEqual(consoles.find('1').ending, { reason: 'poweroff', detail: undefined, restartError: undefined })
	assert.throws(() => consoles.find('web'), { message: "Domain 'web' does not exist.", exitCode: 3 })
	assert.throws(() => consoles.find('2'), { message: "Domain '2' does not exist." })
})

test('the end of a domain that restarts is not over until the next one is there', async () => {
	const { consoles, factory, lifecycle } = setUp()
	await lifecycle.create({ name: 'web', kernel: '/k' })
	await lifecycle.shutdown('web', 'reboot')
	const tracked = consoles.find('web')
	const seen: boolean[] = []
	lifecycle.onEvent((event) => seen.push(event.type === 'ended' && tracked.over))
	factory.last.end('reboot')
	await settle()
	assert.deepEqual(seen, [false, false, false], 'ended, created, restarted')
	assert.deepEqual([tracked.over, tracked.ending?.next], [true, 2])
	assert.equal(consoles.find('1'), tracked)
	assert.equal(consoles.find('web').domid, 2)
})

test('a preserved domain keeps its console as long as it is listed', async () => {
	mock.timers.enable({ apis: ['setTimeout'] })
	try {
		const { factory, lifecycle, said } = setUp()
		await lifecycle.create({ name: 'web', kernel: '/k', on_crash: 'preserve' })
		factory.last.say('oops')
		factory.last.end('crash')
		await settle()
		mock.timers.tick(10 * SHORT_MS)
		assert.equal(said('web'), 'oops')
		await lifecycle.destroy('web')
		assert.equal(said('1'), 'oops')
		mock.timers.tick(SHORT_MS)
		assert.throws(() => said('1'), { exitCode: 3 })
	} finally {
		mock.timers.reset()
	}
})

test('of more domains than may be kept the longest gone is forgotten', async () => {
	const { live, said } = setUp({ domains: 2, bytes: 1000, time_ms: SHORT_MS })
	for (const words of ['one', 'two', 'three']) await live(words)
	assert.throws(() => said('1'), { exitCode: 3 })
	assert.deepEqual([said('2'), said('3')], ['two', 'three'])
})

test('of more output than may be kept the longest gone is forgotten', async () => {
	const { live, said } = setUp({ domains: 10, bytes: 10, time_ms: SHORT_MS })
	for (const words of ['1234', '56', '789012']) await live(words)
	assert.throws(() => said('1'), { exitCode: 3 })
	assert.deepEqual([said('2'), said('3')], ['56', '789012'])
})
