/** Gives out stretches of an address range: first fit, neighbours that are free are joined. */
export class DataArena {
	/** Free stretches by address. */
	private free: { at: number; bytes: number }[]
	private readonly unit: number

	/** Addresses and sizes are multiples of `unit`. */
	constructor(at: number, bytes: number, unit: number) {
		this.free = [{ at, bytes }]
		this.unit = unit
	}

	/** The address of `bytes` bytes, or undefined when no stretch is that long. */
	take(bytes: number): number | undefined {
		const size = this.rounded(bytes)
		const index = this.free.findIndex((stretch) => stretch.bytes >= size)
		const found = this.free[index]
		if (found === undefined) return undefined
		const { at } = found
		if (found.bytes === size) this.free.splice(index, 1)
		else this.free[index] = { at: at + size, bytes: found.bytes - size }
		return at
	}

	/** What take() returned for `bytes` is free again. */
	give(at: number, bytes: number): void {
		const size = this.rounded(bytes)
		let index = this.free.findIndex((stretch) => stretch.at > at)
		if (index < 0) index = this.free.length
		this.free.splice(index, 0, { at, bytes: size })
		this.join(index)
		if (index > 0) this.join(index - 1)
	}

	private join(index: number): void {
		const [first, second] = [this.free[index], this.free[index + 1]]
		if (first === undefined || second === undefined || first.at + first.bytes !== second.at) return
		this.free.splice(index, 2, { at: first.at, bytes: first.bytes + second.bytes })
	}

	private rounded(bytes: number): number {
		return Math.ceil(bytes / this.unit) * this.unit
	}
}
