/** The last bytes of an endless stream, up to a limit. Memory grows with what was written, up to the limit. */
export class History {
	readonly #limit_bytes: number
	#chunks: Uint8Array[] = []
	#size = 0
	#total = 0

	constructor(limit_bytes: number) {
		this.#limit_bytes = limit_bytes
	}

	/** Bytes ever written; the position of the next one. */
	get end(): number {
		return this.#total
	}

	/** The position of the oldest byte that is kept. */
	get start(): number {
		return this.#total - this.#size
	}

	/** The bytes are kept as they are: the caller must not change them afterwards. */
	append(bytes: Uint8Array): void {
		if (bytes.length === 0) return
		this.#chunks.push(bytes)
		this.#size += bytes.length
		this.#total += bytes.length
		this.#trim()
		this.#compact()
	}

	/** What is kept from `position` on; from the oldest byte if that is gone already. */
	read(position = 0): Uint8Array {
		let skip = Math.min(this.#size, Math.max(0, position - this.start))
		const bytes = new Uint8Array(this.#size - skip)
		let at = 0
		for (const chunk of this.#chunks) {
			const part = chunk.subarray(Math.min(skip, chunk.length))
			skip -= chunk.length - part.length
			bytes.set(part, at)
			at += part.length
		}
		return bytes
	}

	#trim(): void {
		let gone = 0
		while (this.#size > this.#limit_bytes) {
			const chunk = this.#chunks[gone]
			const excess = this.#size - this.#limit_bytes
			if (chunk.length > excess) {
				this.#chunks[gone] = chunk.slice(excess)
				this.#size -= excess
			} else {
				gone++
				this.#size -= chunk.length
			}
		}
		if (gone > 0) this.#chunks.splice(0, gone)
	}

	/** A guest that writes byte by byte must not cost an object a byte: small neighbours are joined, each byte a few times at most. */
	#compact(): void {
		const chunks = this.#chunks
		while (chunks.length > 1) {
			const [before, last] = chunks.slice(-2)
			if (before.length > 2 * last.length || before.length + last.length > 65536) return
			const joined = new Uint8Array(before.length + last.length)
			joined.set(before)
			joined.set(last, before.length)
			chunks.splice(-2, 2, joined)
		}
	}
}
