/**
 * The control half of event channels: dom0's ends (the backends), and channels between domains.
 *
 * A guest's send towards another domain sets its port's bit in the domain's outgoing bitmap and increments CB_BACKEND_EVENTS; the
 * router sleeps on that word with Atomics.waitAsync, takes the bits and delivers them: to the backend that holds dom0's port, or to
 * the other domain's port. An event for a binding that has changed meanwhile is dropped.
 *
 * Locking: two domains' event locks are taken in the order of their domids, and only here, on the one thread that owns the router.
 */
import { XEN_EINVAL, XEN_ENOSYS, XEN_ESRCH } from '../abi/errno.ts'
import { InternalError } from '../base/errors.ts'
import { answerRequests, REQUEST_BIND_INTERDOMAIN, REQUEST_CLOSE } from './control_request.ts'
import type { Domain } from './domain.ts'
import { bindInterdomain, closeLocked, isOfferedTo, takeFreePort } from './event_channel.ts'
import { portOps } from './event_delivery.ts'
import {
	breakEventLock,
	ECS_INTERDOMAIN,
	ECS_UNBOUND,
	EV_ROUTED,
	isValidPort,
	outgoingWord,
	PORT_REMOTE_DOMID,
	PORT_REMOTE_PORT,
	PORT_STATE,
	portField,
	setPortField,
	storeControl,
	validPorts,
	withEvents,
} from './event_ports.ts'
import { CB_BACKEND_EVENTS, controlWord } from './vcpu_shared.ts'

const DOM0 = 0

/** dom0's end of a channel to a guest. */
export interface BackendPort {
	/** dom0's port number. */
	readonly port: number
	/** The guest's port, 0 while no guest port is bound. */
	readonly remotePort: number
	/** Makes the guest's port pending; nothing when the guest has closed it. */
	notify(): void
	/** Frees dom0's port; the guest's becomes unbound. */
	close(): void
}

class Binding implements BackendPort {
	readonly port: number
	remotePort: number
	readonly owner: BackendPorts
	readonly onEvent: () => void
	closed = false

	constructor(owner: BackendPorts, port: number, remotePort: number, onEvent: () => void) {
		this.owner = owner
		this.port = port
		this.remotePort = remotePort
		this.onEvent = onEvent
	}

	notify(): void {
		if (this.closed) return
		const { domain } = this.owner
		withEvents(domain, () => {
			if (isBoundTo(domain, this.remotePort, DOM0, this.port)) portOps(domain).setPending(domain, this.remotePort)
		})
	}

	close(): void {
		if (this.closed) return
		this.closed = true
		this.owner.forget(this)
		const { domain } = this.owner
		withEvents(domain, () => {
			if (isBoundTo(domain, this.remotePort, DOM0, this.port)) setPortField(domain, this.remotePort, PORT_STATE, ECS_UNBOUND)
		})
	}
}

/** Whether a port is one end of a channel to exactly that port of that domain. Event lock held. */
function isBoundTo(domain: Domain, port: number, remoteDomid: number, remotePort: number): boolean {
	return (
		isValidPort(domain, port) &&
		portField(domain, port, PORT_STATE) === ECS_INTERDOMAIN &&
		portField(domain, port, PORT_REMOTE_DOMID) === remoteDomid &&
		portField(domain, port, PORT_REMOTE_PORT) === remotePort
	)
}

/** dom0's ports towards one guest. */
export class BackendPorts {
	readonly domain: Domain
	private readonly router: EventRouter
	private readonly bindings = new Map<number, Binding>()

	constructor(router: EventRouter, domain: Domain) {
		this.router = router
		this.domain = domain
	}

