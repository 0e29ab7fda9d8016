/**
 * The FIFO event ABI: one 32-bit word a port in pages the guest supplies (the event array), 16 queues a vCPU whose heads are in a
 * control block the guest supplies, and whose tails are ours.
 *
 * A word's LINK chains the events of a queue. Xen appends: it sets LINKED on the new event, then writes its number into the old
 * tail's LINK if that tail is still LINKED (by compare-and-exchange: the guest may be unlinking it at this moment), else into the
 * queue's head. The guest consumes from the head. Xen never follows a LINK, so a guest that corrupts its words
 * loses only its own events; each loop here is bounded.
 *
 * Locking: the domain's event lock guards tails, priorities and the list of pages (Xen has a lock a queue; a vCPU's queues are short
 * and the sections too). Words and control blocks are shared with the guest: Atomics only.
 */
import { XEN_EINVAL, XEN_ENOENT, XEN_ENOSPC, XEN_EOPNOTSUPP } from '../abi/errno.ts'
import {
	EVTCHN_FIFO_BUSY,
	EVTCHN_FIFO_LINK_MASK,
	EVTCHN_FIFO_LINKED,
	EVTCHN_FIFO_MASKED,
	EVTCHN_FIFO_MAX_QUEUES,
	EVTCHN_FIFO_NR_CHANNELS,
	EVTCHN_FIFO_PENDING,
	EVTCHN_FIFO_PRIORITY_DEFAULT,
	evtchn_fifo_control_block,
} from '../abi/event_channel.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { Domain } from './domain.ts'
import { twoLevelOps } from './event_2l.ts'
import type { PortOps } from './event_delivery.ts'
import {
	EV_FIFO,
	EV_FIFO_PORTS,
	EVV_CONTROL_BLOCK,
	EVV_TAILS,
	eventArrayWord,
	eventVcpuWord,
	isValidPort,
	loadControl,
	markEventsPending,
	PORT_LAST_QUEUE,
	PORT_PENDING,
	PORT_PRIORITY,
	PORT_VCPU,
	portField,
	portLimit,
	setPortField,
	storeControl,
	validPorts,
} from './event_ports.ts'
import { wakePollers } from './wake.ts'

/** References that keep a guest's page writable memory while we write to it (Xen: PGT_writable_page). */
export interface FrameClaims {
	/** Takes a reference; false when `mfn` is not the guest's or is in use as something else. */
	claim(mfn: number): boolean
	release(mfn: number): void
}

const WORDS_PER_PAGE = PAGE_SIZE / 4
const MAX_PAGES = EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE
/** What the guest may change in a linked word (MASKED twice, PENDING, LINKED) bounds the retries. */
const LINK_RETRIES = 4

const PENDING = 1 << EVTCHN_FIFO_PENDING
const MASKED = 1 << EVTCHN_FIFO_MASKED
const LINKED = 1 << EVTCHN_FIFO_LINKED
const BUSY = 1 << EVTCHN_FIFO_BUSY

/** Index in machine.i32 of a port's event word, -1 while its page is missing. */
function eventWord(domain: Domain, port: number): number {
	if (port >= loadControl(domain, EV_FIFO_PORTS)) return -1
	const page = (domain.machine.i32[eventArrayWord(domain, Math.floor(port / WORDS_PER_PAGE))] as number) >>> 2
	return page + (port % WORDS_PER_PAGE)
}

/** Index in machine.i32 of a vCPU's control block, 0 when it has none. */
function controlBlock(domain: Domain, vcpu: number): number {
	return (domain.machine.i32[eventVcpuWord(domain, vcpu, EVV_CONTROL_BLOCK)] as number) >>> 2
}

const HEADS = evtchn_fifo_control_block.at.head >> 2
const READY = evtchn_fifo_control_block.at.ready >> 2

