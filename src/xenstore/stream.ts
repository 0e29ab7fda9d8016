import { concatenate } from '../base/bytes.ts'
import type { Connection, ConnectionState, Transport } from './connection.ts'

/** A socket or the like, as the server sees it. */
export interface ByteStream {
	/** Queues the bytes. False when the stream is full: nothing more is written until `onWritable`. */
	write(bytes: Uint8Array): boolean
	/** Stop and go on calling `onData`. */
	pause(): void
	resume(): void
	/** Nothing is called any more afterwards. */
	close(): void
}

const NO_BYTES = new Uint8Array(0)
const REQUESTS_PER_TURN = 64
const WRITE_BYTES = 64 * 1024

/** A byte stream as the transport under a connection. The owner of the stream calls onData, onWritable and onClose. */
export class StreamTransport implements Transport {
	readonly #stream: ByteStream
	readonly #connection: Connection
	readonly #defer: (task: () => void) => void
	readonly #write_bytes: number
	#input: Uint8Array[] = []
	/** Bytes of the first chunk that are consumed. */
	#at = 0
	#writable = true
	#busy = false
	#deferred = false
	#closed = false
	#frozen = false

	/** At most `write_bytes` are written at a time: what the stream has taken no longer counts against the client. */
	constructor(
		stream: ByteStream,
		connect: (transport: Transport) => Connection,
		defer: (task: () => void) => void,
		write_bytes = WRITE_BYTES,
	) {
		this.#stream = stream
		this.#write_bytes = write_bytes
		this.#defer = defer
		this.#connection = connect(this)
	}

	get connection(): Connection {
		return this.#connection
	}

	/** Serves nothing and sends nothing any more: another server will. */
	freeze(): void {
		this.#frozen = true
		this.#stream.pause()
	}

	/** Of a frozen one. */
	state(): ConnectionState {
		const [first, ...more] = this.#input
		return this.#connection.state(first === undefined ? NO_BYTES : concatenate([first.subarray(this.#at), ...more]))
	}

	/** Goes on where another was. */
	restore(state: ConnectionState): void {
		this.#connection.restore(state)
		this.onData(state.input)
	}

	/** The chunk is kept until it is consumed: it must not be reused. */
	onData(chunk: Uint8Array): void {
		if (this.#closed || chunk.length === 0) return
		this.#input.push(chunk)
		if (!this.#frozen) this.#pump()
	}

	/** Requests that had to wait may be served again. */
	wake(): void {
		this.#pump()
	}

	onWritable(): void {
		this.#writable = true
		this.#pump()
	}

	/** The peer is gone, or will send no more: what it has not been told yet is dropped. */
	onClose(): void {
		this.#closed = true
		this.#input = []
		this.#connection.close()
	}

	outputReady(): void {
		this.#pump()
	}

	fail(_reason: string): void {
		this.onClose()
		this.#stream.close()
	}

	#pump(): void {
		if (this.#busy || this.#closed || this.#frozen) return
		this.#busy = true
		for (let served = 0; this.#input.length > 0 && this.#mayFeed(); served++) {
			if (served === REQUESTS_PER_TURN) {
				this.#continueLater()
				break
			}
			this.#feed()
		}
		this.#flush()
		this.#busy = false
		if (this.#closed) return
		if (this.#input.length > 0) this.#stream.pause()
		else this.#stream.resume()
	}

	/** At the limit of replies, those that the stream takes make room for requests. */
	#mayFeed(): boolean {
		if (!this.#connection.accepting) this.#flush()
		return this.#connection.accepting
	}

	#feed(): void {
		const [chunk] = this.#input
		this.#at += this.#connection.feed(chunk, this.#at)
		if (this.#at < chunk.length) return
		this.#input.shift()
		this.#at = 0
	}

	#flush(): void {
		while (this.#writable && !this.#closed) {
			const bytes = this.#connection.take(this.#write_bytes)
			if (bytes === undefined) return
			this.#writable = this.#stream.write(bytes)
		}
	}

	#continueLater(): void {
		if (this.#deferred) return
		this.#deferred = true
		this.#defer(() => {
			this.#deferred = false
			this.#pump()
		})
	}
}
