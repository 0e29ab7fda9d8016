/**
 * The user's or the host's fault: says what was being done, the value at fault and what is allowed.
 * `code` is stable and machine-readable; `exitCode` is what a command exits with.
 */
export class UserError extends Error {
	readonly code: string
	readonly exitCode: number

	constructor(message: string, options: { code?: string; exitCode?: number; cause?: unknown } = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause })
		this.name = 'UserError'
		this.code = options.code ?? 'user-error'
		this.exitCode = options.exitCode ?? 1
	}
}

/** Our own bug. Never caught to carry on; never reachable from guest or user input. */
export class InternalError extends Error {
	constructor(message: string) {
		super(`internal error: ${message}`)
		this.name = 'InternalError'
	}
}

export function assert(condition: unknown, what: string): asserts condition {
	if (!condition) throw new InternalError(what)
}
