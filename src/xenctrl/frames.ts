/** Framed byte streams: a type byte, the payload's length as u32 big-endian, the payload. */
export const FRAME_HEADER_SIZE = 5
export const MAX_FRAME_SIZE = 1024 * 1024

export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
	const frame = new Uint8Array(FRAME_HEADER_SIZE + payload.length)
	frame[0] = type
	new DataView(frame.buffer).setUint32(1, payload.length)
	frame.set(payload, FRAME_HEADER_SIZE)
	return frame
}

export function encodeJson(type: number, value: unknown): Uint8Array {
	return encodeFrame(type, new TextEncoder().encode(JSON.stringify(value)))
}

export function decodeJson(payload: Uint8Array): unknown {
	return JSON.parse(new TextDecoder().decode(payload))
}

/** Cuts a byte stream into frames, however it arrives. */
export class FrameReader {
	private readonly onFrame: (type: number, payload: Uint8Array) => void
	private readonly limit_bytes: number
	private pending: Uint8Array = new Uint8Array(0)

	constructor(onFrame: (type: number, payload: Uint8Array) => void, limit_bytes = MAX_FRAME_SIZE) {
		this.onFrame = onFrame
		this.limit_bytes = limit_bytes
	}

	/** Throws RangeError on a frame longer than the limit: the stream is then beyond use. */
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
			if (length > this.limit_bytes) throw new RangeError(`a frame of ${length} bytes; at most ${this.limit_bytes} are allowed`)
			const end = at + FRAME_HEADER_SIZE + length
			if (end > data.length) break
			this.onFrame(data[at] as number, data.subarray(at + FRAME_HEADER_SIZE, end))
			at = end
		}
		this.pending = data.slice(at)
	}
}
