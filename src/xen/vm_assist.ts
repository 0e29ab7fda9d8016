import { XEN_EINVAL, XEN_ENOSYS } from '../abi/errno.ts'
import {
	__HYPERVISOR_vm_assist,
	VMASST_CMD_disable,
	VMASST_CMD_enable,
	VMASST_TYPE_4gb_segments,
	VMASST_TYPE_4gb_segments_notify,
	VMASST_TYPE_architectural_iopl,
	VMASST_TYPE_m2p_strict,
	VMASST_TYPE_pae_extended_cr3,
	VMASST_TYPE_runstate_update_flag,
	VMASST_TYPE_writable_pagetables,
} from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { argU32, type HypercallArgs } from './hypercall_args.ts'
import type { HypercallRow } from './hypercall_row.ts'
import { CB_MM_M2P_STRICT } from './mm/page_info.ts'
import { HOLD_IOPL, holdSwitches } from './ring_switch.ts'
import type { VcpuContext } from './vcpu.ts'
import { CB_VM_ASSIST, controlWord } from './vcpu_shared.ts'

const VALID: ReadonlySet<number> = new Set([
	VMASST_TYPE_4gb_segments,
	VMASST_TYPE_4gb_segments_notify,
	VMASST_TYPE_writable_pagetables,
	VMASST_TYPE_pae_extended_cr3,
	VMASST_TYPE_architectural_iopl,
	VMASST_TYPE_runstate_update_flag,
	VMASST_TYPE_m2p_strict,
])

/** Whether a domain has assist VMASST_TYPE_`type` enabled. */
export function vmAssist(domain: Domain, type: number): boolean {
	const [word, bit] = place(domain, type)
	return (Atomics.load(domain.machine.u32, word) & bit) !== 0
}

/** Word and bit of an assist: types 0..31 in one word, m2p_strict (32) in its own. */
function place(domain: Domain, type: number): [word: number, bit: number] {
	return type === VMASST_TYPE_m2p_strict ? [controlWord(domain, CB_MM_M2P_STRICT), 1] : [controlWord(domain, CB_VM_ASSIST), 1 << type]
}

function vmAssistOp(vcpu: VcpuContext, args: HypercallArgs): number {
	const type = argU32(args, 1)
	if (!VALID.has(type)) return -XEN_EINVAL
	const words = vcpu.domain.machine.u32
	const [word, bit] = place(vcpu.domain, type)
	switch (argU32(args, 0)) {
		case VMASST_CMD_enable:
			Atomics.or(words, word, bit)
			break
		case VMASST_CMD_disable:
			Atomics.and(words, word, ~bit)
			break
		default:
			return -XEN_ENOSYS
	}
	if (type === VMASST_TYPE_architectural_iopl) holdForIopl(vcpu.domain)
	return 0
}

/** To be called when VMASST_TYPE_architectural_iopl has changed. */
export function holdForIopl(domain: Domain): void {
	const shown = vmAssist(domain, VMASST_TYPE_architectural_iopl)
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) holdSwitches(domain.machine, vcpu, HOLD_IOPL, shown)
}

export const vmAssistHypercall: HypercallRow = {
	number: __HYPERVISOR_vm_assist,
	name: 'vm_assist',
	source: 'xen.h: HYPERVISOR_vm_assist',
	status: 'implemented',
	handler: vmAssistOp,
}
