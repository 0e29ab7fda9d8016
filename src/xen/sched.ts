import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSPC, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from '../abi/errno.ts'
import {
	SCHEDOP_block,
	SCHEDOP_pin_override,
	SCHEDOP_poll,
	SCHEDOP_remote_shutdown,
	SCHEDOP_shutdown,
	SCHEDOP_shutdown_code,
	SCHEDOP_watchdog,
	SCHEDOP_yield,
	sched_poll,
	sched_remote_shutdown,
	sched_shutdown,
	sched_watchdog,
} from '../abi/sched.ts'
import { __HYPERVISOR_sched_op, __HYPERVISOR_sched_op_compat, vcpu_info } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { portOps } from './event_delivery.ts'
import { ECS_FREE, isValidPort, PORT_STATE, portField, withEvents } from './event_ports.ts'
import { guestRangeOk, readGuest, viewGva, viewU64 } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs } from './hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import { eventsDeliverable } from './inject.ts'
import { shutdownSelf } from './shutdown.ts'
import type { VcpuContext } from './vcpu.ts'
import { CB_SHUTDOWN_CODE, controlWord, VS_POLLING, vcpuWord } from './vcpu_shared.ts'

const POLL_PORTS_MAX = 128

/** Enables events and sleeps until one is pending; one that is pending now keeps the vCPU awake. */
function block(vcpu: VcpuContext): number {
	Atomics.store(vcpu.domain.machine.u8, vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask, 0)
	vcpu.blocked = true
	return 0
}

function yieldCpu(vcpu: VcpuContext): number {
	vcpu.yielded = true
	return 0
}

function shutdown(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), sched_shutdown.size)
	if (!view) return -XEN_EFAULT
	shutdownSelf(vcpu, view.getUint32(0, true) & 0xff)
	return 0
}

/** The first code set stays, and replaces the reason of the shutdown that follows. */
function shutdownCode(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), sched_shutdown.size)
	if (!view) return -XEN_EFAULT
	Atomics.compareExchange(vcpu.domain.machine.u32, controlWord(vcpu.domain, CB_SHUTDOWN_CODE), 0, 1 + (view.getUint32(0, true) & 0xff))
	return 0
}

/**
 * Sleeps until one of the ports is pending, masked or not, or the timeout (system time, 0 for none) has passed.
 * -EINVAL (more than 128 ports, or no such port), -EFAULT.
 */
function poll(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), sched_poll.size)
	if (!view) return -XEN_EFAULT
	const count = view.getUint32(sched_poll.at.nr_ports, true)
	const list = viewGva(view, sched_poll.at.ports)
	if (count > POLL_PORTS_MAX) return -XEN_EINVAL
	if (!guestRangeOk(list, count * 4)) return -XEN_EFAULT

	// The flag is up before the ports are looked at: an event sent after the look wakes this vCPU.
	const polling = vcpuWord(vcpu.domain, vcpu.index, VS_POLLING)
	Atomics.store(vcpu.domain.machine.u32, polling, 1)
	const ports = eventsDeliverable(vcpu) ? 0 : readIdlePorts(vcpu, list, count)
	if (typeof ports === 'number') {
		Atomics.store(vcpu.domain.machine.u32, polling, 0)
		return ports
	}
	vcpu.pollPorts = ports
	const timeout = viewU64(view, sched_poll.at.timeout)
	if (timeout !== 0) vcpu.timers.setPollDeadline(timeout)
	vcpu.blocked = true
	return 0
}

/** 1 when the port is pending, 0 when not, -EINVAL when there is no such port. */
function pollPort(domain: Domain, port: number): number {
	return withEvents(domain, () => {
		if (!isValidPort(domain, port)) return -XEN_EINVAL
		return portField(domain, port, PORT_STATE) !== ECS_FREE && portOps(domain).isPending(domain, port) ? 1 : 0
	})
}

/** The ports of the guest's list when none of them is pending; 0 when one is, else a negative errno. */
function readIdlePorts(vcpu: VcpuContext, list: number, count: number): number[] | number {
	const ports: number[] = []
	for (let n = 0; n < count; n++) {
		const view = readGuest(vcpu, list + n * 4, 4)
		if (!view) return -XEN_EFAULT
		const port = view.getUint32(0, true)
		const pending = pollPort(vcpu.domain, port)
		if (pending !== 0) return Math.min(pending, 0)
		ports.push(port)
	}
	return ports
}

