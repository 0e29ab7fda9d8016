/** Names in UTF-8: of modules' imports and exports, which are few. */
const encoded = new Map<string, Uint8Array>()

/** Buffers that are free again, and bytes that one has at first. There are never more than are in use at a time, on this thread. */
const free: Uint8Array[] = []
const CAPACITY = 0x4000
const NONE = new Uint8Array()

/** A growing byte buffer with WebAssembly's integer encodings. */
export class Bytes {
	private data = free.pop() ?? new Uint8Array(CAPACITY)
	length = 0

	private room(bytes: number): void {
		if (this.length + bytes <= this.data.length) return
		const larger = new Uint8Array(Math.max(this.data.length * 2, this.length + bytes))
		larger.set(this.data.subarray(0, this.length))
		this.data = larger
	}

	u8(value: number): void {
		if (this.length === this.data.length) this.room(1)
		this.data[this.length++] = value
	}

	/** Unsigned LEB128 of a 32-bit value. */
	u32(value: number): void {
		value >>>= 0
		while (value >= 0x80) {
			this.u8((value & 0x7f) | 0x80)
			value >>>= 7
		}
		this.u8(value)
	}

	/** Signed LEB128 of a 32-bit value. */
	i32(value: number): void {
		value |= 0
		for (;;) {
			const low = value & 0x7f
			value >>= 7
			if ((value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0)) return this.u8(low)
			this.u8(low | 0x80)
		}
	}

	/** Signed LEB128 of a 64-bit value. */
	i64(value: bigint): void {
		value = BigInt.asIntN(64, value)
		if (value >= -0x80000000n && value <= 0x7fffffffn) return this.i32(Number(value))
		for (;;) {
			const low = Number(value & 0x7fn)
			value >>= 7n
			if ((value === 0n && (low & 0x40) === 0) || (value === -1n && (low & 0x40) !== 0)) return this.u8(low)
			this.u8(low | 0x80)
		}
	}

	raw(bytes: Uint8Array): void {
		this.room(bytes.length)
		this.data.set(bytes, this.length)
		this.length += bytes.length
	}

	/** A length-prefixed block. */
	block(bytes: Uint8Array): void {
		this.u32(bytes.length)
		this.raw(bytes)
	}

	name(text: string): void {
		let bytes = encoded.get(text)
		if (bytes === undefined) encoded.set(text, (bytes = new TextEncoder().encode(text)))
		this.block(bytes)
	}

	/** Appends what is there to another buffer. This one is empty then, and ends. */
	moveTo(other: Bytes): void {
		other.raw(this.data.subarray(0, this.length))
		this.end()
	}

	/** A copy of what is there. The buffer is empty then, and ends. */
	finish(): Uint8Array {
		const bytes = this.data.slice(0, this.length)
		this.end()
		return bytes
	}

	private end(): void {
		free.push(this.data)
		this.length = 0
		this.data = NONE
	}
}
