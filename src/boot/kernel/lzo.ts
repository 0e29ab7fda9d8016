import { corrupt, ImageError, truncated } from './image_error.ts'
import type { Output } from './output.ts'

/**
 * lzop's container with LZO1X blocks, which Linux's build uses. The instructions of LZO1X are written down in Linux's
 * Documentation/staging/lzo.rst; the container's header is lzop's.
 */

const MAGIC_BYTES = 9
const VERSION_WITH_LEVEL = 0x0940
const F_ADLER32_D = 0x1
const F_ADLER32_C = 0x2
const F_CRC32_D = 0x100
const F_CRC32_C = 0x200
const F_FILTER = 0x800
/** lzop's limit; Linux uses 256 KiB. */
const BLOCK_MAX_BYTES = 64 << 20

export function decodeLzop(input: Uint8Array, output: Output): void {
	const view = new DataView(input.buffer, input.byteOffset, input.length)
	try {
		decodeBlocks(input, view, output)
	} catch (error) {
		// DataView's own check of its bounds.
		if (error instanceof RangeError) throw truncated()
		throw error
	}
}

function decodeBlocks(input: Uint8Array, view: DataView, output: Output): void {
	const { at: dataAt, flags } = parseHeader(view)
	let at = dataAt
	for (;;) {
		const size = view.getUint32(at)
		if (size === 0) return
		const packed = view.getUint32(at + 4)
		if (size > BLOCK_MAX_BYTES || packed > size) throw corrupt()
		at += 8 + 4 * countBits(flags & (F_ADLER32_D | F_CRC32_D))
		if (packed < size) at += 4 * countBits(flags & (F_ADLER32_C | F_CRC32_C))
		if (at + packed > input.length) throw truncated()
		const block = input.subarray(at, at + packed)
		if (packed === size) output.append(block)
		else decodeLzo1x(block, output, size)
		at += packed
	}
}

/** Version, library version, version needed, method, level, flags, filter, mode, times, name, checksum. */
function parseHeader(view: DataView): { at: number; flags: number } {
	let at = MAGIC_BYTES
	const version = view.getUint16(at)
	const isNew = version >= VERSION_WITH_LEVEL
	at += isNew ? 8 : 7
	const flags = view.getUint32(at)
	at += flags & F_FILTER ? 8 : 4
	if (flags & F_FILTER) throw new ImageError('the LZO data uses a filter, which is not supported')
	at += isNew ? 12 : 8
	return { at: at + 1 + view.getUint8(at) + 4, flags }
}

function countBits(flags: number): number {
	let count = 0
	for (let rest = flags; rest !== 0; rest &= rest - 1) count++
	return count
}

/** Appends exactly `size` bytes. `state` is the number of literals (0 to 3; 4: more) that the last instruction ended with. */
function decodeLzo1x(input: Uint8Array, output: Output, size: number): void {
	const start = output.length
	const reader = new Lzo1xReader(input)
	output.reserve(size)
	let state = 0
	const literals = (count: number) => {
		const bytes = reader.take(count)
		if (output.length + count > start + size) throw corrupt()
		output.append(bytes)
	}
	const match = (distance: number, length: number) => {
		if (output.length - distance < start || output.length + length > start + size) throw corrupt()
		output.copyBack(distance, length)
	}
	if (reader.peek() > 17) {
		const count = reader.byte() - 17
		literals(count)
		state = Math.min(count, 4)
	}
	for (;;) {
		const instruction = reader.byte()
		let next = instruction
		if (instruction < 16) {
			if (state === 0) {
				literals(3 + (instruction === 0 ? reader.longLength(15) : instruction))
				state = 4
				continue
			}
			const distance = (reader.byte() << 2) + (instruction >> 2) + 1
			if (state === 4) match(distance + 2048, 3)
			else match(distance, 2)
		} else if (instruction < 32) {
			const length = 2 + (instruction & 7 || reader.longLength(7))
			const word = reader.u16()
			const distance = 16384 + ((instruction & 8) << 11) + (word >> 2)
			if (distance === 16384) {
				if (output.length !== start + size) throw corrupt()
				return
			}
			match(distance, length)
			next = word
		} else if (instruction < 64) {
			const length = 2 + (instruction & 31 || reader.longLength(31))
			const word = reader.u16()
			match((word >> 2) + 1, length)
			next = word
		} else {
			const length = instruction < 128 ? 3 + ((instruction >> 5) & 1) : 5 + ((instruction >> 5) & 3)
			match((reader.byte() << 3) + ((instruction >> 2) & 7) + 1, length)
		}
		state = next & 3
		if (state > 0) literals(state)
	}
}

class Lzo1xReader {
	private readonly input: Uint8Array
	private at = 0

	constructor(input: Uint8Array) {
		this.input = input
	}

	peek(): number {
		if (this.at >= this.input.length) throw corrupt()
		return this.input[this.at]!
	}

	byte(): number {
		const value = this.peek()
		this.at++
		return value
	}

	u16(): number {
		return this.byte() | (this.byte() << 8)
	}

	/** The rest of a length that did not fit in its instruction: `base`, 255 for each zero byte, and the byte that is not zero. */
	longLength(base: number): number {
		let length = base
		for (;;) {
			const byte = this.byte()
			if (byte !== 0) return length + byte
			length += 255
		}
	}

	take(count: number): Uint8Array {
		if (this.at + count > this.input.length) throw corrupt()
		this.at += count
		return this.input.subarray(this.at - count, this.at)
	}
}
