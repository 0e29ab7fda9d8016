/** HYPERVISOR_physdev_op of a domU without devices: its vCPUs' I/O privilege, and refusals. */
import { XEN_EBUSY, XEN_EFAULT, XEN_EINVAL, XEN_ENODEV, XEN_ENOSPC, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import * as P from '../abi/physdev.ts'
import { __HYPERVISOR_physdev_op, __HYPERVISOR_physdev_op_compat } from '../abi/xen.ts'
import { NR_PIRQS } from './event_channel.ts'
import { EV_PIRQ_EOI_FRAME } from './event_ports.ts'
import { guestRangeOk, readGuest, viewGva, viewU64, writeGuest } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import { TYPE_WRITABLE } from './mm/page_info.ts'
import type { VcpuContext } from './vcpu.ts'
import { controlWord } from './vcpu_shared.ts'

/** Bytes of a bitmap of all I/O ports. */
const IOBMP_BYTES = 8192
/** Where struct physdev_op keeps its union, and its size. */
const PHYSDEV_OP_U = 8
const PHYSDEV_OP_SIZE = 24

const refused = (name: string, errno: number, note?: string): SubopRow =>
	note === undefined ? { name, status: 'refused', errno } : { name, status: 'refused', errno, note }

function implemented(name: string, size: number, operation: (vcpu: VcpuContext, argument: DataView, address: number) => number): SubopRow {
	return {
		name,
		status: 'implemented',
		handler: (vcpu, args) => {
			const address = argNumber(args, 1)
			const argument = readGuest(vcpu, address, size)
			return argument ? operation(vcpu, argument, address) : -XEN_EFAULT
		},
	}
}

function irqStatusQuery(vcpu: VcpuContext, query: DataView, address: number): number {
	const at = P.physdev_irq_status_query.at
	if (query.getUint32(at.irq, true) >= NR_PIRQS) return -XEN_EINVAL
	query.setUint32(at.flags, P.XENIRQSTAT_needs_eoi, true)
	return writeGuest(vcpu, address, query) ? 0 : -XEN_EFAULT
}

/** The guest offers a page for the "needs EOI" bits of its physical interrupts. It has none, so nothing is ever written there. */
function pirqEoiFrame(vcpu: VcpuContext, argument: DataView): number {
	const { types } = vcpu.mm
	const gfn = viewU64(argument, 0)
	if (gfn >= types.frames || types.getPageAndType(gfn, TYPE_WRITABLE) !== 0) return -XEN_EINVAL
	const word = controlWord(vcpu.domain, EV_PIRQ_EOI_FRAME)
	if (Atomics.compareExchange(vcpu.domain.machine.u32, word, 0, gfn + 1) === 0) return 0
	types.putPageAndType(gfn)
	return -XEN_EBUSY
}

export const physdevSubops: Readonly<Record<number, SubopRow>> = {
	[P.PHYSDEVOP_IRQ_UNMASK_NOTIFY]: {
		name: 'PHYSDEVOP_IRQ_UNMASK_NOTIFY',
		status: 'implemented',
		handler: () => 0,
		note: 'succeeds: there is no physical interrupt to unmask',
	},
	[P.PHYSDEVOP_irq_status_query]: implemented('PHYSDEVOP_irq_status_query', P.physdev_irq_status_query.size, irqStatusQuery),
	[P.PHYSDEVOP_set_iopl]: implemented('PHYSDEVOP_set_iopl', P.physdev_set_iopl.size, (vcpu, argument) => {
		const iopl = argument.getUint32(P.physdev_set_iopl.at.iopl, true)
		if (iopl > 3) return -XEN_EINVAL
		vcpu.traps.iopl = iopl << 12
		return 0
	}),
	[P.PHYSDEVOP_set_iobitmap]: implemented('PHYSDEVOP_set_iobitmap', P.physdev_set_iobitmap.size, (vcpu, argument) => {
		const at = P.physdev_set_iobitmap.at
		const bitmap = viewGva(argument, at.bitmap)
		const ports = argument.getUint32(at.nr_ports, true)
		if (!guestRangeOk(bitmap, IOBMP_BYTES) || ports > 65536) return -XEN_EINVAL
		vcpu.traps.ioBitmap = bitmap
		vcpu.traps.ioBitmapPorts = ports
		return 0
	}),
	[P.PHYSDEVOP_apic_read]: refused('PHYSDEVOP_apic_read', XEN_EPERM),
	[P.PHYSDEVOP_apic_write]: refused('PHYSDEVOP_apic_write', XEN_EPERM),
	[P.PHYSDEVOP_alloc_irq_vector]: refused('PHYSDEVOP_alloc_irq_vector', XEN_EPERM),
	[P.PHYSDEVOP_free_irq_vector]: refused('PHYSDEVOP_free_irq_vector', XEN_ENOSYS),
	[P.PHYSDEVOP_eoi]: refused('PHYSDEVOP_eoi', XEN_EINVAL, 'no physical interrupt is bound'),
	[P.PHYSDEVOP_map_pirq]: refused('PHYSDEVOP_map_pirq', XEN_EPERM),
	[P.PHYSDEVOP_unmap_pirq]: refused('PHYSDEVOP_unmap_pirq', XEN_EPERM),
	[P.PHYSDEVOP_manage_pci_add]: refused('PHYSDEVOP_manage_pci_add', XEN_EPERM),
	[P.PHYSDEVOP_manage_pci_remove]: refused('PHYSDEVOP_manage_pci_remove', XEN_EPERM),
	[P.PHYSDEVOP_pirq_eoi_gmfn_v1]: implemented('PHYSDEVOP_pirq_eoi_gmfn_v1', 8, pirqEoiFrame),
	[P.PHYSDEVOP_restore_msi]: refused('PHYSDEVOP_restore_msi', XEN_ENODEV),
	[P.PHYSDEVOP_manage_pci_add_ext]: refused('PHYSDEVOP_manage_pci_add_ext', XEN_EPERM),
	[P.PHYSDEVOP_setup_gsi]: refused('PHYSDEVOP_setup_gsi', XEN_EPERM),
	[P.PHYSDEVOP_get_free_pirq]: refused('PHYSDEVOP_get_free_pirq', XEN_ENOSPC, 'real Xen hands out numbers that nothing can be bound to'),
	[P.PHYSDEVOP_pci_mmcfg_reserved]: refused('PHYSDEVOP_pci_mmcfg_reserved', XEN_EPERM),
	[P.PHYSDEVOP_pci_device_add]: refused('PHYSDEVOP_pci_device_add', XEN_EPERM),
	[P.PHYSDEVOP_pci_device_remove]: refused('PHYSDEVOP_pci_device_remove', XEN_EPERM),
	[P.PHYSDEVOP_restore_msi_ext]: refused('PHYSDEVOP_restore_msi_ext', XEN_ENODEV),
	[P.PHYSDEVOP_pirq_eoi_gmfn_v2]: implemented('PHYSDEVOP_pirq_eoi_gmfn_v2', 8, pirqEoiFrame),
	[P.PHYSDEVOP_dbgp_op]: refused('PHYSDEVOP_dbgp_op', XEN_EPERM),
	[P.PHYSDEVOP_prepare_msix]: refused('PHYSDEVOP_prepare_msix', XEN_EPERM),
	[P.PHYSDEVOP_release_msix]: refused('PHYSDEVOP_release_msix', XEN_EPERM),
}

export const physdevHypercall: HypercallRow = {
	number: __HYPERVISOR_physdev_op,
	name: 'physdev_op',
	source: 'physdev.h: HYPERVISOR_physdev_op',
	status: 'implemented',
	subops: physdevSubops,
	handler: (vcpu, args) => dispatchSubop(vcpu, physdevSubops, argU32(args, 0), args),
}

/** The one-argument form of before 0x00030202: the command and its argument in one struct physdev_op. */
export const physdevCompatHypercall: HypercallRow = {
	number: __HYPERVISOR_physdev_op_compat,
	name: 'physdev_op_compat',
	source: 'physdev.h: struct physdev_op',
	status: 'implemented',
	handler: compat,
}

function compat(vcpu: VcpuContext, args: HypercallArgs): number {
	const address = argNumber(args, 0)
	const operation = readGuest(vcpu, address, PHYSDEV_OP_SIZE)
	if (!operation) return -XEN_EFAULT
	const inner = new Uint32Array(12)
	inner[0] = operation.getUint32(0, true)
	setArg(inner, 1, address + PHYSDEV_OP_U)
	return dispatchSubop(vcpu, physdevSubops, inner[0] as number, inner)
}
