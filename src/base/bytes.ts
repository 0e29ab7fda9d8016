/** One array of all the parts' bytes, in order. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
	let at = 0
	for (const part of parts) {
		bytes.set(part, at)
		at += part.length
	}
	return bytes
}

/**
 * Frees the whole buffer of `bytes` now, and not when V8 next looks for garbage, which may be never: its heap hardly grows by what is outside
 * it. Every view of the buffer has length 0 afterwards. For bytes that the caller alone owns; shared memory is left alone.
 */
export function discard(bytes: Uint8Array): void {
	if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0)
}
