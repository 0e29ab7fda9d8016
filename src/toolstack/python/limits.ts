import { PythonError } from './errors.ts'

/** Steps that a file may take: an operation is one, and one more for every 64 characters or elements it makes. */
const MAX_STEPS = 2_000_000
/** Characters of a string, elements of a list, at most. */
export const MAX_SIZE = 1 << 20
/** Bits of an integer at most. */
const MAX_BITS = 4096n
/** Calls and expressions inside each other at most. */
const MAX_DEPTH = 400

/** What one file may use: it can neither run for ever nor fill memory. */
export class Limits {
	private steps = 0
	private depth = 0

	step(size = 0): void {
		this.steps += 1 + (size >> 6)
		if (this.steps > MAX_STEPS) throw new PythonError('RuntimeError', `the file takes more than ${MAX_STEPS} steps`)
	}

	/** Before something of `size` characters or elements is made. */
	size(size: number): void {
		if (size > MAX_SIZE) throw new PythonError('MemoryError', `a value of ${size} characters or elements is too large: at most ${MAX_SIZE}`)
		this.step(size)
	}

	integer(value: bigint): bigint {
		if (value >> MAX_BITS !== 0n && value >> MAX_BITS !== -1n)
			throw new PythonError('OverflowError', `an integer of more than ${MAX_BITS} bits is too large`)
		return value
	}

	deeper<T>(body: () => T): T {
		if (++this.depth > MAX_DEPTH) throw new PythonError('RuntimeError', `calls and expressions are nested deeper than ${MAX_DEPTH}`)
		try {
			return body()
		} finally {
			this.depth--
		}
	}
}
