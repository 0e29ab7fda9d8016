import type { RingRequest } from '../xenstore/domains.ts'
import { encodeFrame, encodeJson } from './frames.ts'
import { KeptRing, type RingServer } from './kept_ring.ts'
import type { StoreRings } from './store_rings.ts'
import { type Channel, WIRE_DATA, WIRE_FAIL, WIRE_RESET, WIRE_RESUME } from './wire.ts'

const EMPTY = new Uint8Array(0)

/** The guests' rings that xenstored has opened, by domain: they outlive its connections. */
export class KeptRings {
	private readonly rings: StoreRings
	private readonly byDomain = new Map<number, KeptRing>()

	constructor(rings: StoreRings) {
		this.rings = rings
	}

	/** Undefined when there is no such domain or port. */
	open(request: RingRequest & { readonly resume: boolean }, channel: Channel): ServedRing | undefined {
		const before = this.byDomain.get(request.domid)
		if (before !== undefined && request.resume) return new ServedRing(before, channel, true)
		before?.release()
		this.byDomain.delete(request.domid)
		const ring = KeptRing.open(this.rings, request)
		if (ring === undefined) return undefined
		this.byDomain.set(request.domid, ring)
		return new ServedRing(ring, channel, request.resume)
	}

	/** The domain is no more. */
	release(domid: number): void {
		this.byDomain.get(domid)?.release()
		this.byDomain.delete(domid)
	}
}

/** A guest's ring at the hypervisor's end of a connection from xenstored. Neither side takes more than the other has room for. */
export class ServedRing implements RingServer {
	private readonly channel: Channel
	private readonly ring: KeptRing
	private readonly resumed: boolean

	constructor(ring: KeptRing, channel: Channel, resumed: boolean) {
		this.ring = ring
		this.channel = channel
		this.resumed = resumed
	}

	/** The connection has been greeted. */
	start(): void {
		if (this.resumed) this.channel.write(encodeJson(WIRE_RESUME, { request: this.ring.firstUnanswered }))
		this.ring.attach(this)
	}

	/** False for a frame that is out of place. */
	receive(type: number, payload: Uint8Array): boolean {
		if (type !== WIRE_RESET && type !== WIRE_DATA && type !== WIRE_FAIL) return false
		if (!this.ring.isServedBy(this)) return true
		if (type === WIRE_RESET) {
			if (this.ring.awaitsStart) this.ring.started()
			else {
				this.reset()
				this.ring.reset()
			}
			this.channel.resume()
		} else if (type === WIRE_DATA) {
			if (!this.ring.answer(payload.slice())) this.channel.pause()
		} else if (!this.ring.awaitsStart) this.ring.fail()
		return true
	}

	onWritable(): void {
		if (this.ring.isServedBy(this)) this.ring.onWritable()
	}

	release(): void {
		this.ring.detach(this)
	}

	request(message: Uint8Array): boolean {
		return this.channel.write(encodeFrame(WIRE_DATA, message))
	}

	resume(): void {
		this.channel.resume()
	}

	reset(): void {
		this.channel.write(encodeFrame(WIRE_RESET, EMPTY))
	}

	fail(): void {
		this.channel.write(encodeFrame(WIRE_FAIL, EMPTY))
	}
}
