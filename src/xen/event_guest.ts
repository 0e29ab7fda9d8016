/** The guest's half of both event ABIs, as Linux has it: for tests, which play the guest with it. */
import {
	EVTCHN_FIFO_BUSY,
	EVTCHN_FIFO_LINK_MASK,
	EVTCHN_FIFO_LINKED,
	EVTCHN_FIFO_MASKED,
	EVTCHN_FIFO_PENDING,
	evtchn_fifo_control_block,
} from '../abi/event_channel.ts'
import { shared_info, vcpu_info } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { vcpuInfo } from './event_ports.ts'

/** What a guest does with its event channels. Each handler call means: the event has been acknowledged. */
export interface GuestEvents {
	/** Handles what is pending after an upcall; `handle` is called with each port. */
	upcall(handle: (port: number) => void): void
	mask(port: number): void
	/** Unmasks without Xen when nothing is pending; else `hypercall` is EVTCHNOP_unmask. */
	unmask(port: number, hypercall: (port: number) => void): void
}

/** Takes the upcall of a vCPU; false when there is none. */
export function takeUpcall(domain: Domain, vcpu: number): boolean {
	return Atomics.exchange(domain.machine.u8, vcpuInfo(domain, vcpu) + vcpu_info.at.evtchn_upcall_pending, 0) !== 0
}

export function twoLevelGuest(domain: Domain, vcpu: number): GuestEvents {
	const words = domain.machine.i32
	const shared = domain.machine.frameAddress(domain.layout.sharedInfoMfn)
	const pending = (shared + shared_info.at.evtchn_pending) >>> 2
	const masked = (shared + shared_info.at.evtchn_mask) >>> 2
	const selectors = (vcpuInfo(domain, vcpu) + vcpu_info.at.evtchn_pending_sel) >>> 2
	const bit = (port: number) => 1 << (port & 31)

	function scan(group: number, handle: (port: number) => void): void {
		const bits = Atomics.load(words, pending + group) & ~Atomics.load(words, masked + group)
		for (let n = 0; n < 32; n++) {
			if ((bits & (1 << n)) === 0) continue
			Atomics.and(words, pending + group, ~(1 << n))
			handle(group * 32 + n)
		}
	}
	return {
		upcall(handle) {
			for (let half = 0; half < 2; half++) {
				const selected = Atomics.exchange(words, selectors + half, 0)
				for (let n = 0; n < 32; n++) {
					if ((selected & (1 << n)) === 0) continue
					scan((half * 32 + n) * 2, handle)
					scan((half * 32 + n) * 2 + 1, handle)
				}
			}
		},
		mask: (port) => void Atomics.or(words, masked + (port >>> 5), bit(port)),
		unmask: (port, hypercall) => hypercall(port),
	}
}

const PENDING = 1 << EVTCHN_FIFO_PENDING
const MASKED = 1 << EVTCHN_FIFO_MASKED
const LINKED = 1 << EVTCHN_FIFO_LINKED
const BUSY = 1 << EVTCHN_FIFO_BUSY

/** `controlBlock`: host address; `arrayMfns`: the event array's frames. */
export function fifoGuest(domain: Domain, controlBlock: number, arrayMfns: readonly number[]): GuestEvents {
	const words = domain.machine.i32
	const block = controlBlock >>> 2
	const ready = block + (evtchn_fifo_control_block.at.ready >> 2)
	const heads = block + (evtchn_fifo_control_block.at.head >> 2)
	const ownHeads = new Uint32Array(16)
	const word = (port: number) => (domain.machine.frameAddress(arrayMfns[port >>> 10] as number) >>> 2) + (port & 1023)

	/** Takes LINKED and the LINK out of a word; the LINK. */
	function clearLinked(at: number): number {
		for (let seen = Atomics.load(words, at); ; ) {
			const found = Atomics.compareExchange(words, at, seen, seen & ~(LINKED | EVTCHN_FIFO_LINK_MASK))
			if (found === seen) return seen & EVTCHN_FIFO_LINK_MASK
			seen = found
		}
	}

	/** Consumes one event of a queue; false when the queue is empty after it. */
	function consume(priority: number, handle: (port: number) => void): boolean {
		const port = ownHeads[priority] || Atomics.load(words, heads + priority)
		const at = word(port)
		const next = clearLinked(at)
		ownHeads[priority] = next
		const state = Atomics.load(words, at)
		if ((state & PENDING) !== 0 && (state & MASKED) === 0) {
			Atomics.and(words, at, ~PENDING)
			handle(port)
		}
		return next !== 0
	}

	/** Clears MASKED unless the event is pending; false when it is. */
	function clearMasked(at: number): boolean {
		for (let seen = Atomics.load(words, at); ; ) {
			if ((seen & MASKED) === 0) return true
			if ((seen & PENDING) !== 0) return false
			const old = seen & ~BUSY
			seen = Atomics.compareExchange(words, at, old, old & ~MASKED)
			if (seen === old) return true
		}
	}

	return {
		upcall(handle) {
			let queues = Atomics.exchange(words, ready, 0)
			while (queues !== 0) {
				const priority = 31 - Math.clz32(queues & -queues)
				if (!consume(priority, handle)) queues &= ~(1 << priority)
				queues |= Atomics.exchange(words, ready, 0)
			}
		},
		mask: (port) => void Atomics.or(words, word(port), MASKED),
		unmask: (port, hypercall) => {
			if (!clearMasked(word(port))) hypercall(port)
		},
	}
}
