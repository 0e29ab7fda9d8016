/**
 * The PV console's ring page. Source: xen/include/public/io/console.h (struct xencons_interface).
 */

/** char in[1024]; written by the backend. */
export const XENCONS_IN = 0
export const XENCONS_IN_SIZE = 1024
/** char out[2048]; written by the guest. */
export const XENCONS_OUT = 1024
export const XENCONS_OUT_SIZE = 2048
/** u32, written by the guest. */
export const XENCONS_IN_CONS = 3072
/** u32, written by the backend. */
export const XENCONS_IN_PROD = 3076
/** u32, written by the backend. */
export const XENCONS_OUT_CONS = 3080
/** u32, written by the guest. */
export const XENCONS_OUT_PROD = 3084
/** u8, written by the backend. */
export const XENCONS_CONNECTION = 3088

export const XENCONSOLE_CONNECTED = 0
export const XENCONSOLE_DISCONNECTED = 1
