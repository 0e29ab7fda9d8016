// Event channels. Source: xen/include/public/event_channel.h (interface of Xen 4.17).
import { struct, u8, u16, u32, u64 } from './struct.ts'

export const EVTCHNOP_bind_interdomain = 0
export const EVTCHNOP_bind_virq = 1
export const EVTCHNOP_bind_pirq = 2
export const EVTCHNOP_close = 3
export const EVTCHNOP_send = 4
export const EVTCHNOP_status = 5
export const EVTCHNOP_alloc_unbound = 6
export const EVTCHNOP_bind_ipi = 7
export const EVTCHNOP_bind_vcpu = 8
export const EVTCHNOP_unmask = 9
export const EVTCHNOP_reset = 10
export const EVTCHNOP_init_control = 11
export const EVTCHNOP_expand_array = 12
export const EVTCHNOP_set_priority = 13
/** Xen's own continuation of EVTCHNOP_reset; a guest may call it too. */
export const EVTCHNOP_reset_cont = 14

export const EVTCHNSTAT_closed = 0
export const EVTCHNSTAT_unbound = 1
export const EVTCHNSTAT_interdomain = 2
export const EVTCHNSTAT_pirq = 3
export const EVTCHNSTAT_virq = 4
export const EVTCHNSTAT_ipi = 5

export const BIND_PIRQ__WILL_SHARE = 1

/** Ports of the 2-level ABI of a 64-bit guest. */
export const EVTCHN_2L_NR_CHANNELS = 4096

export const EVTCHN_FIFO_PRIORITY_MAX = 0
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7
export const EVTCHN_FIFO_PRIORITY_MIN = 15
export const EVTCHN_FIFO_MAX_QUEUES = EVTCHN_FIFO_PRIORITY_MIN + 1
/** Bit numbers of an event word. */
export const EVTCHN_FIFO_PENDING = 31
export const EVTCHN_FIFO_MASKED = 30
export const EVTCHN_FIFO_LINKED = 29
export const EVTCHN_FIFO_BUSY = 28
export const EVTCHN_FIFO_LINK_BITS = 17
export const EVTCHN_FIFO_LINK_MASK = (1 << EVTCHN_FIFO_LINK_BITS) - 1
export const EVTCHN_FIFO_NR_CHANNELS = 1 << EVTCHN_FIFO_LINK_BITS

export const evtchn_alloc_unbound = struct('event_channel.h: struct evtchn_alloc_unbound', 8, {
	dom: u16(0, 'guest'),
	remote_dom: u16(2, 'guest'),
	port: u32(4, 'xen'),
})
export const evtchn_bind_interdomain = struct('event_channel.h: struct evtchn_bind_interdomain', 12, {
	remote_dom: u16(0, 'guest'),
	remote_port: u32(4, 'guest'),
	local_port: u32(8, 'xen'),
})
export const evtchn_bind_virq = struct('event_channel.h: struct evtchn_bind_virq', 12, {
	virq: u32(0, 'guest'),
	vcpu: u32(4, 'guest'),
	port: u32(8, 'xen'),
})
export const evtchn_bind_pirq = struct('event_channel.h: struct evtchn_bind_pirq', 12, {
	pirq: u32(0, 'guest'),
	flags: u32(4, 'guest'),
	port: u32(8, 'xen'),
})
export const evtchn_bind_ipi = struct('event_channel.h: struct evtchn_bind_ipi', 8, { vcpu: u32(0, 'guest'), port: u32(4, 'xen') })
export const evtchn_close = struct('event_channel.h: struct evtchn_close', 4, { port: u32(0, 'guest') })
export const evtchn_send = struct('event_channel.h: struct evtchn_send', 4, { port: u32(0, 'guest') })
/** `u` is a union: unbound.dom (u16 at 16); interdomain.dom (u16 at 16), interdomain.port (u32 at 20); pirq or virq (u32 at 16). */
export const evtchn_status = struct('event_channel.h: struct evtchn_status', 24, {
	dom: u16(0, 'guest'),
	port: u32(4, 'guest'),
	status: u32(8, 'xen'),
	vcpu: u32(12, 'xen'),
	u: u32(16, 'xen', 2),
})
export const evtchn_bind_vcpu = struct('event_channel.h: struct evtchn_bind_vcpu', 8, { port: u32(0, 'guest'), vcpu: u32(4, 'guest') })
export const evtchn_unmask = struct('event_channel.h: struct evtchn_unmask', 4, { port: u32(0, 'guest') })
export const evtchn_reset = struct('event_channel.h: struct evtchn_reset', 2, { dom: u16(0, 'guest') })
export const evtchn_init_control = struct('event_channel.h: struct evtchn_init_control', 24, {
	control_gfn: u64(0, 'guest'),
	offset: u32(8, 'guest'),
	vcpu: u32(12, 'guest'),
	link_bits: u8(16, 'xen'),
	_pad: u8(17, 'guest', 7),
})
export const evtchn_expand_array = struct('event_channel.h: struct evtchn_expand_array', 8, { array_gfn: u64(0, 'guest') })
export const evtchn_set_priority = struct('event_channel.h: struct evtchn_set_priority', 8, {
	port: u32(0, 'guest'),
	priority: u32(4, 'guest'),
})
export const evtchn_op = struct('event_channel.h: struct evtchn_op', 28, { cmd: u32(0, 'guest'), u: u8(4, 'both', 24) })

/** One a vCPU, placed by the guest. Both sides write it. */
export const evtchn_fifo_control_block = struct('event_channel.h: struct evtchn_fifo_control_block', 72, {
	ready: u32(0, 'both'),
	_rsvd: u32(4, 'guest'),
	head: u32(8, 'both', EVTCHN_FIFO_MAX_QUEUES),
})
