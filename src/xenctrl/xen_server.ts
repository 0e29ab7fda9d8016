import { UserError } from '../base/errors.ts'
import { decodeJson, encodeFrame, encodeJson, FrameReader } from './frames.ts'
import { type ConsoleReader, type ConsoleSession, NoDomain, XENCTRL_INTERFACE_VERSION, type XenControl } from './interface.ts'
import { KeptRings, type ServedRing } from './served_ring.ts'
import type { StoreRings } from './store_rings.ts'
import {
	type Channel,
	type ChannelEvents,
	checkVersion,
	encodeError,
	type Greeting,
	type Hello,
	WIRE_CALLS,
	WIRE_DATA,
	WIRE_DRAIN,
	WIRE_DRAINED,
	WIRE_EVENT,
	WIRE_HELLO,
	WIRE_LOST,
	WIRE_MAX_FRAME_BYTES,
	WIRE_PLACE,
	WIRE_REFUSED,
	WIRE_REPLY,
	WIRE_REQUEST,
	WIRE_TAKEN,
	type WireReply,
	type WireRequest,
} from './wire.ts'

export interface XenServerOptions {
	readonly xen: XenControl
	readonly bootId: string
	readonly pid: number
	/** Where the guests' rings can be reached. */
	readonly rings?: StoreRings
	/** Called whenever the number of toolstacks changes. */
	readonly onToolstacks?: (count: number) => void
}

/** The hypervisor's interface, served on byte streams that only its owner can open. */
export class XenServer {
	readonly options: XenServerOptions
	readonly rings: KeptRings | undefined
	private toolstacks = 0
	/** Resolves when the toolstack that was greeted last is gone and what it asked for is done. */
	private toolstackGone: Promise<void> = Promise.resolve()

	constructor(options: XenServerOptions) {
		this.options = options
		this.rings = options.rings && new KeptRings(options.rings)
		options.xen.onEvent(({ type, domid }) => type === 'destroyed' && this.rings?.release(domid))
	}

	/** Serves a byte stream. The caller passes on what comes in. */
	accept(channel: Channel): ChannelEvents {
		return new Connection(this, channel)
	}

	/** Those that wait for an earlier one to be gone, too. */
	get toolstackCount(): number {
		return this.toolstacks
	}

	/** A control connection opens: resolves when it may be greeted. `over` resolves when it is gone. */
	async admit(role: Hello['role'], over: Promise<void>): Promise<void> {
		if (role !== 'toolstack') return
		this.options.onToolstacks?.(++this.toolstacks)
		void over.then(() => this.options.onToolstacks?.(--this.toolstacks))
		const before = this.toolstackGone
		this.toolstackGone = before.then(() => over)
		await before
	}
}

class Connection implements ChannelEvents {
	private readonly server: XenServer
	private readonly channel: Channel
	private readonly frames: FrameReader
	private readonly over = Promise.withResolvers<void>()
	private greeted = false
	private closed = false
	private running = 0
	private stopEvents = () => {}
	private session: ConsoleSession | undefined
	private ring: ServedRing | undefined
	/** The channel is full, and what the typist is to be told once it is not. */
	private full = false
	private untold: number | undefined

	constructor(server: XenServer, channel: Channel) {
		this.server = server
		this.channel = channel
		this.frames = new FrameReader((type, payload) => this.receive(type, payload), WIRE_MAX_FRAME_BYTES)
	}

	onData(chunk: Uint8Array): void {
		try {
			this.frames.push(chunk)
		} catch (error) {
			this.refuse(error)
		}
	}

	onWritable(): void {
		this.full = false
		if (this.untold !== undefined) this.tellTaken(this.untold)
		this.session?.resume()
		this.ring?.onWritable()
	}

	onClose(): void {
		this.closed = true
		this.stopEvents()
		this.session?.close()
		this.ring?.release()
		this.settle()
	}

