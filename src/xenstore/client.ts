import {
	XENSTORE_PAYLOAD_MAX,
	XS_CONTROL,
	XS_DIRECTORY,
	XS_DIRECTORY_PART,
	XS_ERROR,
	XS_GET_PERMS,
	XS_INTRODUCE,
	XS_IS_DOMAIN_INTRODUCED,
	XS_MKDIR,
	XS_READ,
	XS_RELEASE,
	XS_RESUME,
	XS_RM,
	XS_SET_PERMS,
	XS_SET_TARGET,
	XS_TRANSACTION_END,
	XS_TRANSACTION_START,
	XS_UNWATCH,
	XS_WATCH,
	XS_WATCH_EVENT,
	XS_WRITE,
} from '../abi/io/xs_wire.ts'
import { cString, cStrings, splitCStrings } from './bytes.ts'
import type { Errno } from './errors.ts'
import type { XenstoreServer } from './server.ts'
import { Decoder, encodeMessage, isWireError, type Message } from './wire.ts'

/** A request that xenstored refused, with its name for the reason. */
export class XenstoreError extends Error {
	readonly errno: Errno

	constructor(errno: Errno, doing: string) {
		super(`XenStore: ${doing}: ${errno}`)
		this.name = 'XenstoreError'
		this.errno = errno
	}

	/** The reason in words, as C's strerror() has it. */
	get description(): string {
		return DESCRIPTIONS[this.errno]
	}
}

const DESCRIPTIONS: Readonly<Record<Errno, string>> = {
	EINVAL: 'Invalid argument',
	EACCES: 'Permission denied',
	EEXIST: 'File exists',
	EISDIR: 'Is a directory',
	ENOENT: 'No such file or directory',
	ENOMEM: 'Cannot allocate memory',
	ENOSPC: 'No space left on device',
	EIO: 'Input/output error',
	ENOTEMPTY: 'Directory not empty',
	ENOSYS: 'Function not implemented',
	EROFS: 'Read-only file system',
	EBUSY: 'Device or resource busy',
	EAGAIN: 'Resource temporarily unavailable',
	EISCONN: 'Transport endpoint is already connected',
	E2BIG: 'Argument list too long',
	EPERM: 'Operation not permitted',
}

/** The way to the server: a socket, or the server in this process. */
export interface ClientStream {
	write(bytes: Uint8Array): void
	close(): void
}

interface Pending {
	readonly doing: string
	resolve(payload: Uint8Array): void
	reject(error: Error): void
}

const TRANSACTION_ATTEMPTS = 1000
const UTF8 = new TextEncoder()
const FROM_UTF8 = new TextDecoder()

/**
 * Operations on nodes, either each by itself or all in one transaction. Values are UTF-8 text unless the name says bytes.
 * They reject with XenstoreError when the server refuses; a missing node is no error where undefined can say it.
 */
export class XenstoreNodes {
	readonly #request: (type: number, payload: Uint8Array, doing: string) => Promise<Uint8Array>

	constructor(request: (type: number, payload: Uint8Array, doing: string) => Promise<Uint8Array>) {
		this.#request = request
	}

