/**
 * The console stream's framing, both ways, after the upgrade: a type byte, the payload's length as u32 big-endian, the payload.
 *
 *   0 DATA  server: what the guest wrote; client: what was typed
 *   1 END   server, once and last: ConsoleEnd as JSON
 */
export const FRAME_DATA = 0
export const FRAME_END = 1
export const FRAME_HEADER_SIZE = 5
export const MAX_FRAME_SIZE = 1024 * 1024

/** The Upgrade header's token. */
export const CONSOLE_PROTOCOL = 'xenotype-console/1'

/** How a domain's console came to its end. */
export interface ConsoleEnd {
	/** The shutdown reason, or 'destroyed'. */
	readonly reason: string
	readonly detail?: string | undefined
	/** A restart followed: the new domain's number. */
	readonly next?: number | undefined
	/** A restart was due and did not happen: why. */
	readonly restartError?: string | undefined
}

export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
	const frame = new Uint8Array(FRAME_HEADER_SIZE + payload.length)
	frame[0] = type
	new DataView(frame.buffer).setUint32(1, payload.length)
	frame.set(payload, FRAME_HEADER_SIZE)
	return frame
}

/** Cuts a byte stream into frames, however it arrives. */
export class FrameReader {
	private readonly onFrame: (type: number, payload: Uint8Array) => void
	private pending: Uint8Array = new Uint8Array(0)

	constructor(onFrame: (type: number, payload: Uint8Array) => void) {
		this.onFrame = onFrame
	}

	/** Throws RangeError on a frame longer than MAX_FRAME_SIZE: the stream is then beyond use. */
	push(chunk: Uint8Array): void {
		let data = chunk
		if (this.pending.length > 0) {
			data = new Uint8Array(this.pending.length + chunk.length)
			data.set(this.pending)
			data.set(chunk, this.pending.length)
		}
		let at = 0
		while (data.length - at >= FRAME_HEADER_SIZE) {
			const length = new DataView(data.buffer, data.byteOffset + at + 1).getUint32(0)
			if (length > MAX_FRAME_SIZE) throw new RangeError(`console frame of ${length} bytes; at most ${MAX_FRAME_SIZE} are allowed`)
			const end = at + FRAME_HEADER_SIZE + length
			if (end > data.length) break
			this.onFrame(data[at] as number, data.subarray(at + FRAME_HEADER_SIZE, end))
			at = end
		}
		this.pending = data.slice(at)
	}
}
