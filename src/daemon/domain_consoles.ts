import { domidOf } from '../toolstack/domain_record.ts'
import { type DomainEvent, type Lifecycle, NoSuchDomain } from '../toolstack/lifecycle.ts'
import type { ConsoleEnd } from './console_frames.ts'

/** How long the end of a domain is remembered; the hypervisor keeps its output for as long. */
const KEPT_MS = 60_000

/**
 * How every domain's console came to its end, by number, from the domain's creation until a while after it is gone: whoever follows a
 * domain through its restarts comes to the next one's console only after it has run for a moment, and that one may have ended by then.
 */
export class DomainConsoles {
	private readonly lifecycle: Lifecycle
	private readonly consoles = new Map<number, TrackedConsole>()

	constructor(lifecycle: Lifecycle) {
		this.lifecycle = lifecycle
		lifecycle.onEvent((event) => this.onEvent(event))
	}

	/** A live domain's by name or number, else one that is remembered, by number. Throws NoSuchDomain. */
	find(reference: string): TrackedConsole {
		const domid = this.domid(reference)
		const tracked = domid === undefined ? undefined : (this.consoles.get(domid) ?? this.track(domid))
		if (tracked === undefined) throw new NoSuchDomain(reference)
		return tracked
	}

	private domid(reference: string): number | undefined {
		try {
			return domidOf(this.lifecycle.find(reference).record)
		} catch (error) {
			if (error instanceof NoSuchDomain && /^\d+$/.test(reference) && this.consoles.has(Number(reference))) return Number(reference)
			throw error
		}
	}

	private onEvent(event: DomainEvent): void {
		if (event.type === 'created') this.track(event.domid)
		const domid = 'previous' in event ? event.previous : 'domid' in event ? event.domid : null
		const tracked = domid === null ? undefined : this.consoles.get(domid)
		if (tracked === undefined) return
		if (event.type === 'ended') {
			const restartError = event.refusedRestart ? 'it ran for less than a minute, and restarting it might never end' : undefined
			tracked.setEnd({ reason: event.reason, detail: event.detail, restartError }, event.restarting)
		} else if (event.type === 'restarted') {
			tracked.completeEnd({ next: event.domid })
		} else if (event.type === 'restart-failed') {
			tracked.completeEnd({ restartError: event.message })
		}
		if (tracked.over && !this.isLive(tracked.domid)) setTimeout(() => this.forget(tracked), KEPT_MS).unref()
	}

	private isLive(domid: number): boolean {
		return this.lifecycle.table.entries().some(({ record }) => domidOf(record) === domid)
	}

	private track(domid: number): TrackedConsole {
		const tracked = new TrackedConsole(domid)
		this.consoles.set(domid, tracked)
		const preserved = this.lifecycle.table.entries().find(({ record: { phase } }) => phase.is === 'preserved' && phase.domid === domid)
		if (preserved?.record.phase.is === 'preserved') tracked.setEnd(preserved.record.phase.end, false)
		return tracked
	}

	private forget(tracked: TrackedConsole): void {
		if (this.consoles.get(tracked.domid) === tracked) this.consoles.delete(tracked.domid)
	}
}

/** How a domain came to its end. */
export class TrackedConsole {
	readonly domid: number
	/** Set once the guest has ended, though there may be more to say of the end. */
	ending: ConsoleEnd | undefined
	/** Nothing is to come any more, neither output nor news of a restart. */
	over = false
	private readonly listeners = new Set<() => void>()

	constructor(domid: number) {
		this.domid = domid
	}

	/** Calls `listener` once, when it is over. Returns how to stop that. */
	onOver(listener: () => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	/** With `restarting`, `completeEnd` follows: a client that is to follow the restart needs the next domain's number. */
	setEnd(end: ConsoleEnd, restarting: boolean): void {
		if (this.over) return
		this.ending = end
		if (!restarting) this.finish()
	}

	completeEnd(rest: Partial<ConsoleEnd>): void {
		if (this.ending === undefined || this.over) return
		this.ending = { ...this.ending, ...rest }
		this.finish()
	}

	private finish(): void {
		this.over = true
		for (const listener of [...this.listeners]) listener()
	}
}
