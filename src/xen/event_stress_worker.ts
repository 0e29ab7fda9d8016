/** A thread of event_stress.test.ts: sends events to the guest, or binds and closes ports of its own meanwhile. */
import { parentPort, workerData } from 'node:worker_threads'
import { Domain } from './domain.ts'
import { bindIpi, closePort, guestSend, sendToPort, unmaskPort } from './event_channel.ts'
import type { DomainDescription } from './machine_layout.ts'

export interface StressJob {
	readonly role: 'send' | 'churn'
	readonly description: DomainDescription
	readonly memory: WebAssembly.Memory
	/** One u32 a port: events sent so far, counted before each send. Last word: 1 when the test is over. */
	readonly sent: Uint32Array
	readonly ports: readonly number[]
	readonly sends: number
	readonly seed: number
}

/** xorshift32. */
export function randomNumbers(seed: number): () => number {
	let state = seed | 1
	return () => {
		state ^= state << 13
		state ^= state >>> 17
		state ^= state << 5
		return state >>> 0
	}
}

const job = workerData as StressJob | null
if (parentPort && job) {
	const domain = new Domain(job.description, job.memory)
	const random = randomNumbers(job.seed)
	if (job.role === 'send') send(job, domain, random)
	else churn(job, domain, random)
	parentPort.postMessage('done')
}

function send(job: StressJob, domain: Domain, random: () => number): void {
	for (let n = 0; n < job.sends; n++) {
		const index = random() % job.ports.length
		const port = job.ports[index] as number
		Atomics.add(job.sent, index, 1)
		if (n & 1) guestSend(domain, port)
		else sendToPort(domain, port)
		if (n % 16 === 0) unmaskPort(domain, port)
	}
}

function churn(job: StressJob, domain: Domain, random: () => number): void {
	const own: number[] = []
	while (Atomics.load(job.sent, job.sent.length - 1) === 0) {
		if (own.length < 40 && random() % 2 === 0) {
			const port = bindIpi(domain, 0)
			if (port > 0) own.push(port)
		} else if (own.length > 0) {
			const port = own.splice(random() % own.length, 1)[0] as number
			guestSend(domain, port)
			if (closePort(domain, port) !== 0) throw new Error(`port ${port} was not mine`)
		}
	}
	for (const port of own) closePort(domain, port)
}
