import { later } from '../base/timer.ts'
import type { ConsoleBackend } from '../pv/console/backend.ts'

/** How much is kept of domains that are gone. */
export interface KeptLimits {
	readonly domains: number
	/** Of output, in all. A console's history is at most 1 MiB, so the last one always fits. */
	readonly bytes: number
	readonly time_ms: number
}

const LIMITS: KeptLimits = { domains: 16, bytes: 4 * 1024 * 1024, time_ms: 60_000 }

/** Consoles of domains that are gone, by number, for a while: whoever follows a domain through its restarts may come late. */
export class KeptConsoles {
	private readonly limits: KeptLimits
	/** The longest gone first. */
	private readonly consoles = new Map<number, ConsoleBackend>()

	constructor(limits: KeptLimits = LIMITS) {
		this.limits = limits
	}

	get(domid: number): ConsoleBackend | undefined {
		return this.consoles.get(domid)
	}

	keep(domid: number, console: ConsoleBackend): void {
		this.consoles.delete(domid)
		this.consoles.set(domid, console)
		later(this.limits.time_ms, () => this.forget(domid, console))
		for (const [oldest] of this.consoles) {
			if (this.consoles.size <= this.limits.domains && this.size_bytes <= this.limits.bytes) return
			this.consoles.delete(oldest)
		}
	}

	private forget(domid: number, console: ConsoleBackend): void {
		if (this.consoles.get(domid) === console) this.consoles.delete(domid)
	}

	private get size_bytes(): number {
		let size = 0
		for (const console of this.consoles.values()) size += console.history().end - console.history().start
		return size
	}
}
