import type { Clock } from '../base/clock.ts'

/** Xen's printk_ratelimit() for what a guest can provoke: ten messages at once, then one every half second. */
const BURST = 10
const INTERVAL_ns = 500_000_000

/** Allows a burst of messages and a slow stream after it, and counts what it held back. */
export class RateLimit {
	private readonly clock: Clock
	private tokens = BURST
	private last_ns = 0
	private held = 0

	constructor(clock: Clock) {
		this.clock = clock
	}

	/** How many messages were held back before this one, or undefined when this one is held back too. */
	take(): number | undefined {
		const now = this.clock.monotonic_ns()
		this.tokens = Math.min(BURST, this.tokens + (now - this.last_ns) / INTERVAL_ns)
		this.last_ns = now
		if (this.tokens < 1) {
			this.held++
			return undefined
		}
		this.tokens--
		const held = this.held
		this.held = 0
		return held
	}
}
