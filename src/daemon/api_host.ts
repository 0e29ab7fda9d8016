import type { Lifecycle } from '../toolstack/lifecycle.ts'
import type { HostInfo } from './api.ts'
import type { DomainConsoles } from './domain_consoles.ts'

/** What the API is of. */
export interface ApiHost {
	readonly lifecycle: Lifecycle
	readonly consoles: DomainConsoles
	readonly version: string
	/** The newest of the daemon's log files. */
	readLog(): Promise<string>
	/** The daemon's settings, as `xm info -c` lists them. */
	readonly settings: HostInfo
	/** Where a core goes when nobody says so, in a directory that is there. */
	corePath(domain: { readonly name: string; readonly domid: number }): Promise<string>
	/** Seconds since 1970. */
	readonly startTime_s: number
	/** Ends the daemon, once the reply is out. */
	stop(domains: 'stop' | 'destroy'): void
	/** A request was answered or a stream ended: restarts the idle clock. */
	touched(openRequests: number): void
}
