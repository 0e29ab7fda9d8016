import { crc32 } from './crc32.ts'
import { corrupt, ImageError, truncated } from './image_error.ts'
import { LzmaDecoder } from './lzma.ts'
import type { Output } from './output.ts'
import { decodeX86Filter } from './x86_filter.ts'

/** The .xz container (xz-file-format.txt): one stream of blocks, LZMA2 with at most the x86 filter before it. */

const STREAM_HEADER_BYTES = 12
const FILTER_X86 = 0x04
const FILTER_LZMA2 = 0x21
const CHECK_CRC32 = 1
/** Bytes of the check at a block's end, by check type. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]

/** Appends the first stream's contents. What follows the stream is left alone. CRC32 checks are verified, the other kinds skipped. */
export function decodeXz(input: Uint8Array, output: Output): void {
	if (input.length < STREAM_HEADER_BYTES) throw truncated()
	const check = input[7]! & 15
	const decoder = new LzmaDecoder(input, output)
	let at = STREAM_HEADER_BYTES
	for (;;) {
		if (at >= input.length) throw truncated()
		// A block's header begins with its size; a zero there is the index.
		if (input[at] === 0) return
		const header = parseBlockHeader(input, at)
		const start = output.length
		const dataEnd = decodeLzma2(input, at + header.sizeBytes, decoder, output)
		const block = output.bytes.subarray(start, output.length)
		if (header.x86Filter) decodeX86Filter(block)
		const checkAt = dataEnd + (-(dataEnd - at) & 3)
		if (checkAt + CHECK_BYTES[check]! > input.length) throw truncated()
		if (check === CHECK_CRC32 && crc32(block) !== u32(input, checkAt)) throw corrupt()
		at = checkAt + CHECK_BYTES[check]!
	}
}

function parseBlockHeader(input: Uint8Array, at: number): { sizeBytes: number; x86Filter: boolean } {
	const sizeBytes = (input[at]! + 1) * 4
	if (at + sizeBytes > input.length) throw truncated()
	if (crc32(input.subarray(at, at + sizeBytes - 4)) !== u32(input, at + sizeBytes - 4)) throw corrupt()
	const flags = input[at + 1]!
	const reader = new HeaderReader(input, at + 2, at + sizeBytes - 4)
	if (flags & 0x40) reader.number()
	if (flags & 0x80) reader.number()
	const filters: number[] = []
	for (let i = 0; i <= (flags & 3); i++) {
		filters.push(reader.number())
		reader.skip(reader.number())
	}
	const x86Filter = filters.length === 2 && filters[0] === FILTER_X86
	if (filters.at(-1) !== FILTER_LZMA2 || (filters.length > 1 && !x86Filter))
		throw new ImageError(
			`the XZ data uses filters ${filters.map((id) => `0x${id.toString(16)}`).join(', ')}; only x86 and LZMA2 are supported`,
		)
	return { sizeBytes, x86Filter }
}

class HeaderReader {
	private readonly input: Uint8Array
	private at: number
	private readonly end: number

	constructor(input: Uint8Array, at: number, end: number) {
		this.input = input
		this.at = at
		this.end = end
	}

	/** A number of seven bits a byte, the least significant first. */
	number(): number {
		let value = 0
		for (let scale = 1; ; scale *= 128) {
			if (this.at >= this.end || scale > 2 ** 49) throw corrupt()
			const byte = this.input[this.at++]!
			value += (byte & 127) * scale
			if (byte < 128) return value
		}
	}

	skip(count: number): void {
		this.at += count
		if (this.at > this.end) throw corrupt()
	}
}

/**
 * LZMA2 chunks up to and with the end marker; returns the position after it. The control byte: 0 ends, 1 and 2 are stored bytes (1 resets
 * the dictionary), 0x80 up are LZMA, bits 5 and 6 telling how much to reset.
 */
function decodeLzma2(input: Uint8Array, start: number, decoder: LzmaDecoder, output: Output): number {
	let at = start
	for (;;) {
		if (at >= input.length) throw truncated()
		const control = input[at]!
		if (control === 0) return at + 1
		if (at + 6 > input.length) throw truncated()
		if (control === 1 || control >= 0xe0) decoder.resetDictionary()
		if (control < 0x80) {
			if (control > 2) throw corrupt()
			const count = u16be(input, at + 1) + 1
			if (at + 3 + count > input.length) throw truncated()
			output.append(input.subarray(at + 3, at + 3 + count))
			at += 3 + count
			continue
		}
		const size = ((control & 0x1f) << 16) + u16be(input, at + 1) + 1
		const packed = u16be(input, at + 3) + 1
		at += 5
		if (control >= 0xc0) decoder.setProperties(input[at++]!)
		if (control >= 0xa0) decoder.resetState()
		decoder.startCoder(at)
		decoder.decode(output.length + size, false)
		at += packed
		if (decoder.position > input.length) throw truncated()
		if (decoder.position !== at) throw corrupt()
	}
}

function u16be(input: Uint8Array, at: number): number {
	return (input[at]! << 8) | input[at + 1]!
}

function u32(input: Uint8Array, at: number): number {
	return (input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24)) >>> 0
}
