// Callbacks and NMIs. Sources: xen/include/public/callback.h, nmi.h.
import { struct, u16, u64 } from './struct.ts'

export const CALLBACKTYPE_event = 0
export const CALLBACKTYPE_failsafe = 1
export const CALLBACKTYPE_syscall = 2
export const CALLBACKTYPE_sysenter_deprecated = 3
export const CALLBACKTYPE_nmi = 4
export const CALLBACKTYPE_sysenter = 5
export const CALLBACKTYPE_syscall32 = 7
export const CALLBACKF_mask_events = 1 << 0
export const CALLBACKOP_register = 0
export const CALLBACKOP_unregister = 1
export const XENNMI_register_callback = 0
export const XENNMI_unregister_callback = 1

export const callback_register = struct('callback.h: struct callback_register', 16, {
	type: u16(0, 'guest'),
	flags: u16(2, 'guest'),
	address: u64(8, 'guest'),
})
export const callback_unregister = struct('callback.h: struct callback_unregister', 4, { type: u16(0, 'guest'), _unused: u16(2, 'guest') })
export const xennmi_callback = struct('nmi.h: struct xennmi_callback', 16, { handler_address: u64(0, 'guest'), pad: u64(8, 'guest') })
