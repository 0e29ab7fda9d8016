import { XENSTORE_PAYLOAD_MAX, XSD_SOCKMSG_SIZE } from '../abi/io/xs_wire.ts'
import { concatenate } from '../base/bytes.ts'

/** Cuts a conversation with XenStore into whole messages, header and payload (struct xsd_sockmsg). Holds less than one. */
export class MessageSplitter {
	#held: Uint8Array = new Uint8Array(0)
	#broken = false

	/** The messages that `bytes` complete. A header that announces too much comes alone, and nothing after it. */
	push(bytes: Uint8Array): Uint8Array[] {
		if (this.#broken) return []
		const messages: Uint8Array[] = []
		let rest = this.#held.length === 0 ? bytes : concatenate([this.#held, bytes])
		while (rest.length >= XSD_SOCKMSG_SIZE) {
			const payload_bytes = new DataView(rest.buffer, rest.byteOffset).getUint32(12, true)
			this.#broken = payload_bytes > XENSTORE_PAYLOAD_MAX
			const size = XSD_SOCKMSG_SIZE + (this.#broken ? 0 : payload_bytes)
			if (rest.length < size) break
			messages.push(rest.slice(0, size))
			rest = this.#broken ? rest.subarray(0, 0) : rest.subarray(size)
		}
		this.#held = rest.slice()
		return messages
	}

	reset(): void {
		this.#held = new Uint8Array(0)
		this.#broken = false
	}
}

export function typeOf(message: Uint8Array): number {
	return new DataView(message.buffer, message.byteOffset).getUint32(0, true)
}
