import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { Domain } from './domain.ts'
import { bindIpi, closePort, unmaskPort } from './event_channel.ts'
import { expandArray, type FrameClaims, initControl } from './event_fifo.ts'
import { fifoGuest, type GuestEvents, takeUpcall, twoLevelGuest } from './event_guest.ts'
import { randomNumbers, type StressJob } from './event_stress_worker.ts'
import { testDomain } from './testing.ts'
import { VS_DOORBELL, vcpuWord } from './vcpu_shared.ts'

const PORTS = 24
const SENDERS = 2
const SENDS = process.env.XENOTYPE_NIGHTLY ? 1_000_000 : 30_000
/** Longer than any scheduling delay: a wait that takes so long has missed its wake. */
const LOST_ms = 10_000
const LIMIT_ms = process.env.XENOTYPE_NIGHTLY ? 600_000 : 60_000

function start(role: StressJob['role'], domain: Domain, sent: Uint32Array, ports: readonly number[], seed: number): Promise<void> {
	const job: StressJob = { role, description: domain.description, memory: domain.machine.memory, sent, ports, sends: SENDS, seed }
	const worker = new Worker(new URL('./event_stress_worker.ts', import.meta.url), { workerData: job })
	return new Promise((resolve, reject) => {
		worker.once('error', reject)
		worker.once('exit', () => resolve())
	})
}

/** Ports that share no selector, so that one event cannot make up for another's that was lost. */
function spreadPorts(domain: Domain): number[] {
	const all = Array.from({ length: PORTS * 64 }, () => bindIpi(domain, 0))
	for (const port of all) if (port % 64 !== 0) closePort(domain, port)
	return all.filter((port) => port % 64 === 0)
}

/**
 * This thread is the guest's vCPU 0. For each port it notes how many events had been sent when it last handled one. All senders
 * done and nothing pending, that must be all of them: an event after the last one handled would be a lost one.
 */
async function noEventIsLost(domain: Domain, guest: GuestEvents, seed: number): Promise<void> {
	const ports = spreadPorts(domain)
	const sent = new Uint32Array(new SharedArrayBuffer((PORTS + 1) * 4))
	const handled = new Uint32Array(PORTS)
	const random = randomNumbers(seed)
	const senders = Array.from({ length: SENDERS }, (_, n) => start('send', domain, sent, ports, seed + n + 1))
	const churn = start('churn', domain, sent, ports, seed + 99)
	let finished = 0
	for (const sender of senders) void sender.then(() => finished++)

	const index = new Map(ports.map((port, n) => [port, n]))
	const deadline = Date.now() + LIMIT_ms
	const doorbell = vcpuWord(domain, 0, VS_DOORBELL)
	const masked = new Set<number>()
	const handle = (port: number) => {
		const n = index.get(port)
		if (n === undefined) return
		handled[n] = Atomics.load(sent, n)
		if (random() % 4 !== 0) return
		guest.mask(port)
		masked.add(port)
	}
	const unmaskAll = () => {
		for (const port of masked) guest.unmask(port, (pending) => unmaskPort(domain, pending))
		masked.clear()
	}
	const allHandled = () => ports.every((_, n) => handled[n] === Atomics.load(sent, n))
	const total = () => sent.subarray(0, PORTS).reduce((sum, count) => sum + count, 0)
	for (let n = 0; total() < SENDERS * SENDS || !allHandled(); n++) {
		const seen = Atomics.load(domain.machine.i32, doorbell)
		if (takeUpcall(domain, 0)) guest.upcall(handle)
		else if (masked.size > 0) unmaskAll()
		else assert.notEqual(Atomics.wait(domain.machine.i32, doorbell, seen, LOST_ms), 'timed-out', 'a wake was lost')
		if (n % 64 !== 0) continue
		assert.ok(Date.now() < deadline, 'an event was lost')
		await new Promise(setImmediate)
	}
	Atomics.store(sent, PORTS, 1)
	await Promise.all([...senders, churn])
	assert.equal(finished, SENDERS)
	assert.ok(total() === SENDERS * SENDS && allHandled())
}

function seedOf(name: string): number {
	const seed = Number(process.env.XENOTYPE_SEED ?? Date.now() % 1_000_000)
	console.log(`${name}: XENOTYPE_SEED=${seed}`)
	return seed
}

test('2-level: no event is lost between threads that send, unmask, bind and close', async () => {
	const domain = testDomain({ maxPorts: 4096 })
	await noEventIsLost(domain, twoLevelGuest(domain, 0), seedOf('2-level'))
})

test('FIFO: no event is lost between threads that send, unmask, bind and close', async () => {
	const domain = testDomain({ maxPorts: 4096 })
	const claims: FrameClaims = { claim: () => true, release() {} }
	assert.equal(initControl(domain, claims, 0, 10, 0), 0)
	const frames = [11, 12, 13, 14]
	for (const mfn of frames) assert.equal(expandArray(domain, claims, mfn), 0)
	await noEventIsLost(domain, fifoGuest(domain, domain.machine.frameAddress(10), frames), seedOf('FIFO'))
})
