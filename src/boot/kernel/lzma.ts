import { corrupt, ImageError, truncated } from './image_error.ts'
import type { Output } from './output.ts'

/**
 * LZMA, as the LZMA SDK's specification (lzma-specification.txt) defines the stream. The whole output is kept, and serves as the dictionary.
 * Our own, because the libraries at hand read either .lzma or .xz, not the x86 filter that kernels use, and give no limit to the output.
 */

const PROBABILITY_HALF = 1024
const SIGN = 0x80000000 | 0

const STATES = 12
const MAX_POSITION_STATES = 16
const LENGTH_LOW_BITS = 3
const LENGTH_MID_BITS = 3
const LENGTH_HIGH_BITS = 8
const MATCH_MIN_LENGTH = 2
const END_POSITION_MODEL = 14
const ALIGN_BITS = 4

/** Offsets of the models in one table of probabilities. A length decoder is: choice, choice2, low, mid, high. */
const IS_MATCH = 0
const IS_REP = IS_MATCH + STATES * MAX_POSITION_STATES
const IS_REP_G0 = IS_REP + STATES
const IS_REP_G1 = IS_REP_G0 + STATES
const IS_REP_G2 = IS_REP_G1 + STATES
const IS_REP0_LONG = IS_REP_G2 + STATES
const POSITION_SLOT = IS_REP0_LONG + STATES * MAX_POSITION_STATES
const POSITION = POSITION_SLOT + 4 * 64
const ALIGN = POSITION + 128
const LENGTH_LOW = 2
const LENGTH_MID = LENGTH_LOW + (MAX_POSITION_STATES << LENGTH_LOW_BITS)
const LENGTH_HIGH = LENGTH_MID + (MAX_POSITION_STATES << LENGTH_MID_BITS)
const LENGTH_SIZE = LENGTH_HIGH + (1 << LENGTH_HIGH_BITS)
const LENGTH = ALIGN + (1 << ALIGN_BITS)
const REP_LENGTH = LENGTH + LENGTH_SIZE
const LITERAL = REP_LENGTH + LENGTH_SIZE

const RANGE = 0
const CODE = 1
const AT = 2

export class LzmaDecoder {
	private readonly input: Uint8Array
	private readonly output: Output
	private readonly probabilities = new Uint16Array(LITERAL + (0x300 << 4))
	/** Range, code and input position: in a typed array, because a field that holds more than 31 bits is slow. */
	private readonly coder = new Int32Array(3)
	private lc = 0
	private literalPositionMask = 0
	private positionMask = 0
	private state = 0
	private rep0 = 0
	private rep1 = 0
	private rep2 = 0
	private rep3 = 0
	/** Where the dictionary begins in the output. */
	private dictionaryStart = 0

	constructor(input: Uint8Array, output: Output) {
		this.input = input
		this.output = output
	}

	/** Position in the input after what was read so far. */
	get position(): number {
		return this.coder[AT]!
	}

	resetDictionary(): void {
		this.dictionaryStart = this.output.length
	}

	/** `properties` is (pb * 5 + lp) * 9 + lc. */
	setProperties(properties: number): void {
		const lc = properties % 9
		const lp = Math.floor(properties / 9) % 5
		const pb = Math.floor(properties / 45)
		// lp + lc is at most 4 in LZMA2 and in every .lzma that a kernel build makes; the table of probabilities relies on it.
		if (pb > 4 || lc + lp > 4) throw new ImageError(`the LZMA data has unsupported properties (lc ${lc}, lp ${lp}, pb ${pb})`)
		this.lc = lc
		this.literalPositionMask = (1 << lp) - 1
		this.positionMask = (1 << pb) - 1
	}

	resetState(): void {
		this.probabilities.fill(PROBABILITY_HALF)
		this.state = this.rep0 = this.rep1 = this.rep2 = this.rep3 = 0
	}