/** Whether one of the ports that the vCPU polls is pending. */
export function anyPortPending(vcpu: VcpuContext): boolean {
	return vcpu.pollPorts.some((port) => pollPort(vcpu.domain, port) !== 0)
}

/** A domU may shut down no other domain, nor itself this way: -ESRCH for one that doesn't exist, -EPERM for those that do. */
function remoteShutdown(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), sched_remote_shutdown.size)
	if (!view) return -XEN_EFAULT
	const domid = view.getUint32(sched_remote_shutdown.at.domain_id, true) & 0xffff
	return domid === 0 || domid === vcpu.domain.domid ? -XEN_EPERM : -XEN_ESRCH
}

/** Two watchdogs a domain: id 0 takes one and returns its number; timeout 0 stops it. -EINVAL, -ENOSPC. */
function watchdog(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readGuest(vcpu, argNumber(args, 1), sched_watchdog.size)
	if (!view) return -XEN_EFAULT
	const id = view.getUint32(sched_watchdog.at.id, true)
	const deadline = vcpu.clock.monotonic_ns() + view.getUint32(sched_watchdog.at.timeout, true) * 1e9
	const { watchdogs } = vcpu.timers
	if (id > watchdogs.length) return -XEN_EINVAL
	if (id === 0) {
		const free = watchdogs.indexOf(Number.POSITIVE_INFINITY)
		if (free < 0) return -XEN_ENOSPC
		vcpu.timers.setWatchdog(free, deadline)
		return free + 1
	}
	if (watchdogs[id - 1] === Number.POSITIVE_INFINITY) return -XEN_EINVAL
	vcpu.timers.setWatchdog(id - 1, view.getUint32(sched_watchdog.at.timeout, true) === 0 ? Number.POSITIVE_INFINITY : deadline)
	return 0
}

const implemented = (name: string, handler: SubopRow['handler']): SubopRow => ({ name, status: 'implemented', ...(handler && { handler }) })

const subops: Readonly<Record<number, SubopRow>> = {
	[SCHEDOP_yield]: implemented('SCHEDOP_yield', yieldCpu),
	[SCHEDOP_block]: implemented('SCHEDOP_block', block),
	[SCHEDOP_shutdown]: implemented('SCHEDOP_shutdown', shutdown),
	[SCHEDOP_poll]: implemented('SCHEDOP_poll', poll),
	[SCHEDOP_remote_shutdown]: implemented('SCHEDOP_remote_shutdown', remoteShutdown),
	[SCHEDOP_shutdown_code]: implemented('SCHEDOP_shutdown_code', shutdownCode),
	[SCHEDOP_watchdog]: implemented('SCHEDOP_watchdog', watchdog),
	[SCHEDOP_pin_override]: { name: 'SCHEDOP_pin_override', status: 'refused', errno: XEN_EPERM, note: 'only for the hardware domain' },
}

/** The interface before 3.1.1: yield, block, and shutdown with the reason as the argument itself. */
function schedOpCompat(vcpu: VcpuContext, args: HypercallArgs): number {
	switch (argU32(args, 0)) {
		case SCHEDOP_yield:
			return yieldCpu(vcpu)
		case SCHEDOP_block:
			return block(vcpu)
		case SCHEDOP_shutdown:
			shutdownSelf(vcpu, argU32(args, 1) & 0xff)
			return 0
		default:
			return -XEN_ENOSYS
	}
}

export const schedHypercalls: readonly HypercallRow[] = [
	{
		number: __HYPERVISOR_sched_op,
		name: 'sched_op',
		source: 'sched.h: HYPERVISOR_sched_op',
		status: 'implemented',
		handler: (vcpu, args) => dispatchSubop(vcpu, subops, argU32(args, 0), args),
		subops,
	},
	{
		number: __HYPERVISOR_sched_op_compat,
		name: 'sched_op_compat',
		source: 'xen.h: __HYPERVISOR_sched_op_compat',
		status: 'implemented',
		handler: schedOpCompat,
	},
]
