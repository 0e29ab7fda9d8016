import { decodeJson, encodeFrame, encodeJson, FrameReader } from './frames.ts'
import {
	type ConsoleReader,
	type ConsoleSession,
	type DomainRef,
	type DomainSpec,
	type DomainState,
	HypervisorGone,
	type RestoreSpec,
	type Trigger,
	XENCTRL_INTERFACE_VERSION,
	type XenControl,
	type XenEvent,
	type XenInfo,
} from './interface.ts'
import {
	type Channel,
	checkVersion,
	type Dial,
	decodeError,
	type Greeting,
	type Hello,
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
	type WireCall,
	type WireError,
	type WireReply,
} from './wire.ts'

interface Pending {
	resolve(result: unknown): void
	reject(error: Error): void
}

/** The hypervisor of another process. */
export class RemoteXen implements XenControl {
	/** Resolves when the connection is lost or closed. */
	readonly closed: Promise<void>
	private readonly dial: Dial
	private readonly role: Hello['role']
	private readonly pending = new Map<number, Pending>()
	private readonly listeners = new Set<(event: XenEvent) => void>()
	private channel: Channel | undefined
	private lastRequest = 0
	private resolveClosed = () => {}

	private constructor(dial: Dial, role: Hello['role']) {
		this.dial = dial
		this.role = role
		this.closed = new Promise((resolve) => {
			this.resolveClosed = resolve
		})
	}

	/** Rejects when nobody answers (what `dial` rejects with), or when the other end has another version: UserError. */
	static async connect(dial: Dial, role: Hello['role']): Promise<RemoteXen> {
		const xen = new RemoteXen(dial, role)
		await xen.open()
		return xen
	}

	private async open(): Promise<void> {
		this.channel = await shakeHands(
			this.dial,
			{ interface: XENCTRL_INTERFACE_VERSION, role: this.role, open: { kind: 'control' } },
			(events) => ({
				onFrame: (type, payload) => this.receive(type, payload),
				onWritable: () => {},
				onClose: () => {
					events.lost()
					this.lost()
				},
			}),
		)
	}

	info(): Promise<XenInfo> {
		return this.call('info')
	}
	createDomain(spec: DomainSpec): Promise<DomainState> {
		return this.call('createDomain', spec)
	}
	domains(): Promise<DomainState[]> {
		return this.call('domains')
	}
	async pause(domain: DomainRef): Promise<void> {
		await this.call('pause', domain)
	}
	async unpause(domain: DomainRef): Promise<void> {
		await this.call('unpause', domain)
	}
	destroy(domain: DomainRef): Promise<number | null> {
		return this.call('destroy', domain)
	}
	async setUuid(domain: DomainRef, uuid: string): Promise<void> {
		await this.call('setUuid', domain, uuid)
	}
	async setMaxMemory(domain: DomainRef, kib: number): Promise<void> {
		await this.call('setMaxMemory', domain, kib)
	}
	async sendTrigger(domain: DomainRef, trigger: Trigger, vcpu: number): Promise<void> {
		await this.call('sendTrigger', domain, trigger, vcpu)
	}
	dumpCore(domain: DomainRef, path: string, live: boolean): Promise<number> {
		return this.call('dumpCore', domain, path, live)
	}
	saveDomain(domain: DomainRef, path: string, config: string): Promise<number> {
		return this.call('saveDomain', domain, path, config)
	}
	savedConfig(path: string): Promise<string> {
		return this.call('savedConfig', path)
	}
	restoreDomain(spec: RestoreSpec): Promise<DomainState> {
		return this.call('restoreDomain', spec)
	}
	resumeDomain(domain: DomainRef): Promise<boolean> {
		return this.call('resumeDomain', domain)
	}
	log(clear: boolean): Promise<string> {
		return this.call('log', clear)
	}
	debugKeys(keys: string): Promise<void> {
		return this.call('debugKeys', keys)
	}
	stopIfIdle(): Promise<boolean> {
		return this.call('stopIfIdle')
	}

