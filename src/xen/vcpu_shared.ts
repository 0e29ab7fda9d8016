/**
 * Words of a domain's machine that several threads read and write: offsets in a vCPU's shared block (layout.vcpuShared +
 * index * VCPU_SHARED_SIZE) and in the domain's control block (layout.controlBlock).
 *
 * Locking: every word is accessed through Atomics, by the rule at its declaration; there is no lock. f64 fields are written by
 * the vCPU's own thread between two increments of VS_TIMES_VERSION (odd: being written).
 */
import type { Domain } from './domain.ts'
import { CONTROL_BLOCK_SIZE, VCPU_SHARED_SIZE } from './machine_layout.ts'

// ---- a vCPU's shared block ----------------------------------------------------------------------------------------------

/** u32 doorbell: incremented and notified by wakeVcpu(); the vCPU sleeps on it. See wake.ts for the rule. */
export const VS_DOORBELL = 0
/** u32 RUNSTATE_*, written by the vCPU's thread. */
export const VS_RUNSTATE = 4
/** u32 seqlock of the f64 fields. */
export const VS_TIMES_VERSION = 8
/** u32 host address of the vCPU's vcpu_info (never 0 once the domain is made); written by the vCPU's thread, read by senders. */
export const VS_VCPU_INFO = 12
/** f64 system time in ns when the current run state was entered. */
export const VS_STATE_ENTRY = 16
/** 4 x f64 ns spent in each RUNSTATE_*. */
export const VS_STATE_TIMES = 24
/** u32: 1 while the vCPU blocks in SCHEDOP_poll: whoever sets a port pending (even a masked one) then wakes it. */
export const VS_POLLING = 56
/** u32: 1 asks for delivery of an NMI; exchanged to 0 by the vCPU's thread. */
export const VS_NMI_PENDING = 60
/** u32: 1 while the vCPU's thread is parked because of CB_PAUSE_COUNT: then other threads may read its state. */
export const VS_PARKED = 64
/** u32: 1 when the vCPU is up (VCPUOP_up). */
export const VS_ONLINE = 68
/** u32: VIRQs waiting to be raised by the vCPU's own thread (bit n = VIRQ n); or'ed by any thread. */
export const VS_VIRQ_REQUESTS = 72
/** u32: DEBUG_* bits of what the vCPU is to tell of itself; or'ed by the control half, exchanged to 0 by the vCPU's thread (debug_report.ts). */
export const VS_DEBUG = 124
/** 24 x u32: the port bound to each VIRQ of this vCPU (0: none). Owned by event_channel.ts. */
export const VS_VIRQ_PORTS = 128
/** 32 bytes for event_channel.ts (FIFO control block and the like). */
export const VS_EVENTS = 224

// ---- the domain's control block -----------------------------------------------------------------------------------------

/** u32: the domain runs only while this is 0. Changed by the control half, which then wakes every vCPU. */
export const CB_PAUSE_COUNT = 0
/** u32: 1 asks every vCPU thread to end. Set once by the control half. */
export const CB_DYING = 4
/** u32: 0 while running, else 1 + SHUTDOWN_* reason. Set once by compare-and-exchange by whichever thread comes first. */
export const CB_SHUTDOWN = 8
/** u32 counter: incremented and notified by wakeBackends() after a port towards another domain was marked. */
export const CB_BACKEND_EVENTS = 12
/** u32 frames that the guest owns now; maintained by src/xen/mm. */
export const CB_CURRENT_FRAMES = 16
/** u32 frames that the guest may own (XEN_DOMCTL_max_mem). */
export const CB_FRAME_LIMIT = 20
/** u32 bit mask: VMASST_TYPE_0..31 that are enabled. */
export const CB_VM_ASSIST = 24
/** u32: hypercalls with a number that is in no table. */
export const CB_UNKNOWN_HYPERCALLS = 28
/** u32: code set by SCHEDOP_shutdown_code, plus 1 (0: none). */
export const CB_SHUTDOWN_CODE = 32
/** 64 x u32: hypercalls served, by number. */
export const CB_HYPERCALL_COUNTS = 128
/** 512 bytes for event_channel.ts (locks, global state). */
export const CB_EVENTS = 512
/** 512 bytes for grant_table.ts. */
export const CB_GRANTS = 1024
/** 512 bytes for src/xen/mm. */
export const CB_MM = 1536

if (CB_MM + 512 > CONTROL_BLOCK_SIZE || VS_EVENTS + 32 > VCPU_SHARED_SIZE) throw new Error('shared words exceed their block')

/** Index in machine.u32/i32 of a word in a vCPU's shared block. */
export function vcpuWord(domain: Domain, vcpu: number, offset: number): number {
	return domain.at(domain.layout.vcpuShared + vcpu * VCPU_SHARED_SIZE + offset) >>> 2
}

/** Index in machine.u32/i32 of a word in the control block. */
export function controlWord(domain: Domain, offset: number): number {
	return domain.at(domain.layout.controlBlock + offset) >>> 2
}
