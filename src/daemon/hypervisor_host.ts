import type { Host } from '../toolstack/domain_steps.ts'

/** A toolstack's connection to a hypervisor and its store. */
export interface HostLink extends Host {
	/** Resolves when either is lost. */
	readonly lost: Promise<void>
	/** Lets go of both. With `stop`, ends them if no domain is left, and waits until they have. */
	close(options: { stop: boolean }): Promise<void>
}

/** How the daemon comes to a hypervisor: starts what is missing. Rejects when it cannot be had. */
export type OpenHost = () => Promise<HostLink>
