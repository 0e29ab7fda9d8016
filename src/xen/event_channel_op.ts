/** HYPERVISOR_event_channel_op. Every sub-operation: copy the argument once, act, copy back the fields that Xen fills in. */
import { XEN_EBUSY, XEN_EFAULT, XEN_ENOSYS, XEN_ESRCH } from '../abi/errno.ts'
import * as E from '../abi/event_channel.ts'
import { __HYPERVISOR_event_channel_op, __HYPERVISOR_event_channel_op_compat, DOMID_SELF } from '../abi/xen.ts'
import { askControl, REQUEST_BIND_INTERDOMAIN, REQUEST_CLOSE } from './control_request.ts'
import {
	allocUnbound,
	bindIpi,
	bindLoopback,
	bindPirq,
	bindVcpu,
	bindVirq,
	closePort,
	closesThroughControl,
	foreignDomainError,
	guestSend,
	resetPorts,
	setPriority,
	unmaskPort,
} from './event_channel.ts'
import { expandArray, type FrameClaims, initControl } from './event_fifo.ts'
import { withEvents } from './event_ports.ts'
import { portStatus } from './event_status.ts'
import { readGuest, viewU64, writeGuest } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import { TYPE_WRITABLE } from './mm/page_info.ts'
import type { VcpuContext } from './vcpu.ts'

/** What a sub-operation does with its argument; a negative errno leaves the guest's copy alone. */
type Operation = (vcpu: VcpuContext, argument: DataView) => number

/** A row whose argument is `size` bytes, written back on success when `writesBack`. */
function subop(name: string, size: number, writesBack: boolean, operation: Operation, note?: string): SubopRow {
	const handler = (vcpu: VcpuContext, args: HypercallArgs) => {
		const address = argNumber(args, 1)
		const argument = readGuest(vcpu, address, size)
		if (!argument) return -XEN_EFAULT
		const rc = operation(vcpu, argument)
		if (rc === 0 && writesBack && !writeGuest(vcpu, address, argument)) return -XEN_EFAULT
		return rc
	}
	return note === undefined ? { name, status: 'implemented', handler } : { name, status: 'implemented', handler, note }
}

/** Stores a new port into the argument; passes errors on. */
function setPort(argument: DataView, offset: number, port: number): number {
	if (port < 0) return port
	argument.setUint32(offset, port, true)
	return 0
}

const isSelf = (vcpu: VcpuContext, domid: number) => domid === DOMID_SELF || domid === vcpu.domain.domid

function claimsOf(vcpu: VcpuContext): FrameClaims {
	const { types } = vcpu.mm
	return {
		claim: (mfn) => mfn < types.frames && types.getPageAndType(mfn, TYPE_WRITABLE) === 0,
		release: (mfn) => types.putPageAndType(mfn),
	}
}

function closeGuestPort(vcpu: VcpuContext, port: number): number {
	if (closesThroughControl(vcpu.domain, port) === -1) return closePort(vcpu.domain, port)
	const rc = askControl(vcpu, REQUEST_CLOSE, port)
	return rc === -XEN_ESRCH ? closePort(vcpu.domain, port) : rc
}

const reset: Operation = (vcpu, argument) => {
	const domid = argument.getUint16(E.evtchn_reset.at.dom, true)
	if (!isSelf(vcpu, domid)) return foreignDomainError(domid)
	return resetPorts(vcpu.domain, claimsOf(vcpu), (port) => closeGuestPort(vcpu, port))
}

