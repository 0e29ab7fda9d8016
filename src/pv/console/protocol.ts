/**
 * The PV console's page (struct xencons_interface in io/console.h): two byte rings with free-running u32 indices. Each side owns one
 * index of each ring and only reads the other's.
 */
import {
	XENCONS_IN,
	XENCONS_IN_CONS,
	XENCONS_IN_PROD,
	XENCONS_IN_SIZE,
	XENCONS_OUT,
	XENCONS_OUT_CONS,
	XENCONS_OUT_PROD,
	XENCONS_OUT_SIZE,
} from '../../abi/io/console.ts'

/** The shared page, and how to signal the other side's event channel. */
export interface ConsoleChannel {
	/** 4096 bytes, at an offset divisible by 4. */
	readonly page: Uint8Array
	notify(): void
}

interface RingLayout {
	readonly data: number
	readonly size: number
	readonly cons: number
	readonly prod: number
}

/** Backend to guest. */
const IN: RingLayout = { data: XENCONS_IN, size: XENCONS_IN_SIZE, cons: XENCONS_IN_CONS, prod: XENCONS_IN_PROD }
/** Guest to backend. */
const OUT: RingLayout = { data: XENCONS_OUT, size: XENCONS_OUT_SIZE, cons: XENCONS_OUT_CONS, prod: XENCONS_OUT_PROD }

/**
 * One of the two rings, used by one side. The other side may write anything at any time: an impossible distance between the indices
 * counts as an empty ring for the reader and as a full one for the writer.
 */
export class ConsoleRing {
	readonly #page: Uint8Array
	readonly #words: Int32Array
	readonly #layout: RingLayout

	constructor(page: Uint8Array, direction: 'in' | 'out') {
		this.#page = page
		this.#words = new Int32Array(page.buffer, page.byteOffset, page.length / 4)
		this.#layout = direction === 'in' ? IN : OUT
	}

	/** Takes all that is there; an empty array when nothing is. At most the ring's size, whatever the other side does meanwhile. */
	read(): Uint8Array {
		const { data, size, cons, prod } = this.#layout
		const start = this.#load(cons)
		const count = (this.#load(prod) - start) >>> 0
		if (count === 0 || count > size) return new Uint8Array(0)
		const bytes = new Uint8Array(count)
		const at = start & (size - 1)
		const first = Math.min(count, size - at)
		bytes.set(this.#page.subarray(data + at, data + at + first))
		bytes.set(this.#page.subarray(data, data + count - first), first)
		this.#store(cons, start + count)
		return bytes
	}

	/** Puts in what there is room for, and returns how many bytes that was. */
	write(bytes: Uint8Array): number {
		const { data, size, cons, prod } = this.#layout
		const end = this.#load(prod)
		const used = (end - this.#load(cons)) >>> 0
		const count = used > size ? 0 : Math.min(bytes.length, size - used)
		if (count === 0) return 0
		const at = end & (size - 1)
		const first = Math.min(count, size - at)
		this.#page.set(bytes.subarray(0, first), data + at)
		this.#page.set(bytes.subarray(first, count), data)
		this.#store(prod, end + count)
		return count
	}

	#load(offset: number): number {
		return Atomics.load(this.#words, offset / 4)
	}

	#store(offset: number, value: number): void {
		Atomics.store(this.#words, offset / 4, value | 0)
	}
}
