/** HYPERVISOR_memory_op: its table, and the queries. Reservations are in reservation.ts. */
import { XEN_EACCES, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH } from '../../abi/errno.ts'
import * as M from '../../abi/memory.ts'
import { __HYPERVISOR_memory_op, MACH2PHYS_VIRT_END, MACH2PHYS_VIRT_START, shared_info } from '../../abi/xen.ts'
import { PAGE_SIZE } from '../../x86/machine_memory.ts'
import { copyFromGuest, copyToGuest } from '../guest_access.ts'
import { argNumber, argU32, type HypercallArgs } from '../hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from '../hypercall_row.ts'
import type { VcpuContext } from '../vcpu.ts'
import { changeReservation, exchange, isSelf } from './reservation.ts'

const COMMAND_LIMIT = 2 ** M.MEMOP_EXTENT_SHIFT

/** Commands that take a first extent above the command's bits. */
const TAKES_EXTENT: ReadonlySet<number> = new Set([M.XENMEM_increase_reservation, M.XENMEM_decrease_reservation, M.XENMEM_populate_physmap])
/** Commands that answer such a first extent with -ENOSYS, as the number then names no operation; others with -EINVAL. */
const ARCH_COMMANDS: ReadonlySet<number> = new Set([
	M.XENMEM_memory_map,
	M.XENMEM_machine_memory_map,
	M.XENMEM_machphys_mapping,
	M.XENMEM_machphys_mfn_list,
])

function memoryOp(vcpu: VcpuContext, args: HypercallArgs): number {
	const command = argU32(args, 0) & M.MEMOP_CMD_MASK
	const plain = args[1] === 0 && args[0] < COMMAND_LIMIT
	if (!plain && !TAKES_EXTENT.has(command) && SUBOPS[command]?.status === 'implemented')
		return ARCH_COMMANDS.has(command) ? -XEN_ENOSYS : -XEN_EINVAL
	return dispatchSubop(vcpu, SUBOPS, command, args)
}

/** One above the highest frame of the machine. */
function maximumRamPage(vcpu: VcpuContext): number {
	return vcpu.mm.types.frames
}

/** Reads a xen_memory_domain and, for the caller's own domain, answers. */
function domainQuery(answer: (vcpu: VcpuContext) => number) {
	return (vcpu: VcpuContext, args: HypercallArgs): number => {
		const copy = copyFromGuest(vcpu.cpu, argNumber(args, 1), M.xen_memory_domain.size)
		if (!copy) return -XEN_EFAULT
		const domid = copy[0] | (copy[1] << 8)
		if (isSelf(vcpu.mm, domid)) return answer(vcpu)
		return domid === 0 ? -XEN_EPERM : -XEN_ESRCH
	}
}

/** What the guest says in its shared info page. */
function maximumGpfn(vcpu: VcpuContext): number {
	const { domain } = vcpu
	const at = (domain.machine.frameAddress(domain.layout.sharedInfoMfn) + shared_info.at.arch) >>> 2
	return domain.machine.u32[at + 1] * 4294967296 + domain.machine.u32[at] - 1
}

/** One range of RAM up to the domain's maximum, as xl gives a PV domain. */
function memoryMap(vcpu: VcpuContext, args: HypercallArgs): number {
	const { mm } = vcpu
	const va = argNumber(args, 1)
	if (!mm.fetch(va, M.xen_memory_map.size)) return -XEN_EFAULT
	const entries = Math.min(mm.request[0], 1)
	const buffer = (mm.request[3] | 0) * 4294967296 + mm.request[2]
	const size = mm.types.ramFrames * PAGE_SIZE
	const map = Uint32Array.of(0, 0, size, Math.floor(size / 4294967296), M.E820_RAM)
	if (!copyToGuest(vcpu.cpu, buffer, new Uint8Array(map.buffer, 0, entries * M.E820_ENTRY_SIZE))) return -XEN_EFAULT
	return mm.storeU32(va, entries) ? 0 : -XEN_EFAULT
}

function machphysMapping(vcpu: VcpuContext, args: HypercallArgs): number {
	const high = (address: number) => Math.floor(address / 4294967296)
	const entries = (MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) / 8
	const mapping = Uint32Array.of(0, high(MACH2PHYS_VIRT_START), 0, high(MACH2PHYS_VIRT_END), entries - 1, high(entries - 1))
	return copyToGuest(vcpu.cpu, argNumber(args, 1), new Uint8Array(mapping.buffer)) ? 0 : -XEN_EFAULT
}

/** The first frame of each 2 MiB of the machine-to-physical table. */
function machphysMfnList(vcpu: VcpuContext, args: HypercallArgs): number {
	const { mm } = vcpu
	const va = argNumber(args, 1)
	if (!mm.fetch(va, M.xen_machphys_mfn_list.size)) return -XEN_EFAULT
	const list = (mm.request[3] | 0) * 4294967296 + mm.request[2]
	const { m2pFrames, m2pMfn } = vcpu.domain.layout
	const count = Math.min(mm.request[0], Math.ceil(m2pFrames / 512))
	for (let n = 0; n < count; n++) if (!mm.storeU64(list + n * 8, m2pMfn + n * 512, 0)) return -XEN_EFAULT
	return mm.storeU32(va + M.xen_machphys_mfn_list.at.nr_extents, count) ? 0 : -XEN_EFAULT
}

