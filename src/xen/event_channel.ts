/** Event channels: binding, closing and sending. Locking: see event_ports.ts. */
import {
	XEN_EACCES,
	XEN_EAGAIN,
	XEN_EBUSY,
	XEN_EEXIST,
	XEN_EINVAL,
	XEN_ENOENT,
	XEN_ENOSPC,
	XEN_ENOSYS,
	XEN_EPERM,
	XEN_ESRCH,
} from '../abi/errno.ts'
import { EVTCHN_FIFO_PRIORITY_MIN } from '../abi/event_channel.ts'
import { DOMID_SELF, NR_VIRQS, VIRQ_DEBUG, VIRQ_TIMER, VIRQ_XENOPROF, VIRQ_XENPMU } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { portOps } from './event_delivery.ts'
import { destroyFifo, type FrameClaims } from './event_fifo.ts'
import {
	ECS_FREE,
	ECS_INTERDOMAIN,
	ECS_IPI,
	ECS_RESERVED,
	ECS_UNBOUND,
	ECS_VIRQ,
	EV_FIFO,
	EV_RESETTING,
	growPorts,
	isValidPort,
	loadControl,
	outgoingWord,
	PORT_PENDING,
	PORT_PRIORITY,
	PORT_REMOTE_DOMID,
	PORT_REMOTE_PORT,
	PORT_STATE,
	PORT_VCPU,
	PORT_VIRQ,
	portField,
	portLimit,
	setPortField,
	setVirqPort,
	storeControl,
	validPorts,
	virqPort,
	withEvents,
} from './event_ports.ts'
import { CB_DYING, controlWord } from './vcpu_shared.ts'
import { wakeBackends } from './wake.ts'

/** Physical interrupt numbers that a domU has: 24 of the I/O APIC and 32 more (extra_guest_irqs). It may bind none. */
export const NR_PIRQS = 56

/** Whether a VIRQ is the domain's rather than each vCPU's. */
export function isGlobalVirq(virq: number): boolean {
	return virq !== VIRQ_TIMER && virq !== VIRQ_DEBUG && virq !== VIRQ_XENOPROF && virq !== VIRQ_XENPMU
}

/** What an operation on another domain's ports answers a domU: dom0 exists, others are not visible from here. */
export function foreignDomainError(domid: number): number {
	return domid === 0 ? -XEN_EPERM : -XEN_ESRCH
}

// ---- allocation (event lock held) ----------------------------------------------------------------------------------------

/** Finds the lowest free port and makes it exist. -ENOSPC, or -EINVAL when the domain is dying. */
export function takeFreePort(domain: Domain): number {
	if (loadControl(domain, CB_DYING)) return -XEN_EINVAL
	const ops = portOps(domain)
	const limit = portLimit(domain)
	for (let port = 1; port < limit; port++) {
		if (portField(domain, port, PORT_STATE) === ECS_FREE && !ops.isBusy(domain, port)) {
			growPorts(domain, port)
			return port
		}
	}
	return -XEN_ENOSPC
}

/** Binds a port that takeFreePort() returned. */
export function bindPort(domain: Domain, port: number, state: number, vcpu = 0): void {
	setPortField(domain, port, PORT_STATE, state)
	setPortField(domain, port, PORT_VCPU, vcpu)
	portOps(domain).init(domain, port)
}

/** Frees a port. A global VIRQ or interdomain end has been undone by the caller. */
export function freePort(domain: Domain, port: number): void {
	portOps(domain).clearPending(domain, port)
	setPortField(domain, port, PORT_PENDING, 0)
	setPortField(domain, port, PORT_STATE, ECS_FREE)
	setPortField(domain, port, PORT_VCPU, 0)
}

// ---- operations, from any thread -------------------------------------------------------------------------------------------

/** A port of `domain` that `remoteDomid` may bind. -ENOSPC, -EINVAL (dying). */
export function allocUnbound(domain: Domain, remoteDomid: number): number {
	return withEvents(domain, () => {
		const port = takeFreePort(domain)
		if (port < 0) return port
		setPortField(domain, port, PORT_REMOTE_DOMID, remoteDomid === DOMID_SELF ? domain.domid : remoteDomid)
		bindPort(domain, port, ECS_UNBOUND)
		return port
	})
}

