import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../x86/cpu.ts'
import type { Domain } from './domain.ts'

/**
 * What a vCPU's thread holds: its processor, its domain, and the private state of the subsystems that work on its behalf.
 * Fields owned by a subsystem are declared in that subsystem's file and set up by it.
 */
export interface Vcpu {
	readonly domain: Domain
	readonly index: number
	readonly cpu: Cpu
	readonly clock: Clock
	/** To the hypervisor's log; `level` as in Xen's loglvl. */
	log(level: 'error' | 'warning' | 'info' | 'debug', message: string): void
	/** The guest is beyond help: stops the whole domain with SHUTDOWN_crash and this reason. */
	crash(reason: string): void
}
