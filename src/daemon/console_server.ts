import type { Duplex } from 'node:stream'
import { encodeFrame, FRAME_DATA, FRAME_END, FrameReader } from './console_frames.ts'
import type { TrackedConsole } from './domain_consoles.ts'

const CHUNK = 65536

/** Serves one client's console: what is kept of the past, then what comes, then how it ended. Losing the client harms nothing. */
export function serveConsole(tracked: TrackedConsole, socket: Duplex): void {
	const session = new ConsoleSession(tracked, socket)
	session.pump()
}

/**
 * The client's place in the output is a position in the console's history, so a client that does not read costs no more than what one
 * turn put into its socket: it misses what has left the history meanwhile, and is told how much.
 */
class ConsoleSession {
	private readonly tracked: TrackedConsole
	private readonly socket: Duplex
	private readonly stops: (() => void)[]
	private position: number
	/** Its socket has taken no more than it could. */
	private blocked = false
	/** Typed, and not yet taken by the guest. */
	private untaken: Uint8Array = new Uint8Array(0)

	constructor(tracked: TrackedConsole, socket: Duplex) {
		this.tracked = tracked
		this.socket = socket
		const { console } = tracked
		this.position = console.history().start
		const frames = new FrameReader((type, payload) => {
			if (type === FRAME_DATA) this.type(payload)
		})
		this.stops = [
			tracked.onOver(() => this.pump()),
			console.subscribe(() => this.pump()),
			console.onInputSpace(() => this.type(new Uint8Array(0))),
		]
		socket.on('data', (chunk: Uint8Array) => {
			try {
				frames.push(chunk)
			} catch {
				socket.destroy()
			}
		})
		socket.on('drain', () => {
			this.blocked = false
			this.pump()
		})
		socket.on('error', () => socket.destroy())
		socket.on('close', () => this.stop())
	}

	/** Sends what the client has not seen, and the end when there is no more. */
	pump(): void {
		if (this.blocked) return
		const { start, end, bytes } = this.tracked.console.history(this.position)
		if (start > this.position) this.send(new TextEncoder().encode(`\r\n[${start - this.position} bytes of console output lost]\r\n`))
		for (let at = 0; at < bytes.length; at += CHUNK) this.send(bytes.subarray(at, at + CHUNK))
		this.position = end
		if (this.blocked || !this.tracked.over) return
		this.stop()
		this.socket.end(encodeFrame(FRAME_END, new TextEncoder().encode(JSON.stringify(this.tracked.ending))))
		// Whatever is typed now is nobody's, but a socket that is not read does not notice that the client has closed it.
		this.socket.resume()
	}

	private send(bytes: Uint8Array): void {
		if (!this.socket.write(encodeFrame(FRAME_DATA, bytes))) this.blocked = true
	}

	private type(bytes: Uint8Array): void {
		const waiting = this.untaken.length === 0 ? bytes : Buffer.concat([this.untaken, bytes])
		if (waiting.length === 0) return
		const taken = this.tracked.ending === undefined ? this.tracked.console.write(waiting) : waiting.length
		this.untaken = waiting.slice(taken)
		if (this.untaken.length > 0) this.socket.pause()
		else this.socket.resume()
	}

	private stop(): void {
		for (const stop of this.stops) stop()
	}
}
