/**
 * A guest's ring page (struct xenstore_domain_interface in xs_wire.h) as a byte stream: the hypervisor's end of a guest's conversation
 * with xenstored, which may be in another process.
 *
 * The guest runs at the same time and may write anything anywhere in the page. Each index that it owns is read once per step and
 * checked; those that the server owns are kept here and only published. An impossible index ends the stream with its error noted in the
 * page; until the guest asks for a reconnection it is ignored.
 *
 * Ordering: data is written before the producer index that covers it, and read after the producer index and before the consumer
 * index is published. Atomics give the order.
 */
import {
	XENSTORE_CONNECTED,
	XENSTORE_ERROR_NONE,
	XENSTORE_ERROR_PROTO,
	XENSTORE_ERROR_RINGIDX,
	XENSTORE_RECONNECT,
	XENSTORE_RING_SIZE,
	XENSTORE_SERVER_FEATURE_ERROR,
	XENSTORE_SERVER_FEATURE_RECONNECTION,
	XS_RING_CONNECTION,
	XS_RING_ERROR,
	XS_RING_REQ,
	XS_RING_REQ_CONS,
	XS_RING_REQ_PROD,
	XS_RING_RSP,
	XS_RING_RSP_CONS,
	XS_RING_RSP_PROD,
	XS_RING_SERVER_FEATURES,
} from '../abi/io/xs_wire.ts'
import type { ByteStream } from './stream.ts'

/** The page that a guest shares, and how to signal its event channel. */
export interface RingChannel {
	/** 4096 bytes, at an offset divisible by 4. */
	readonly page: Uint8Array
	notify(): void
}

/** Who gets what a guest writes to its ring. */
export interface RingEvents {
	onData(bytes: Uint8Array): void
	/** After a write() that said false: there is room again. */
	onWritable(): void
	/** The conversation goes on where another server left off: what comes next begins with the request of this number. */
	onResume?(request: number): void
	/** The guest has asked for a reconnection: the stream starts anew, empty. */
	onReset(): void
	/** The stream has ended: the guest broke the ring, or its domain is gone. A reset may follow. */
	onClose(): void
}

/** A guest's ring, as the server sees it. */
export interface RingStream extends ByteStream {
	/** Starts anew with an empty ring. */
	reset(): void
	/** Ends it for good, and lets go of the page. */
	release(): void
}

/** Turns of at most so many pieces, so that one busy guest does not hold up the rest. */
const PIECES_PER_TURN = 64

export interface GuestRingOptions {
	readonly channel: RingChannel
	/** XENSTORE_SERVER_FEATURE_*. */
	readonly features: number
	readonly events: RingEvents
	/** Runs a task in a later turn. */
	readonly defer: (task: () => void) => void
	/** Goes on where another server left off, instead of with an empty ring. */
	readonly resume?: boolean
	readonly onRelease?: () => void
}

export class GuestRing implements RingStream {
	readonly #options: GuestRingOptions
	readonly #page: Uint8Array
	readonly #words: Int32Array
	/** Written, and not in the ring yet. */
	#unsent: Uint8Array[] = []
	#requestsConsumed = 0
	#responsesProduced = 0
	#ended = false
	#paused = false
	#full = false
	#busy = false
	#deferred = false

	constructor(options: GuestRingOptions) {
		this.#options = options
		const { page } = options.channel
		this.#page = page
		this.#words = new Int32Array(page.buffer, page.byteOffset, page.length / 4)
		this.#store(XS_RING_SERVER_FEATURES, options.features)
		if (options.resume === true) {
			this.#requestsConsumed = this.#load(XS_RING_REQ_CONS)
			this.#responsesProduced = this.#load(XS_RING_RSP_PROD)
		} else {
			this.#empty()
		}
	}

