import { XEN_ENOSYS } from '../abi/errno.ts'
import { consoleIoHypercall } from './console_io.ts'
import { debugRegisterHypercalls } from './debug_registers.ts'
import type { Domain } from './domain.ts'
import { eventChannelCompatHypercall, eventChannelHypercall } from './event_channel_op.ts'
import { grantTableHypercall } from './grant_table.ts'
import { hvmHypercall } from './hvm_op.ts'
import type { HypercallArgs } from './hypercall_args.ts'
import type { HypercallRow } from './hypercall_row.ts'
import { iretHypercall } from './iret.ts'
import { memoryHypercalls } from './mm/memory.ts'
import { multicallRow } from './multicall.ts'
import { physdevCompatHypercall, physdevHypercall } from './physdev_op.ts'
import { refusedHypercalls } from './refused_hypercalls.ts'
import { schedHypercalls } from './sched.ts'
import { trapHypercalls } from './traps.ts'
import type { VcpuContext } from './vcpu.ts'
import { vcpuHypercalls } from './vcpu_op.ts'
import { CB_HYPERCALL_COUNTS, CB_UNKNOWN_HYPERCALLS, controlWord } from './vcpu_shared.ts'
import { versionHypercall } from './version.ts'
import { vmAssistHypercall } from './vm_assist.ts'

/**
 * Serves hypercall `number`: the signed result, HYPERCALL_PREEMPTED or HYPERCALL_NO_RESULT.
 * -ENOSYS and a count for numbers that no header names.
 */
export function dispatch(vcpu: VcpuContext, number: number, args: HypercallArgs): number {
	const row = hypercallTable[number]
	const words = vcpu.domain.machine.u32
	if (!row) {
		Atomics.add(words, controlWord(vcpu.domain, CB_UNKNOWN_HYPERCALLS), 1)
		return -XEN_ENOSYS
	}
	Atomics.add(words, controlWord(vcpu.domain, CB_HYPERCALL_COUNTS + number * 4), 1)
	return row.handler && row.status === 'implemented' ? row.handler(vcpu, args) : -(row.errno as number)
}

/** Times that the domain's vCPUs have made hypercall `number` (a continuation counts again). */
export function hypercallCount(domain: Domain, number: number): number {
	return Atomics.load(domain.machine.u32, controlWord(domain, CB_HYPERCALL_COUNTS + number * 4))
}

/** Every hypercall number that Xen's public headers name: each file exports its rows, this list only gathers them. */
export const hypercallRows: readonly HypercallRow[] = [
	multicallRow(dispatch),
	iretHypercall,
	vmAssistHypercall,
	...trapHypercalls,
	...debugRegisterHypercalls,
	...vcpuHypercalls,
	...schedHypercalls,
	...memoryHypercalls,
	eventChannelHypercall,
	eventChannelCompatHypercall,
	consoleIoHypercall,
	versionHypercall,
	physdevHypercall,
	physdevCompatHypercall,
	grantTableHypercall,
	hvmHypercall,
	...refusedHypercalls,
]

/** The rows by number; a hole is a number that no header names. */
export const hypercallTable: readonly (HypercallRow | undefined)[] = byNumber(hypercallRows)

function byNumber(rows: readonly HypercallRow[]): (HypercallRow | undefined)[] {
	const table: (HypercallRow | undefined)[] = new Array(64).fill(undefined)
	for (const row of rows) {
		if (table[row.number]) throw new Error(`hypercall ${row.number} (${row.name}) is declared twice`)
		if (row.status === 'implemented' ? !row.handler : row.errno === undefined) throw new Error(`hypercall ${row.name} has no answer`)
		table[row.number] = row
	}
	return table
}
