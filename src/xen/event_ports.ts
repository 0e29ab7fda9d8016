/**
 * The event channel port table of a domain, in its shared memory: what each port is bound to, and the words around it.
 *
 * Locking: one lock a domain (lockEvents()) guards every port entry, the VIRQ bindings (VS_VIRQ_PORTS), the FIFO queues' tails and
 * the event array's page list. Main thread and vCPU threads take it for short sections that neither sleep nor call out.
 * Two domains' locks are taken in the order of their domids, by the control half only (event_router.ts). What the guest writes as
 * well (shared_info, vcpu_info, event words, control blocks) is accessed with Atomics, lock held or not.
 */
import { EVTCHN_2L_NR_CHANNELS, EVTCHN_FIFO_NR_CHANNELS } from '../abi/event_channel.ts'
import { NR_VIRQS, vcpu_info } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { EVENT_ARRAY_SIZE, EVENT_VCPU_SIZE, PORT_ENTRY_SIZE } from './machine_layout.ts'
import { acquire, release } from './spinlock.ts'
import { CB_EVENTS, controlWord, VS_VCPU_INFO, VS_VIRQ_PORTS, vcpuWord } from './vcpu_shared.ts'
import { wakeVcpu } from './wake.ts'

export const ECS_FREE = 0
/** Port 0. */
export const ECS_RESERVED = 1
/** Waiting for PORT_REMOTE_DOMID to bind. */
export const ECS_UNBOUND = 2
/** The other end is PORT_REMOTE_PORT of PORT_REMOTE_DOMID. */
export const ECS_INTERDOMAIN = 3
export const ECS_PIRQ = 4
/** PORT_VIRQ. */
export const ECS_VIRQ = 5
export const ECS_IPI = 6

/** Word numbers in a port's entry. */
export const PORT_STATE = 0
/** The vCPU that is notified. */
export const PORT_VCPU = 1
export const PORT_REMOTE_DOMID = 2
export const PORT_REMOTE_PORT = 3
export const PORT_VIRQ = 4
/** FIFO: the queue of future events. */
export const PORT_PRIORITY = 5
/** FIFO: vCPU << 8 | priority of the queue that the event was last linked on. */
export const PORT_LAST_QUEUE = 6
/** FIFO: 1 when the event is pending but its word does not exist yet. */
export const PORT_PENDING = 7

/** Words of the control block's part. */
const EV_LOCK = CB_EVENTS
/** 1 when the guest has switched to the FIFO ABI. */
export const EV_FIFO = CB_EVENTS + 4
/** FIFO: ports that the event array has words for. */
export const EV_FIFO_PORTS = CB_EVENTS + 8
/** Ports below this exist (grows by PORTS_PER_BUCKET); those above are -EINVAL. */
const EV_VALID_PORTS = CB_EVENTS + 12
/** 1 when a control half serves this domain's requests (event_router.ts). */
export const EV_ROUTED = CB_EVENTS + 16
/** EVTCHNOP_reset in progress. */
export const EV_RESETTING = CB_EVENTS + 20

/** 1 + the frame of PHYSDEVOP_pirq_eoi_gmfn_v2, 0 none (physdev_op.ts). */
export const EV_PIRQ_EOI_FRAME = CB_EVENTS + 24

/** Xen allocates struct evtchn in buckets of a page. */
const PORTS_PER_BUCKET = 64

/** Words of a vCPU's event block. */
export const EVV_CONTROL_BLOCK = 0
/** EVTCHN_FIFO_MAX_QUEUES words: the last event of each queue, 0 none. */
export const EVV_TAILS = 1
/** 1 when there are frames to be invalidated (frame_writes.ts). */
export const EVV_FRAME_WRITES = 17
/** Request to the control half: see event_router.ts. */
export const EVV_REQUEST = 20

/** Acquires the domain's event lock. */
export function lockEvents(domain: Domain): void {
	acquire(domain.machine.i32, controlWord(domain, EV_LOCK))
}

export function unlockEvents(domain: Domain): void {
	release(domain.machine.i32, controlWord(domain, EV_LOCK))
}

/** Frees a lock that a vCPU's thread may have died with. To be called when all the domain's vCPU threads have ended. */
export function breakEventLock(domain: Domain): void {
	storeControl(domain, EV_LOCK, 0)
}

