import type { DomainEvent } from '../toolstack/lifecycle_events.ts'

export type NumberedEvent = DomainEvent & { readonly seq: number }

export interface EventSource {
	onEvent(listener: (event: DomainEvent) => void): () => void
}

/** How many events are kept for clients that come late or read slowly. */
const KEPT_EVENTS = 1000

/**
 * The newest events with their numbers. A daemon's numbers begin at its start time in microseconds, so they count up also from one daemon
 * to the next, and what a client has seen of an earlier one is known to be of that.
 */
export class EventHistory {
	/** The number of the newest event, or the one before the first. */
	newest: number
	private readonly kept: NumberedEvent[] = []
	private readonly limit: number
	private readonly listeners = new Set<() => void>()

	constructor(source: EventSource, start = Date.now() * 1000, limit = KEPT_EVENTS) {
		this.newest = start
		this.limit = limit
		source.onEvent((event) => this.add(event))
	}

	/** The one after `seq`. 'lost' when there were some which are not kept, or `seq` is not of this daemon; undefined when none has come yet. */
	after(seq: number): NumberedEvent | 'lost' | undefined {
		if (seq === this.newest) return undefined
		return this.kept[seq - this.newest + this.kept.length] ?? 'lost'
	}

	/** The number after which everything is kept. */
	get forgotten(): number {
		return this.newest - this.kept.length
	}

	/** Calls `listener` after each event. Returns how to stop that. */
	onMore(listener: () => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	private add(event: DomainEvent): void {
		this.newest++
		this.kept.push({ ...event, seq: this.newest })
		if (this.kept.length > this.limit) this.kept.shift()
		for (const listener of [...this.listeners]) listener()
	}
}
