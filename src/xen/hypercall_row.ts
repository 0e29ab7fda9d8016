import { XEN_ENOSYS } from '../abi/errno.ts'
import type { HypercallArgs } from './hypercall_args.ts'
import type { VcpuContext } from './vcpu.ts'

/**
 * Serves one hypercall: returns the signed value for RAX, or one of the two numbers below.
 * `args` is a private copy; the handler may change it only to describe a continuation.
 */
export type HypercallHandler = (vcpu: VcpuContext, args: HypercallArgs) => number

/**
 * The handler stopped early because preemptPending(): `args` now describes what is left. The guest executes the hypercall
 * again with them once pending work is done (Xen's hypercall_create_continuation()).
 */
export const HYPERCALL_PREEMPTED = -0x4000_0000
/** The handler has set up the registers itself, RAX included (iret). */
export const HYPERCALL_NO_RESULT = -0x4000_0001

/**
 * `implemented`: served. `refused`: answered with `errno` always, as real Xen answers a domU.
 * `not-applicable`: HVM, other architectures, retired numbers: answered with `errno` as well.
 */
export type HypercallStatus = 'implemented' | 'refused' | 'not-applicable'

export interface SubopRow {
	/** Xen's spelling, e.g. 'VCPUOP_is_up'. */
	readonly name: string
	readonly status: HypercallStatus
	/** Positive; required unless implemented. */
	readonly errno?: number
	/** Absent when the hypercall's own handler switches on the sub-operation. */
	readonly handler?: HypercallHandler
	/** Why it is refused, or how it differs from Xen; goes into docs/abi-coverage.md. */
	readonly note?: string
}

export interface HypercallRow extends SubopRow {
	readonly number: number
	/** Header and symbol of the interface. */
	readonly source: string
	readonly subops?: Readonly<Record<number, SubopRow>>
}

/** Serves a sub-operation from its table; `unknown` (positive errno) answers those that are not in it. */
export function dispatchSubop(
	vcpu: VcpuContext,
	subops: Readonly<Record<number, SubopRow>>,
	command: number,
	args: HypercallArgs,
	unknown: number = XEN_ENOSYS,
): number {
	const row = subops[command]
	if (row?.handler && row.status === 'implemented') return row.handler(vcpu, args)
	return -(row?.errno ?? unknown)
}
