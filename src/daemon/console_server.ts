import type { Duplex } from 'node:stream'
import type { ConsoleReader, ConsoleSession, XenControl } from '../xenctrl/interface.ts'
import { encodeFrame, FRAME_DATA, FRAME_END, FRAME_PLACE, FRAME_TAKEN, FrameReader } from './console_frames.ts'
import type { TrackedConsole } from './domain_consoles.ts'

/**
 * Joins one client's socket to a console of the hypervisor: what is kept of the past, then what comes, then how it ended. Neither waits
 * for the other in memory: a client that does not read stops the hypervisor's stream, which then loses the oldest output, and a guest
 * that takes no input stops the client's. `greeting` goes before all; `from` is a place that a client before has come to, `typist` who types on where it ended. Rejects with NoDomain when the hypervisor has no such console.
 */
export async function serveConsole(
	tracked: TrackedConsole,
	xen: XenControl,
	socket: Duplex,
	greeting: string,
	from: number,
	typist?: string,
): Promise<void> {
	const client = new ConsoleClient(tracked, socket)
	const session = await xen.openConsole(tracked.domid, client, from, typist)
	socket.write(greeting)
	client.start(session)
}

class ConsoleClient implements ConsoleReader {
	private readonly tracked: TrackedConsole
	private readonly socket: Duplex
	private session: ConsoleSession | undefined
	private ended = false
	/** What the client is to be told once it has read what it was sent. */
	private untold: number | undefined

	constructor(tracked: TrackedConsole, socket: Duplex) {
		this.tracked = tracked
		this.socket = socket
		socket.on('error', () => socket.destroy())
	}

	start(session: ConsoleSession): void {
		this.session = session
		const { socket, tracked } = this
		const stopWaiting = tracked.onOver(() => void this.finish())
		const frames = new FrameReader((type, payload) => {
			if (type === FRAME_DATA && !session.write(payload.slice())) socket.pause()
		})
		socket.on('data', (chunk: Uint8Array) => {
			try {
				frames.push(chunk)
			} catch {
				socket.destroy()
			}
		})
		socket.on('drain', () => {
			if (this.untold !== undefined) this.taken(this.untold)
			session.resume()
		})
		socket.on('close', () => {
			stopWaiting()
			session.close()
		})
		if (socket.destroyed) return session.close()
		session.resume()
		if (tracked.over) void this.finish()
	}

	output(bytes: Uint8Array): boolean {
		return this.ended || this.socket.write(encodeFrame(FRAME_DATA, bytes))
	}

	lost(count: number): void {
		this.output(new TextEncoder().encode(`\r\n[${count} bytes of console output lost]\r\n`))
	}

	place(position: number): void {
		if (!this.ended) this.socket.write(encodeFrame(FRAME_PLACE, new TextEncoder().encode(JSON.stringify({ position }))))
	}

	taken(count: number): void {
		this.untold = this.socket.writableNeedDrain ? count : undefined
		if (!this.ended && this.untold === undefined)
			this.socket.write(encodeFrame(FRAME_TAKEN, new TextEncoder().encode(JSON.stringify({ taken: count }))))
	}

	inputSpace(): void {
		this.socket.resume()
	}

	/** The hypervisor is gone; that its domains are follows. */
	closed(): void {
		if (this.tracked.over) void this.finish()
	}

	/** Sends what the client has not seen, and the end. */
	private async finish(): Promise<void> {
		await this.session?.drained()
		if (this.ended || this.socket.destroyed) return
		this.ended = true
		this.session?.close()
		this.socket.end(encodeFrame(FRAME_END, new TextEncoder().encode(JSON.stringify(this.tracked.ending))))
		// Whatever is typed now is nobody's, but a socket that is not read does not notice that the client has closed it.
		this.socket.resume()
	}
}