	onEvent(listener: (event: XenEvent) => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	async openConsole(domid: number, reader: ConsoleReader, from = 0, typist?: string): Promise<ConsoleSession> {
		const drains: (() => void)[] = []
		const hello: Hello = { interface: XENCTRL_INTERFACE_VERSION, role: this.role, open: { kind: 'console', domid, from, typist } }
		let blocked = false
		let over = false
		let joined = false
		/** What has come before the first resume(), to be passed on then. */
		let early: (() => boolean)[] | undefined = []
		const news: Readonly<Record<number, (payload: Uint8Array) => boolean>> = {
			[WIRE_DATA]: (payload) => reader.output(payload),
			[WIRE_LOST](payload) {
				reader.lost((decodeJson(payload) as { count: number }).count)
				return true
			},
			[WIRE_PLACE](payload) {
				reader.place((decodeJson(payload) as { position: number }).position)
				return true
			},
			[WIRE_TAKEN](payload) {
				reader.taken((decodeJson(payload) as { count: number }).count)
				return true
			},
		}
		const channel: Channel = await shakeHands(this.dial, hello, (events) => ({
			onFrame(type, payload) {
				const tell = news[type]
				if (type === WIRE_DRAINED) drains.shift()?.()
				else if (tell !== undefined && early !== undefined) early.push(() => tell(payload))
				else if (tell?.(payload) === false) events.channel()?.pause()
			},
			onWritable() {
				if (blocked) reader.inputSpace()
				blocked = false
			},
			onClose() {
				events.lost()
				over = true
				for (const drain of drains.splice(0)) drain()
				if (joined) reader.closed()
			},
		}))
		joined = true
		return {
			write(bytes) {
				if (!over && !channel.write(encodeFrame(WIRE_DATA, bytes))) blocked = true
				return !blocked
			},
			resume() {
				const first = early ?? []
				early = undefined
				let room = true
				for (const tell of first) room = tell() && room
				if (room) channel.resume()
				else channel.pause()
			},
			drained() {
				if (over) return Promise.resolve()
				channel.write(encodeFrame(WIRE_DRAIN, new Uint8Array(0)))
				return new Promise((resolve) => drains.push(resolve))
			},
			close: () => channel.close(),
		}
	}

	close(): void {
		this.channel?.close()
	}

	private call<T>(call: WireCall, ...args: readonly unknown[]): Promise<T> {
		const { channel } = this
		if (channel === undefined) return Promise.reject(new HypervisorGone())
		const id = ++this.lastRequest
		return new Promise<T>((resolve, reject) => {
			this.pending.set(id, { resolve: (result) => resolve(result as T), reject })
			channel.write(encodeJson(WIRE_REQUEST, { id, call, args }))
		})
	}

	private receive(type: number, payload: Uint8Array): void {
		if (type === WIRE_EVENT) {
			const event = decodeJson(payload) as XenEvent
			for (const listener of [...this.listeners]) listener(event)
		} else if (type === WIRE_REPLY) {
			const reply = decodeJson(payload) as WireReply
			const pending = this.pending.get(reply.id)
			this.pending.delete(reply.id)
			if ('error' in reply) pending?.reject(decodeError(reply.error))
			else pending?.resolve(reply.result)
		}
	}

	private lost(): void {
		this.channel = undefined
		for (const { reject } of this.pending.values()) reject(new HypervisorGone())
		this.pending.clear()
		this.resolveClosed()
	}
}

interface Conversation {
	onFrame(type: number, payload: Uint8Array): void
	onWritable(): void
	onClose(): void
}

interface ConversationHost {
	channel(): Channel | undefined
	/** The stream is at its end. */
	lost(): void
}

/** Opens a stream and exchanges greetings; `conversation` hears what follows. */
export async function shakeHands(dial: Dial, hello: Hello, conversation: (host: ConversationHost) => Conversation): Promise<Channel> {
	let channel: Channel | undefined
	const greeted = Promise.withResolvers<void>()
	// Handled below, once there is a channel.
	greeted.promise.catch(() => {})
	const talk = conversation({ channel: () => channel, lost: () => greeted.reject(new HypervisorGone()) })
	const frames = new FrameReader((type, payload) => {
		if (type === WIRE_HELLO) {
			try {
				const { interface: version, pid } = decodeJson(payload) as Greeting
				checkVersion(version, 'hypervisor', pid)
				greeted.resolve()
			} catch (error) {
				greeted.reject(error)
			}
		} else if (type === WIRE_REFUSED) greeted.reject(decodeError(decodeJson(payload) as WireError))
		else talk.onFrame(type, payload)
	}, WIRE_MAX_FRAME_BYTES)
	channel = await dial({
		onData(chunk) {
			try {
				frames.push(chunk)
			} catch {
				channel?.close()
			}
		},
		onWritable: () => talk.onWritable(),
		onClose: () => talk.onClose(),
	})
	channel.write(encodeJson(WIRE_HELLO, hello))
	try {
		await greeted.promise
	} catch (error) {
		channel.close()
		throw error
	}
	return channel
}
