import { ImageError } from './image_error.ts'

const FIRST_BYTES = 1 << 20

/** A buffer that grows up to a limit: what stops a decompression bomb. Decoders that look back at their own output read it in `bytes`. */
export class Output {
	bytes: Uint8Array<ArrayBuffer>
	length = 0
	private readonly maxBytes: number

	/** `expectedBytes` is a guess at the final size that may come from the image: it saves copying, and is not believed beyond `maxBytes`. */
	constructor(maxBytes: number, expectedBytes = FIRST_BYTES) {
		this.maxBytes = maxBytes
		this.bytes = new Uint8Array(Math.min(Math.max(expectedBytes, 1), maxBytes))
	}

	/** Makes room for `count` more bytes. Throws ImageError when that passes the limit. */
	reserve(count: number): void {
		const needed = this.length + count
		if (needed <= this.bytes.length) return
		if (needed > this.maxBytes)
			throw new ImageError(
				`the kernel image decompresses to more than the ${Math.floor(this.maxBytes / 1048576)} MiB that the domain has room for`,
			)
		const grown = new Uint8Array(Math.min(this.maxBytes, Math.max(needed, this.bytes.length * 2)))
		grown.set(this.bytes.subarray(0, this.length))
		this.bytes = grown
	}

	append(data: Uint8Array): void {
		this.reserve(data.length)
		this.bytes.set(data, this.length)
		this.length += data.length
	}

	/** Appends `count` bytes that begin `distance` bytes back; they may overlap what is being written. The caller has checked the distance. */
	copyBack(distance: number, count: number): void {
		this.reserve(count)
		const { bytes, length } = this
		const source = length - distance
		if (count <= 64 || distance < count) for (let i = 0; i < count; i++) bytes[length + i] = bytes[source + i]!
		else bytes.copyWithin(length, source, source + count)
		this.length = length + count
	}

	finish(): Uint8Array<ArrayBuffer> {
		return this.bytes.subarray(0, this.length)
	}
}
