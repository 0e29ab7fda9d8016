import type { DomainFactory } from '../toolstack/domain_handle.ts'
import type { LogLevel } from '../toolstack/lifecycle.ts'

/** The hypervisor as the daemon holds it: today in its own process; the seam where it will become a process of its own. */
export interface HypervisorHost {
	readonly factory: DomainFactory
	/** What `xm dmesg` shows; `clear` empties it as well. */
	log(clear: boolean): string
	/** The xen_* lines of `xm info`, and the virtual processor's. */
	facts(): HypervisorFacts
	close(): Promise<void>
}

export interface HypervisorFacts {
	readonly hw_caps: string
	readonly xen_major: number
	readonly xen_minor: number
	readonly xen_extra: string
	readonly xen_caps: string
	readonly xen_scheduler: string
	readonly platform_params: string
	readonly xen_changeset: string
	readonly cc_compiler: string
	readonly cc_compile_by: string
	readonly cc_compile_domain: string
	readonly cc_compile_date: string
}

export interface HypervisorHostOptions {
	readonly log: (level: LogLevel, message: string) => void
}
