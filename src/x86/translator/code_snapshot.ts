import { PAGE_SIZE } from '../machine_memory.ts'
import type { CodePages } from './code_reader.ts'
import type { DiscoverOptions } from './discover.ts'

/** One page of code as it was when the snapshot was taken. */
export interface CodePage {
	/** A copy of its PAGE_SIZE bytes; none when only its entry points were asked for. */
	readonly bytes: Uint8Array
	/** Offsets in the page that 64-bit code had been entered at, of those that matter to the region. */
	readonly entries: readonly number[]
}

/**
 * What a region is made from: plain data, so that it can be built on any thread, while the guest goes on and may even change its code. What was built is
 * installed only where the bytes that it was made from are still the same (installed_regions.ts).
 *
 * Pages are numbered by their linear addresses relative to the entry point's page, which is page 0 and always there: offset `o` from the start of page 0 lies in
 * page `o >> 12` at `o & 0xfff`. A snapshot holds the pages that discover() asked for on the vCPU's thread, where linear addresses can be looked up (live_code.ts):
 * so it finds the same region wherever it is asked again.
 */
export interface CodeSnapshot {
	/** Offset of the entry point in page 0. */
	readonly entry: number
	readonly pages: ReadonlyMap<number, CodePage>
	/** How the region is found. */
	readonly options: DiscoverOptions
}

/** Pages that a snapshot can have at most: more than a region lies in, for some are looked at only. */
export const MAX_SNAPSHOT_PAGES = 64

/** A snapshot's pages, copied to where the decoder can read them. */
export class SnapshotPages implements CodePages {
	private readonly snapshot: CodeSnapshot
	private readonly u8: Uint8Array
	private readonly addresses = new Map<number, number>()
	private readonly entries = new Map<number, ReadonlySet<number>>()
	private next: number

	/** `at` is a host address with room for MAX_SNAPSHOT_PAGES pages. */
	constructor(snapshot: CodeSnapshot, memory: WebAssembly.Memory, at: number) {
		this.snapshot = snapshot
		this.u8 = new Uint8Array(memory.buffer)
		this.next = at
	}

	addressOf(number: number): number | undefined {
		const known = this.addresses.get(number)
		if (known !== undefined) return known
		const page = this.snapshot.pages.get(number)
		if (page === undefined || page.bytes.length === 0 || this.addresses.size === MAX_SNAPSHOT_PAGES) return undefined
		const at = this.next
		this.next += PAGE_SIZE
		this.u8.set(page.bytes, at)
		this.addresses.set(number, at)
		return at
	}

	isEntry(number: number, at: number): boolean {
		let known = this.entries.get(number)
		if (known === undefined) this.entries.set(number, (known = new Set(this.snapshot.pages.get(number)?.entries)))
		return known.has(at)
	}
}