/** EVTCHNOP_bind_interdomain to the domain's own port `remotePort`. The new port, or -ENOSPC, -EINVAL. */
export function bindLoopback(domain: Domain, remotePort: number): number {
	return withEvents(domain, () => {
		const port = takeFreePort(domain)
		if (port < 0) return port
		if (!isOfferedTo(domain, remotePort, domain.domid)) return -XEN_EINVAL
		bindInterdomain(domain, port, domain.domid, remotePort)
		bindInterdomain(domain, remotePort, domain.domid, port)
		portOps(domain).setPending(domain, port)
		return port
	})
}

/** Whether a port is unbound and waits for `domid`. Event lock held. */
export function isOfferedTo(domain: Domain, port: number, domid: number): boolean {
	return (
		isValidPort(domain, port) && portField(domain, port, PORT_STATE) === ECS_UNBOUND && portField(domain, port, PORT_REMOTE_DOMID) === domid
	)
}

/** Makes a port one end of a channel: a free one anew, an unbound one keeping its vCPU. Event lock held. */
export function bindInterdomain(domain: Domain, port: number, remoteDomid: number, remotePort: number): void {
	setPortField(domain, port, PORT_REMOTE_DOMID, remoteDomid)
	setPortField(domain, port, PORT_REMOTE_PORT, remotePort)
	if (portField(domain, port, PORT_STATE) === ECS_FREE) bindPort(domain, port, ECS_INTERDOMAIN)
	else setPortField(domain, port, PORT_STATE, ECS_INTERDOMAIN)
}

/** -EINVAL (no such VIRQ, a global one on another vCPU than 0), -ENOENT (no such vCPU), -EEXIST, -ENOSPC. */
export function bindVirq(domain: Domain, virq: number, vcpu: number): number {
	if (virq >= NR_VIRQS || (isGlobalVirq(virq) && vcpu !== 0)) return -XEN_EINVAL
	if (vcpu >= domain.description.vcpus) return -XEN_ENOENT
	return withEvents(domain, () => {
		if (virqPort(domain, vcpu, virq) !== 0) return -XEN_EEXIST
		const port = takeFreePort(domain)
		if (port < 0) return port
		setPortField(domain, port, PORT_VIRQ, virq)
		bindPort(domain, port, ECS_VIRQ, vcpu)
		setVirqPort(domain, vcpu, virq, port)
		return port
	})
}

/** -ENOENT (no such vCPU), -ENOSPC. */
export function bindIpi(domain: Domain, vcpu: number): number {
	if (vcpu >= domain.description.vcpus) return -XEN_ENOENT
	return withEvents(domain, () => {
		const port = takeFreePort(domain)
		if (port > 0) bindPort(domain, port, ECS_IPI, vcpu)
		return port
	})
}

/** No domU owns a physical interrupt: -EINVAL beyond their number, else -EPERM. */
export function bindPirq(pirq: number): number {
	return pirq >= NR_PIRQS ? -XEN_EINVAL : -XEN_EPERM
}

/** The domain at the other end when only the control half can close this port, else -1. */
export function closesThroughControl(domain: Domain, port: number): number {
	if (!isValidPort(domain, port) || portField(domain, port, PORT_STATE) !== ECS_INTERDOMAIN) return -1
	const remote = portField(domain, port, PORT_REMOTE_DOMID)
	return remote === 0 || remote === domain.domid ? -1 : remote
}

/**
 * Closes a port. The other end of a channel inside this domain becomes unbound; one in dom0 notices by itself
 * (event_router.ts); for one in another domU see closesThroughControl(). -EINVAL when the port is free.
 */
export function closePort(domain: Domain, port: number): number {
	return withEvents(domain, () => closeLocked(domain, port))
}

/** closePort() with the event lock held. */
export function closeLocked(domain: Domain, port: number): number {
	if (!isValidPort(domain, port)) return -XEN_EINVAL
	const state = portField(domain, port, PORT_STATE)
	if (state === ECS_FREE || state === ECS_RESERVED) return -XEN_EINVAL
	if (state === ECS_VIRQ) {
		const virq = portField(domain, port, PORT_VIRQ)
		setVirqPort(domain, isGlobalVirq(virq) ? 0 : portField(domain, port, PORT_VCPU), virq, 0)
	} else if (state === ECS_INTERDOMAIN && portField(domain, port, PORT_REMOTE_DOMID) === domain.domid) {
		setPortField(domain, portField(domain, port, PORT_REMOTE_PORT), PORT_STATE, ECS_UNBOUND)
	}
	freePort(domain, port)
	return 0
}