	/**
	 * EVTCHNOP_bind_interdomain by dom0 to the guest's port `remotePort`: undefined when that is not unbound and waiting for dom0
	 * (Xen: -EINVAL). `onEvent` runs on this thread, after each event or run of events, and once right after binding, since
	 * events may have been sent before.
	 */
	bind(remotePort: number, onEvent: () => void): BackendPort | undefined {
		const port = this.router.takeDom0Port()
		const bound = withEvents(this.domain, () => {
			if (!isOfferedTo(this.domain, remotePort, DOM0)) return false
			bindInterdomain(this.domain, remotePort, DOM0, port)
			return true
		})
		if (!bound) {
			this.router.freeDom0Port(port)
			return undefined
		}
		const binding = new Binding(this, port, remotePort, onEvent)
		this.bindings.set(port, binding)
		queueMicrotask(() => this.deliver(port))
		return binding
	}

	/** EVTCHNOP_alloc_unbound by dom0: a port of dom0 that the guest may bind (it is given the number through XenStore). */
	offer(onEvent: () => void): BackendPort {
		const binding = new Binding(this, this.router.takeDom0Port(), 0, onEvent)
		this.bindings.set(binding.port, binding)
		return binding
	}

	/** The guest binds a port that offer() made, or one whose channel it has closed. The guest's port or a negative errno. */
	acceptBind(port: number): number {
		const binding = this.bindings.get(port)
		const { domain } = this
		return withEvents(domain, () => {
			const local = takeFreePort(domain)
			if (local < 0) return local
			if (!binding || isBoundTo(domain, binding.remotePort, DOM0, port)) return -XEN_EINVAL
			bindInterdomain(domain, local, DOM0, port)
			binding.remotePort = local
			portOps(domain).setPending(domain, local)
			return local
		})
	}

	/** Runs the callback of dom0's port, if it is still open. */
	deliver(port: number): void {
		this.bindings.get(port)?.onEvent()
	}

	/** Closes all of dom0's ports towards this guest. */
	close(): void {
		for (const binding of [...this.bindings.values()]) binding.close()
	}

	/** For Binding.close() only. */
	forget(binding: Binding): void {
		this.bindings.delete(binding.port)
		this.router.freeDom0Port(binding.port)
	}
}

interface Route {
	readonly domain: Domain
	readonly ports: BackendPorts
	active: boolean
}

/** One for the hypervisor's control half; see the file's head. */
export class EventRouter {
	private readonly routes = new Map<number, Route>()
	private readonly dom0Ports = new Set<number>()

	/** Starts serving a domain. */
	attach(domain: Domain): BackendPorts {
		if (this.routes.has(domain.domid)) throw new InternalError(`domain ${domain.domid} is routed already`)
		const route: Route = { domain, ports: new BackendPorts(this, domain), active: true }
		this.routes.set(domain.domid, route)
		storeControl(domain, EV_ROUTED, 1)
		this.serve(route)
		return route.ports
	}

	/** Stops serving a domain whose vCPU threads have ended: dom0's ports towards it are closed, other domains' ends become unbound. */
	detach(domid: number): void {
		const route = this.routes.get(domid)
		if (!route) return
		route.active = false
		breakEventLock(route.domain)
		storeControl(route.domain, EV_ROUTED, 0)
		answerRequests(route.domain, () => -XEN_ESRCH)
		for (let port = 1; port < validPorts(route.domain); port++) this.closePort(route.domain, port)
		route.ports.close()
		this.routes.delete(domid)
		// Ends the wait.
		Atomics.notify(route.domain.machine.i32, controlWord(route.domain, CB_BACKEND_EVENTS))
	}

	/** The lowest free port number of dom0. */
	takeDom0Port(): number {
		let port = 1
		while (this.dom0Ports.has(port)) port++
		this.dom0Ports.add(port)
		return port
	}

	freeDom0Port(port: number): void {
		this.dom0Ports.delete(port)
	}

	/** Handles what a domain has posted and sleeps until it posts more; one turn of the event loop each time. */
	private serve(route: Route): void {
		if (!route.active) return
		const { domain } = route
		const words = domain.machine.i32
		const doorbell = controlWord(domain, CB_BACKEND_EVENTS)
		const seen = Atomics.load(words, doorbell)
		const again = () => this.serve(route)
		try {
			answerRequests(domain, (operation, first, second) => this.perform(domain, operation, first, second))
			this.deliverOutgoing(domain)
		} finally {
			const wait = Atomics.waitAsync(words, doorbell, seen)
			if (wait.async) void wait.value.then(again)
			else nextTurn(again)
		}
	}