export const eventChannelSubops: Readonly<Record<number, SubopRow>> = {
	[E.EVTCHNOP_bind_interdomain]: subop('EVTCHNOP_bind_interdomain', E.evtchn_bind_interdomain.size, true, (vcpu, argument) => {
		const at = E.evtchn_bind_interdomain.at
		const domid = argument.getUint16(at.remote_dom, true)
		const remotePort = argument.getUint32(at.remote_port, true)
		const port = isSelf(vcpu, domid) ? bindLoopback(vcpu.domain, remotePort) : askControl(vcpu, REQUEST_BIND_INTERDOMAIN, domid, remotePort)
		return setPort(argument, at.local_port, port)
	}),
	[E.EVTCHNOP_bind_virq]: subop('EVTCHNOP_bind_virq', E.evtchn_bind_virq.size, true, (vcpu, argument) => {
		const at = E.evtchn_bind_virq.at
		return setPort(argument, at.port, bindVirq(vcpu.domain, argument.getUint32(at.virq, true), argument.getUint32(at.vcpu, true)))
	}),
	[E.EVTCHNOP_bind_pirq]: subop(
		'EVTCHNOP_bind_pirq',
		E.evtchn_bind_pirq.size,
		true,
		(_, argument) => bindPirq(argument.getUint32(E.evtchn_bind_pirq.at.pirq, true)),
		'-EPERM for every physical interrupt, -EINVAL beyond them: a domU without passed-through devices',
	),
	[E.EVTCHNOP_close]: subop('EVTCHNOP_close', E.evtchn_close.size, false, (vcpu, argument) =>
		closeGuestPort(vcpu, argument.getUint32(E.evtchn_close.at.port, true)),
	),
	[E.EVTCHNOP_send]: subop('EVTCHNOP_send', E.evtchn_send.size, false, (vcpu, argument) =>
		guestSend(vcpu.domain, argument.getUint32(E.evtchn_send.at.port, true)),
	),
	[E.EVTCHNOP_status]: subop(
		'EVTCHNOP_status',
		E.evtchn_status.size,
		true,
		(vcpu, argument) => {
			const domid = argument.getUint16(E.evtchn_status.at.dom, true)
			if (!isSelf(vcpu, domid)) return foreignDomainError(domid)
			return portStatus(vcpu.domain, argument.getUint32(E.evtchn_status.at.port, true), argument)
		},
		'of another domU: always -ESRCH',
	),
	[E.EVTCHNOP_alloc_unbound]: subop(
		'EVTCHNOP_alloc_unbound',
		E.evtchn_alloc_unbound.size,
		true,
		(vcpu, argument) => {
			const at = E.evtchn_alloc_unbound.at
			const domid = argument.getUint16(at.dom, true)
			if (!isSelf(vcpu, domid)) return foreignDomainError(domid)
			return setPort(argument, at.port, allocUnbound(vcpu.domain, argument.getUint16(at.remote_dom, true)))
		},
		'in another domU: always -ESRCH',
	),
	[E.EVTCHNOP_bind_ipi]: subop('EVTCHNOP_bind_ipi', E.evtchn_bind_ipi.size, true, (vcpu, argument) => {
		const at = E.evtchn_bind_ipi.at
		return setPort(argument, at.port, bindIpi(vcpu.domain, argument.getUint32(at.vcpu, true)))
	}),
	[E.EVTCHNOP_bind_vcpu]: subop('EVTCHNOP_bind_vcpu', E.evtchn_bind_vcpu.size, false, (vcpu, argument) => {
		const at = E.evtchn_bind_vcpu.at
		return bindVcpu(vcpu.domain, argument.getUint32(at.port, true), argument.getUint32(at.vcpu, true))
	}),
	[E.EVTCHNOP_unmask]: subop('EVTCHNOP_unmask', E.evtchn_unmask.size, false, (vcpu, argument) =>
		unmaskPort(vcpu.domain, argument.getUint32(E.evtchn_unmask.at.port, true)),
	),
	[E.EVTCHNOP_reset]: subop('EVTCHNOP_reset', E.evtchn_reset.size, false, reset),
	[E.EVTCHNOP_init_control]: subop('EVTCHNOP_init_control', E.evtchn_init_control.size, true, (vcpu, argument) => {
		const at = E.evtchn_init_control.at
		argument.setUint8(at.link_bits, E.EVTCHN_FIFO_LINK_BITS)
		const target = argument.getUint32(at.vcpu, true)
		const gfn = viewU64(argument, at.control_gfn)
		return withEvents(vcpu.domain, () => initControl(vcpu.domain, claimsOf(vcpu), target, gfn, argument.getUint32(at.offset, true)))
	}),
	[E.EVTCHNOP_expand_array]: subop('EVTCHNOP_expand_array', E.evtchn_expand_array.size, false, (vcpu, argument) => {
		const gfn = viewU64(argument, E.evtchn_expand_array.at.array_gfn)
		return withEvents(vcpu.domain, () => expandArray(vcpu.domain, claimsOf(vcpu), gfn))
	}),
	[E.EVTCHNOP_set_priority]: subop('EVTCHNOP_set_priority', E.evtchn_set_priority.size, false, (vcpu, argument) => {
		const at = E.evtchn_set_priority.at
		return setPriority(vcpu.domain, argument.getUint32(at.port, true), argument.getUint32(at.priority, true))
	}),
	[E.EVTCHNOP_reset_cont]: {
		name: 'EVTCHNOP_reset_cont',
		status: 'not-applicable',
		errno: XEN_EBUSY,
		note: "Xen's continuation of EVTCHNOP_reset, which is not interrupted here: no reset is ever to be continued",
	},
}

export const eventChannelHypercall: HypercallRow = {
	number: __HYPERVISOR_event_channel_op,
	name: 'event_channel_op',
	source: 'event_channel.h: HYPERVISOR_event_channel_op',
	status: 'implemented',
	subops: eventChannelSubops,
	handler: (vcpu, args) => dispatchSubop(vcpu, eventChannelSubops, argU32(args, 0), args),
}

/** The one-argument form of before 0x00030202: the command and its argument in one struct evtchn_op. */
export const eventChannelCompatHypercall: HypercallRow = {
	number: __HYPERVISOR_event_channel_op_compat,
	name: 'event_channel_op_compat',
	source: 'event_channel.h: HYPERVISOR_event_channel_op_compat',
	status: 'implemented',
	handler: compat,
}

function compat(vcpu: VcpuContext, args: HypercallArgs): number {
	const address = argNumber(args, 0)
	const operation = readGuest(vcpu, address, E.evtchn_op.size)
	if (!operation) return -XEN_EFAULT
	const command = operation.getUint32(E.evtchn_op.at.cmd, true)
	if (command > E.EVTCHNOP_unmask) return -XEN_ENOSYS
	const inner = new Uint32Array(12)
	inner[0] = command
	setArg(inner, 1, address + E.evtchn_op.at.u)
	return dispatchSubop(vcpu, eventChannelSubops, command, inner)
}