/** Index in machine.i32 of a queue's tail. */
const tailWord = (domain: Domain, vcpu: number, priority: number) => eventVcpuWord(domain, vcpu, EVV_TAILS + priority)

/** Writes `port` into the LINK of a tail that is still LINKED. False when the queue has emptied, so that the head must be written. */
function linkAfter(words: Int32Array, tail: number, port: number): boolean {
	let seen = Atomics.load(words, tail)
	for (let attempt = 0; attempt <= LINK_RETRIES; attempt++) {
		if ((seen & LINKED) === 0) {
			if (attempt > 0) Atomics.and(words, tail, ~BUSY)
			return false
		}
		const found = Atomics.compareExchange(words, tail, seen, (seen & ~(BUSY | EVTCHN_FIFO_LINK_MASK)) | port)
		if (found === seen) return true
		// The guest is at this word: BUSY keeps it from unmasking, which bounds what it can change.
		if (attempt === 0) Atomics.or(words, tail, BUSY)
		seen = Atomics.load(words, tail)
	}
	Atomics.and(words, tail, ~BUSY)
	return true
}

/** Puts a LINKED event at the end of its queue. True when the vCPU must be told (the queue was empty). */
function enqueue(domain: Domain, port: number, vcpu: number, block: number): boolean {
	const words = domain.machine.i32
	const priority = portField(domain, port, PORT_PRIORITY)
	const last = portField(domain, port, PORT_LAST_QUEUE)
	const lastTail = tailWord(domain, last >> 8, last & 0xff)
	// It was the last one there, so that queue is empty now; a link from it would run into the new queue.
	if (words[lastTail] === port) words[lastTail] = 0
	setPortField(domain, port, PORT_LAST_QUEUE, (vcpu << 8) | priority)

	const tail = tailWord(domain, vcpu, priority)
	const before = words[tail] as number
	const linked = before !== 0 && linkAfter(words, eventWord(domain, before), port)
	if (!linked) Atomics.store(words, block + HEADS + priority, port)
	words[tail] = port
	return !linked && (Atomics.or(words, block + READY, 1 << priority) & (1 << priority)) === 0
}

function setPending(domain: Domain, port: number): void {
	const words = domain.machine.i32
	const word = eventWord(domain, port)
	if (word === -1) return setPortField(domain, port, PORT_PENDING, 1)
	const vcpu = portField(domain, port, PORT_VCPU)
	const block = controlBlock(domain, vcpu)
	// A guest must not unmask an event before its vCPU has a control block: dropped, as in Xen.
	if (block === 0) return
	const wasPending = Atomics.or(words, word, PENDING) & PENDING
	if ((Atomics.load(words, word) & MASKED) === 0 && (Atomics.or(words, word, LINKED) & LINKED) === 0) {
		if (enqueue(domain, port, vcpu, block)) markEventsPending(domain, vcpu)
	}
	if (!wasPending) wakePollers(domain)
}

const testWord = (domain: Domain, port: number, bit: number, missing: boolean) => {
	const word = eventWord(domain, port)
	return word === -1 ? missing : (Atomics.load(domain.machine.i32, word) & bit) !== 0
}

export const fifoOps: PortOps = {
	init(domain, port) {
		setPortField(domain, port, PORT_PRIORITY, EVTCHN_FIFO_PRIORITY_DEFAULT)
	},
	setPending,
	clearPending(domain, port) {
		// Linked or not: the guest unlinks it and skips what is not pending.
		const word = eventWord(domain, port)
		if (word !== -1) Atomics.and(domain.machine.i32, word, ~PENDING)
	},
	unmask(domain, port) {
		const word = eventWord(domain, port)
		if (word === -1) return
		if (Atomics.and(domain.machine.i32, word, ~MASKED) & PENDING) setPending(domain, port)
	},
	isPending: (domain, port) => testWord(domain, port, PENDING, false),
	isMasked: (domain, port) => testWord(domain, port, MASKED, true),
	isBusy: (domain, port) => testWord(domain, port, LINKED, false),
	describe(domain, port) {
		const index = eventWord(domain, port)
		if (index === -1) return '?     '
		const word = Atomics.load(domain.machine.i32, index)
		const link = word & LINKED ? String(word & EVTCHN_FIFO_LINK_MASK).padEnd(4) : '-   '
		return `${word & BUSY ? 'B' : ' '} ${link}`
	},
}

