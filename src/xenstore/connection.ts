import { XENSTORE_PAYLOAD_MAX, XS_ERROR, XS_WATCH_EVENT } from '../abi/io/xs_wire.ts'
import { concatenate } from '../base/bytes.ts'
import { cString, cStrings } from './bytes.ts'
import type { Domains } from './domains.ts'
import type { Errno } from './errors.ts'
import { isPrivileged } from './permissions.ts'
import { exceeds } from './quota.ts'
import { type Answer, handleRequest, type Reply } from './requests.ts'
import type { Session } from './session.ts'
import { isErrno, type Store, type WatchState } from './store.ts'
import type { TransactionState } from './transaction.ts'
import { Decoder, encodeMessage, isWireError, type Message, type WireError } from './wire.ts'

/** Replies that a privileged client may leave unread before its requests wait. */
const PRIVILEGED_OUTSTANDING = 1024
/** Bytes of watch events that a privileged client may leave unread before it is cut off. */
const PRIVILEGED_QUEUE_BYTES = 16 * 1024 * 1024

/** A connection that goes on in another server: what it has received and not served, what it was not sent yet, and what it asked for. */
export interface ConnectionState {
	readonly input: Uint8Array
	readonly output: readonly { readonly bytes: Uint8Array; readonly event: string | undefined }[]
	/** Bytes of the first output that are sent. */
	readonly delivered: number
	/** Watches by path as the client gave it, and open transactions. */
	readonly watches: readonly WatchState[]
	readonly transactions: readonly TransactionState[]
}

/** What a connection asks of the socket or ring under it. */
export interface Transport {
	/** There is output to take. May be called during `feed`. */
	outputReady(): void
	/** The connection cannot go on: the client broke the protocol, or it never reads. */
	fail(reason: string): void
}

interface Queued {
	readonly bytes: Uint8Array
	/** Undefined for a reply; identifies the content of a watch event. */
	readonly event: string | undefined
}

/**
 * One client: requests in, replies and watch events out, in order. A client that does not read is bounded: at the limit of replies
 * its requests are not taken any more (`accepting`), and at the limit of memory an unprivileged one's watch events are dropped and a
 * privileged one is cut off. An event equal to one still waiting is not queued again.
 */
export class Connection {
	readonly session: Session
	readonly #store: Store
	readonly #domains: Domains
	readonly #transport: Transport
	readonly #decoder = new Decoder()
	readonly #waitingEvents = new Set<string>()
	#queue: Queued[] = []
	/** Bytes of the first message in the queue that are delivered already. */
	#delivered = 0
	#replies = 0
	#queued_bytes = 0
	#open = true
	/** For the answer to its last request. */
	#waits = false

	/** A durable one is a domain's conversation over its ring: it may go on where another server left off. */
	constructor(store: Store, domains: Domains, domid: number, transport: Transport, durable = false) {
		this.#store = store
		this.#domains = domains
		this.#transport = transport
		const deliver = (path: string, token: string) => this.#watchEvent(path, token)
		this.session = durable ? store.durableSession(domid, deliver) : store.openSession(domid, deliver)
	}