	private receive(type: number, payload: Uint8Array): void {
		if (this.closed) return
		if (!this.greeted && type === WIRE_HELLO) {
			this.greeted = true
			this.open(decodeJson(payload) as Hello).catch((error) => this.refuse(error))
		} else if (this.greeted && type === WIRE_REQUEST) {
			void this.serve(decodeJson(payload) as WireRequest)
		} else if (this.session !== undefined && type === WIRE_DATA) {
			if (!this.session.write(payload.slice())) this.channel.pause()
		} else if (this.session !== undefined && type === WIRE_DRAIN) {
			void this.session.drained().then(() => this.send(encodeFrame(WIRE_DRAINED, new Uint8Array(0))))
		} else if (this.ring?.receive(type, payload) !== true) {
			throw new UserError(`a frame of type ${type} is out of place`, { code: 'bad-request' })
		}
	}

	private async open(hello: Hello): Promise<void> {
		const { bootId, pid, xen } = this.server.options
		checkVersion(hello.interface, 'toolstack', pid)
		if (hello.open.kind === 'console') this.session = await this.openConsole(hello.open)
		else if (hello.open.kind === 'ring') {
			this.ring = this.server.rings?.open(hello.open, { ...this.channel, write: (bytes) => this.send(bytes) })
			if (this.ring === undefined) throw new NoDomain(hello.open.domid)
		} else {
			await this.server.admit(hello.role, this.over.promise)
			this.stopEvents = xen.onEvent((event) => this.send(encodeJson(WIRE_EVENT, event)))
			if (this.closed) this.stopEvents()
		}
		this.greet({ interface: XENCTRL_INTERFACE_VERSION, bootId, pid })
		this.session?.resume()
		this.ring?.start()
	}

	private greet(greeting: Greeting): void {
		this.send(encodeJson(WIRE_HELLO, greeting))
	}

	private async openConsole({ domid, from, typist }: Extract<Hello['open'], { kind: 'console' }>): Promise<ConsoleSession> {
		const reader: ConsoleReader = {
			output: (bytes) => this.send(encodeFrame(WIRE_DATA, bytes)),
			lost: (count) => this.send(encodeJson(WIRE_LOST, { count })),
			place: (position) => this.send(encodeJson(WIRE_PLACE, { position })),
			taken: (count) => this.tellTaken(count),
			inputSpace: () => this.channel.resume(),
			closed: () => this.channel.close(),
		}
		const session = await this.server.options.xen.openConsole(domid, reader, from, typist)
		if (this.closed) session.close()
		return session
	}

	private async serve({ id, call, args }: WireRequest): Promise<void> {
		this.running++
		let reply: WireReply
		try {
			reply = { id, result: (await this.call(call, args)) ?? null }
		} catch (error) {
			reply = { id, error: encodeError(error) }
		}
		this.send(encodeJson(WIRE_REPLY, reply))
		this.running--
		this.settle()
	}

	private call(call: WireRequest['call'], args: readonly unknown[]): Promise<unknown> {
		if (!WIRE_CALLS.includes(call)) throw new UserError(`the hypervisor has no operation '${call}'`, { code: 'no-such-call' })
		const { xen } = this.server.options
		return (xen[call] as (...args: readonly unknown[]) => Promise<unknown>).apply(xen, [...args])
	}

	/** The last count is enough: a reader that does not read costs no memory. */
	private tellTaken(count: number): void {
		this.untold = this.full ? count : undefined
		if (!this.full) this.send(encodeJson(WIRE_TAKEN, { count }))
	}

	private send(bytes: Uint8Array): boolean {
		const room = this.closed || this.channel.write(bytes)
		this.full = !room
		return room
	}

	private refuse(error: unknown): void {
		this.send(encodeJson(WIRE_REFUSED, encodeError(error)))
		this.channel.close()
	}

	private settle(): void {
		if (this.closed && this.running === 0) this.over.resolve()
	}
}