	/** The value, or undefined when there is no such node. */
	async readBytes(path: string): Promise<Uint8Array | undefined> {
		return unlessMissing(this.#request(XS_READ, cString(path), `read ${path}`))
	}

	async read(path: string): Promise<string | undefined> {
		const value = await this.readBytes(path)
		return value === undefined ? undefined : FROM_UTF8.decode(value)
	}

	/** Missing parents are created. */
	async write(path: string, value: string | Uint8Array | number): Promise<void> {
		const bytes = value instanceof Uint8Array ? value : UTF8.encode(String(value))
		const payload = new Uint8Array(path.length + 1 + bytes.length)
		payload.set(cString(path))
		payload.set(bytes, path.length + 1)
		if (payload.length > XENSTORE_PAYLOAD_MAX) throw new XenstoreError('E2BIG', `write ${path}`)
		await this.#request(XS_WRITE, payload, `write ${path}`)
	}

	async mkdir(path: string): Promise<void> {
		await this.#request(XS_MKDIR, cString(path), `mkdir ${path}`)
	}

	/** Removes the node and all below it; that it is not there is no error. */
	async rm(path: string): Promise<void> {
		await this.remove(path)
	}

	/** The same; false when neither the node nor its parent is there. */
	async remove(path: string): Promise<boolean> {
		return (await unlessMissing(this.#request(XS_RM, cString(path), `rm ${path}`))) !== undefined
	}

	/** The children's names, or undefined when there is no such node. */
	async ls(path: string): Promise<string[] | undefined> {
		try {
			const list = await unlessMissing(this.#request(XS_DIRECTORY, cString(path), `list ${path}`))
			return list && splitCStrings(list)
		} catch (error) {
			if (error instanceof XenstoreError && error.errno === 'E2BIG') return this.#lsInParts(path)
			throw error
		}
	}

	/** As `n0`, `r1`: owner first. */
	async getPerms(path: string): Promise<string[] | undefined> {
		const list = await unlessMissing(this.#request(XS_GET_PERMS, cString(path), `read the permissions of ${path}`))
		return list && splitCStrings(list)
	}

	async setPerms(path: string, permissions: readonly string[]): Promise<void> {
		await this.#request(XS_SET_PERMS, cStrings([path, ...permissions]), `set the permissions of ${path} to ${permissions}`)
	}

	/** Starts over when the list changes while it is read. */
	async #lsInParts(path: string): Promise<string[] | undefined> {
		let list: string[] = []
		let generation: string | undefined
		for (let offset = 0; ; ) {
			const payload = cStrings([path, String(offset)])
			const part = await unlessMissing(this.#request(XS_DIRECTORY_PART, payload, `list ${path}`))
			if (part === undefined) return undefined
			const [now, ...names] = splitCStrings(part)
			if (generation !== undefined && now !== generation) {
				list = []
				offset = 0
				generation = undefined
				continue
			}
			generation = now
			const last = names.at(-1) === ''
			list.push(...(last ? names.slice(0, -1) : names))
			if (last) return list
			offset += part.length - now.length - 1
		}
	}
}

/** A client of xenstored. The owner of the stream calls onData and onClose. */
export class XenstoreClient extends XenstoreNodes {
	readonly #stream: ClientStream
	readonly #decoder = new Decoder()
	readonly #pending = new Map<number, Pending>()
	readonly #watches = new Map<string, (path: string) => void>()
	/** Resolves when the connection has ended, whoever ended it. */
	readonly closed: Promise<void>
	#lastRequest = 0
	#lastWatch = 0
	#closed = false
	#resolveClosed: () => void = () => {}

	constructor(stream: ClientStream) {
		super((type, payload, doing) => this.#send(type, 0, payload, doing))
		this.#stream = stream
		this.closed = new Promise((resolve) => {
			this.#resolveClosed = resolve
		})
	}

	/**
	 * Calls `onEvent` with the changed path, once at first and then whenever the path, or something below it, changes.
	 * Resolves when the watch is set, to the function that removes it.
	 */
	async watch(path: string, onEvent: (path: string) => void, options: { depth?: number } = {}): Promise<() => Promise<void>> {
		const token = String(++this.#lastWatch)
		this.#watches.set(token, onEvent)
		const depth = options.depth === undefined ? [] : [String(options.depth)]
		try {
			await this.#send(XS_WATCH, 0, cStrings([path, token, ...depth]), `watch ${path}`)
		} catch (error) {
			this.#watches.delete(token)
			throw error
		}
		return async () => {
			if (!this.#watches.delete(token)) return
			await this.#send(XS_UNWATCH, 0, cStrings([path, token]), `unwatch ${path}`)
		}
	}

	/**
	 * Runs `body` in a transaction, again from the start whenever something it depends on changed meanwhile: it must have no effects but
	 * through its argument. If it throws, the transaction is undone.
	 */
	async transaction<T>(body: (nodes: XenstoreNodes) => Promise<T>): Promise<T> {
		for (let attempt = 0; attempt < TRANSACTION_ATTEMPTS; attempt++) {
			const txId = Number(splitCStrings(await this.#send(XS_TRANSACTION_START, 0, cString(''), 'start a transaction'))[0])
			const nodes = new XenstoreNodes((type, payload, doing) => this.#send(type, txId, payload, doing))
			let result: T
			try {
				result = await body(nodes)
			} catch (error) {
				if (!this.#closed) await this.#send(XS_TRANSACTION_END, txId, cString('F'), 'undo a transaction')
				throw error
			}
			if (await this.#commit(txId)) return result
		}
		throw new XenstoreError('EAGAIN', `commit a transaction, tried ${TRANSACTION_ATTEMPTS} times`)
	}

	/** Makes the server talk to a domain over its ring. */
	async introduceDomain(domid: number, mfn: number, port: number): Promise<void> {
		await this.#send(XS_INTRODUCE, 0, cStrings([String(domid), String(mfn), String(port)]), `introduce domain ${domid}`)
	}

	async releaseDomain(domid: number): Promise<void> {
		await this.#send(XS_RELEASE, 0, cString(String(domid)), `release domain ${domid}`)
	}

	async resumeDomain(domid: number): Promise<void> {
		await this.#send(XS_RESUME, 0, cString(String(domid)), `resume domain ${domid}`)
	}

	async isDomainIntroduced(domid: number): Promise<boolean> {
		const answer = await this.#send(XS_IS_DOMAIN_INTRODUCED, 0, cString(String(domid)), `ask about domain ${domid}`)
		return splitCStrings(answer)[0] === 'T'
	}

	/** XS_CONTROL: a command of xenstore-control, and its answer. */
	async control(...words: readonly string[]): Promise<string> {
		return splitCStrings(await this.#send(XS_CONTROL, 0, cStrings(words), words.join(' ')))[0] ?? ''
	}

	async setTarget(domid: number, target: number): Promise<void> {
		await this.#send(XS_SET_TARGET, 0, cStrings([String(domid), String(target)]), `set domain ${domid}'s target to ${target}`)
	}

	/** Bytes from the server. */
	onData(chunk: Uint8Array): void {
		for (let at = 0; at < chunk.length; ) {
			const { taken, result } = this.#decoder.feed(chunk, at)
			at += taken
			if (result === undefined) continue
			if (isWireError(result)) {
				this.close()
				return
			}
			this.#received(result)
		}
	}

	/** The server is gone: what is pending is rejected. */
	onClose(): void {
		this.#closed = true
		for (const { doing, reject } of this.#pending.values()) reject(new XenstoreError('EIO', `${doing}: the connection is closed`))
		this.#pending.clear()
		this.#watches.clear()
		this.#resolveClosed()
	}

	close(): void {
		if (this.#closed) return
		this.onClose()
		this.#stream.close()
	}

	#received({ type, reqId, payload }: Message): void {
		if (type === XS_WATCH_EVENT) {
			const [path, token] = splitCStrings(payload)
			queueMicrotask(() => this.#watches.get(token)?.(path))
			return
		}
		const pending = this.#pending.get(reqId)
		if (pending === undefined) return
		this.#pending.delete(reqId)
		if (type === XS_ERROR) pending.reject(new XenstoreError(splitCStrings(payload)[0] as Errno, pending.doing))
		else pending.resolve(payload)
	}

	async #commit(txId: number): Promise<boolean> {
		try {
			await this.#send(XS_TRANSACTION_END, txId, cString('T'), 'commit a transaction')
			return true
		} catch (error) {
			if (error instanceof XenstoreError && error.errno === 'EAGAIN') return false
			throw error
		}
	}

	#send(type: number, txId: number, payload: Uint8Array, doing: string): Promise<Uint8Array> {
		if (this.#closed) return Promise.reject(new XenstoreError('EIO', `${doing}: the connection is closed`))
		const reqId = (this.#lastRequest = (this.#lastRequest + 1) >>> 0)
		return new Promise((resolve, reject) => {
			this.#pending.set(reqId, { doing, resolve, reject })
			this.#stream.write(encodeMessage({ type, reqId, txId, payload }))
		})
	}
}

/** A client of a server in this process, with the rights of `domid`. Replies and events come in later microtasks, in order. */
export function connectInProcess(server: XenstoreServer, domid = 0): XenstoreClient {
	const transport = server.accept(
		{
			write: (bytes) => {
				queueMicrotask(() => client.onData(bytes))
				return true
			},
			pause: () => {},
			resume: () => {},
			close: () => queueMicrotask(() => client.onClose()),
		},
		domid,
	)
	const client: XenstoreClient = new XenstoreClient({
		write: (bytes) => transport.onData(bytes),
		close: () => transport.onClose(),
	})
	return client
}

async function unlessMissing(reply: Promise<Uint8Array>): Promise<Uint8Array | undefined> {
	try {
		return await reply
	} catch (error) {
		if (error instanceof XenstoreError && error.errno === 'ENOENT') return undefined
		throw error
	}
}
