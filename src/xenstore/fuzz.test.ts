/** Random streams and random ring pages. XENOTYPE_SEED repeats a run, XENOTYPE_NIGHTLY makes it longer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XS_RING_REQ_CONS, XS_TRANSACTION_START, XS_TYPE_COUNT } from '../abi/io/xs_wire.ts'
import { connectInProcess } from './client.ts'
import { XenstoreServer } from './server.ts'
import { TestHost } from './test_guest.ts'
import { encodeMessage } from './wire.ts'

const seed = Number(process.env.XENOTYPE_SEED ?? Date.now() % 0x7fffffff)
const rounds = process.env.XENOTYPE_NIGHTLY ? 20_000 : 150

/** mulberry32 */
function randomFrom(state: number): (below: number) => number {
	return (below) => {
		state = (state + 0x6d2b79f5) | 0
		let t = Math.imul(state ^ (state >>> 15), 1 | state)
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
		return ((t ^ (t >>> 14)) >>> 0) % below
	}
}

const WORDS = [
	'',
	'/',
	'a',
	'data',
	'/local/domain/1/data',
	'/local/domain/0',
	'@releaseDomain',
	'n1',
	'b2',
	'T',
	'F',
	'0',
	'7',
	'65535',
	'4294967296',
	'-1',
	'//',
	'x'.repeat(3000),
]

function randomRequest(random: (below: number) => number): Uint8Array {
	const text = Array.from({ length: random(5) }, () => WORDS[random(WORDS.length)]).join('\0') + (random(4) === 0 ? '' : '\0')
	const payload =
		random(6) === 0 ? Uint8Array.from({ length: random(200) }, () => random(256)) : new TextEncoder().encode(text).subarray(0, 4096)
	const bytes = encodeMessage({
		type: random(4) === 0 ? XS_TRANSACTION_START + random(2) : random(XS_TYPE_COUNT + 3),
		reqId: random(1000),
		txId: random(3) === 0 ? random(4) : 0,
		payload,
	})
	if (random(40) === 0) bytes[12 + random(4)] = random(256)
	if (random(40) === 0) bytes[random(16)] = random(256)
	return bytes
}

/** The store still works for everyone else, and the culprit's accounts are bounded. */
async function stillServes(server: XenstoreServer, value: string): Promise<void> {
	const dom0 = connectInProcess(server)
	await dom0.write('/alive', value)
	assert.equal(await dom0.read('/alive'), value)
	dom0.close()
	const usage = server.store.usage(1)
	const limits = server.store.limits(1)
	assert.ok(
		usage.nodes <= limits.nodes && usage.watches <= limits.watches && usage.transactions <= limits.transactions,
		JSON.stringify(usage),
	)
	assert.ok(usage.bytes >= 0 && usage.bytes < 4 * 1024 * 1024, JSON.stringify(usage))
}

async function prepared(host?: TestHost) {
	const server = new XenstoreServer({ ...(host && { ringHost: host }), defer: setImmediate })
	const dom0 = connectInProcess(server)
	await dom0.write('/local/domain/1', '')
	await dom0.setPerms('/local/domain/1', ['b1'])
	return server
}

test(`random streams never throw, and leave the store usable (seed ${seed})`, async () => {
	const random = randomFrom(seed)
	for (let round = 0; round < rounds; round++) {
		const server = await prepared()
		for (const domid of [1, 0]) {
			let closed = false
			const reads = random(3) > 0
			const stream = { write: () => reads, pause: () => {}, resume: () => {}, close: () => void (closed = true) }
			const transport = server.accept(stream, domid)
			for (let i = 0; i < 60 && !closed; i++) {
				const bytes = randomRequest(random)
				const cut = random(bytes.length + 1)
				transport.onData(bytes.slice(0, cut))
				if (random(5) > 0) transport.onData(bytes.slice(cut))
				if (random(8) === 0) transport.onWritable()
			}
			await stillServes(server, String(round))
			transport.onClose()
			if (domid === 1) {
				await connectInProcess(server).rm('/local/domain/1')
				assert.deepEqual(server.store.usage(1), { nodes: 0, bytes: 0, watches: 0, transactions: 0 }, 'all is given back')
			}
		}
	}
})

test(`random ring pages never throw, and leave the store usable (seed ${seed})`, async () => {
	const random = randomFrom(seed + 1)
	for (let round = 0; round < rounds; round++) {
		const host = new TestHost()
		const server = await prepared(host)
		const guest = host.introduce(server.domains, 1)
		guest.reading = random(2) === 0
		for (let i = 0; i < 40; i++) {
			const bytes = randomRequest(random)
			const prod = guest.word(XS_RING_REQ_CONS)
			for (let j = 0; j < Math.min(bytes.length, 1024); j++) guest.page[(prod + j) % 1024] = bytes[j]
			guest.setWord(XS_RING_REQ_CONS + 4, prod + Math.min(bytes.length, random(1100)))
			if (random(3) === 0) guest.setWord(2048 + 4 * random(8), random(4) === 0 ? random(0x7fffffff) * 2 : random(2000))
			if (random(4) === 0) guest.setWord(2068, random(3))
			guest.kick()
		}
		await stillServes(server, String(round))
		server.domains.gone(1)
		assert.deepEqual(server.store.usage(1), { nodes: 0, bytes: 0, watches: 0, transactions: 0 })
	}
})
