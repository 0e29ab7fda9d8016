import { UserError } from '../base/errors.ts'
import type { Removal } from './domain_record.ts'

export type DomainEvent =
	| { type: 'created'; name: string; domid: number }
	/** The guest ended, or was destroyed while it ran. `preserved`: it is still listed. `restarting`: 'restarted' follows, or a failure. */
	| ({ type: 'ended'; name: string; domid: number; preserved: boolean; restarting: boolean } & Pick<
			Removal,
			'reason' | 'detail' | 'refusedRestart'
	  >)
	/** A preserved domain was destroyed. */
	| { type: 'destroyed'; name: string; domid: number }
	| { type: 'restarted'; name: string; domid: number; previous: number }
	| { type: 'restart-failed'; name: string; previous: number; message: string }
	| { type: 'renamed'; name: string; domid: number | null; from: string }
	/** A managed domain's record was made, or is gone. */
	| { type: 'defined'; name: string }
	| { type: 'undefined'; name: string }

/** xend's XendInvalidDomain: exit status 3. */
export class NoSuchDomain extends UserError {
	constructor(reference: string) {
		super(`Domain '${reference}' does not exist.`, { code: 'no-such-domain', exitCode: 3 })
		this.name = 'NoSuchDomain'
	}
}

export const DOMAIN_0 = 'Domain-0'

export function isDomain0(reference: string): boolean {
	return reference === '0' || reference === DOMAIN_0
}
