import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { XEN_EINVAL, XEN_ESRCH } from '../abi/errno.ts'
import * as E from '../abi/event_channel.ts'
import type { HypercallJob } from './control_request_stress_worker.ts'
import type { Domain } from './domain.ts'
import { allocUnbound } from './event_channel.ts'
import { ECS_FREE, ECS_INTERDOMAIN, ECS_UNBOUND, PORT_STATE, portField } from './event_ports.ts'
import { EventRouter } from './event_router.ts'
import { testDomain } from './testing.ts'

/** Makes an event channel hypercall as the domain's vCPU 0, in a thread of its own; the argument as u32 words. */
async function hypercall(domain: Domain, command: number, ...argument: number[]): Promise<{ result: number; argument: Uint32Array }> {
	const at = domain.machine.frameAddress(1) >>> 2
	domain.machine.u32.set(argument, at)
	const job: HypercallJob = { description: domain.description, memory: domain.machine.memory, command, address: 0x1000 }
	const worker = new Worker(new URL('./control_request_stress_worker.ts', import.meta.url), { workerData: job })
	const result = await new Promise<number>((resolve, reject) => {
		worker.once('message', resolve)
		worker.once('error', reject)
	})
	await worker.terminate()
	return { result, argument: domain.machine.u32.slice(at, at + 6) }
}

test('EVTCHNOP_bind_interdomain and EVTCHNOP_close between domains are done by the control half', async () => {
	const router = new EventRouter()
	const [one, two] = [testDomain({ domid: 1 }), testDomain({ domid: 2 })]
	router.attach(one)
	router.attach(two)
	const offered = allocUnbound(two, 1)
	const bound = await hypercall(one, E.EVTCHNOP_bind_interdomain, 2, offered, 0)
	assert.equal(bound.result, 0)
	const local = bound.argument[2] as number
	assert.equal(portField(one, local, PORT_STATE), ECS_INTERDOMAIN)
	assert.equal((await hypercall(one, E.EVTCHNOP_bind_interdomain, 2, offered, 0)).result, -XEN_EINVAL, 'it is bound')
	assert.equal((await hypercall(one, E.EVTCHNOP_bind_interdomain, 3, 1, 0)).result, -XEN_ESRCH)
	assert.equal((await hypercall(one, E.EVTCHNOP_close, local)).result, 0)
	assert.equal(portField(one, local, PORT_STATE), ECS_FREE)
	assert.equal(portField(two, offered, PORT_STATE), ECS_UNBOUND)
	router.detach(1)
	router.detach(2)
})

test('EVTCHNOP_bind_interdomain to dom0 binds a port that dom0 has offered', async () => {
	const router = new EventRouter()
	const domain = testDomain()
	const heard: number[] = []
	const ports = router.attach(domain)
	const offered = ports.offer(() => heard.push(1))
	const bound = await hypercall(domain, E.EVTCHNOP_bind_interdomain, 0, offered.port, 0)
	assert.equal(bound.result, 0)
	assert.equal(offered.remotePort, bound.argument[2])
	assert.equal((await hypercall(domain, E.EVTCHNOP_send, offered.remotePort)).result, 0)
	await new Promise((resolve) => setTimeout(resolve, 5))
	assert.deepEqual(heard, [1])
	router.detach(1)
})

test('without a control half, other domains do not exist', async () => {
	const domain = testDomain()
	assert.equal((await hypercall(domain, E.EVTCHNOP_bind_interdomain, 2, 1, 0)).result, -XEN_ESRCH)
})
