/**
 * The XenStore wire protocol and the guest's ring page.
 * Source: xen/include/public/io/xs_wire.h (struct xsd_sockmsg, struct xenstore_domain_interface).
 */

export const XS_CONTROL = 0
export const XS_DIRECTORY = 1
export const XS_READ = 2
export const XS_GET_PERMS = 3
export const XS_WATCH = 4
export const XS_UNWATCH = 5
export const XS_TRANSACTION_START = 6
export const XS_TRANSACTION_END = 7
export const XS_INTRODUCE = 8
export const XS_RELEASE = 9
export const XS_GET_DOMAIN_PATH = 10
export const XS_WRITE = 11
export const XS_MKDIR = 12
export const XS_RM = 13
export const XS_SET_PERMS = 14
export const XS_WATCH_EVENT = 15
export const XS_ERROR = 16
export const XS_IS_DOMAIN_INTRODUCED = 17
export const XS_RESUME = 18
export const XS_SET_TARGET = 19
/* 20 was XS_RESTRICT */
export const XS_RESET_WATCHES = 21
export const XS_DIRECTORY_PART = 22
export const XS_GET_FEATURE = 23
export const XS_SET_FEATURE = 24
export const XS_GET_QUOTA = 25
export const XS_SET_QUOTA = 26
export const XS_TYPE_COUNT = 27

/** struct xsd_sockmsg: type, req_id, tx_id, len, each u32, little-endian. */
export const XSD_SOCKMSG_SIZE = 16

export const XENSTORE_PAYLOAD_MAX = 4096
export const XENSTORE_ABS_PATH_MAX = 3072
export const XENSTORE_REL_PATH_MAX = 2048

/** struct xenstore_domain_interface: byte offsets in the page. */
export const XENSTORE_RING_SIZE = 1024
/** char req[1024]; written by the guest. */
export const XS_RING_REQ = 0
/** char rsp[1024]; written by the server. */
export const XS_RING_RSP = 1024
/** u32, written by the server. */
export const XS_RING_REQ_CONS = 2048
/** u32, written by the guest. */
export const XS_RING_REQ_PROD = 2052
/** u32, written by the guest. */
export const XS_RING_RSP_CONS = 2056
/** u32, written by the server. */
export const XS_RING_RSP_PROD = 2060
/** u32, written by the server. */
export const XS_RING_SERVER_FEATURES = 2064
/** u32, set to 1 by the guest and back to 0 by the server. */
export const XS_RING_CONNECTION = 2068
/** u32, written by the server. */
export const XS_RING_ERROR = 2072
/** u32, written by Xen. */
export const XS_RING_EVTCHN_PORT = 2076

export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1
export const XENSTORE_SERVER_FEATURE_ERROR = 2
export const XENSTORE_SERVER_FEATURE_WATCHDEPTH = 4
export const XENSTORE_SERVER_FEATURE_DOMID_ANY = 8

export const XENSTORE_CONNECTED = 0
export const XENSTORE_RECONNECT = 1

export const XENSTORE_ERROR_NONE = 0
export const XENSTORE_ERROR_COMM = 1
export const XENSTORE_ERROR_RINGIDX = 2
export const XENSTORE_ERROR_PROTO = 3
