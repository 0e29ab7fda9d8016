import { RUNSTATE_offline, RUNSTATE_running, vcpu_runstate_info, XEN_RUNSTATE_UPDATE_HI } from '../abi/vcpu.ts'
import { VMASST_TYPE_runstate_update_flag } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { copyToGuest } from './guest_access.ts'
import type { VcpuContext } from './vcpu.ts'
import { VS_RUNSTATE, VS_STATE_ENTRY, VS_STATE_TIMES, VS_TIMES_VERSION, vcpuWord } from './vcpu_shared.ts'
import { vmAssist } from './vm_assist.ts'

export interface Runstate {
	/** RUNSTATE_*. */
	readonly state: number
	readonly entered_ns: number
	/** ns in each state; the present one up to the moment asked for. */
	readonly times_ns: readonly number[]
}

/** Starts the account of a new vCPU in RUNSTATE_offline. Before its thread runs. */
export function initialiseRunstate(domain: Domain, vcpu: number, now: number): void {
	domain.machine.u32[vcpuWord(domain, vcpu, VS_RUNSTATE)] = RUNSTATE_offline
	domain.machine.f64[doubleIndex(domain, vcpu, VS_STATE_ENTRY)] = now
}

/** Moves a vCPU to another state and books the time spent in the old one. The vCPU's own thread only. */
export function setRunstate(vcpu: VcpuContext, state: number): void {
	const { domain, index } = vcpu
	const { u32, f64 } = domain.machine
	const now = vcpu.clock.monotonic_ns()
	const version = vcpuWord(domain, index, VS_TIMES_VERSION)
	const old = u32[vcpuWord(domain, index, VS_RUNSTATE)] as number
	const entry = doubleIndex(domain, index, VS_STATE_ENTRY)
	const total = doubleIndex(domain, index, VS_STATE_TIMES) + old
	Atomics.add(u32, version, 1)
	f64[total] = (f64[total] as number) + Math.max(0, now - (f64[entry] as number))
	f64[entry] = now
	Atomics.store(u32, vcpuWord(domain, index, VS_RUNSTATE), state)
	Atomics.add(u32, version, 1)
	if (state === RUNSTATE_running) vcpu.timers.writeRunstateArea()
}

/** A vCPU's account at system time `now`, from any thread. */
export function readRunstate(domain: Domain, vcpu: number, now: number): Runstate {
	const { u32, f64 } = domain.machine
	const version = vcpuWord(domain, vcpu, VS_TIMES_VERSION)
	// The writer is a thread of ours that holds the version odd for a few stores; the bound only guards against its death there.
	for (let attempt = 0; ; attempt++) {
		const before = Atomics.load(u32, version)
		const state = Atomics.load(u32, vcpuWord(domain, vcpu, VS_RUNSTATE))
		const entered_ns = f64[doubleIndex(domain, vcpu, VS_STATE_ENTRY)] as number
		const first = doubleIndex(domain, vcpu, VS_STATE_TIMES)
		const times_ns = Array.from(f64.slice(first, first + 4))
		if ((before % 2 === 0 && Atomics.load(u32, version) === before) || attempt === 1000) {
			times_ns[state] = (times_ns[state] as number) + Math.max(0, now - entered_ns)
			return { state, entered_ns, times_ns }
		}
	}
}

/** struct vcpu_runstate_info of the account as it was when the present state was entered. */
export function encodeRunstate(runstate: Runstate): Uint8Array {
	const bytes = new Uint8Array(vcpu_runstate_info.size)
	const view = new DataView(bytes.buffer)
	const at = vcpu_runstate_info.at
	view.setUint32(at.state, runstate.state, true)
	setU64(view, at.state_entry_time, Math.round(runstate.entered_ns))
	runstate.times_ns.forEach((time, n) => {
		setU64(view, at.time + n * 8, Math.round(time))
	})
	return bytes
}

/** Stores an integer from 0 to 2^53. */
function setU64(view: DataView, offset: number, value: number): void {
	view.setUint32(offset, value % 4294967296, true)
	view.setUint32(offset + 4, Math.floor(value / 4294967296), true)
}

/** Copies the account to the area the guest registered, with XEN_RUNSTATE_UPDATE around it where the guest asked for that. */
export function writeRunstateArea(vcpu: VcpuContext, area: number): boolean {
	const { domain, index } = vcpu
	const entered = domain.machine.f64[doubleIndex(domain, index, VS_STATE_ENTRY)] as number
	const bytes = encodeRunstate(readRunstate(domain, index, entered))
	const at = vcpu_runstate_info.at.state_entry_time
	if (!vmAssist(domain, VMASST_TYPE_runstate_update_flag)) return copyToGuest(vcpu.cpu, area, bytes)
	const view = new DataView(bytes.buffer)
	const hi = view.getUint32(at + 4, true)
	view.setUint32(at + 4, (hi | XEN_RUNSTATE_UPDATE_HI) >>> 0, true)
	const topByte = at + 7
	const marked = copyToGuest(vcpu.cpu, area + topByte, bytes.slice(topByte, topByte + 1)) && copyToGuest(vcpu.cpu, area, bytes)
	view.setUint32(at + 4, hi, true)
	return marked && copyToGuest(vcpu.cpu, area + topByte, bytes.subarray(topByte, topByte + 1))
}

function doubleIndex(domain: Domain, vcpu: number, offset: number): number {
	return vcpuWord(domain, vcpu, offset) >>> 1
}
