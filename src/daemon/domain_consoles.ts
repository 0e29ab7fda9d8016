import type { DomainConsole } from '../toolstack/domain_handle.ts'
import type { DomainRecord } from '../toolstack/domain_record.ts'
import { type DomainEvent, type Lifecycle, NoSuchDomain } from '../toolstack/lifecycle.ts'
import type { ConsoleEnd } from './console_frames.ts'

/** How much is kept of domains that are gone. */
export interface KeptConsoles {
	readonly domains: number
	/** Of output, in all. A console's history is at most 1 MiB, so the last one always fits. */
	readonly bytes: number
	readonly time_ms: number
}

const KEPT: KeptConsoles = { domains: 16, bytes: 4 * 1024 * 1024, time_ms: 60_000 }

/**
 * Every domain's console by its number, from the domain's creation until a while after it is gone: whoever follows a domain through
 * its restarts comes to the next one's console only after it has run for a moment, and that one may have ended by then.
 */
export class DomainConsoles {
	private readonly lifecycle: Lifecycle
	private readonly kept: KeptConsoles
	private readonly consoles = new Map<number, TrackedConsole>()
	/** Those whose domains are gone, the longest gone first, with the size of their output in bytes. */
	private readonly gone = new Map<TrackedConsole, number>()

	constructor(lifecycle: Lifecycle, kept: KeptConsoles = KEPT) {
		this.lifecycle = lifecycle
		this.kept = kept
		lifecycle.onEvent((event) => this.onEvent(event))
	}

	/** A live domain's by name or number, else one that is kept, by number. Throws NoSuchDomain. */
	find(reference: string): TrackedConsole {
		const tracked = this.consoles.get(this.domid(reference))
		if (tracked === undefined) throw new NoSuchDomain(reference)
		return tracked
	}

	private domid(reference: string): number {
		try {
			return this.lifecycle.find(reference).handle.domid
		} catch (error) {
			if (error instanceof NoSuchDomain && /^\d+$/.test(reference)) return Number(reference)
			throw error
		}
	}

	private onEvent(event: DomainEvent): void {
		if (event.type === 'created') return this.track(event.domid)
		const domid = 'previous' in event ? event.previous : event.domid
		const tracked = this.consoles.get(domid)
		if (tracked === undefined) return
		if (event.type === 'ended') {
			const restartError = event.refusedRestart ? 'it ran for less than a minute, and restarting it might never end' : undefined
			tracked.setEnd({ reason: event.reason, detail: event.detail, restartError }, event.restarting)
		} else if (event.type === 'restarted') {
			tracked.completeEnd({ next: event.domid })
		} else if (event.type === 'restart-failed') {
			tracked.completeEnd({ restartError: event.message })
		}
		if (tracked.over && this.live(domid) === undefined) this.retire(tracked)
	}

	private live(domid: number): DomainRecord | undefined {
		return this.lifecycle.list().find((record) => record.handle.domid === domid)
	}

	private track(domid: number): void {
		const old = this.consoles.get(domid)
		if (old !== undefined) this.forget(old)
		const record = this.live(domid)
		if (record !== undefined) this.consoles.set(domid, new TrackedConsole(domid, record.handle.console))
	}

	private retire(tracked: TrackedConsole): void {
		const { start, end } = tracked.console.history()
		this.gone.set(tracked, end - start)
		setTimeout(() => this.forget(tracked), this.kept.time_ms).unref()
		for (const oldest of this.gone.keys()) {
			const bytes = [...this.gone.values()].reduce((sum, size) => sum + size, 0)
			if (this.gone.size <= this.kept.domains && bytes <= this.kept.bytes) return
			this.forget(oldest)
		}
	}

	private forget(tracked: TrackedConsole): void {
		this.gone.delete(tracked)
		if (this.consoles.get(tracked.domid) === tracked) this.consoles.delete(tracked.domid)
	}
}

/** A domain's console, and how the domain came to its end. It holds nothing else of the domain, whose memory is long free. */
export class TrackedConsole {
	readonly domid: number
	readonly console: DomainConsole
	/** Set once the guest has ended, though there may be more to say of the end. */
	ending: ConsoleEnd | undefined
	/** Nothing is to come any more, neither output nor news of a restart. */
	over = false
	private readonly listeners = new Set<() => void>()

	constructor(domid: number, console: DomainConsole) {
		this.domid = domid
		this.console = console
	}

	/** Calls `listener` once, when it is over. Returns how to stop that. */
	onOver(listener: () => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	/** With `restarting`, `completeEnd` follows: a client that is to follow the restart needs the next domain's number. */
	setEnd(end: ConsoleEnd, restarting: boolean): void {
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
