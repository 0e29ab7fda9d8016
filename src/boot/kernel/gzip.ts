import { Inflate } from 'fflate'
import { crc32 } from './crc32.ts'
import { corrupt, truncated } from './image_error.ts'
import type { Output } from './output.ts'

const FHCRC = 2
const FEXTRA = 4
const FNAME = 8
const FCOMMENT = 16
/** Input is handed on in pieces, each of which can grow a thousandfold before the limit to the output is noticed. */
const PIECE_BYTES = 1 << 16
/** At most so much may follow the data. */
const PADDING_MAX_BYTES = 4096

/** Appends the first member (RFC 1952); padding that follows it is left alone. */
export function decodeGzip(input: Uint8Array, output: Output): void {
	const start = output.length
	let at = skipHeader(input)
	let finished = false
	const inflate = new Inflate((data, final) => {
		output.append(data)
		finished = final
	})
	for (; at < input.length && !finished; at += PIECE_BYTES) {
		const end = Math.min(at + PIECE_BYTES, input.length)
		try {
			inflate.push(input.subarray(at, end), end === input.length)
		} catch (error) {
			// fflate's errors are plain ones with a numeric code; what we threw in the callback has none, or a string.
			if (error instanceof Error && 'code' in error && typeof error.code === 'number') throw end === input.length ? truncated() : corrupt()
			throw error
		}
	}
	if (!finished) throw truncated()
	if (!hasTrailer(input, output.bytes.subarray(start, output.length))) throw corrupt()
}

/** Whether the data's CRC32 and size are near the end of the input. fflate does not tell where the compressed data ended. */
function hasTrailer(input: Uint8Array, data: Uint8Array): boolean {
	const view = new DataView(input.buffer, input.byteOffset, input.length)
	const crc = crc32(data)
	for (let at = input.length - 8; at >= Math.max(0, input.length - 8 - PADDING_MAX_BYTES); at--) {
		if (view.getUint32(at, true) === crc && view.getUint32(at + 4, true) === data.length) return true
	}
	return false
}

function skipHeader(input: Uint8Array): number {
	if (input.length < 18) throw truncated()
	if (input[2] !== 8) throw corrupt()
	const flags = input[3]!
	let at = 10
	if (flags & FEXTRA) at += 2 + (input[at]! | (input[at + 1]! << 8))
	for (const flag of [FNAME, FCOMMENT]) {
		if ((flags & flag) === 0) continue
		const zero = input.indexOf(0, at)
		if (zero < 0) throw truncated()
		at = zero + 1
	}
	if (flags & FHCRC) at += 2
	return at
}
