import { later } from '../base/timer.ts'
import type { Errno } from './errors.ts'

/** An answer for a person. */
export interface Text {
	readonly text: string
}

export interface LiveUpdateOptions {
	/** How long open transactions may take to end; undefined: they go along at once. */
	readonly timeout_s: number | undefined
	/** Those that are open still go along then. Without it there is no update then. */
	readonly force: boolean
}

/**
 * When the store goes on in another process. Open transactions go along with it, and fail at their end only where what they have read has changed; who would rather
 * have none go along waits for their end.
 */
export class LiveUpdate {
	/** Has another process take over. Resolves when none did, and this one goes on. Undefined where there is none that could. */
	begin: (() => Promise<void>) | undefined
	readonly #open: () => readonly (readonly [domid: number, transactions: number])[]
	#waiting: ((open: number) => void) | undefined
	#begun = false

	/** `open` tells the domains with open transactions. */
	constructor(open: () => readonly (readonly [domid: number, transactions: number])[]) {
		this.#open = open
	}

	/** What its operator is answered: OK, or why there is none. EINVAL where no process could take over, EBUSY while one waits or has begun. */
	start({ timeout_s, force }: LiveUpdateOptions): Text | Errno | Promise<Text> {
		if (this.begin === undefined) return 'EINVAL'
		if (this.#waiting !== undefined || this.#begun) return 'EBUSY'
		if (timeout_s === undefined || this.#open().length === 0) return this.#go()
		return new Promise((resolve) => {
			const settle = (answer: Text) => {
				cancel()
				this.#waiting = undefined
				resolve(answer)
			}
			const cancel = later(timeout_s * 1000, () => settle(force ? this.#go() : refusal(this.#open())))
			this.#waiting = (open) => open === 0 && settle(this.#go())
		})
	}

	/** A transaction has ended. */
	transactionEnded(): void {
		this.#waiting?.(this.#open().length)
	}

	#go(): Text {
		this.#begun = true
		void this.begin?.().finally(() => {
			this.#begun = false
		})
		return { text: 'OK' }
	}
}

function refusal(open: readonly (readonly [domid: number, transactions: number])[]): Text {
	return { text: `Transactions are open: ${open.map(([domid, count]) => `${count} of domain ${domid}`).join(', ')}` }
}
