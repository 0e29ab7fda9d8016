import { later } from '../base/timer.ts'

/** How long guests wait at most for a transaction that one of them has made fail, and how long none waits afterwards. */
const HELD_MS = 20
const REST_MS = 20

/**
 * A guest that never stops writing could make every transaction fail that reads what it writes. So when a transaction of dom0 fails and a
 * guest has changed something since it began, the guests' requests wait until the next one of dom0 has succeeded, for HELD_MS at most; in
 * the REST_MS afterwards none waits, so that guests always have half of the time.
 */
export class Precedence {
	/** Changes that guests have made: what a transaction compares its beginning with. */
	guestChanges = 0
	#phase: 'open' | 'held' | 'rest' = 'open'
	#cancel = () => {}
	readonly #released = new Set<() => void>()

	get guestsWait(): boolean {
		return this.#phase === 'held'
	}

	/** `listener` is called when guests wait no more. */
	onRelease(listener: () => void): void {
		this.#released.add(listener)
	}

	/** A transaction of dom0 has ended, that began when `guestChanges` was `since`. */
	ended(succeeded: boolean, since: number): void {
		if (succeeded) {
			if (this.#phase === 'held') this.#rest()
		} else if (this.#phase === 'open' && this.guestChanges !== since) {
			this.#phase = 'held'
			this.#cancel = later(HELD_MS, () => this.#rest())
		}
	}

	#rest(): void {
		this.#cancel()
		this.#phase = 'rest'
		this.#cancel = later(REST_MS, () => {
			this.#phase = 'open'
		})
		for (const listener of [...this.#released]) listener()
	}
}
