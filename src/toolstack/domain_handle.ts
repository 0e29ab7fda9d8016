import type { ConsoleBackend } from '../pv/console/backend.ts'
import type { DomainConfig } from './config.ts'

/** What the hypervisor says of a live domain: the six flags of `xm list`, in its order, and its figures. */
export interface DomainStatus {
	readonly running: boolean
	readonly blocked: boolean
	readonly paused: boolean
	readonly shutdown: boolean
	readonly crashed: boolean
	readonly dying: boolean
	readonly cpuTime_s: number
	readonly memory_kib: number
	readonly onlineVcpus: number
}

/** SHUTDOWN_* of the public sched.h, by xend's names. */
export type ShutdownReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft_reset'

export interface DomainEnd {
	readonly reason: ShutdownReason
	/** For a crash: what the hypervisor or the guest said of it. */
	readonly detail?: string | undefined
}

/** What is written to control/shutdown. */
export type ShutdownRequest = 'poweroff' | 'halt' | 'reboot'

/** A domain's console as its readers see it. It can be read when the domain is gone. */
export type DomainConsole = Pick<ConsoleBackend, 'history' | 'subscribe' | 'write' | 'onInputSpace'>

/** A domain with its XenStore nodes and its console's backend, as the lifecycle handles it. */
export interface DomainHandle {
	readonly domid: number
	readonly console: DomainConsole
	readonly storeMfn: number
	readonly consoleMfn: number
	/** Resolves once, when the guest shuts itself down or crashes; its console has then all it wrote. Never rejects; stays pending when destroyed from outside. */
	readonly ended: Promise<DomainEnd>
	status(): DomainStatus
	/** Resolves when its processors have stopped. Pausing what is paused, and unpausing what is not, does nothing. */
	pause(): Promise<void>
	unpause(): void
	requestShutdown(request: ShutdownRequest): Promise<void>
	/** Its name and uuid in XenStore; what it was called is free for another. */
	rename(name: string, uuid: string): Promise<void>
	/** Frees the domain and all it holds. Idempotent. */
	destroy(): Promise<void>
}

/** Makes domains. The one real one is src/toolstack/domain_factory.ts. */
export interface DomainFactory {
	/** Builds a paused domain. Throws UserError; leaves nothing behind when it does. */
	create(config: DomainConfig & { readonly uuid: string }): Promise<DomainHandle>
}