/** Runs `section` with the event lock held. */
export function withEvents<T>(domain: Domain, section: () => T): T {
	lockEvents(domain)
	try {
		return section()
	} finally {
		unlockEvents(domain)
	}
}

export function loadControl(domain: Domain, offset: number): number {
	return Atomics.load(domain.machine.i32, controlWord(domain, offset))
}

export function storeControl(domain: Domain, offset: number, value: number): void {
	Atomics.store(domain.machine.i32, controlWord(domain, offset), value)
}

/** Prepares the table of a new domain: port 0 is reserved, nothing else is in use. */
export function initialiseEvents(domain: Domain): void {
	storeControl(domain, EV_VALID_PORTS, Math.min(PORTS_PER_BUCKET, domain.description.maxPorts))
	setPortField(domain, 0, PORT_STATE, ECS_RESERVED)
}

/** Index in machine.i32 of a port's entry. The caller has checked port < maxPorts. */
function entry(domain: Domain, port: number): number {
	return domain.at(domain.layout.ports + port * PORT_ENTRY_SIZE) >>> 2
}

export function portField(domain: Domain, port: number, field: number): number {
	return domain.machine.i32[entry(domain, port) + field] as number
}

export function setPortField(domain: Domain, port: number, field: number, value: number): void {
	domain.machine.i32[entry(domain, port) + field] = value
}

/** Ports that exist: below this, a free port is `closed`; from here on, there is none. */
export function validPorts(domain: Domain): number {
	return loadControl(domain, EV_VALID_PORTS)
}

export function isValidPort(domain: Domain, port: number): boolean {
	return port < validPorts(domain)
}

/** Ports that the domain may use: its own limit or that of the ABI in use. */
export function portLimit(domain: Domain): number {
	const ofAbi = loadControl(domain, EV_FIFO) ? EVTCHN_FIFO_NR_CHANNELS : EVTCHN_2L_NR_CHANNELS
	return Math.min(domain.description.maxPorts, ofAbi)
}

/** Makes ports up to and including `port` exist. Event lock held. */
export function growPorts(domain: Domain, port: number): void {
	if (isValidPort(domain, port)) return
	const buckets = Math.floor(port / PORTS_PER_BUCKET) + 1
	storeControl(domain, EV_VALID_PORTS, Math.min(buckets * PORTS_PER_BUCKET, domain.description.maxPorts))
}

/** Index in machine.i32 of a word of a vCPU's event block. */
export function eventVcpuWord(domain: Domain, vcpu: number, word: number): number {
	return (domain.at(domain.layout.eventVcpus + vcpu * EVENT_VCPU_SIZE) >>> 2) + word
}

/** Index in machine.i32 of the address of one page of the FIFO event array. */
export function eventArrayWord(domain: Domain, page: number): number {
	return (domain.at(domain.layout.eventState) >>> 2) + page
}

/** Index in machine.i32 of 32 ports' bits in the bitmap of events on their way to other domains. */
export function outgoingWord(domain: Domain, group: number): number {
	return (domain.at(domain.layout.eventState + EVENT_ARRAY_SIZE) >>> 2) + group
}

/** The port that a VIRQ of a vCPU is bound to, 0 none. */
export function virqPort(domain: Domain, vcpu: number, virq: number): number {
	return Atomics.load(domain.machine.i32, vcpuWord(domain, vcpu, VS_VIRQ_PORTS + (virq % NR_VIRQS) * 4))
}

export function setVirqPort(domain: Domain, vcpu: number, virq: number, port: number): void {
	Atomics.store(domain.machine.i32, vcpuWord(domain, vcpu, VS_VIRQ_PORTS + (virq % NR_VIRQS) * 4), port)
}

/** Host address of a vCPU's vcpu_info. */
export function vcpuInfo(domain: Domain, vcpu: number): number {
	return Atomics.load(domain.machine.u32, vcpuWord(domain, vcpu, VS_VCPU_INFO))
}

/** Sets evtchn_upcall_pending and, unless it was set already, has the vCPU look. From any thread. */
export function markEventsPending(domain: Domain, vcpu: number): void {
	const pending = vcpuInfo(domain, vcpu) + vcpu_info.at.evtchn_upcall_pending
	if (Atomics.exchange(domain.machine.u8, pending, 1) === 0) wakeVcpu(domain, vcpu)
}
