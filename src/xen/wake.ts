/**
 * Waking, without ever losing a wake.
 *
 * Locking: none. A waker first makes its work visible (a pending bit, a request word), then calls wakeVcpu(). A vCPU that wants
 * to sleep first reads VS_DOORBELL, then looks for work, then sleeps with Atomics.wait(VS_DOORBELL, value read). Work that was
 * made visible after the look has changed the doorbell, so the wait returns at once. A vCPU that runs guest code clears
 * CPU_ATTENTION before it looks for work, so work made visible after the look leaves CPU_ATTENTION set and run() returns.
 */
import { CPU_ATTENTION } from '../x86/core/layout.ts'
import type { Domain } from './domain.ts'
import { CB_BACKEND_EVENTS, controlWord, VS_DOORBELL, VS_POLLING, vcpuWord } from './vcpu_shared.ts'

/** Makes a vCPU look for work: it leaves guest code soon, or wakes when it is blocked. From any thread. */
export function wakeVcpu(domain: Domain, vcpu: number): void {
	const words = domain.machine.i32
	Atomics.store(words, (domain.machine.vcpuState(vcpu) + CPU_ATTENTION) >>> 2, 1)
	const doorbell = vcpuWord(domain, vcpu, VS_DOORBELL)
	Atomics.add(words, doorbell, 1)
	Atomics.notify(words, doorbell)
}

export function wakeAllVcpus(domain: Domain): void {
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) wakeVcpu(domain, vcpu)
}

/** Wakes the vCPUs that wait in SCHEDOP_poll. To be called whenever a port becomes pending, masked or not. */
export function wakePollers(domain: Domain): void {
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) {
		if (Atomics.load(domain.machine.i32, vcpuWord(domain, vcpu, VS_POLLING)) !== 0) wakeVcpu(domain, vcpu)
	}
}

/** Tells the control half that a port bound to another domain (dom0) has been marked. From any thread. */
export function wakeBackends(domain: Domain): void {
	const word = controlWord(domain, CB_BACKEND_EVENTS)
	Atomics.add(domain.machine.i32, word, 1)
	Atomics.notify(domain.machine.i32, word)
}
