import { UserError } from '../base/errors.ts'

export interface HostMemory {
	/** What domains may take. */
	readonly freeMemory_kib: () => number
	/** What of the host's memory that is free they may not: dom0-min-mem. */
	readonly keptMemory_kib?: number
}

/** Throws UserError, in xend's words, when a domain needs more than there is. */
export function checkFreeMemory({ freeMemory_kib, keptMemory_kib = 0 }: HostMemory, need_kib: number): void {
	const free_kib = Math.floor(freeMemory_kib())
	if (need_kib <= 0 || need_kib <= free_kib) return
	const kept = keptMemory_kib === 0 ? '' : `  ${keptMemory_kib} more are the host's: dom0-min-mem in xend-config.sxp.`
	throw new UserError(
		`Not enough free memory and enable-dom0-ballooning is False, so I cannot release any more.  I need ${need_kib} KiB but only have ${free_kib}.${kept}`,
		{ code: 'no-memory' },
	)
}