	/** Begins a range-coded run at `position` of the input: a zero byte and four bytes of code. */
	startCoder(position: number): void {
		const { input, coder } = this
		if (position + 5 > input.length) throw truncated()
		if (input[position] !== 0) throw corrupt()
		coder[RANGE] = -1
		coder[CODE] = (input[position + 1]! << 24) | (input[position + 2]! << 16) | (input[position + 3]! << 8) | input[position + 4]!
		coder[AT] = position + 5
	}

	/** Decodes until the output is `end` bytes long, or to the end marker where `markerAllowed`. Returns true when it met the marker. */
	decode(end: number, markerAllowed: boolean): boolean {
		const { output, probabilities, coder, input } = this
		while (output.length < end) {
			if (coder[AT]! > input.length) throw truncated()
			const positionState = (output.length - this.dictionaryStart) & this.positionMask
			if (this.bit(IS_MATCH + (this.state << 4) + positionState) === 0) {
				this.literal(probabilities)
				continue
			}
			let length: number
			if (this.bit(IS_REP + this.state) !== 0) {
				length = this.repeatedMatch(positionState)
				if (length === 0) continue
			} else {
				length = this.newMatch(positionState)
				if (this.rep0 === -1) {
					if (!markerAllowed) throw corrupt()
					return true
				}
			}
			this.copy(length, end)
		}
		return false
	}

	private literal(probabilities: Uint16Array): void {
		const { output } = this
		output.reserve(1)
		const at = output.length
		const bytes = output.bytes
		const previous = at > this.dictionaryStart ? bytes[at - 1]! : 0
		const context = (((at - this.dictionaryStart) & this.literalPositionMask) << this.lc) + (previous >> (8 - this.lc))
		const base = LITERAL + 0x300 * context
		let symbol = 1
		if (this.state >= 7) {
			let match = this.backReference(at)
			do {
				const matchBit = (match >> 7) & 1
				match <<= 1
				const bit = this.bitOf(probabilities, base + ((1 + matchBit) << 8) + symbol)
				symbol = (symbol << 1) | bit
				if (matchBit !== bit) break
			} while (symbol < 0x100)
		}
		while (symbol < 0x100) symbol = (symbol << 1) | this.bitOf(probabilities, base + symbol)
		bytes[at] = symbol
		output.length = at + 1
		this.state = this.state < 4 ? 0 : this.state < 10 ? this.state - 3 : this.state - 6
	}

	/** The byte at distance rep0 before `at`. */
	private backReference(at: number): number {
		const source = at - this.rep0 - 1
		if (source < this.dictionaryStart) throw corrupt()
		return this.output.bytes[source]!
	}

	/** A match at one of the four last distances. Returns its length, or 0 when it was a single byte, already written. */
	private repeatedMatch(positionState: number): number {
		if (this.bit(IS_REP_G0 + this.state) === 0) {
			if (this.bit(IS_REP0_LONG + (this.state << 4) + positionState) === 0) {
				this.state = this.state < 7 ? 9 : 11
				const { output } = this
				output.reserve(1)
				output.bytes[output.length] = this.backReference(output.length)
				output.length++
				return 0
			}
		} else {
			let distance: number
			if (this.bit(IS_REP_G1 + this.state) === 0) distance = this.rep1
			else {
				if (this.bit(IS_REP_G2 + this.state) === 0) distance = this.rep2
				else {
					distance = this.rep3
					this.rep3 = this.rep2
				}
				this.rep2 = this.rep1
			}
			this.rep1 = this.rep0
			this.rep0 = distance
		}
		this.state = this.state < 7 ? 8 : 11
		return this.matchLength(REP_LENGTH, positionState)
	}

	/** A match at a distance of its own, left in rep0 (-1 for the end marker). */
	private newMatch(positionState: number): number {
		this.rep3 = this.rep2
		this.rep2 = this.rep1
		this.rep1 = this.rep0
		const length = this.matchLength(LENGTH, positionState)
		this.state = this.state < 7 ? 7 : 10
		this.rep0 = this.distance(length)
		return length
	}

