/**
 * A guest's ring that outlives the xenstored that serves it. It stays open while there is no server, and gives the next one that asks to
 * go on all that the one before has not answered.
 *
 * A request is kept from when it has left the ring until its answer, as a whole, is on the way into the ring: this process alone writes
 * there, so an answer that has come is not lost with the server. Part of a message never passes on in either direction. The server
 * answers in order, so each answer is the oldest kept request's. Requests are numbered from 0 in each conversation; what the server does
 * with the numbers is said in xenstore/journal.ts. At most UNANSWERED requests and one ring's worth are kept: then the ring is not read.
 */
import { XS_WATCH_EVENT } from '../abi/io/xs_wire.ts'
import type { RingRequest } from '../xenstore/domains.ts'
import type { RingStream } from '../xenstore/ring.ts'
import { MessageSplitter, typeOf } from './message_splitter.ts'
import type { StoreRings } from './store_rings.ts'

const UNANSWERED = 64

/** The server that serves the ring at present. */
export interface RingServer {
	/** A whole request. False when it is to be held back until writable(). */
	request(message: Uint8Array): boolean
	/** There is room for answers again. */
	resume(): void
	/** Asks for a new conversation; started() answers. */
	reset(): void
	fail(): void
}

export class KeptRing {
	private ring: RingStream | undefined
	private server: RingServer | undefined
	private writable = true
	private readonly requests = new MessageSplitter()
	private readonly answers = new MessageSplitter()
	private unanswered: Uint8Array[] = []
	private answered = 0
	/** The guest has asked for a new conversation, and no server has said yet that it knows. */
	private starting = false
	private failed = false

	/** Undefined when there is no such domain or port. */
	static open(rings: StoreRings, request: RingRequest & { readonly resume: boolean }): KeptRing | undefined {
		const kept = new KeptRing()
		kept.ring = rings.openRing(request, {
			onData: (bytes) => kept.receive(bytes),
			onWritable: () => kept.server?.resume(),
			onReset: () => {
				kept.clear()
				kept.starting = true
				kept.server?.reset()
				kept.flow()
			},
			onClose: () => {
				kept.clear()
				kept.failed = true
				kept.server?.fail()
			},
		})
		if (kept.ring === undefined) return undefined
		kept.ring.pause()
		return kept
	}

	/** The number of the first request that attach() passes on. */
	get firstUnanswered(): number {
		return this.answered
	}

	/** Whoever served it before is heard no more. */
	attach(server: RingServer): void {
		this.server = server
		this.writable = true
		this.answers.reset()
		if (this.starting) server.reset()
		else for (const message of this.unanswered) this.writable = server.request(message) && this.writable
		if (this.failed) server.fail()
		this.flow()
	}

	/** The server is gone, if it is still this one. */
	detach(server: RingServer): void {
		if (this.server !== server) return
		this.server = undefined
		this.flow()
	}

	isServedBy(server: RingServer): boolean {
		return this.server === server
	}

	/** Bytes from the server. False when the ring is full: nothing more until resume(). */
	answer(bytes: Uint8Array): boolean {
		if (this.starting || this.failed) return true
		let room = true
		for (const message of this.answers.push(bytes)) {
			if (typeOf(message) !== XS_WATCH_EVENT && this.unanswered.shift() !== undefined) this.answered++
			room = this.ring?.write(message) !== false && room
		}
		this.flow()
		return room
	}

	/** The server can take requests again. */
	onWritable(): void {
		this.writable = true
		this.flow()
	}

	/** The server has begun the conversation that the guest had asked for. */
	started(): void {
		this.starting = false
		this.flow()
	}

	get awaitsStart(): boolean {
		return this.starting
	}

	/** The server begins a new conversation. */
	reset(): void {
		this.clear()
		this.ring?.reset()
		this.flow()
	}

	/** The server ends the conversation. */
	fail(): void {
		this.ring?.close()
	}

	release(): void {
		this.server = undefined
		this.ring?.release()
		this.ring = undefined
	}

	private receive(bytes: Uint8Array): void {
		for (const message of this.requests.push(bytes)) {
			this.unanswered.push(message)
			if (this.server !== undefined && !this.starting) this.writable = this.server.request(message) && this.writable
		}
		this.flow()
	}

	private clear(): void {
		this.unanswered = []
		this.answered = 0
		this.failed = false
		this.requests.reset()
		this.answers.reset()
	}

	private flow(): void {
		const takes = this.server !== undefined && !this.starting && this.writable && this.unanswered.length < UNANSWERED
		if (takes) this.ring?.resume()
		else this.ring?.pause()
	}
}
