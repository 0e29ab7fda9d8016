/**
 * A guest's ring page (struct xenstore_domain_interface in xs_wire.h) as the transport under a connection.
 *
 * The guest runs at the same time and may write anything anywhere in the page. Each index that it owns is read once per step and
 * checked; those that the server owns are kept here and only published. Bytes are copied out before they are looked at. An impossible
 * index or message ends the connection with its error noted in the page; until the guest asks for a reconnection it is ignored.
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
import type { Connection, Transport } from './connection.ts'

/** The page that a guest shares, and how to signal its event channel. */
export interface RingChannel {
	/** 4096 bytes, at an offset divisible by 4. */
	readonly page: Uint8Array
	notify(): void
}

/** Requests served in one go, so that one busy guest does not hold up the rest. */
const REQUESTS_PER_TURN = 64

export class RingTransport implements Transport {
	readonly #channel: RingChannel
	readonly #words: Int32Array
	readonly #features: number
	readonly #connect: (transport: Transport) => Connection
	readonly #defer: (task: () => void) => void
	#connection: Connection | undefined
	#requestsConsumed = 0
	#responsesProduced = 0
	#busy = false
	#deferred = false

	/** `connect` makes the connection that this transport serves, anew after each reconnection. `defer` runs a task in a later turn. */
	constructor(channel: RingChannel, features: number, connect: (transport: Transport) => Connection, defer: (task: () => void) => void) {
		this.#channel = channel
		this.#words = new Int32Array(channel.page.buffer, channel.page.byteOffset, channel.page.length / 4)
		this.#features = features
		this.#connect = connect
		this.#defer = defer
		this.#store(XS_RING_SERVER_FEATURES, features)
		this.reset()
	}

	/** Undefined after an error. */
	get connection(): Connection | undefined {
		return this.#connection
	}

	/** An empty ring and a new connection: on introduction, and when the guest asks for it. */
	reset(): void {
		this.#connection?.close()
		this.#requestsConsumed = 0
		this.#responsesProduced = 0
		for (const index of [XS_RING_REQ_CONS, XS_RING_REQ_PROD, XS_RING_RSP_CONS, XS_RING_RSP_PROD]) this.#store(index, 0)
		this.#store(XS_RING_ERROR, XENSTORE_ERROR_NONE)
		this.#connection = this.#connect(this)
		if (!this.#wantsReconnection()) return
		this.#store(XS_RING_CONNECTION, XENSTORE_CONNECTED)
		this.#channel.notify()
	}

	close(): void {
		this.#connection?.close()
		this.#connection = undefined
	}

	/** The guest has signalled its event channel. */
	onEvent(): void {
		if (this.#wantsReconnection()) this.reset()
		this.#pump()
	}

	outputReady(): void {
		this.#pump()
	}

	fail(_reason: string): void {
		this.#stop(XENSTORE_ERROR_PROTO)
	}

	#pump(): void {
		if (this.#busy) return
		this.#busy = true
		let moved = this.#sendResponses()
		for (let served = 0; this.#receiveRequest(); served++) {
			moved = true
			this.#sendResponses()
			if (served === REQUESTS_PER_TURN) {
				this.#continueLater()
				break
			}
		}
		this.#busy = false
		if (moved) this.#channel.notify()
	}

	#continueLater(): void {
		if (this.#deferred) return
		this.#deferred = true
		this.#defer(() => {
			this.#deferred = false
			this.#pump()
		})
	}

	/** Takes at most the rest of one request. False when there is nothing to take, or it must wait. */
	#receiveRequest(): boolean {
		const connection = this.#connection
		if (!connection?.accepting) return false
		const waiting = (this.#load(XS_RING_REQ_PROD) - this.#requestsConsumed) >>> 0
		if (waiting > XENSTORE_RING_SIZE) return this.#stop(XENSTORE_ERROR_RINGIDX)
		if (waiting === 0) return false
		const bytes = this.#copyOut(Math.min(waiting, connection.wanted))
		this.#requestsConsumed = (this.#requestsConsumed + bytes.length) >>> 0
		this.#store(XS_RING_REQ_CONS, this.#requestsConsumed)
		connection.feed(bytes)
		return true
	}

	#sendResponses(): boolean {
		const connection = this.#connection
		if (!connection?.hasOutput) return false
		const unread = (this.#responsesProduced - this.#load(XS_RING_RSP_CONS)) >>> 0
		if (unread > XENSTORE_RING_SIZE) return this.#stop(XENSTORE_ERROR_RINGIDX)
		const bytes = connection.take(XENSTORE_RING_SIZE - unread)
		if (bytes === undefined) return false
		this.#copyIn(bytes)
		this.#responsesProduced = (this.#responsesProduced + bytes.length) >>> 0
		this.#store(XS_RING_RSP_PROD, this.#responsesProduced)
		return true
	}

	#copyOut(count: number): Uint8Array {
		const bytes = new Uint8Array(count)
		const at = this.#requestsConsumed % XENSTORE_RING_SIZE
		const first = Math.min(count, XENSTORE_RING_SIZE - at)
		bytes.set(this.#channel.page.subarray(XS_RING_REQ + at, XS_RING_REQ + at + first))
		bytes.set(this.#channel.page.subarray(XS_RING_REQ, XS_RING_REQ + count - first), first)
		return bytes
	}

	#copyIn(bytes: Uint8Array): void {
		const at = this.#responsesProduced % XENSTORE_RING_SIZE
		const first = Math.min(bytes.length, XENSTORE_RING_SIZE - at)
		this.#channel.page.set(bytes.subarray(0, first), XS_RING_RSP + at)
		this.#channel.page.set(bytes.subarray(first), XS_RING_RSP)
	}

	#wantsReconnection(): boolean {
		const offered = (this.#features & XENSTORE_SERVER_FEATURE_RECONNECTION) !== 0
		return offered && this.#load(XS_RING_CONNECTION) === XENSTORE_RECONNECT
	}

	#stop(error: number): false {
		this.close()
		if ((this.#features & XENSTORE_SERVER_FEATURE_ERROR) !== 0) this.#store(XS_RING_ERROR, error)
		return false
	}

	#load(offset: number): number {
		return Atomics.load(this.#words, offset / 4)
	}

	#store(offset: number, value: number): void {
		Atomics.store(this.#words, offset / 4, value | 0)
	}
}
