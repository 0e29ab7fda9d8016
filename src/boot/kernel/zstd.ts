import { Decompress, decompress } from 'fzstd'
import { corrupt, ImageError, truncated } from './image_error.ts'
import type { Output } from './output.ts'

/** Frames of Zstandard (RFC 8878). What follows the last one (Linux appends the size) is left alone. */

const MAGIC = 0xfd2fb528
const BLOCK_TYPE_COMPRESSED = 2
const BLOCK_TYPE_RLE = 1
const BLOCK_TYPE_RESERVED = 3
/** Block_Maximum_Size. */
const BLOCK_MAX_BYTES = 128 << 10

/**
 * Appends every frame's contents. `expectedBytes` is what the image says of the whole size: it serves where a frame does not tell its own
 * (a kernel's does not, being made from a pipe), and only if the frame's blocks can make as much.
 */
export function decodeZstd(input: Uint8Array, output: Output, expectedBytes: number | undefined): void {
	const view = new DataView(input.buffer, input.byteOffset, input.length)
	let at = 0
	while (at + 4 <= input.length && view.getUint32(at, true) === MAGIC) {
		const frame = measureFrame(input, view, at)
		const expectedHere = (expectedBytes ?? 0) - output.length
		const sizeBytes = frame.contentBytes ?? (expectedHere > 0 && expectedHere <= frame.maxBytes ? expectedHere : null)
		decodeFrame(input.subarray(at, frame.end), sizeBytes, output)
		at = frame.end
	}
}

/** With the size known fzstd writes to one buffer, which is many times faster than shifting a window along. */
function decodeFrame(frame: Uint8Array, sizeBytes: number | null, output: Output): void {
	try {
		if (sizeBytes === null) {
			new Decompress((data) => output.append(data)).push(frame, true)
			return
		}
		output.reserve(sizeBytes)
		decompress(frame, output.bytes.subarray(output.length, output.length + sizeBytes))
		output.length += sizeBytes
	} catch (error) {
		if (error instanceof ImageError) throw error
		throw corrupt()
	}
}

/** Where the frame ends, how large its contents are if it says so, and at most; from its header and those of its blocks. */
function measureFrame(input: Uint8Array, view: DataView, start: number): { end: number; contentBytes: number | null; maxBytes: number } {
	if (start + 6 > input.length) throw truncated()
	const descriptor = input[start + 4]!
	const singleSegment = (descriptor & 0x20) !== 0
	const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3]!
	const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!
	let at = start + 5 + (singleSegment ? 0 : 1) + dictionaryIdBytes
	if (at + contentSizeBytes + 3 > input.length) throw truncated()
	const contentBytes = contentSizeBytes === 0 ? null : contentSize(view, at, contentSizeBytes)
	at += contentSizeBytes
	let blockBytes = 0
	for (let last = false; !last; ) {
		if (at + 3 > input.length) throw truncated()
		const header = input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16)
		const type = (header >> 1) & 3
		if (type === BLOCK_TYPE_RESERVED) throw corrupt()
		last = (header & 1) !== 0
		blockBytes += type === BLOCK_TYPE_COMPRESSED ? BLOCK_MAX_BYTES : header >> 3
		at += 3 + (type === BLOCK_TYPE_RLE ? 1 : header >> 3)
	}
	if (descriptor & 4) at += 4
	if (at > input.length) throw truncated()
	if (contentBytes !== null && contentBytes > blockBytes) throw corrupt()
	return { end: at, contentBytes, maxBytes: blockBytes }
}

function contentSize(view: DataView, at: number, bytes: number): number {
	if (bytes === 1) return view.getUint8(at)
	if (bytes === 2) return view.getUint16(at, true) + 256
	if (bytes === 4) return view.getUint32(at, true)
	return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
}
