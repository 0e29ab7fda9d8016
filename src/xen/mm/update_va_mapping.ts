/** HYPERVISOR_update_va_mapping: one L1 entry, by the linear address that it maps, with a flush. */
import { XEN_EFAULT, XEN_EINVAL, XEN_EPERM, XEN_ESRCH } from '../../abi/errno.ts'
import {
	__HYPERVISOR_update_va_mapping,
	__HYPERVISOR_update_va_mapping_otherdomain,
	UVMF_ALL,
	UVMF_FLUSHTYPE_MASK,
	UVMF_INVLPG,
	UVMF_LOCAL,
	UVMF_TLB_FLUSH,
} from '../../abi/xen.ts'
import { argHi, argNumber, argU32, type HypercallArgs } from '../hypercall_args.ts'
import type { HypercallRow } from '../hypercall_row.ts'
import type { VcpuContext } from '../vcpu.ts'
import { FOREIGN_IO, hex64, type MmState } from './mm_state.ts'
import { findL1Entry, modL1Entry } from './mod_entry.ts'

/** -EINVAL when no L1 table maps the address, else as mod_l1_entry(); -EFAULT (entry changed) when the vCPU bitmap cannot be read. */
function updateVaMapping(vcpu: VcpuContext, args: HypercallArgs): number {
	return update(vcpu, args, false)
}

function updateVaMappingOtherdomain(vcpu: VcpuContext, args: HypercallArgs): number {
	const owner = vcpu.mm.foreign(argU32(args, 3) & 0xffff)
	return owner < 0 ? owner : update(vcpu, args, owner === FOREIGN_IO)
}

function update(vcpu: VcpuContext, args: HypercallArgs, ioOnly: boolean): number {
	const { mm } = vcpu
	const va = argNumber(args, 0)
	const at = findL1Entry(mm.types, mm.kernelRoot, va)
	if (at < 0) return -XEN_EINVAL
	const table = mm.types.frameOfWord(at)
	const rc = modL1Entry(mm.types, table, at, argU32(args, 1), argHi(args, 1), false, ioOnly)
	if (rc !== 0) {
		mm.logRefusal(`update_va_mapping ${hex64(args[0], args[1])} to ${hex64(args[2], args[3])}`, rc)
		return rc
	}
	const flushed = flush(mm, va, argU32(args, 2) & UVMF_FLUSHTYPE_MASK, argNumber(args, 2))
	mm.types.settle()
	return flushed
}

function flush(mm: MmState, va: number, kind: number, flags: number): number {
	if (kind !== UVMF_TLB_FLUSH && kind !== UVMF_INVLPG) return 0
	const target = flags - kind
	if (target !== UVMF_LOCAL && target !== UVMF_ALL) {
		const included = mm.readVcpuMask(target)
		if (included === null) return -XEN_EFAULT
		if (!included) return 0
	}
	if (kind === UVMF_TLB_FLUSH) mm.flushTlb()
	else mm.flushPage(va)
	return 0
}

export const updateVaMappingHypercall: HypercallRow = {
	number: __HYPERVISOR_update_va_mapping,
	name: 'update_va_mapping',
	source: 'xen.h: HYPERVISOR_update_va_mapping',
	status: 'implemented',
	handler: updateVaMapping,
}

export const updateVaMappingOtherdomainHypercall: HypercallRow = {
	number: __HYPERVISOR_update_va_mapping_otherdomain,
	name: 'update_va_mapping_otherdomain',
	source: 'xen.h: HYPERVISOR_update_va_mapping_otherdomain',
	status: 'implemented',
	handler: updateVaMappingOtherdomain,
	note: `a domU may name only itself (DOMID_SELF): -EPERM (${XEN_EPERM}) for dom0, -ESRCH (${XEN_ESRCH}) for others`,
}
