import type { RingHost, RingRequest } from '../xenstore/domains.ts'
import type { RingEvents, RingStream } from '../xenstore/ring.ts'
import { decodeJson, encodeFrame } from './frames.ts'
import { XENCTRL_INTERFACE_VERSION } from './interface.ts'
import { shakeHands } from './remote_xen.ts'
import { type Channel, type Dial, WIRE_DATA, WIRE_FAIL, WIRE_RESET, WIRE_RESUME } from './wire.ts'

const EMPTY = new Uint8Array(0)

export interface RemoteRingsOptions {
	readonly dial: Dial
	/** Whether a domain's ring goes on where another server left off. Default: it starts anew. */
	readonly resume?: (domid: number) => boolean
}

/** The guests' rings as a xenstored in another process reaches them: a connection to the hypervisor for each. */
export function remoteRings({ dial, resume = () => false }: RemoteRingsOptions): RingHost {
	return { openRing: (request, events) => new RemoteRing(dial, { ...request, resume: resume(request.domid) }, events) }
}

/** Until the connection is there, what is written waits. */
class RemoteRing implements RingStream {
	private readonly events: RingEvents
	private channel: Channel | undefined
	private early: Uint8Array[] = []
	private full = false
	private paused = false
	private resetting = false
	private released = false

	constructor(dial: Dial, request: RingRequest & { readonly resume: boolean }, events: RingEvents) {
		this.events = events
		this.connect(dial, request).catch(() => this.released || events.onClose())
	}

	write(bytes: Uint8Array): boolean {
		this.send(WIRE_DATA, bytes)
		return !this.full
	}

	pause(): void {
		if (this.paused) return
		this.paused = true
		this.channel?.pause()
	}

	resume(): void {
		if (!this.paused) return
		this.paused = false
		this.channel?.resume()
	}

	close(): void {
		this.send(WIRE_FAIL, EMPTY)
	}

	reset(): void {
		this.resetting = true
		this.full = false
		this.resume()
		this.send(WIRE_RESET, EMPTY)
	}

	release(): void {
		this.released = true
		this.early = []
		this.channel?.close()
	}

	private async connect(dial: Dial, request: RingRequest & { readonly resume: boolean }): Promise<void> {
		const hello = { interface: XENCTRL_INTERFACE_VERSION, role: 'xenstored', open: { kind: 'ring', ...request } } as const
		const channel = await shakeHands(dial, hello, (host) => ({
			onFrame: (type, payload) => this.receive(type, payload),
			onWritable: () => this.becameWritable(),
			onClose: () => {
				host.lost()
				if (!this.released) this.events.onClose()
			},
		}))
		this.channel = channel
		if (this.released) return channel.close()
		if (this.paused) channel.pause()
		for (const frame of this.early.splice(0)) if (!channel.write(frame)) this.full = true
		if (!this.full) this.events.onWritable()
	}

	private receive(type: number, payload: Uint8Array): void {
		if (this.released) return
		if (type === WIRE_RESUME) this.events.onResume?.((decodeJson(payload) as { readonly request: number }).request)
		else if (type === WIRE_RESET) {
			if (this.resetting) this.resetting = false
			else {
				this.resume()
				this.send(WIRE_RESET, EMPTY)
				this.full = false
				this.events.onReset()
			}
		} else if (this.resetting) {
			// Of the conversation before.
		} else if (type === WIRE_DATA) this.events.onData(payload.slice())
		else if (type === WIRE_FAIL) this.events.onClose()
	}

	private becameWritable(): void {
		if (!this.full) return
		this.full = false
		this.events.onWritable()
	}

	private send(type: number, payload: Uint8Array): void {
		if (this.released) return
		const frame = encodeFrame(type, payload)
		if (this.channel === undefined) this.early.push(frame)
		else if (!this.channel.write(frame)) this.full = true
	}
}
