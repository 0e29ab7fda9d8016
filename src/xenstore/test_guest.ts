import {
	XENSTORE_RING_SIZE,
	XS_RING_REQ,
	XS_RING_REQ_CONS,
	XS_RING_REQ_PROD,
	XS_RING_RSP,
	XS_RING_RSP_CONS,
	XS_RING_RSP_PROD,
} from '../abi/io/xs_wire.ts'
import { XenstoreClient } from './client.ts'
import type { Domains, RingHost, RingRequest } from './domains.ts'
import { GuestRing, type RingEvents, type RingStream } from './ring.ts'

/** The guest's side of a ring, for tests: a page, and a client over it as a guest's kernel has one. */
export class TestGuest {
	readonly page = new Uint8Array(new SharedArrayBuffer(4096))
	readonly words = new Int32Array(this.page.buffer)
	readonly client: XenstoreClient
	/** Set by the host when the server opens the ring. */
	kick: () => void = () => {}
	/** False while the guest takes nothing out of the response ring. */
	reading = true
	notified = 0
	#unsent: Uint8Array[] = []

	constructor() {
		this.client = new XenstoreClient({ write: (bytes) => this.#send(bytes), close: () => {} })
	}

	/** Looks at the ring, as the guest's interrupt handler does. */
	onNotify(): void {
		this.notified++
		queueMicrotask(() => this.poll())
	}

	poll(): void {
		let moved = false
		while (this.reading && this.#receive()) moved = true
		while (this.#unsent.length > 0 && this.#put()) moved = true
		if (moved) this.kick()
	}

	word(offset: number): number {
		return Atomics.load(this.words, offset / 4) >>> 0
	}

	setWord(offset: number, value: number): void {
		Atomics.store(this.words, offset / 4, value | 0)
	}

	#send(bytes: Uint8Array): void {
		this.#unsent.push(bytes)
		this.poll()
	}

	#receive(): boolean {
		const cons = this.word(XS_RING_RSP_CONS)
		const count = (this.word(XS_RING_RSP_PROD) - cons) >>> 0
		if (count === 0 || count > XENSTORE_RING_SIZE) return false
		const bytes = Uint8Array.from({ length: count }, (_, i) => this.page[XS_RING_RSP + ((cons + i) % XENSTORE_RING_SIZE)])
		this.setWord(XS_RING_RSP_CONS, cons + count)
		this.client.onData(bytes)
		return true
	}

	#put(): boolean {
		const prod = this.word(XS_RING_REQ_PROD)
		const room = XENSTORE_RING_SIZE - ((prod - this.word(XS_RING_REQ_CONS)) >>> 0)
		const [bytes] = this.#unsent
		const count = Math.min(room, bytes.length)
		if (count <= 0) return false
		for (let i = 0; i < count; i++) this.page[XS_RING_REQ + ((prod + i) % XENSTORE_RING_SIZE)] = bytes[i]
		this.setWord(XS_RING_REQ_PROD, prod + count)
		if (count === bytes.length) this.#unsent.shift()
		else this.#unsent[0] = bytes.subarray(count)
		return true
	}
}

/** A host whose domains are test guests, made when they are introduced. */
export class TestHost implements RingHost {
	readonly guests = new Map<number, TestGuest>()

	openRing({ domid, features }: RingRequest, events: RingEvents): RingStream {
		const guest = this.guests.get(domid) ?? new TestGuest()
		this.guests.set(domid, guest)
		const channel = { page: guest.page, notify: () => guest.onNotify() }
		const ring = new GuestRing({ channel, features, events, defer: setImmediate })
		guest.kick = () => ring.onEvent()
		return ring
	}

	/** The guest of a domain that this introduces. */
	introduce(domains: Domains, domid: number): TestGuest {
		domains.introduce(domid, 1, 1)
		return this.guests.get(domid)!
	}
}