/** No domain has virtual NUMA nodes. */
function getVnumainfo(vcpu: VcpuContext, args: HypercallArgs): number {
	const { mm } = vcpu
	const va = argNumber(args, 1)
	// The last words are not looked at, but a fault on them is one.
	if (!mm.fetch(va + 32, 8) || !mm.fetch(va, 32)) return -XEN_EFAULT
	const domid = mm.request[0] & 0xffff
	if (mm.request[0] >>> 16 !== 0) return -XEN_EINVAL
	if (isSelf(mm, domid)) return -XEN_EOPNOTSUPP
	return domid === 0 ? -XEN_EPERM : -XEN_ESRCH
}

const refused = (name: string, errno: number, note: string): SubopRow => ({ name, status: 'refused', errno, note })
const notApplicable = (name: string, errno: number, note: string): SubopRow => ({ name, status: 'not-applicable', errno, note })

const SUBOPS: Readonly<Record<number, SubopRow>> = {
	[M.XENMEM_increase_reservation]: { name: 'XENMEM_increase_reservation', status: 'implemented', handler: changeReservation },
	[M.XENMEM_decrease_reservation]: { name: 'XENMEM_decrease_reservation', status: 'implemented', handler: changeReservation },
	[M.XENMEM_populate_physmap]: { name: 'XENMEM_populate_physmap', status: 'implemented', handler: changeReservation },
	[M.XENMEM_exchange]: { name: 'XENMEM_exchange', status: 'implemented', handler: exchange },
	[M.XENMEM_maximum_ram_page]: { name: 'XENMEM_maximum_ram_page', status: 'implemented', handler: maximumRamPage },
	[M.XENMEM_current_reservation]: {
		name: 'XENMEM_current_reservation',
		status: 'implemented',
		handler: domainQuery((vcpu) => vcpu.mm.types.currentFrames),
	},
	[M.XENMEM_maximum_reservation]: {
		name: 'XENMEM_maximum_reservation',
		status: 'implemented',
		handler: domainQuery((vcpu) => vcpu.mm.types.frameLimit),
		note: 'without the megabyte of slack that xl adds',
	},
	[M.XENMEM_maximum_gpfn]: { name: 'XENMEM_maximum_gpfn', status: 'implemented', handler: domainQuery(maximumGpfn) },
	[M.XENMEM_memory_map]: { name: 'XENMEM_memory_map', status: 'implemented', handler: memoryMap },
	[M.XENMEM_machphys_mapping]: { name: 'XENMEM_machphys_mapping', status: 'implemented', handler: machphysMapping },
	[M.XENMEM_machphys_mfn_list]: { name: 'XENMEM_machphys_mfn_list', status: 'implemented', handler: machphysMfnList },
	[M.XENMEM_get_vnumainfo]: { name: 'XENMEM_get_vnumainfo', status: 'implemented', handler: getVnumainfo },
	[M.XENMEM_add_to_physmap]: refused('XENMEM_add_to_physmap', XEN_EACCES, 'for translated guests'),
	[M.XENMEM_add_to_physmap_batch]: refused('XENMEM_add_to_physmap_batch', XEN_EACCES, 'for translated guests'),
	[M.XENMEM_remove_from_physmap]: refused('XENMEM_remove_from_physmap', XEN_EACCES, 'for translated guests'),
	[M.XENMEM_machine_memory_map]: refused('XENMEM_machine_memory_map', XEN_EPERM, 'for dom0'),
	[M.XENMEM_set_memory_map]: refused('XENMEM_set_memory_map', XEN_EPERM, 'for the toolstack (Xen lets a domain set its own as well)'),
	[M.XENMEM_claim_pages]: refused('XENMEM_claim_pages', XEN_EPERM, 'for the toolstack'),
	[M.XENMEM_acquire_resource]: refused('XENMEM_acquire_resource', XEN_EPERM, 'for device models'),
	[M.XENMEM_machphys_compat_mfn_list]: refused('XENMEM_machphys_compat_mfn_list', XEN_EOPNOTSUPP, '32-bit PV guests are not offered'),
	[M.XENMEM_reserved_device_memory_map]: refused('XENMEM_reserved_device_memory_map', XEN_ENOSYS, 'for domains with devices'),
	[M.XENMEM_set_pod_target]: notApplicable('XENMEM_set_pod_target', XEN_EINVAL, 'HVM'),
	[M.XENMEM_get_pod_target]: notApplicable('XENMEM_get_pod_target', XEN_EINVAL, 'HVM'),
	[M.XENMEM_get_sharing_freed_pages]: notApplicable('XENMEM_get_sharing_freed_pages', XEN_ENOSYS, 'HVM'),
	[M.XENMEM_get_sharing_shared_pages]: notApplicable('XENMEM_get_sharing_shared_pages', XEN_ENOSYS, 'HVM'),
	[M.XENMEM_paging_op]: notApplicable('XENMEM_paging_op', XEN_ENOSYS, 'HVM'),
	[M.XENMEM_access_op]: notApplicable('XENMEM_access_op', XEN_ENOSYS, 'HVM'),
	[M.XENMEM_sharing_op]: notApplicable('XENMEM_sharing_op', XEN_ENOSYS, 'HVM'),
}

export const memoryOpHypercall: HypercallRow = {
	number: __HYPERVISOR_memory_op,
	name: 'memory_op',
	source: 'xen.h: HYPERVISOR_memory_op',
	status: 'implemented',
	handler: memoryOp,
	subops: SUBOPS,
}
