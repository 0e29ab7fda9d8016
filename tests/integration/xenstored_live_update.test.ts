import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import { xenstoredPid } from '../support/processes.ts'
import { SLEEPER } from '../support/tiny_kernel.ts'
import { delay, PrivateXend } from '../support/xend.ts'

const CLIENTS = 20
const RESTARTS = 5

test('xenstored is replaced five times under twenty clients, and none of them notices', { timeout: 120_000 }, async (context) => {
	await using xend = new PrivateXend()
	await replaceUnderClients(xend).catch((error) => {
		context.diagnostic(readFileSync(xend.rundir.xenstored.log, 'utf8'))
		throw error
	})
})

async function replaceUnderClients(xend: PrivateXend): Promise<void> {
	assert.equal((await xend.xm('list')).status, 0)
	const kernel = join(xend.rundir.path, 'sleeper')
	writeFileSync(kernel, SLEEPER)
	await xend.client.create({ values: { name: 'web', kernel, memory: 4 } })
	const socket = xend.rundir.xenstore
	let running = true
	let lost = 0
	const rounds = Array.from({ length: CLIENTS }, () => 0)
	const work = async (index: number) => {
		const store = await connectXenstore(socket, () => lost++)
		let fired = 0
		let told = () => {}
		await store.watch(`/test/own/${index}`, () => {
			fired++
			told()
		})
		for (let round = 1; running; round++) {
			const before = fired
			const heard = new Promise<void>((resolve) => {
				told = () => fired > before && resolve()
			})
			await store.write(`/test/own/${index}`, round)
			await heard
			assert.equal(await store.read(`/test/own/${index}`), String(round))
			await store.transaction(async (transaction) => {
				await transaction.write(`/test/sum/${index % 4}`, Number((await transaction.read(`/test/sum/${index % 4}`)) ?? 0) + 1)
			})
			rounds[index] = round
		}
		return store
	}
	const workers = rounds.map((_, index) => work(index))
	// Heard of where they are awaited: what fails first is told first.
	for (const worker of workers) worker.catch(() => {})
	const operator = await connectXenstore(socket, () => lost++)
	let attempts = 0
	let replaced = () => {}
	const patient = operator.transaction(async (transaction) => {
		attempts++
		await transaction.write('/test/patient', 'begun')
		await new Promise<void>((resolve) => {
			replaced = resolve
		})
		assert.equal(await transaction.read('/test/patient'), 'begun')
	})
	const pids = new Set([xenstoredPid(xend.rundir)])
	for (let restart = 0; restart < RESTARTS; restart++) {
		assert.equal(await operator.control('live-update', '-s'), 'OK')
		for (const before = pids.size; pids.size === before; pids.add(xenstoredPid(xend.rundir))) await delay(10)
		await delay(100)
	}
	replaced()
	await patient
	assert.equal(attempts, 1, 'a transaction that is open goes along')
	assert.equal(await operator.read('/test/patient'), 'begun')
	running = false
	const stores = await Promise.all(workers)
	assert.equal(lost, 0, 'connections')
	const sums = await Promise.all([0, 1, 2, 3].map(async (index) => Number(await operator.read(`/test/sum/${index}`))))
	assert.equal(
		sums.reduce((a, b) => a + b),
		rounds.reduce((a, b) => a + b),
	)
	assert.equal(await operator.isDomainIntroduced(1), true)
	for (const store of [operator, ...stores]) store.close()
}
