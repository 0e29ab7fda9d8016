import { XEN_EFAULT, XEN_EINVAL } from '../abi/errno.ts'
import { __HYPERVISOR_iret, __HYPERVISOR_multicall, multicall_entry } from '../abi/xen.ts'
import { copyFromGuest, copyToGuest } from './guest_access.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { HYPERCALL_NO_RESULT, HYPERCALL_PREEMPTED, type HypercallHandler, type HypercallRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

/** Serves one hypercall by number; see hypercall_table.ts. */
type Dispatch = (vcpu: VcpuContext, number: number, args: HypercallArgs) => number

const at = multicall_entry.at

/** A list of hypercalls, each result written to its own entry. -EFAULT when an entry cannot be read or its result written. */
function multicall(dispatch: Dispatch, vcpu: VcpuContext, args: HypercallArgs): number {
	const list = argNumber(args, 0)
	const count = argU32(args, 1)
	for (let i = 0; i < count; i++) {
		const address = list + i * multicall_entry.size
		if (i > 0 && vcpu.preemptPending()) return resumeAt(args, address, count - i)
		const entry = copyFromGuest(vcpu.cpu, address, multicall_entry.size)
		if (!entry) return -XEN_EFAULT
		const words = new Uint32Array(entry.buffer)
		const number = words[at.op >> 2] as number
		const callArgs = words.slice(at.args >> 2, (at.args >> 2) + 12)
		// op is an unsigned long: a value above 32 bits is no hypercall. Nested lists are refused, as in Xen.
		const result =
			words[(at.op >> 2) + 1] !== 0
				? dispatch(vcpu, -1, callArgs)
				: number === __HYPERVISOR_multicall
					? -XEN_EINVAL
					: dispatch(vcpu, number, callArgs)
		if (result === HYPERCALL_NO_RESULT) return result
		if (result === HYPERCALL_PREEMPTED) {
			words.set(callArgs, at.args >> 2)
			return copyToGuest(vcpu.cpu, address, entry) ? resumeAt(args, address, count - i) : -XEN_EFAULT
		}
		writeResult(words, result)
		const written = copyToGuest(vcpu.cpu, address + at.result, entry.subarray(at.result, at.result + 8))
		if (number === __HYPERVISOR_iret) return result
		if (!written) return -XEN_EFAULT
	}
	return 0
}

function writeResult(words: Uint32Array, result: number): void {
	words[at.result >> 2] = result
	words[(at.result >> 2) + 1] = Math.floor(result / 4294967296)
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