/** EVTCHNOP_send by the domain: to itself at once, to others through the control half. -EINVAL when the port cannot send. */
export function guestSend(domain: Domain, port: number): number {
	return withEvents(domain, () => {
		if (!isValidPort(domain, port)) return -XEN_EINVAL
		switch (portField(domain, port, PORT_STATE)) {
			case ECS_INTERDOMAIN:
				if (portField(domain, port, PORT_REMOTE_DOMID) !== domain.domid) sendOut(domain, port)
				else portOps(domain).setPending(domain, portField(domain, port, PORT_REMOTE_PORT))
				return 0
			case ECS_IPI:
				portOps(domain).setPending(domain, port)
				return 0
			case ECS_UNBOUND:
				return 0
			default:
				return -XEN_EINVAL
		}
	})
}

/** Marks an event on its way to another domain; the mark is the event, so the same port marked twice is one event. */
function sendOut(domain: Domain, port: number): void {
	const bit = 1 << (port & 31)
	if ((Atomics.or(domain.machine.i32, outgoingWord(domain, port >>> 5), bit) & bit) === 0) wakeBackends(domain)
}

/** Makes a port of `domain` pending, if it is bound to anything. From any thread. */
export function sendToPort(domain: Domain, port: number): void {
	withEvents(domain, () => {
		if (isValidPort(domain, port) && portField(domain, port, PORT_STATE) > ECS_RESERVED) portOps(domain).setPending(domain, port)
	})
}

/** Raises a VIRQ, if the guest has bound it; a global one is vCPU 0's wherever it is raised. From any thread. */
export function raiseVirq(domain: Domain, vcpu: number, virq: number): void {
	const owner = isGlobalVirq(virq) ? 0 : vcpu
	if (virqPort(domain, owner, virq) === 0) return
	withEvents(domain, () => {
		const port = virqPort(domain, owner, virq)
		if (port !== 0) portOps(domain).setPending(domain, port)
	})
}

/** -ENOENT (no such vCPU), -EINVAL (no such port, or one whose vCPU is fixed). */
export function bindVcpu(domain: Domain, port: number, vcpu: number): number {
	if (vcpu >= domain.description.vcpus) return -XEN_ENOENT
	return withEvents(domain, () => {
		if (!isValidPort(domain, port)) return -XEN_EINVAL
		const state = portField(domain, port, PORT_STATE)
		const movable =
			state === ECS_UNBOUND || state === ECS_INTERDOMAIN || (state === ECS_VIRQ && isGlobalVirq(portField(domain, port, PORT_VIRQ)))
		if (!movable) return -XEN_EINVAL
		setPortField(domain, port, PORT_VCPU, vcpu)
		return 0
	})
}

/** -EINVAL when there is no such port. */
export function unmaskPort(domain: Domain, port: number): number {
	return withEvents(domain, () => {
		if (!isValidPort(domain, port)) return -XEN_EINVAL
		if (portField(domain, port, PORT_STATE) > ECS_RESERVED) portOps(domain).unmask(domain, port)
		return 0
	})
}

/** -EINVAL (no such port), -ENOSYS (2-level ABI), -EACCES (free port), -EINVAL (no such priority). */
export function setPriority(domain: Domain, port: number, priority: number): number {
	return withEvents(domain, () => {
		if (!isValidPort(domain, port)) return -XEN_EINVAL
		if (!loadControl(domain, EV_FIFO)) return -XEN_ENOSYS
		if (portField(domain, port, PORT_STATE) <= ECS_RESERVED) return -XEN_EACCES
		if (priority > EVTCHN_FIFO_PRIORITY_MIN) return -XEN_EINVAL
		setPortField(domain, port, PORT_PRIORITY, priority)
		return 0
	})
}

/** Closes every port (by `close`) and goes back to the 2-level ABI. -EBUSY when a reset is under way, -EAGAIN when ports were bound meanwhile. */
export function resetPorts(domain: Domain, claims: FrameClaims, close: (port: number) => void): number {
	if (Atomics.compareExchange(domain.machine.i32, controlWord(domain, EV_RESETTING), 0, 1) !== 0) return -XEN_EBUSY
	const ports = validPorts(domain)
	for (let port = 1; port < ports; port++) close(port)
	return withEvents(domain, () => {
		storeControl(domain, EV_RESETTING, 0)
		for (let port = 1; port < validPorts(domain); port++) {
			if (portField(domain, port, PORT_STATE) !== ECS_FREE) return -XEN_EAGAIN
		}
		if (loadControl(domain, EV_FIFO)) destroyFifo(domain, claims)
		return 0
	})
}
