/**
 * The last bytes a guest wrote to its console, and where they go.
 *
 * Positions count bytes from the domain's start. A reader keeps its own position, so that a slow one costs no memory: it misses what
 * has left the ring and is told how much.
 */
export class ConsoleBuffer {
	private readonly ring: Uint8Array
	private end_ = 0
	private readonly listeners = new Set<() => void>()
	private closed_ = false
	/** Takes what a person types; set by the console's backend. */
	private input: (bytes: Uint8Array) => void = () => {}

	constructor(capacity_bytes = 1024 * 1024) {
		this.ring = new Uint8Array(capacity_bytes)
	}

	/** Position of the oldest byte kept. */
	get start(): number {
		return Math.max(0, this.end_ - this.ring.length)
	}
	/** Position after the newest byte. */
	get end(): number {
		return this.end_
	}
	get closed(): boolean {
		return this.closed_
	}

	append(bytes: Uint8Array): void {
		const kept = bytes.subarray(Math.max(0, bytes.length - this.ring.length))
		this.end_ += bytes.length - kept.length
		const at = this.end_ % this.ring.length
		const first = Math.min(kept.length, this.ring.length - at)
		this.ring.set(kept.subarray(0, first), at)
		this.ring.set(kept.subarray(first), 0)
		this.end_ += kept.length
		this.notify()
	}

	/** Up to `max` bytes from `position`; `lost` counts bytes that are no longer there. */
	read(position: number, max = 65536): { bytes: Uint8Array; next: number; lost: number } {
		const from = Math.max(position, this.start)
		const length = Math.max(0, Math.min(max, this.end_ - from))
		const at = from % this.ring.length
		const first = Math.min(length, this.ring.length - at)
		const bytes = new Uint8Array(length)
		bytes.set(this.ring.subarray(at, at + first))
		bytes.set(this.ring.subarray(0, length - first), first)
		return { bytes, next: from + length, lost: from - position }
	}

	/** Calls back after each append and once at the end; returns how to stop it. */
	onChange(listener: () => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	setInput(input: (bytes: Uint8Array) => void): void {
		this.input = input
	}

	/** Types at the guest. Nothing happens once the domain has ended. */
	type(bytes: Uint8Array): void {
		if (!this.closed_) this.input(bytes)
	}

	/** The domain is gone: no more will come. */
	close(): void {
		if (this.closed_) return
		this.closed_ = true
		this.notify()
	}

	private notify(): void {
		for (const listener of [...this.listeners]) listener()
	}
}