/** EVTCHNOP_init_control: gives `vcpu` its control block; the first one switches the domain to this ABI. */
export function initControl(domain: Domain, claims: FrameClaims, vcpu: number, gfn: number, offset: number): number {
	if (vcpu >= domain.description.vcpus) return -XEN_ENOENT
	if (offset > PAGE_SIZE - evtchn_fifo_control_block.size || offset % 8 !== 0) return -XEN_EINVAL
	const word = eventVcpuWord(domain, vcpu, EVV_CONTROL_BLOCK)
	if (domain.machine.i32[word] !== 0) return -XEN_EINVAL
	if (!claims.claim(gfn)) return -XEN_EINVAL
	domain.machine.i32[word] = domain.machine.frameAddress(gfn) + offset
	if (!loadControl(domain, EV_FIFO)) switchToFifo(domain)
	return 0
}

/** Events that are pending now are kept until their words exist. */
function switchToFifo(domain: Domain): void {
	const limit = Math.min(portLimit(domain), validPorts(domain))
	for (let port = 1; port < limit; port++) {
		if (twoLevelOps.isPending(domain, port)) setPortField(domain, port, PORT_PENDING, 1)
		setPortField(domain, port, PORT_PRIORITY, EVTCHN_FIFO_PRIORITY_DEFAULT)
	}
	storeControl(domain, EV_FIFO, 1)
}

/** EVTCHNOP_expand_array: adds words for the next 1024 ports. */
export function expandArray(domain: Domain, claims: FrameClaims, gfn: number): number {
	if (!loadControl(domain, EV_FIFO)) return -XEN_EOPNOTSUPP
	const first = loadControl(domain, EV_FIFO_PORTS)
	const slot = first / WORDS_PER_PAGE
	if (slot >= MAX_PAGES) return -XEN_ENOSPC
	if (!claims.claim(gfn)) return -XEN_EINVAL
	domain.machine.i32[eventArrayWord(domain, slot)] = domain.machine.frameAddress(gfn)
	storeControl(domain, EV_FIFO_PORTS, first + WORDS_PER_PAGE)
	for (let port = first; port < first + WORDS_PER_PAGE && isValidPort(domain, port); port++) {
		if (portField(domain, port, PORT_PENDING)) {
			setPortField(domain, port, PORT_PENDING, 0)
			setPending(domain, port)
		}
	}
	return 0
}

/** Back to the 2-level ABI: gives all pages back. */
export function destroyFifo(domain: Domain, claims: FrameClaims): void {
	const words = domain.machine.i32
	const release = (address: number) => claims.release(Math.floor(((address >>> 0) - domain.machine.frameBase) / PAGE_SIZE))
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) {
		const word = eventVcpuWord(domain, vcpu, EVV_CONTROL_BLOCK)
		if (words[word] !== 0) release(words[word] as number)
		words.fill(0, word, word + EVV_TAILS + EVTCHN_FIFO_MAX_QUEUES)
	}
	const pages = loadControl(domain, EV_FIFO_PORTS) / WORDS_PER_PAGE
	for (let page = 0; page < pages; page++) {
		const word = eventArrayWord(domain, page)
		release(words[word] as number)
		words[word] = 0
	}
	for (let port = 1; port < validPorts(domain); port++) setPortField(domain, port, PORT_LAST_QUEUE, 0)
	storeControl(domain, EV_FIFO_PORTS, 0)
	storeControl(domain, EV_FIFO, 0)
}
