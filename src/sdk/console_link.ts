import type { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import {
	type ConsoleEnd,
	type ConsolePlace,
	type ConsoleTaken,
	encodeFrame,
	FRAME_DATA,
	FRAME_END,
	FRAME_PLACE,
	FRAME_TAKEN,
	FrameReader,
	MAX_FRAME_SIZE,
} from '../daemon/console_frames.ts'
import type { XendClient } from './client.ts'
import { reconnect } from './reconnect.ts'

/** Whom a console's output is for. */
export interface ConsoleLinkReader {
	/** False when it can take no more for now: little comes until resume(). */
	output(bytes: Uint8Array): boolean
	/** How the guest ended; the last that is heard. */
	ended(end: ConsoleEnd): void
	/** Nothing can come any more; the last that is heard. */
	failed(error: Error): void
}

interface Unsent {
	readonly bytes: Uint8Array
	readonly done: () => void
}

/**
 * A domain's console, which outlives its xend: where another takes its place, the link goes on there, after the last byte that it was
 * given. What is typed meanwhile waits. What had been typed into the end of a xend is typed again, but for what the guest has taken.
 */
export class ConsoleLink {
	private readonly reference: string
	private readonly reader: ConsoleLinkReader
	private readonly again: () => Promise<XendClient>
	/** Whose console it is. A domain that is gone already has none: nobody else could go on with its output. */
	private readonly uuid: string | undefined
	private socket: Duplex | undefined
	private position = 0
	private readonly typist = crypto.randomUUID()
	private unsent: Unsent[] = []
	/** Sent, and not known to be the guest's: the first is so many bytes after the first that was typed. */
	private untaken: Uint8Array[] = []
	private taken = 0
	/** Of this xend: it has told what the guest has taken. One that does not tell is an older one. */
	private listens = false
	private tells = true
	private paused = false
	private over = false

	/** `reference` is a name, or the number that says which of a domain's lives is meant. `again` finds another xend, and may start one. */
	static async open(
		client: XendClient,
		reference: string,
		reader: ConsoleLinkReader,
		again: () => Promise<XendClient> = async () => client,
	): Promise<ConsoleLink> {
		const found = (await client.list()).find(({ name, domid }) => reference === name || reference === String(domid))
		const link = new ConsoleLink(found?.domid?.toString() ?? reference, found?.uuid ?? undefined, reader, again)
		link.join(await client.console(reference, 0, link.typist))
		return link
	}

	private constructor(reference: string, uuid: string | undefined, reader: ConsoleLinkReader, again: () => Promise<XendClient>) {
		this.reference = reference
		this.uuid = uuid
		this.reader = reader
		this.again = again
	}

	/** Types; `done` is called when it is on its way. */
	write(bytes: Uint8Array, done: () => void = () => {}): void {
		if (bytes.length === 0) return done()
		if (!this.over) this.send({ bytes: bytes.slice(), done })
	}

	pause(): void {
		this.paused = true
		this.socket?.pause()
	}

	resume(): void {
		this.paused = false
		this.socket?.resume()
	}

	/** The reader hears nothing more. */
	close(): void {
		this.over = true
		this.socket?.destroy()
	}

	private send(unsent: Unsent): void {
		const { socket } = this
		if (socket === undefined || !this.listens) {
			this.unsent.push(unsent)
			return
		}
		const { bytes, done } = unsent
		if (this.tells) this.untaken.push(bytes)
		for (let at = 0; at < bytes.length; at += MAX_FRAME_SIZE) {
			const isLast = at + MAX_FRAME_SIZE >= bytes.length
			// Where the socket is closed already, it is sent again.
			socket.write(encodeFrame(FRAME_DATA, bytes.subarray(at, at + MAX_FRAME_SIZE)), isLast ? () => done() : () => {})
		}
	}

	/** The guest has taken so many bytes, or nobody says how many. */
	private hear(taken: number | undefined): void {
		this.tells = taken !== undefined
		if (taken === undefined) this.untaken = []
		for (let [first] = this.untaken; first !== undefined && this.taken < (taken ?? 0); [first] = this.untaken) {
			const count = Math.min(first.length, (taken ?? 0) - this.taken)
			this.taken += count
			if (count === first.length) this.untaken.shift()
			else this.untaken[0] = first.subarray(count)
		}
		if (this.listens) return
		this.listens = true
		const again = this.untaken.splice(0).map((bytes) => ({ bytes, done: () => {} }))
		for (const unsent of [...again, ...this.unsent.splice(0)]) this.send(unsent)
	}

	private join(socket: Duplex): void {
		this.socket = socket
		this.listens = false
		const frames = new FrameReader((type, payload) => this.receive(type, payload))
		socket.on('data', (chunk: Uint8Array) => {
			try {
				frames.push(chunk)
			} catch (error) {
				this.fail(error as Error)
			}
		})
		socket.on('error', () => {})
		socket.on('close', () => {
			this.socket = undefined
			if (!this.over) this.rejoin().catch((error) => this.fail(error))
		})
		if (this.paused) socket.pause()
	}

	private async rejoin(): Promise<void> {
		const { reference, uuid } = this
		const socket = await reconnect(this.again, async (client) => {
			const isThere =
				uuid !== undefined && (await client.list()).some((domain) => domain.uuid === uuid && String(domain.domid) === reference)
			return isThere ? client.console(reference, this.position, this.typist) : undefined
		})
		if (socket === undefined) throw new UserError('the domain has ended while no xend could tell how', { code: 'console-ended' })
		if (this.over) socket.destroy()
		else this.join(socket)
	}

	private receive(type: number, payload: Uint8Array): void {
		if (this.over) return
		if (type === FRAME_DATA) {
			this.position += payload.length
			if (!this.reader.output(payload.slice())) this.pause()
		} else if (type === FRAME_PLACE) {
			this.position = (parse(payload) as ConsolePlace).position
			if (!this.listens) this.hear(undefined)
		} else if (type === FRAME_TAKEN) this.hear((parse(payload) as ConsoleTaken).taken)
		else if (type === FRAME_END) {
			this.close()
			this.reader.ended(parse(payload) as ConsoleEnd)
		}
	}

	private fail(error: Error): void {
		if (this.over) return
		this.close()
		this.reader.failed(error)
	}
}

function parse(payload: Uint8Array): unknown {
	return JSON.parse(new TextDecoder().decode(payload))
}
