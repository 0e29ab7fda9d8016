/**
 * Errors as the protocol names them (struct xsd_errors in xs_wire.h). A failed operation returns one of these names; a successful
 * one never returns a string, so `typeof result === 'string'` tells them apart.
 */
export type Errno =
	| 'EINVAL'
	| 'EACCES'
	| 'EEXIST'
	| 'EISDIR'
	| 'ENOENT'
	| 'ENOMEM'
	| 'ENOSPC'
	| 'EIO'
	| 'ENOTEMPTY'
	| 'ENOSYS'
	| 'EROFS'
	| 'EBUSY'
	| 'EAGAIN'
	| 'EISCONN'
	| 'E2BIG'
	| 'EPERM'

export function failed<T>(result: T | Errno): result is Errno {
	return typeof result === 'string'
}
