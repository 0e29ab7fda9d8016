import type { RegionExports } from '../cpu.ts'
import { type MachineMemory, PAGE_SIZE } from '../machine_memory.ts'

/** One page of code as it was when the snapshot was taken. */
export interface CodePage {
	/** The frame it was in. */
	readonly mfn: number
	/** A copy of its PAGE_SIZE bytes. */
	readonly bytes: Uint8Array
	/** Offsets in the page that 64-bit code had been entered at, ascending: where indirect jumps may go. */
	readonly entries: readonly number[]
}

/**
 * What a region is made from: plain data, so that it can be built on any thread, while the guest goes on and may even change its code. What was built is
 * installed only where the bytes that it was made from are still the same (see translator.ts).
 *
 * Pages are numbered by their linear addresses relative to the entry point's page, which is page 0 and always there: offset `o` from the start of page 0 lies in
 * page `o >> 12` at `o & 0xfff`. Whoever builds a region asks `pages` for a number and takes a page that is not there as "leave the region". Which pages besides 0 a
 * snapshot holds is decided by whoever takes it, on the vCPU's thread, where linear addresses can be looked up: see takeSnapshot().
 */
export interface CodeSnapshot {
	/** Offset of the entry point in page 0. */
	readonly entry: number
	readonly pages: ReadonlyMap<number, CodePage>
}

/**
 * Copies the code around an entry point. `frames` tells the frame of each page that is wanted by its relative number, 0 among them. On the vCPU's thread only:
 * nothing else writes to frames that hold decoded code without dropping it first.
 */
export function takeSnapshot(
	machine: MachineMemory,
	core: RegionExports,
	entry: number,
	frames: ReadonlyMap<number, number>,
): CodeSnapshot {
	const pages = new Map<number, CodePage>()
	for (const [page, mfn] of frames) pages.set(page, { mfn, bytes: machine.framePage(mfn).slice(), entries: entriesOf(core, mfn) })
	return { entry, pages }
}

function entriesOf(core: RegionExports, mfn: number): number[] {
	const entries: number[] = []
	for (let offset = 0; offset < PAGE_SIZE; offset++) if (core.isEntry(mfn * PAGE_SIZE + offset) !== 0) entries.push(offset)
	return entries
}
