import { corrupt, truncated } from './image_error.ts'
import type { Output } from './output.ts'

/**
 * LZ4's legacy frame, which Linux's build uses: the magic, then blocks of {u32 packed size, data}, each independent and of at most 8 MiB.
 * There is no end mark: Linux appends the unpacked size (4 bytes), and a few bytes of padding may follow.
 */
const MAGIC = 0x184c2102
const BLOCK_BYTES = 8 << 20
/** LZ4_COMPRESSBOUND of a block. */
const PACKED_MAX_BYTES = BLOCK_BYTES + Math.floor(BLOCK_BYTES / 255) + 16
const MIN_MATCH = 4

export function decodeLz4Legacy(input: Uint8Array, output: Output): void {
	const view = new DataView(input.buffer, input.byteOffset, input.length)
	let at = 4
	// What is shorter than a block's header and one byte is the size that Linux appends.
	while (at + 4 < input.length) {
		const packed = view.getUint32(at, true)
		at += 4
		if (packed === MAGIC) continue
		if (packed === 0) return
		if (packed > PACKED_MAX_BYTES) throw corrupt()
		if (at + packed > input.length) throw truncated()
		decodeBlock(input, at, at + packed, output)
		at += packed
	}
	if (output.length === 0) throw truncated()
}

/** One block: sequences of {token, literals, match}; the last has literals only. Matches reach back within the block. */
function decodeBlock(input: Uint8Array, start: number, end: number, output: Output): void {
	const blockStart = output.length
	let at = start
	while (at < end) {
		const token = input[at++]!
		let literals = token >> 4
		if (literals === 15) {
			let more: number
			do {
				if (at >= end) throw corrupt()
				more = input[at++]!
				literals += more
			} while (more === 255)
		}
		if (at + literals > end) throw corrupt()
		output.reserve(literals)
		copyBytes(input, at, output.bytes, output.length, literals)
		at += literals
		output.length += literals
		if (at === end) break
		if (at + 2 > end) throw corrupt()
		const distance = input[at]! | (input[at + 1]! << 8)
		at += 2
		let length = token & 15
		if (length === 15) {
			let more: number
			do {
				if (at >= end) throw corrupt()
				more = input[at++]!
				length += more
			} while (more === 255)
		}
		length += MIN_MATCH
		if (distance === 0 || output.length - distance < blockStart) throw corrupt()
		output.copyBack(distance, length)
	}
	if (output.length - blockStart > BLOCK_BYTES) throw corrupt()
}

function copyBytes(from: Uint8Array, at: number, to: Uint8Array, target: number, count: number): void {
	if (count > 64) to.set(from.subarray(at, at + count), target)
	else for (let i = 0; i < count; i++) to[target + i] = from[at + i]!
}
