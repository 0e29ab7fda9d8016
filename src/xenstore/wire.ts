import { XENSTORE_PAYLOAD_MAX, XSD_SOCKMSG_SIZE } from '../abi/io/xs_wire.ts'
import { concatenate } from '../base/bytes.ts'

/** One message: struct xsd_sockmsg and the payload that follows it. All numbers are u32. */
export interface Message {
	readonly type: number
	readonly reqId: number
	readonly txId: number
	/** At most XENSTORE_PAYLOAD_MAX bytes. */
	readonly payload: Uint8Array
}

/** The peer broke the protocol; the stream cannot be resynchronised and the connection must end. */
export interface WireError {
	readonly error: 'payload too long'
	readonly length_bytes: number
}

/** Header and payload in one buffer. A payload above XENSTORE_PAYLOAD_MAX is the caller's bug. */
export function encodeMessage(message: Message): Uint8Array {
	const { payload } = message
	if (payload.length > XENSTORE_PAYLOAD_MAX) throw new RangeError(`XenStore payload of ${payload.length} bytes, at most 4096 allowed`)
	const bytes = new Uint8Array(XSD_SOCKMSG_SIZE + payload.length)
	putU32(bytes, 0, message.type)
	putU32(bytes, 4, message.reqId)
	putU32(bytes, 8, message.txId)
	putU32(bytes, 12, payload.length)
	bytes.set(payload, XSD_SOCKMSG_SIZE)
	return bytes
}

/**
 * Turns a byte stream into messages. Holds at most one incomplete message, so its memory is bounded by the protocol.
 * After an error it stays in error.
 */
export class Decoder {
	readonly #header = new Uint8Array(XSD_SOCKMSG_SIZE)
	#payload: Uint8Array | undefined
	#have = 0
	#error: WireError | undefined

	/** Bytes until the next step can be taken: the rest of the header, or of the payload. Never 0. */
	get wanted(): number {
		return (this.#payload ?? this.#header).length - this.#have
	}

	/** The bytes of the message being received: another decoder that gets them goes on. */
	get held(): Uint8Array {
		if (this.#payload === undefined) return this.#header.slice(0, this.#have)
		return concatenate([this.#header, this.#payload.subarray(0, this.#have)])
	}

	/** True between messages. */
	get idle(): boolean {
		return this.#payload === undefined && this.#have === 0
	}

	/**
	 * Takes bytes from `chunk` at `at`, at most one message's worth.
	 * Returns how many were taken, and the message or the error that they completed.
	 */
	feed(chunk: Uint8Array, at = 0): { taken: number; result?: Message | WireError } {
		if (this.#error !== undefined) return { taken: 0, result: this.#error }
		let taken = 0
		if (this.#payload === undefined) {
			taken = this.#fill(this.#header, chunk, at)
			if (this.#have < XSD_SOCKMSG_SIZE) return { taken }
			const length = getU32(this.#header, 12)
			if (length > XENSTORE_PAYLOAD_MAX) return { taken, result: (this.#error = { error: 'payload too long', length_bytes: length }) }
			this.#payload = new Uint8Array(length)
			this.#have = 0
		}
		taken += this.#fill(this.#payload, chunk, at + taken)
		if (this.#have < this.#payload.length) return { taken }
		const payload = this.#payload
		this.#payload = undefined
		this.#have = 0
		const header = this.#header
		return { taken, result: { type: getU32(header, 0), reqId: getU32(header, 4), txId: getU32(header, 8), payload } }
	}

	#fill(target: Uint8Array, chunk: Uint8Array, at: number): number {
		const count = Math.min(target.length - this.#have, chunk.length - at)
		if (count <= 0) return 0
		target.set(chunk.subarray(at, at + count), this.#have)
		this.#have += count
		return count
	}
}

export function isWireError(result: Message | WireError): result is WireError {
	return 'error' in result
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value
	bytes[at + 1] = value >>> 8
	bytes[at + 2] = value >>> 16
	bytes[at + 3] = value >>> 24
}

function getU32(bytes: Uint8Array, at: number): number {
	return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}
