// Scheduler operations. Source: xen/include/public/sched.h.
import { struct, u16, u32, u64 } from './struct.ts'

export const SCHEDOP_yield = 0
export const SCHEDOP_block = 1
export const SCHEDOP_shutdown = 2
export const SCHEDOP_poll = 3
export const SCHEDOP_remote_shutdown = 4
export const SCHEDOP_shutdown_code = 5
export const SCHEDOP_watchdog = 6
export const SCHEDOP_pin_override = 7
export const SHUTDOWN_poweroff = 0
export const SHUTDOWN_reboot = 1
export const SHUTDOWN_suspend = 2
export const SHUTDOWN_crash = 3
export const SHUTDOWN_watchdog = 4
export const SHUTDOWN_soft_reset = 5
export const SHUTDOWN_MAX = 5

export const sched_shutdown = struct('sched.h: struct sched_shutdown', 4, { reason: u32(0, 'guest') })
export const sched_poll = struct('sched.h: struct sched_poll', 24, {
	ports: u64(0, 'guest'),
	nr_ports: u32(8, 'guest'),
	timeout: u64(16, 'guest'),
})
export const sched_remote_shutdown = struct('sched.h: struct sched_remote_shutdown', 8, {
	domain_id: u16(0, 'guest'),
	reason: u32(4, 'guest'),
})
export const sched_watchdog = struct('sched.h: struct sched_watchdog', 8, { id: u32(0, 'guest'), timeout: u32(4, 'guest') })
export const sched_pin_override = struct('sched.h: struct sched_pin_override', 4, { pcpu: u32(0, 'guest') })
