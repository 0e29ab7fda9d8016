/** A vCPU's thread of control_request.test.ts: makes one event channel hypercall and posts its result. */
import { parentPort, workerData } from 'node:worker_threads'
import { Domain } from './domain.ts'
import { eventChannelHypercall } from './event_channel_op.ts'
import type { DomainDescription } from './machine_layout.ts'
import { hypercallArgs, testVcpu } from './testing.ts'

export interface HypercallJob {
	readonly description: DomainDescription
	readonly memory: WebAssembly.Memory
	readonly command: number
	/** Guest address of the argument. */
	readonly address: number
}

const job = workerData as HypercallJob
const vcpu = testVcpu(new Domain(job.description, job.memory))
parentPort?.postMessage(eventChannelHypercall.handler?.(vcpu, hypercallArgs(job.command, job.address)))
