import { XEN_EFAULT, XEN_EINVAL } from '../abi/errno.ts'
import { __HYPERVISOR_iret, __HYPERVISOR_multicall, multicall_entry } from '../abi/xen.ts'
import { readWords, writeWords } from './guest_access.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { HYPERCALL_NO_RESULT, HYPERCALL_PREEMPTED, type HypercallHandler, type HypercallRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

/** Serves one hypercall by number; see hypercall_table.ts. */
type Dispatch = (vcpu: VcpuContext, number: number, args: HypercallArgs) => number

const at = multicall_entry.at
/** The entry being served, and its arguments: one thread has one vCPU, and lists are not nested. */
const entry = new Uint32Array(multicall_entry.size / 4)
const callArgs = entry.subarray(at.args >> 2, (at.args >> 2) + 12)
const resultWords = entry.subarray(at.result >> 2, (at.result >> 2) + 2)

/** A list of hypercalls, each result written to its own entry. -EFAULT when an entry cannot be read or its result written. */
function multicall(dispatch: Dispatch, vcpu: VcpuContext, args: HypercallArgs): number {
	const list = argNumber(args, 0)
	const count = argU32(args, 1)
	for (let i = 0; i < count; i++) {
		const address = list + i * multicall_entry.size
		if (i > 0 && vcpu.preemptPending()) return resumeAt(args, address, count - i)
		if (!readWords(vcpu.cpu, address, entry)) return -XEN_EFAULT
		const number = entry[at.op >> 2] as number
		// op is an unsigned long: a value above 32 bits is no hypercall. Nested lists are refused, as in Xen.
		const result =
			entry[(at.op >> 2) + 1] !== 0
				? dispatch(vcpu, -1, callArgs)
				: number === __HYPERVISOR_multicall
					? -XEN_EINVAL
					: dispatch(vcpu, number, callArgs)
		if (result === HYPERCALL_NO_RESULT) return result
		if (result === HYPERCALL_PREEMPTED) {
			return writeWords(vcpu.cpu, address, entry, entry.length) ? resumeAt(args, address, count - i) : -XEN_EFAULT
		}
		resultWords[0] = result
		resultWords[1] = Math.floor(result / 4294967296)
		const written = writeWords(vcpu.cpu, address + at.result, resultWords, 2)
		if (number === __HYPERVISOR_iret) return result
		if (!written) return -XEN_EFAULT
	}
	return 0
}

function resumeAt(args: HypercallArgs, address: number, left: number): number {
	setArg(args, 0, address)
	setArg(args, 1, left)
	return HYPERCALL_PREEMPTED
}

export function multicallRow(dispatch: Dispatch): HypercallRow {
	const handler: HypercallHandler = (vcpu, args) => multicall(dispatch, vcpu, args)
	return { number: __HYPERVISOR_multicall, name: 'multicall', source: 'xen.h: HYPERVISOR_multicall', status: 'implemented', handler }
}
