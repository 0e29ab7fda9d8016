/**
 * Has V8 look for garbage soon. For when much memory outside its heap has become free, a domain's machine above all: V8 would not notice for
 * as long as the heap itself hardly grows. Needs --expose-gc (sdk/daemon_command.ts); elsewhere the process is not ours, and nothing is done.
 */
export function collectGarbageSoon(): void {
	globalThis.gc?.({ type: 'major', execution: 'async' })
}

/** The same at once, on a thread that never turns to its event loop. */
export function collectGarbage(): void {
	globalThis.gc?.()
}
