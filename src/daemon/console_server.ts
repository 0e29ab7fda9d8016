import type { Duplex } from 'node:stream'
import type { DomainRecord } from '../toolstack/domain_record.ts'
import type { DomainEvent, Lifecycle } from '../toolstack/lifecycle.ts'
import { type ConsoleEnd, encodeFrame, FRAME_DATA, FRAME_END, FrameReader } from './console_frames.ts'

/** Sent no further ahead than this of what the client has read. */
const CHUNK = 65536

/** Serves one client's console: what is kept of the past, then what comes, then how it ended. Losing the client harms nothing. */
export function serveConsole(lifecycle: Lifecycle, record: DomainRecord, socket: Duplex): void {
	const { console, domid } = record.handle
	let position = console.start
	let end: ConsoleEnd | undefined = record.end === undefined ? undefined : { reason: record.end.reason, detail: record.end.detail }
	let blocked = false

	const pump = () => {
		while (!blocked && position < console.end) {
			const { bytes, next, lost } = console.read(position, CHUNK)
			if (lost > 0) send(new TextEncoder().encode(`\r\n[${lost} bytes of console output lost]\r\n`))
			position = next
			send(bytes)
		}
		if (blocked || end === undefined) return
		stop()
		socket.end(encodeFrame(FRAME_END, new TextEncoder().encode(JSON.stringify(end))))
	}
	const send = (bytes: Uint8Array) => {
		if (!socket.write(encodeFrame(FRAME_DATA, bytes))) blocked = true
	}
	const onEvent = (event: DomainEvent) => {
		const outcome = endOf(event, domid)
		if (outcome === undefined) return
		end = { ...pendingEnd, ...outcome }
		pendingEnd = end
		// The end frame waits for what becomes of a restart, so that a client can follow it.
		if (event.type === 'ended' && event.restarting) end = undefined
		pump()
	}
	let pendingEnd: ConsoleEnd = { reason: 'destroyed' }
	const stopEvents = lifecycle.onEvent(onEvent)
	const stopConsole = console.onChange(pump)
	const stop = () => {
		stopEvents()
		stopConsole()
	}

	const frames = new FrameReader((type, payload) => {
		if (type === FRAME_DATA) console.type(payload.slice())
	})
	socket.on('data', (chunk: Uint8Array) => {
		try {
			frames.push(chunk)
		} catch {
			socket.destroy()
		}
	})
	socket.on('drain', () => {
		blocked = false
		pump()
	})
	socket.on('error', () => socket.destroy())
	socket.on('close', stop)
	pump()
}

function endOf(event: DomainEvent, domid: number): Partial<ConsoleEnd> | undefined {
	if (event.type === 'ended' && event.domid === domid) {
		const restartError = event.refusedRestart ? 'restarting too fast: refusing to restart to avoid loops' : undefined
		return { reason: event.reason, detail: event.detail, restartError }
	}
	if (event.type === 'restarted' && event.previous === domid) return { next: event.domid }
	if (event.type === 'restart-failed' && event.previous === domid) return { restartError: event.message }
	return undefined
}
