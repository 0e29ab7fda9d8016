import type { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import {
	type ConsoleEnd,
	type ConsolePlace,
	encodeFrame,
	FRAME_DATA,
	FRAME_END,
	FRAME_PLACE,
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
	readonly frame: Uint8Array
	readonly done: () => void
}

/**
 * A domain's console, which outlives its xend: where another takes its place, the link goes on there, after the last byte that it was
 * given. What is typed meanwhile waits. What had been typed into the end of a xend may be lost with it, but is never typed twice.
 */
export class ConsoleLink {
	private readonly reference: string
	private readonly reader: ConsoleLinkReader
	private readonly again: () => Promise<XendClient>
	/** Whose console it is. A domain that is gone already has none: nobody else could go on with its output. */
	private readonly uuid: string | undefined
	private socket: Duplex | undefined
	private position = 0
	private unsent: Unsent[] = []
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
		const socket = await client.console(reference)
		const link = new ConsoleLink(found?.domid?.toString() ?? reference, found?.uuid ?? undefined, reader, again)
		link.join(socket)
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
		for (let at = 0; at < bytes.length; at += MAX_FRAME_SIZE) {
			const isLast = at + MAX_FRAME_SIZE >= bytes.length
			this.send({ frame: encodeFrame(FRAME_DATA, bytes.subarray(at, at + MAX_FRAME_SIZE)), done: isLast ? done : () => {} })
		}
		if (bytes.length === 0) done()
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
		if (this.over) return
		if (this.socket === undefined) this.unsent.push(unsent)
		else this.socket.write(unsent.frame, (error) => (error == null ? unsent.done() : this.unsent.push(unsent)))
	}

	private join(socket: Duplex): void {
		this.socket = socket
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
		for (const unsent of this.unsent.splice(0)) this.send(unsent)
		if (this.paused) socket.pause()
	}

	private async rejoin(): Promise<void> {
		const { reference, uuid } = this
		const socket = await reconnect(this.again, async (client) => {
			const isThere =
				uuid !== undefined && (await client.list()).some((domain) => domain.uuid === uuid && String(domain.domid) === reference)
			return isThere ? client.console(reference, this.position) : undefined
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
		} else if (type === FRAME_PLACE) this.position = (parse(payload) as ConsolePlace).position
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
