/**
 * What a vCPU's thread cannot do by itself because it reaches only its own domain's memory: it posts a request in its event block
 * and sleeps until the control half (event_router.ts) has answered.
 *
 * Locking: REQUEST_STATE hands the other words over: the vCPU's thread owns them in IDLE and DONE, the control half in POSTED.
 * The vCPU's thread holds no lock while it waits, and the control half never waits for a vCPU's thread.
 */
import { XEN_ESRCH } from '../abi/errno.ts'
import type { Domain } from './domain.ts'
import { EV_ROUTED, EVV_REQUEST, eventVcpuWord, loadControl } from './event_ports.ts'
import type { VcpuContext } from './vcpu.ts'
import { wakeBackends } from './wake.ts'

/** (remote domid, remote port): the local port or a negative errno. */
export const REQUEST_BIND_INTERDOMAIN = 1
/** (port): 0 or a negative errno. */
export const REQUEST_CLOSE = 2

const STATE_IDLE = 0
const STATE_POSTED = 1
const STATE_DONE = 2

const REQUEST_STATE = EVV_REQUEST
const REQUEST_OPERATION = EVV_REQUEST + 1
const REQUEST_ARGUMENTS = EVV_REQUEST + 2
const REQUEST_RESULT = EVV_REQUEST + 4

/** An unanswered request looks this often whether the control half is gone. */
const RECHECK_ms = 1000

/** Has the control half perform an operation; its result, or -ESRCH when there is no control half. */
export function askControl(vcpu: VcpuContext, operation: number, first: number, second = 0): number {
	const { domain, index } = vcpu
	const words = domain.machine.i32
	const at = (word: number) => eventVcpuWord(domain, index, word)
	if (!loadControl(domain, EV_ROUTED)) return -XEN_ESRCH
	words[at(REQUEST_OPERATION)] = operation
	words[at(REQUEST_ARGUMENTS)] = first
	words[at(REQUEST_ARGUMENTS + 1)] = second
	Atomics.store(words, at(REQUEST_STATE), STATE_POSTED)
	wakeBackends(domain)
	while (Atomics.wait(words, at(REQUEST_STATE), STATE_POSTED, RECHECK_ms) === 'timed-out') {
		// Takes the request back, unless it is being answered right now.
		if (loadControl(domain, EV_ROUTED)) continue
		if (Atomics.compareExchange(words, at(REQUEST_STATE), STATE_POSTED, STATE_IDLE) === STATE_POSTED) return -XEN_ESRCH
	}
	const result = words[at(REQUEST_RESULT)] as number
	Atomics.store(words, at(REQUEST_STATE), STATE_IDLE)
	return result
}

/** Control half: answers what the domain's vCPUs have posted. */
export function answerRequests(domain: Domain, serve: (operation: number, first: number, second: number) => number): void {
	const words = domain.machine.i32
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) {
		const at = (word: number) => eventVcpuWord(domain, vcpu, word)
		if (Atomics.load(words, at(REQUEST_STATE)) !== STATE_POSTED) continue
		const word = (offset: number) => words[at(offset)] as number
		words[at(REQUEST_RESULT)] = serve(word(REQUEST_OPERATION), word(REQUEST_ARGUMENTS), word(REQUEST_ARGUMENTS + 1))
		Atomics.store(words, at(REQUEST_STATE), STATE_DONE)
		Atomics.notify(words, at(REQUEST_STATE))
	}
}
