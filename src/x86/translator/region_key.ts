/** Bytes at an entry point that go into its key. */
const KEY_BYTES = 16

/** What an entry point is found by, in whatever page. */
export interface RegionKey {
	/** Offset in its page. */
	readonly offset: number
	/** The first four bytes there, of those that the page has; a u32. */
	readonly head: number
	/** u32: of the offset and the first bytes, which tells entry points apart more often than not. */
	readonly hash: number
}

export function regionKey(page: Uint8Array, offset: number): RegionKey {
	return { offset, head: headAt(page, offset), hash: hashAt(page, offset) }
}

function headAt(page: Uint8Array, offset: number): number {
	return (page[offset]! | (page[offset + 1]! << 8) | (page[offset + 2]! << 16) | (page[offset + 3]! << 24)) >>> 0
}

/** FNV-1a. */
function hashAt(page: Uint8Array, offset: number): number {
	let hash = mix(mix(0x811c9dc5, offset & 0xff), offset >> 8)
	const end = Math.min(offset + KEY_BYTES, page.length)
	for (let at = offset; at < end; at++) hash = mix(hash, page[at]!)
	return hash >>> 0
}

function mix(hash: number, byte: number): number {
	return Math.imul(hash ^ byte, 0x01000193)
}

/** Regions that are kept somewhere: an entry point, and the pages that they lie in, counted from the entry's. */
export interface KnownRegion extends RegionKey {
	readonly pages: readonly number[]
}

/** Regions that are kept somewhere, by what is in a page: its code is recognised before any of it has run. */
export class KnownRegions {
	private readonly offsets: Uint16Array
	private readonly heads: Uint32Array
	private readonly regions: readonly KnownRegion[]

	constructor(regions: readonly KnownRegion[]) {
		this.offsets = Uint16Array.from(regions, ({ offset }) => offset)
		this.heads = Uint32Array.from(regions, ({ head }) => head)
		this.regions = regions
	}

	/** Those that may fit the page. */
	inPage(page: Uint8Array): KnownRegion[] {
		const { offsets, heads, regions } = this
		const found: KnownRegion[] = []
		for (let n = 0; n < offsets.length; n++) {
			const offset = offsets[n]!
			const head = heads[n]!
			if (page[offset] !== (head & 0xff) || headAt(page, offset) !== head) continue
			if (hashAt(page, offset) === regions[n]!.hash) found.push(regions[n]!)
		}
		return found
	}
}