	private matchLength(base: number, positionState: number): number {
		if (this.bit(base) === 0)
			return MATCH_MIN_LENGTH + this.bitTree(base + LENGTH_LOW + (positionState << LENGTH_LOW_BITS), LENGTH_LOW_BITS)
		if (this.bit(base + 1) === 0)
			return MATCH_MIN_LENGTH + 8 + this.bitTree(base + LENGTH_MID + (positionState << LENGTH_MID_BITS), LENGTH_MID_BITS)
		return MATCH_MIN_LENGTH + 16 + this.bitTree(base + LENGTH_HIGH, LENGTH_HIGH_BITS)
	}

	private distance(length: number): number {
		const slot = this.bitTree(POSITION_SLOT + (Math.min(length - MATCH_MIN_LENGTH, 3) << 6), 6)
		if (slot < 4) return slot
		const directBits = (slot >> 1) - 1
		const distance = (2 | (slot & 1)) << directBits
		if (slot < END_POSITION_MODEL) return distance + this.reverseBitTree(POSITION + distance - slot, directBits)
		return (distance + (this.directBits(directBits - ALIGN_BITS) << ALIGN_BITS) + this.reverseBitTree(ALIGN, ALIGN_BITS)) | 0
	}

	private copy(length: number, end: number): void {
		const { output } = this
		const at = output.length
		const source = at - this.rep0 - 1
		if (this.rep0 < 0 || source < this.dictionaryStart || at + length > end) throw corrupt()
		output.copyBack(this.rep0 + 1, length)
	}

	private bitTree(base: number, bits: number): number {
		let node = 1
		for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(base + node)
		return node - (1 << bits)
	}

	private reverseBitTree(base: number, bits: number): number {
		let node = 1
		let value = 0
		for (let i = 0; i < bits; i++) {
			const bit = this.bit(base + node)
			node = (node << 1) | bit
			value |= bit << i
		}
		return value
	}

	private directBits(count: number): number {
		const { coder } = this
		let value = 0
		for (let i = 0; i < count; i++) {
			coder[RANGE] = coder[RANGE]! >>> 1
			const below = (coder[CODE]! ^ SIGN) < (coder[RANGE]! ^ SIGN)
			if (!below) coder[CODE] = coder[CODE]! - coder[RANGE]!
			value = (value << 1) | (below ? 0 : 1)
			this.normalise()
		}
		return value
	}

	private bit(index: number): number {
		return this.bitOf(this.probabilities, index)
	}

	private bitOf(probabilities: Uint16Array, index: number): number {
		const coder = this.coder
		const range = coder[RANGE]!
		const code = coder[CODE]!
		const probability = probabilities[index]!
		const bound = Math.imul(range >>> 11, probability)
		const bit = (code ^ SIGN) < (bound ^ SIGN) ? 0 : 1
		if (bit === 0) {
			coder[RANGE] = bound
			probabilities[index] = probability + ((2048 - probability) >> 5)
		} else {
			coder[RANGE] = range - bound
			coder[CODE] = code - bound
			probabilities[index] = probability - (probability >> 5)
		}
		this.normalise()
		return bit
	}

	private normalise(): void {
		const coder = this.coder
		if (coder[RANGE]! >>> 24 !== 0) return
		const at = coder[AT]!
		coder[RANGE] = coder[RANGE]! << 8
		coder[CODE] = (coder[CODE]! << 8) | (at < this.input.length ? this.input[at]! : 0)
		coder[AT] = at + 1
	}
}

/** The legacy .lzma container: properties, u32 dictionary size, u64 size (all ones: unknown, ended by a marker), one run. */
export function decodeLzmaAlone(input: Uint8Array, output: Output): void {
	if (input.length < 13) throw truncated()
	const header = new DataView(input.buffer, input.byteOffset, 13)
	const low = header.getUint32(5, true)
	const high = header.getUint32(9, true)
	const unknownSize = low === 0xffffffff && high === 0xffffffff
	const size = unknownSize ? Number.POSITIVE_INFINITY : high * 2 ** 32 + low
	const decoder = new LzmaDecoder(input, output)
	decoder.setProperties(input[0]!)
	decoder.resetState()
	decoder.startCoder(13)
	decoder.decode(size, true)
	if (!unknownSize && output.length !== size) throw truncated()
}
