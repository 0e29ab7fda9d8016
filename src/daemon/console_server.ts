import type { Duplex } from 'node:stream'
import type { DomainRecord } from '../toolstack/domain_record.ts'
import type { DomainEvent, Lifecycle } from '../toolstack/lifecycle.ts'
import { type ConsoleEnd, encodeFrame, FRAME_DATA, FRAME_END, FrameReader } from './console_frames.ts'

const CHUNK = 65536

/** Serves one client's console: what is kept of the past, then what comes, then how it ended. Losing the client harms nothing. */
export function serveConsole(lifecycle: Lifecycle, record: DomainRecord, socket: Duplex): void {
	const session = new ConsoleSession(lifecycle, record, socket)
	session.pump()
}

/**
 * The client's place in the output is a position in the console's history, so a client that does not read costs no more than what one
 * turn put into its socket: it misses what has left the history meanwhile, and is told how much.
 */
class ConsoleSession {
	private readonly record: DomainRecord
	private readonly socket: Duplex
	private readonly stops: (() => void)[]
	private position: number
	/** Its socket has taken no more than it could. */
	private blocked = false
	/** What is known of the end; `over` once there is no more to come. */
	private end: ConsoleEnd = { reason: 'destroyed' }
	private over = false
	/** Typed, and not yet taken by the guest. */
	private untaken: Uint8Array = new Uint8Array(0)

	constructor(lifecycle: Lifecycle, record: DomainRecord, socket: Duplex) {
		this.record = record
		this.socket = socket
		const { console } = record.handle
		this.position = console.history().start
		if (record.end !== undefined) {
			this.end = record.end
			this.over = true
		}
		const frames = new FrameReader((type, payload) => {
			if (type === FRAME_DATA) this.type(payload)
		})
		this.stops = [
			lifecycle.onEvent((event) => this.onEvent(event)),
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
		const { start, end, bytes } = this.record.handle.console.history(this.position)
		if (start > this.position) this.send(new TextEncoder().encode(`\r\n[${start - this.position} bytes of console output lost]\r\n`))
		for (let at = 0; at < bytes.length; at += CHUNK) this.send(bytes.subarray(at, at + CHUNK))
		this.position = end
		if (this.blocked || !this.over) return
		this.stop()
		this.socket.end(encodeFrame(FRAME_END, new TextEncoder().encode(JSON.stringify(this.end))))
	}

	private send(bytes: Uint8Array): void {
		if (!this.socket.write(encodeFrame(FRAME_DATA, bytes))) this.blocked = true
	}

	private type(bytes: Uint8Array): void {
		const waiting = this.untaken.length === 0 ? bytes : Buffer.concat([this.untaken, bytes])
		if (waiting.length === 0) return
		const taken = this.record.end === undefined ? this.record.handle.console.write(waiting) : waiting.length
		this.untaken = waiting.slice(taken)
		if (this.untaken.length > 0) this.socket.pause()
		else this.socket.resume()
	}

	/** The end frame waits for what becomes of a restart, so that a client can follow it. */
	private onEvent(event: DomainEvent): void {
		const { domid } = this.record.handle
		if (event.type === 'ended' && event.domid === domid) {
			const restartError = event.refusedRestart ? 'restarting too fast: refusing to restart to avoid loops' : undefined
			this.end = { reason: event.reason, detail: event.detail, restartError }
			this.over = !event.restarting
		} else if (event.type === 'restarted' && event.previous === domid) {
			this.end = { ...this.end, next: event.domid }
			this.over = true
		} else if (event.type === 'restart-failed' && event.previous === domid) {
			this.end = { ...this.end, restartError: event.message }
			this.over = true
		} else {
			return
		}
		this.pump()
	}

	private stop(): void {
		for (const stop of this.stops) stop()
	}
}
