import type { RingRequest } from '../xenstore/domains.ts'
import type { RingStream } from '../xenstore/ring.ts'
import { encodeFrame } from './frames.ts'
import type { StoreRings } from './store_rings.ts'
import { type Channel, WIRE_DATA, WIRE_FAIL, WIRE_RESET } from './wire.ts'

const EMPTY = new Uint8Array(0)

/** A guest's ring at the hypervisor's end of a connection from xenstored. Neither side takes more than the other has room for. */
export class ServedRing {
	private readonly channel: Channel
	private ring: RingStream | undefined
	/** A reset was sent, and is not answered yet. */
	private resetting = false

	private constructor(channel: Channel) {
		this.channel = channel
	}

	/** Undefined when there is no such domain or port. */
	static open(rings: StoreRings, request: RingRequest & { readonly resume: boolean }, channel: Channel): ServedRing | undefined {
		const served = new ServedRing(channel)
		served.ring = rings.openRing(request, {
			onData: (bytes) => served.send(WIRE_DATA, bytes),
			onWritable: () => channel.resume(),
			onReset: () => {
				served.resetting = true
				served.send(WIRE_RESET, EMPTY)
			},
			onClose: () => served.send(WIRE_FAIL, EMPTY),
		})
		return served.ring === undefined ? undefined : served
	}

	/** False for a frame that is out of place. */
	receive(type: number, payload: Uint8Array): boolean {
		if (type === WIRE_RESET) {
			if (!this.resetting) {
				this.ring?.reset()
				this.send(WIRE_RESET, EMPTY)
			}
			this.resetting = false
			this.channel.resume()
		} else if (this.resetting) {
			// Of the conversation before.
		} else if (type === WIRE_DATA) {
			if (this.ring?.write(payload.slice()) === false) this.channel.pause()
		} else if (type === WIRE_FAIL) {
			this.ring?.close()
		} else return false
		return true
	}

	onWritable(): void {
		this.ring?.resume()
	}

	release(): void {
		this.ring?.release()
		this.ring = undefined
	}

	private send(type: number, payload: Uint8Array): void {
		if (!this.channel.write(encodeFrame(type, payload))) this.ring?.pause()
	}
}
