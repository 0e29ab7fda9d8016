/**
 * Time as the guest sees it. System time is the clock's monotonic_ns(), common to all threads. The guest's TSC counts the same
 * nanoseconds (1 GHz), so that the scale of vcpu_time_info is exact and a snapshot never has to be renewed to stay right.
 *
 * vcpu_time_info and the wall clock are read by the guest under a version number: odd while it is being written.
 */

import { shared_info, vcpu_info, vcpu_time_info } from '../abi/xen.ts'
import type { Clock } from '../base/clock.ts'
import type { Domain } from './domain.ts'
import { copyToGuest } from './guest_access.ts'
import type { VcpuContext } from './vcpu.ts'

/** Ticks a second of the guest's TSC, in kHz. */
export const TSC_KHZ = 1_000_000
/** ns = ((tsc - tsc_timestamp) << TSC_SHIFT) * TSC_TO_SYSTEM_MUL >> 32. */
export const TSC_TO_SYSTEM_MUL = 0x8000_0000
export const TSC_SHIFT = 1
const TWO_32 = 4294967296

/** The hypervisor's clock as a domain is shown it whose system time is ahead by `offset_ns` (or behind, if less than 0). */
export function shiftedClock(clock: Clock, offset_ns: number): Clock {
	if (offset_ns === 0) return clock
	return { monotonic_ns: () => clock.monotonic_ns() + offset_ns, wall: () => clock.wall() }
}

/** The guest's TSC. */
export function readTsc(clock: Clock): number {
	return clock.monotonic_ns()
}

/** Renews vcpu_time_info in vcpu_info and in the area the guest registered besides. */
export function updateTime(vcpu: VcpuContext): void {
	const now = vcpu.clock.monotonic_ns()
	writeTimeInfo(vcpu.domain, vcpu.vcpuInfo + vcpu_info.at.time, now)
	vcpu.timers.writeTimeArea()
}

/** Writes a struct vcpu_time_info at a host address (8-aligned) for system time `now`. */
export function writeTimeInfo(domain: Domain, address: number, now: number): void {
	const words = domain.machine.u32
	const at = (offset: number) => (address + offset) >>> 2
	const version = at(vcpu_time_info.at.version)
	const next = ((Atomics.load(words, version) | 1) + 2) >>> 0
	Atomics.store(words, version, next)
	for (const field of [vcpu_time_info.at.tsc_timestamp, vcpu_time_info.at.system_time]) {
		words[at(field)] = now % TWO_32
		words[at(field) + 1] = now / TWO_32
	}
	words[at(vcpu_time_info.at.tsc_to_system_mul)] = TSC_TO_SYSTEM_MUL
	words[at(vcpu_time_info.at.tsc_shift)] = TSC_SHIFT
	Atomics.store(words, version, (next + 1) >>> 0)
}

/** The wall clock at system time 0, in shared_info. */
export function writeWallclock(domain: Domain, clock: Clock): void {
	const { seconds, nanoseconds } = clock.wall()
	const base_ns = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds) - BigInt(clock.monotonic_ns())
	const base_s = Number(base_ns / 1_000_000_000n)
	const words = domain.machine.u32
	const at = (offset: number) => (domain.machine.frameAddress(domain.layout.sharedInfoMfn) + offset) >>> 2
	const version = at(shared_info.at.wc_version)
	const next = ((Atomics.load(words, version) | 1) + 2) >>> 0
	Atomics.store(words, version, next)
	words[at(shared_info.at.wc_sec)] = base_s % TWO_32
	words[at(shared_info.at.wc_sec_hi)] = base_s / TWO_32
	words[at(shared_info.at.wc_nsec)] = Number(base_ns % 1_000_000_000n)
	Atomics.store(words, version, (next + 1) >>> 0)
}

/** A copy of the time info at `address` for an area in the guest's address space, version and all. False on a fault. */
export function copyTimeArea(vcpu: VcpuContext, area: number): boolean {
	const from = vcpu.vcpuInfo + vcpu_info.at.time
	const bytes = vcpu.domain.machine.u8.slice(from, from + vcpu_time_info.size)
	const view = new DataView(bytes.buffer)
	const version = view.getUint32(vcpu_time_info.at.version, true)
	// The version goes odd first and even last, so that a reader between sees an update in progress.
	const marker = new Uint8Array(4)
	new DataView(marker.buffer).setUint32(0, version | 1, true)
	return (
		copyToGuest(vcpu.cpu, area, marker) &&
		copyToGuest(vcpu.cpu, area + 4, bytes.subarray(4)) &&
		copyToGuest(vcpu.cpu, area, bytes.subarray(0, 4))
	)
}
