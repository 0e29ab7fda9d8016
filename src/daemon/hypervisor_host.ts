import type { DomainFactory } from '../toolstack/domain_handle.ts'
import type { LogLevel } from '../toolstack/lifecycle.ts'
import type { HypervisorInfo } from '../xen/hypervisor.ts'
import type { RunDir } from './rundir.ts'

/** The hypervisor as the daemon holds it: today in its own process; the seam where it will become a process of its own. */
export interface HypervisorHost {
	readonly factory: DomainFactory
	/** What `xm dmesg` shows; `clear` empties it as well. */
	log(clear: boolean): string
	/** The hypervisor's lines of `xm info`. */
	info(): HypervisorInfo
	close(): Promise<void>
}

export interface HypervisorHostOptions {
	readonly rundir: RunDir
	readonly log: (level: LogLevel, message: string) => void
}
