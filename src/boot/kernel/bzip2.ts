import { corrupt, truncated } from './image_error.ts'
import type { Output } from './output.ts'

/** bzip2: our own, because no library at hand has types, a limit to its output, and speed. Block checksums are not verified. */

const BLOCK_MAGIC_HI = 0x314159
const BLOCK_MAGIC_LO = 0x265359
const END_MAGIC_HI = 0x177245
const END_MAGIC_LO = 0x385090
const GROUP_SYMBOLS = 50
const MAX_CODE_BITS = 20
const RUN_A = 0
const RUN_B = 1

/** Appends the contents of every stream; what follows the last is left alone. */
export function decodeBzip2(input: Uint8Array, output: Output): void {
	const reader = new BitReader(input)
	while (reader.hasStream()) {
		reader.bits(24)
		const level = reader.bits(8) - 0x30
		if (level < 1 || level > 9) throw corrupt()
		const block = new Int32Array(level * 100_000)
		for (;;) {
			const hi = reader.bits(24)
			const lo = reader.bits(24)
			reader.bits(24)
			reader.bits(8)
			if (hi === END_MAGIC_HI && lo === END_MAGIC_LO) break
			if (hi !== BLOCK_MAGIC_HI || lo !== BLOCK_MAGIC_LO) throw corrupt()
			decodeBlock(reader, block, output)
		}
		reader.align()
	}
}

class BitReader {
	private readonly input: Uint8Array
	private at = 0
	private held = 0
	private count = 0

	constructor(input: Uint8Array) {
		this.input = input
	}

	/** The next `count` bits, at most 24. */
	bits(count: number): number {
		while (this.count < count) {
			if (this.at >= this.input.length) throw truncated()
			this.held = (this.held << 8) | this.input[this.at++]!
			this.count += 8
		}
		this.count -= count
		const value = (this.held >>> this.count) & ((1 << count) - 1)
		this.held &= (1 << this.count) - 1
		return value
	}

	align(): void {
		this.count = 0
		this.held = 0
	}

	hasStream(): boolean {
		const { input, at } = this
		return input[at] === 0x42 && input[at + 1] === 0x5a && input[at + 2] === 0x68
	}
}

function decodeBlock(reader: BitReader, block: Int32Array, output: Output): void {
	const randomised = reader.bits(1)
	const origin = reader.bits(24)
	// Only bzip2 0.9.0 and older wrote randomised blocks.
	if (randomised !== 0) throw corrupt()
	const counts = new Int32Array(256)
	const length = readSymbols(reader, block, counts)
	if (origin >= length) throw corrupt()
	invertTransform(block, length, counts)
	writeRuns(block, length, origin, output)
}

/** Reads the block's bytes (Huffman, runs of zeros, move to front) into `block` and counts each; returns how many. */
function readSymbols(reader: BitReader, block: Int32Array, counts: Int32Array): number {
	const alphabet = readAlphabet(reader)
	const endOfBlock = alphabet.length + 1
	const tableCount = reader.bits(3)
	const selectorCount = reader.bits(15)
	if (tableCount < 2 || tableCount > 6 || selectorCount === 0) throw corrupt()
	const selectors = readSelectors(reader, tableCount, selectorCount)
	const tables = Array.from({ length: tableCount }, () => new HuffmanTable(reader, alphabet.length + 2))
	let length = 0
	let run = 0
	let runBit = 1
	for (let symbolIndex = 0; ; symbolIndex++) {
		const selector = selectors[Math.floor(symbolIndex / GROUP_SYMBOLS)]
		if (selector === undefined) throw corrupt()
		const symbol = tables[selector]!.read(reader)
		if (symbol === RUN_A || symbol === RUN_B) {
			run += runBit << symbol
			runBit <<= 1
			if (run > block.length - length) throw corrupt()
			continue
		}
		if (run > 0) {
			const byte = alphabet[0]!
			counts[byte] = counts[byte]! + run
			block.fill(byte, length, length + run)
			length += run
			run = 0
			runBit = 1
		}
		if (symbol === endOfBlock) return length
		if (length >= block.length) throw corrupt()
		const byte = alphabet[symbol - 1]!
		alphabet.copyWithin(1, 0, symbol - 1)
		alphabet[0] = byte
		counts[byte] = counts[byte]! + 1
		block[length++] = byte
	}
}

