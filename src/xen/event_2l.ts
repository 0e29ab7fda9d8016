/** The 2-level event ABI: one bit a port in shared_info, one selector bit for each 64 ports in vcpu_info. */
import { shared_info, vcpu_info } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import type { PortOps } from './event_delivery.ts'
import { markEventsPending, PORT_VCPU, portField, vcpuInfo } from './event_ports.ts'
import { wakePollers } from './wake.ts'

/** Ports that share a selector bit: those of one guest word. */
const PORTS_PER_SELECTOR = 64

/** Index in machine.i32 of the word that holds a port's bit, for a bitmap of shared_info. */
function bitmapWord(domain: Domain, bitmap: number, port: number): number {
	return ((domain.machine.frameAddress(domain.layout.sharedInfoMfn) + bitmap) >>> 2) + (port >>> 5)
}

const pendingWord = (domain: Domain, port: number) => bitmapWord(domain, shared_info.at.evtchn_pending, port)
const maskWord = (domain: Domain, port: number) => bitmapWord(domain, shared_info.at.evtchn_mask, port)
const bitOf = (port: number) => 1 << (port & 31)

/** Sets the port's selector bit and has its vCPU look, unless the bit was set. */
function select(domain: Domain, port: number): void {
	const vcpu = portField(domain, port, PORT_VCPU)
	const selector = Math.floor(port / PORTS_PER_SELECTOR)
	const word = ((vcpuInfo(domain, vcpu) + vcpu_info.at.evtchn_pending_sel) >>> 2) + (selector >>> 5)
	const before = Atomics.or(domain.machine.i32, word, bitOf(selector))
	if ((before & bitOf(selector)) === 0) markEventsPending(domain, vcpu)
}

export const twoLevelOps: PortOps = {
	init() {},
	setPending(domain, port) {
		const words = domain.machine.i32
		if (Atomics.or(words, pendingWord(domain, port), bitOf(port)) & bitOf(port)) return
		if ((Atomics.load(words, maskWord(domain, port)) & bitOf(port)) === 0) select(domain, port)
		wakePollers(domain)
	},
	clearPending(domain, port) {
		Atomics.and(domain.machine.i32, pendingWord(domain, port), ~bitOf(port))
	},
	unmask(domain, port) {
		const words = domain.machine.i32
		const wasMasked = Atomics.and(words, maskWord(domain, port), ~bitOf(port)) & bitOf(port)
		if (wasMasked && Atomics.load(words, pendingWord(domain, port)) & bitOf(port)) select(domain, port)
	},
	isPending: (domain, port) => (Atomics.load(domain.machine.i32, pendingWord(domain, port)) & bitOf(port)) !== 0,
	isMasked: (domain, port) => (Atomics.load(domain.machine.i32, maskWord(domain, port)) & bitOf(port)) !== 0,
	isBusy: () => false,
	describe(domain, port) {
		const selector = Math.floor(port / PORTS_PER_SELECTOR)
		const word = ((vcpuInfo(domain, portField(domain, port, PORT_VCPU)) + vcpu_info.at.evtchn_pending_sel) >>> 2) + (selector >>> 5)
		return Atomics.load(domain.machine.i32, word) & bitOf(selector) ? '1' : '0'
	},
}