	write(bytes: Uint8Array): boolean {
		if (this.#ended) return true
		this.#unsent.push(bytes)
		this.#pump()
		if (this.#unsent.length > 0) this.#full = true
		return !this.#full
	}

	pause(): void {
		this.#paused = true
	}

	resume(): void {
		if (!this.#paused) return
		this.#paused = false
		this.#pump()
	}

	/** The server ends the conversation: the guest broke the protocol. */
	close(): void {
		this.#end(XENSTORE_ERROR_PROTO)
	}

	reset(): void {
		this.#empty()
	}

	release(): void {
		this.#ended = true
		this.#unsent = []
		this.#options.onRelease?.()
	}

	/** The guest has signalled its event channel. */
	onEvent(): void {
		if (this.#wantsReconnection()) {
			this.#empty()
			this.#options.events.onReset()
		}
		this.#pump()
	}

	#empty(): void {
		this.#unsent = []
		this.#ended = this.#full = this.#paused = false
		this.#requestsConsumed = 0
		this.#responsesProduced = 0
		for (const index of [XS_RING_REQ_CONS, XS_RING_REQ_PROD, XS_RING_RSP_CONS, XS_RING_RSP_PROD]) this.#store(index, 0)
		this.#store(XS_RING_ERROR, XENSTORE_ERROR_NONE)
		if (!this.#wantsReconnection()) return
		this.#store(XS_RING_CONNECTION, XENSTORE_CONNECTED)
		this.#options.channel.notify()
	}

	#pump(): void {
		if (this.#busy) return
		this.#busy = true
		let moved = this.#sendResponses()
		for (let pieces = 0; this.#receiveRequests(); pieces++) {
			moved = true
			this.#sendResponses()
			if (pieces === PIECES_PER_TURN) {
				this.#continueLater()
				break
			}
		}
		this.#busy = false
		if (moved) this.#options.channel.notify()
		if (!this.#full || this.#unsent.length > 0) return
		this.#full = false
		this.#options.events.onWritable()
	}

	#continueLater(): void {
		if (this.#deferred) return
		this.#deferred = true
		this.#options.defer(() => {
			this.#deferred = false
			this.#pump()
		})
	}

	/** Passes on what the guest has written. False when there is nothing, or it must wait. */
	#receiveRequests(): boolean {
		if (this.#ended || this.#paused) return false
		const waiting = (this.#load(XS_RING_REQ_PROD) - this.#requestsConsumed) >>> 0
		if (waiting > XENSTORE_RING_SIZE) return this.#end(XENSTORE_ERROR_RINGIDX)
		if (waiting === 0) return false
		const bytes = this.#copyOut(waiting)
		this.#requestsConsumed = (this.#requestsConsumed + waiting) >>> 0
		this.#store(XS_RING_REQ_CONS, this.#requestsConsumed)
		this.#options.events.onData(bytes)
		return true
	}

	#sendResponses(): boolean {
		let sent = false
		while (!this.#ended && this.#unsent.length > 0) {
			const unread = (this.#responsesProduced - this.#load(XS_RING_RSP_CONS)) >>> 0
			if (unread > XENSTORE_RING_SIZE) return this.#end(XENSTORE_ERROR_RINGIDX)
			if (unread === XENSTORE_RING_SIZE) break
			const [first] = this.#unsent
			const bytes = first.subarray(0, XENSTORE_RING_SIZE - unread)
			this.#copyIn(bytes)
			this.#responsesProduced = (this.#responsesProduced + bytes.length) >>> 0
			this.#store(XS_RING_RSP_PROD, this.#responsesProduced)
			if (bytes.length < first.length) this.#unsent[0] = first.subarray(bytes.length)
			else this.#unsent.shift()
			sent = true
		}
		return sent
	}

	#copyOut(count: number): Uint8Array {
		const bytes = new Uint8Array(count)
		const at = this.#requestsConsumed % XENSTORE_RING_SIZE
		const first = Math.min(count, XENSTORE_RING_SIZE - at)
		bytes.set(this.#page.subarray(XS_RING_REQ + at, XS_RING_REQ + at + first))
		bytes.set(this.#page.subarray(XS_RING_REQ, XS_RING_REQ + count - first), first)
		return bytes
	}

	#copyIn(bytes: Uint8Array): void {
		const at = this.#responsesProduced % XENSTORE_RING_SIZE
		const first = Math.min(bytes.length, XENSTORE_RING_SIZE - at)
		this.#page.set(bytes.subarray(0, first), XS_RING_RSP + at)
		this.#page.set(bytes.subarray(first), XS_RING_RSP)
	}

	#wantsReconnection(): boolean {
		const offered = (this.#options.features & XENSTORE_SERVER_FEATURE_RECONNECTION) !== 0
		return offered && this.#load(XS_RING_CONNECTION) === XENSTORE_RECONNECT
	}

	#end(error: number): false {
		if (this.#ended) return false
		this.#ended = true
		this.#unsent = []
		if ((this.#options.features & XENSTORE_SERVER_FEATURE_ERROR) !== 0) this.#store(XS_RING_ERROR, error)
		this.#options.events.onClose()
		return false
	}

	#load(offset: number): number {
		return Atomics.load(this.#words, offset / 4)
	}

	#store(offset: number, value: number): void {
		Atomics.store(this.#words, offset / 4, value | 0)
	}
}