	/** `input` has been received and not fed. */
	state(input: Uint8Array): ConnectionState {
		return {
			input: concatenate([this.#decoder.held, input]),
			output: this.#queue,
			delivered: this.#delivered,
			watches: this.#store.watchesOf(this.session),
			transactions: this.session.transactions,
		}
	}

	/** Goes on where another connection was; its input is the caller's to feed. */
	restore({ output, delivered, watches, transactions }: ConnectionState): void {
		this.#store.restoreSession(this.session, watches, transactions)
		for (const { bytes, event } of output) {
			if (event !== undefined && event !== '') this.#waitingEvents.add(event)
			this.#enqueue(bytes, event)
		}
		this.#delivered = delivered
	}

	/** False while the client must read its replies first, or wait for an answer or for others' transactions, and after the end. */
	get accepting(): boolean {
		if (this.#waits) return false
		if (this.session.durable && this.#store.precedence.guestsWait) return false
		const limit = isPrivileged(this.session.subject) ? PRIVILEGED_OUTSTANDING : this.#store.limits(this.session.domid).outstanding
		return this.#open && !exceeds(limit, this.#replies + 1)
	}

	/** Bytes that complete the header or payload being received. */
	get wanted(): number {
		return this.#decoder.wanted
	}

	get hasOutput(): boolean {
		return this.#queue.length > 0
	}

	/** Takes bytes from `chunk` at `at`, at most one request's worth, and serves the request. Returns how many were taken. */
	feed(chunk: Uint8Array, at = 0): number {
		if (!this.#open) return 0
		const { taken, result } = this.#decoder.feed(chunk, at)
		if (result !== undefined) this.#received(result)
		return taken
	}

	/** Removes at most `room` bytes from the queue; undefined when there are none. */
	take(room: number): Uint8Array | undefined {
		if (this.#queue.length === 0 || room <= 0) return undefined
		const parts: Uint8Array[] = []
		let size = 0
		let complete = 0
		while (complete < this.#queue.length && size < room) {
			const { bytes } = this.#queue[complete]
			const part = bytes.subarray(this.#delivered, this.#delivered + room - size)
			parts.push(part)
			size += part.length
			this.#delivered += part.length
			if (this.#delivered < bytes.length) break
			this.#delivered = 0
			this.#left(this.#queue[complete++])
		}
		this.#queue.splice(0, complete)
		return parts.length === 1 ? parts[0] : concatenate(parts)
	}

	/** Ends watches and transactions and forgets all undelivered output. Nothing is taken or delivered afterwards. */
	close(): void {
		if (!this.#open) return
		this.#open = false
		this.#store.closeSession(this.session)
		for (const queued of this.#queue) this.#left(queued)
		this.#queue = []
	}

	#received(result: Message | WireError): void {
		if (isWireError(result)) {
			this.#transport.fail(`a payload of ${result.length_bytes} bytes was announced, at most ${XENSTORE_PAYLOAD_MAX} is allowed`)
			return
		}
		const { type, reqId, txId, payload } = result
		const reply =
			this.#recorded() ?? handleRequest(type, { store: this.#store, domains: this.#domains, session: this.session, txId, payload })
		this.session.request++
		if (!(reply instanceof Promise)) return this.#reply(type, reqId, txId, reply)
		this.#waits = true
		void reply.then((answer) => {
			this.#waits = false
			this.#reply(type, reqId, txId, answer)
		})
	}

	#reply(type: number, reqId: number, txId: number, reply: Answer): void {
		if (typeof reply === 'string') this.#enqueue(encodeMessage({ type: XS_ERROR, reqId, txId, payload: cString(reply) }))
		else {
			this.#enqueue(encodeMessage({ type, reqId, txId, payload: reply.payload }))
			reply.afterwards?.()
		}
	}

	/** The answer to this request, if the server before has carried it out. */
	#recorded(): Reply | Errno | undefined {
		const { durable, answers, request } = this.session
		const answer = durable ? answers.get(request) : undefined
		if (answer === undefined) return undefined
		return isErrno(answer) ? answer : { payload: cString(answer) }
	}

	#watchEvent(path: string, token: string): void {
		const payload = cStrings([path, token])
		const event = path[0] === '@' ? '' : `${path}\0${token}`
		if (!this.#open || payload.length > XENSTORE_PAYLOAD_MAX || (event !== '' && this.#waitingEvents.has(event))) return
		if (this.#store.overMemory(this.session, payload.length)) return
		if (this.#queued_bytes > PRIVILEGED_QUEUE_BYTES) {
			this.#transport.fail('watch events were not read')
			return
		}
		if (event !== '') this.#waitingEvents.add(event)
		this.#enqueue(encodeMessage({ type: XS_WATCH_EVENT, reqId: 0, txId: 0, payload }), event)
	}

	#enqueue(bytes: Uint8Array, event?: string): void {
		if (!this.#open) return
		this.#queue.push({ bytes, event })
		this.#queued_bytes += bytes.length
		this.session.account.bytes += bytes.length
		if (event === undefined) this.#replies++
		this.#transport.outputReady()
	}

	#left({ bytes, event }: Queued): void {
		this.#queued_bytes -= bytes.length
		this.session.account.bytes -= bytes.length
		if (event === undefined) this.#replies--
		else this.#waitingEvents.delete(event)
	}
}