	private deliverOutgoing(domain: Domain): void {
		const groups = Math.ceil(validPorts(domain) / 32)
		for (let group = 0; group < groups; group++) {
			const word = outgoingWord(domain, group)
			if (Atomics.load(domain.machine.i32, word) === 0) continue
			let bits = Atomics.exchange(domain.machine.i32, word, 0)
			for (; bits !== 0; bits &= bits - 1) this.deliverFrom(domain, group * 32 + (31 - Math.clz32(bits & -bits)))
		}
	}

	private deliverFrom(domain: Domain, port: number): void {
		const [remoteDomid, remotePort] = withEvents(domain, () =>
			portField(domain, port, PORT_STATE) === ECS_INTERDOMAIN
				? [portField(domain, port, PORT_REMOTE_DOMID), portField(domain, port, PORT_REMOTE_PORT)]
				: [-1, 0],
		) as [number, number]
		if (remoteDomid === DOM0) this.routes.get(domain.domid)?.ports.deliver(remotePort)
		const remote = this.routes.get(remoteDomid)?.domain
		if (!remote) return
		withEvents(remote, () => {
			if (isBoundTo(remote, remotePort, domain.domid, port)) portOps(remote).setPending(remote, remotePort)
		})
	}

	private perform(domain: Domain, operation: number, first: number, second: number): number {
		if (operation === REQUEST_BIND_INTERDOMAIN) return this.bindInterdomain(domain, first, second)
		if (operation === REQUEST_CLOSE) return this.closePort(domain, first)
		return -XEN_ENOSYS
	}

	/** -ESRCH (no such domain), -ENOSPC, -EINVAL (the remote port does not wait for this domain). */
	bindInterdomain(domain: Domain, remoteDomid: number, remotePort: number): number {
		if (remoteDomid === DOM0) return this.routes.get(domain.domid)?.ports.acceptBind(remotePort) ?? -XEN_ESRCH
		const remote = this.routes.get(remoteDomid)?.domain
		if (!remote) return -XEN_ESRCH
		return withBoth(domain, remote, () => {
			const local = takeFreePort(domain)
			if (local < 0) return local
			if (!isOfferedTo(remote, remotePort, domain.domid)) return -XEN_EINVAL
			bindInterdomain(domain, local, remoteDomid, remotePort)
			bindInterdomain(remote, remotePort, domain.domid, local)
			portOps(domain).setPending(domain, local)
			return local
		})
	}

	/** Closes a port of `domain`; the other end, in whatever domain, becomes unbound. -EINVAL when it is free. */
	closePort(domain: Domain, port: number): number {
		const remoteDomid = isValidPort(domain, port) ? portField(domain, port, PORT_REMOTE_DOMID) : domain.domid
		const remote = remoteDomid === domain.domid ? undefined : this.routes.get(remoteDomid)?.domain
		if (!remote) return withEvents(domain, () => closeLocked(domain, port))
		return withBoth(domain, remote, () => {
			const remotePort = portField(domain, port, PORT_REMOTE_PORT)
			if (isBoundTo(domain, port, remoteDomid, remotePort) && isBoundTo(remote, remotePort, domain.domid, port)) {
				setPortField(remote, remotePort, PORT_STATE, ECS_UNBOUND)
			}
			return closeLocked(domain, port)
		})
	}
}

function withBoth<T>(one: Domain, other: Domain, section: () => T): T {
	const [first, second] = one.domid < other.domid ? [one, other] : [other, one]
	return withEvents(first, () => withEvents(second, section))
}

/** Lets the event loop do other work first, so that a guest that never stops sending cannot hold it. */
function nextTurn(work: () => void): void {
	if (typeof setImmediate === 'function') setImmediate(work)
	else setTimeout(work, 0)
}
