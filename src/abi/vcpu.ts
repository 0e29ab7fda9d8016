// vCPU operations. Source: xen/include/public/vcpu.h.
import { struct, u32, u64 } from './struct.ts'

export const VCPUOP_initialise = 0
export const VCPUOP_up = 1
export const VCPUOP_down = 2
export const VCPUOP_is_up = 3
export const VCPUOP_get_runstate_info = 4
export const RUNSTATE_running = 0
export const RUNSTATE_runnable = 1
export const RUNSTATE_blocked = 2
export const RUNSTATE_offline = 3
export const VCPUOP_register_runstate_memory_area = 5
export const VCPUOP_set_periodic_timer = 6
export const VCPUOP_stop_periodic_timer = 7
export const VCPUOP_set_singleshot_timer = 8
export const VCPUOP_stop_singleshot_timer = 9
/** Require the timeout to be in the future, else -ETIME. */
export const VCPU_SSHOTTMR_future = 1 << 0
export const VCPUOP_register_vcpu_info = 10
export const VCPUOP_send_nmi = 11
export const VCPUOP_get_physid = 12
export const VCPUOP_register_vcpu_time_memory_area = 13
/** Bit 63 of state_entry_time; see VMASST_TYPE_runstate_update_flag. The high half's bit. */
export const XEN_RUNSTATE_UPDATE_HI = 0x8000_0000

export const vcpu_runstate_info = struct('vcpu.h: struct vcpu_runstate_info', 48, {
	state: u32(0),
	state_entry_time: u64(8),
	time: u64(16, 'xen', 4),
})
export const vcpu_register_runstate_memory_area = struct('vcpu.h: struct vcpu_register_runstate_memory_area', 8, { addr: u64(0, 'guest') })
export const vcpu_set_periodic_timer = struct('vcpu.h: struct vcpu_set_periodic_timer', 8, { period_ns: u64(0, 'guest') })
export const vcpu_set_singleshot_timer = struct('vcpu.h: struct vcpu_set_singleshot_timer', 16, {
	timeout_abs_ns: u64(0, 'guest'),
	flags: u32(8, 'guest'),
})
export const vcpu_register_vcpu_info = struct('vcpu.h: struct vcpu_register_vcpu_info', 16, {
	mfn: u64(0, 'guest'),
	offset: u32(8, 'guest'),
	rsvd: u32(12, 'guest'),
})
export const vcpu_get_physid = struct('vcpu.h: struct vcpu_get_physid', 8, { phys_id: u64(0) })
export const vcpu_register_time_memory_area = struct('vcpu.h: struct vcpu_register_time_memory_area', 8, { addr: u64(0, 'guest') })
