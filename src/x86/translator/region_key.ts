/** Bytes at an entry point that go into its key. */
const KEY_BYTES = 16

/** A number of 32 bits that tells entry points apart, more often than not: of the offset in the page and the first bytes there (FNV-1a). */
export function regionKey(page: Uint8Array, entry: number): number {
	let hash = mix(mix(0x811c9dc5, entry & 0xff), entry >> 8)
	const end = Math.min(entry + KEY_BYTES, page.length)
	for (let at = entry; at < end; at++) hash = mix(hash, page[at]!)
	return hash >>> 0
}

function mix(hash: number, byte: number): number {
	return Math.imul(hash ^ byte, 0x01000193)
}
