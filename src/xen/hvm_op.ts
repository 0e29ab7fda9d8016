/** HYPERVISOR_hvm_op as it answers a PV domain: what makes no difference to Xen what the caller is, and -EINVAL. */
import { XEN_EFAULT, XEN_EINVAL } from '../abi/errno.ts'
import { __HYPERVISOR_hvm_op } from '../abi/xen.ts'
import { readGuest, writeGuestBytes } from './guest_struct.ts'
import { argNumber, argU32 } from './hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

// Source: hvm/hvm_op.h.
const HVMOP_get_time = 10
const HVMOP_xentrace = 11
const HVMOP_guest_request_vm_event = 24
const XENTRACE_SIZE = 32
const XENTRACE_EXTRA_MAX = 28

const forHvmOnly = (name: string): SubopRow => ({ name, status: 'not-applicable', errno: XEN_EINVAL })

/** Nanoseconds since the hypervisor's start. */
function getTime(vcpu: VcpuContext, args: Uint32Array): number {
	const now_ns = vcpu.clock.monotonic_ns()
	const bytes = new Uint8Array(Uint32Array.of(now_ns, Math.floor(now_ns / 4294967296)).buffer)
	return writeGuestBytes(vcpu, argNumber(args, 1), bytes) ? 0 : -XEN_EFAULT
}

/** Checks the record; there is no trace buffer, as when tracing is off. */
function xentrace(vcpu: VcpuContext, args: Uint32Array): number {
	const record = readGuest(vcpu, argNumber(args, 1), XENTRACE_SIZE)
	if (!record) return -XEN_EFAULT
	return record.getUint16(2, true) > XENTRACE_EXTRA_MAX || record.getUint16(0, true) >= 1 << 12 ? -XEN_EINVAL : 0
}

export const hvmSubops: Readonly<Record<number, SubopRow>> = {
	0: forHvmOnly('HVMOP_set_param'),
	1: forHvmOnly('HVMOP_get_param'),
	5: forHvmOnly('HVMOP_flush_tlbs'),
	9: forHvmOnly('HVMOP_pagetable_dying'),
	[HVMOP_get_time]: { name: 'HVMOP_get_time', status: 'implemented', handler: getTime },
	[HVMOP_xentrace]: { name: 'HVMOP_xentrace', status: 'implemented', handler: xentrace, note: 'nothing is recorded: tracing is off' },
	15: forHvmOnly('HVMOP_get_mem_type'),
	23: forHvmOnly('HVMOP_set_evtchn_upcall_vector'),
	[HVMOP_guest_request_vm_event]: {
		name: 'HVMOP_guest_request_vm_event',
		status: 'implemented',
		handler: (_, args) => (argNumber(args, 1) === 0 ? 0 : -XEN_EINVAL),
		note: 'succeeds without effect: nobody monitors',
	},
	25: forHvmOnly('HVMOP_altp2m'),
}

export const hvmHypercall: HypercallRow = {
	number: __HYPERVISOR_hvm_op,
	name: 'hvm_op',
	source: 'hvm/hvm_op.h: HYPERVISOR_hvm_op',
	status: 'implemented',
	subops: hvmSubops,
	handler: (vcpu, args) => dispatchSubop(vcpu, hvmSubops, argU32(args, 0), args),
}
