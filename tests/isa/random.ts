/** A seeded generator (sfc32): the same seed gives the same sequence on every machine. Part of the corpus format through state.ts. */
export class Random {
	private a = 0x9e3779b9
	private b = 0x243f6a88
	private c: number
	private counter = 1

	constructor(seed: number) {
		this.c = seed | 0
		for (let i = 0; i < 12; i++) this.u32()
	}

	u32(): number {
		const t = (this.a + this.b + this.counter++) | 0
		this.a = this.b ^ (this.b >>> 9)
		this.b = (this.c + (this.c << 3)) | 0
		this.c = ((this.c << 21) | (this.c >>> 11)) + t
		return t >>> 0
	}

	u64(): bigint {
		return (BigInt(this.u32()) << 32n) | BigInt(this.u32())
	}

	/** An integer in [0, limit). */
	below(limit: number): number {
		return this.u32() % limit
	}

	/** True once in `times`. */
	oneIn(times: number): boolean {
		return this.below(times) === 0
	}

	pick<T>(choices: readonly T[]): T {
		return choices[this.below(choices.length)] as T
	}

	/** Mostly the first; one of the others once in five times. */
	mostly<T>(first: T, ...others: readonly T[]): T {
		return this.oneIn(5) ? this.pick(others) : first
	}

	bytes(length: number): Uint8Array {
		const out = new Uint8Array(length)
		for (let i = 0; i < length; i++) out[i] = this.u32() >>> 11
		return out
	}
}
