import {
	SHUTDOWN_crash,
	SHUTDOWN_MAX,
	SHUTDOWN_poweroff,
	SHUTDOWN_reboot,
	SHUTDOWN_soft_reset,
	SHUTDOWN_suspend,
	SHUTDOWN_watchdog,
} from '../abi/sched.ts'
import type { Domain } from './domain.ts'
import type { VcpuContext } from './vcpu.ts'
import { CB_SHUTDOWN, CB_SHUTDOWN_CODE, controlWord } from './vcpu_shared.ts'
import { wakeAllVcpus } from './wake.ts'

/** As `xm list` and the logs name the reasons. */
export const shutdownReasonName: Readonly<Record<number, string>> = {
	[SHUTDOWN_poweroff]: 'poweroff',
	[SHUTDOWN_reboot]: 'reboot',
	[SHUTDOWN_suspend]: 'suspend',
	[SHUTDOWN_crash]: 'crash',
	[SHUTDOWN_watchdog]: 'watchdog',
	[SHUTDOWN_soft_reset]: 'soft_reset',
}

/**
 * Shuts the domain down, unless it is already: its vCPUs stop where they are. A code set before by SCHEDOP_shutdown_code
 * replaces `reason`. Returns whether this call did it. From any thread.
 */
export function shutdownDomain(domain: Domain, reason: number): boolean {
	const words = domain.machine.u32
	const code = Atomics.load(words, controlWord(domain, CB_SHUTDOWN_CODE))
	const final = code === 0 ? reason : code - 1
	const first = Atomics.compareExchange(words, controlWord(domain, CB_SHUTDOWN), 0, 1 + final) === 0
	if (first) wakeAllVcpus(domain)
	return first
}

/** The reason, or undefined while the domain runs. */
export function shutdownReason(domain: Domain): number | undefined {
	const value = Atomics.load(domain.machine.u32, controlWord(domain, CB_SHUTDOWN))
	return value === 0 ? undefined : value - 1
}

/** Shuts down the vCPU's own domain and tells the control half. */
export function shutdownSelf(vcpu: VcpuContext, reason: number, crashReason?: string): void {
	if (!shutdownDomain(vcpu.domain, reason)) return
	const final = shutdownReason(vcpu.domain) as number
	if (final > SHUTDOWN_MAX) vcpu.log('error', `shut down with unknown reason ${final}`)
	vcpu.host.shutdown(final, crashReason)
}