/** The bytes that occur in the block, ascending. */
function readAlphabet(reader: BitReader): Uint8Array {
	const groups = reader.bits(16)
	const bytes: number[] = []
	for (let group = 0; group < 16; group++) {
		if ((groups & (0x8000 >> group)) === 0) continue
		const used = reader.bits(16)
		for (let i = 0; i < 16; i++) if (used & (0x8000 >> i)) bytes.push(group * 16 + i)
	}
	if (bytes.length === 0) throw corrupt()
	return Uint8Array.from(bytes)
}

/** Which table each group of symbols uses: unary numbers, moved to front. */
function readSelectors(reader: BitReader, tableCount: number, selectorCount: number): Uint8Array {
	const order = Uint8Array.from({ length: tableCount }, (_, i) => i)
	const selectors = new Uint8Array(selectorCount)
	for (let i = 0; i < selectorCount; i++) {
		let position = 0
		while (reader.bits(1) === 1) if (++position >= tableCount) throw corrupt()
		const table = order[position]!
		order.copyWithin(1, 0, position)
		order[0] = table
		selectors[i] = table
	}
	return selectors
}

/** A canonical Huffman code of at most 20 bits, its code lengths read from the stream as differences. */
class HuffmanTable {
	/** By code length: the first code of that length and the place in `symbols` of its symbol; -1 above the last code. */
	private readonly firstCode = new Int32Array(MAX_CODE_BITS + 2)
	private readonly firstIndex = new Int32Array(MAX_CODE_BITS + 2)
	private readonly lengthCounts = new Int32Array(MAX_CODE_BITS + 2)
	private readonly symbols: Uint16Array

	constructor(reader: BitReader, symbolCount: number) {
		const lengths = new Uint8Array(symbolCount)
		let length = reader.bits(5)
		for (let symbol = 0; symbol < symbolCount; symbol++) {
			for (;;) {
				if (length < 1 || length > MAX_CODE_BITS) throw corrupt()
				if (reader.bits(1) === 0) break
				length += reader.bits(1) === 0 ? 1 : -1
			}
			lengths[symbol] = length
			this.lengthCounts[length]!++
		}
		this.symbols = new Uint16Array(symbolCount)
		let code = 0
		let index = 0
		for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
			this.firstCode[bits] = code
			this.firstIndex[bits] = index
			for (let symbol = 0; symbol < symbolCount; symbol++) if (lengths[symbol] === bits) this.symbols[index++] = symbol
			code = (code + this.lengthCounts[bits]!) << 1
		}
	}

	read(reader: BitReader): number {
		let code = 0
		for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
			code = (code << 1) | reader.bits(1)
			const offset = code - this.firstCode[bits]!
			if (offset < this.lengthCounts[bits]!) {
				if (offset < 0) throw corrupt()
				return this.symbols[this.firstIndex[bits]! + offset]!
			}
		}
		throw corrupt()
	}
}

/** Burrows-Wheeler: each word keeps its byte in bits 0..7 and gets, above them, the position of the byte that follows it. */
function invertTransform(block: Int32Array, length: number, counts: Int32Array): void {
	let sum = 0
	for (let byte = 0; byte < 256; byte++) {
		const count = counts[byte]!
		counts[byte] = sum
		sum += count
	}
	for (let i = 0; i < length; i++) {
		const byte = block[i]! & 255
		const at = counts[byte]!
		counts[byte] = at + 1
		block[at] = block[at]! | (i << 8)
	}
}

/** Follows the chain and undoes the outermost coding: four equal bytes are followed by a count of further ones. */
function writeRuns(block: Int32Array, length: number, origin: number, output: Output): void {
	let next = block[origin]! >>> 8
	let previous = -1
	let repeats = 0
	for (let i = 0; i < length; i++) {
		const word = block[next]!
		const byte = word & 255
		next = word >>> 8
		if (repeats === 4) {
			output.reserve(byte)
			output.bytes.fill(previous, output.length, output.length + byte)
			output.length += byte
			repeats = 0
			previous = -1
			continue
		}
		repeats = byte === previous ? repeats + 1 : 1
		previous = byte
		output.reserve(1)
		output.bytes[output.length++] = byte
	}
}
