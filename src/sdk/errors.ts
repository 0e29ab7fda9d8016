import { UserError } from '../base/errors.ts'

/** What every call of the SDK rejects with when something can not be done: `code` for programs, `exitCode` is xm's, `message` for people. */
export { UserError as XenError } from '../base/errors.ts'

/** The codes that a program may want to tell apart. There are more: a code says nothing of how a call failed that this list does not. */
export type ErrorCode =
	| 'bad-request'
	| 'bad-stream'
	| 'busy'
	| 'cannot-dump'
	| 'cannot-save'
	| 'config'
	| 'console-ended'
	| 'hypervisor-gone'
	| 'internal'
	| 'lost'
	| 'name-taken'
	| 'no-console'
	| 'no-memory'
	| 'no-such-domain'
	| 'not-managed'
	| 'not-running'
	| 'timeout'
	| 'unreachable'

/** Whether a call was rejected for one of these reasons. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is UserError {
	return error instanceof UserError && (codes as string[]).includes(error.code)
}
