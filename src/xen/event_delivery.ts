/** Delivery of an event to a port of its own domain, by whichever event ABI the domain uses. */
import type { Domain } from './domain.ts'
import { twoLevelOps } from './event_2l.ts'
import { fifoOps } from './event_fifo.ts'
import { EV_FIFO, loadControl } from './event_ports.ts'

/** What an event ABI does for a port. All are called with the event lock held and port < maxPorts. */
export interface PortOps {
	/** The port has just been bound. */
	init(domain: Domain, port: number): void
	setPending(domain: Domain, port: number): void
	clearPending(domain: Domain, port: number): void
	/** Clears the mask and delivers what is pending. */
	unmask(domain: Domain, port: number): void
	isPending(domain: Domain, port: number): boolean
	isMasked(domain: Domain, port: number): boolean
	/** A closed port that may not be bound yet, because the guest's queues still hold it. */
	isBusy(domain: Domain, port: number): boolean
	/** For debug key 'e'. */
	describe(domain: Domain, port: number): string
}

export function portOps(domain: Domain): PortOps {
	return loadControl(domain, EV_FIFO) ? fifoOps : twoLevelOps
}
