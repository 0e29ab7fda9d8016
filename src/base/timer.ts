/** Calls `action` after so many milliseconds, unless the function that it returns is called before. Does not keep a process alive. */
export function later(ms: number, action: () => void): () => void {
	const timer: unknown = setTimeout(action, ms)
	if (typeof timer === 'object') (timer as { unref?: () => void }).unref?.()
	return () => clearTimeout(timer as number)
}
