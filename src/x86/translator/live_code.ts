import type { RegionExports } from '../cpu.ts'
import { type MachineMemory, PAGE_SIZE } from '../machine_memory.ts'
import type { CodePages } from './code_reader.ts'
import { type CodePage, type CodeSnapshot, MAX_SNAPSHOT_PAGES } from './code_snapshot.ts'
import type { DiscoverOptions } from './discover.ts'

const UNREAD = new Uint8Array()

/**
 * The code around a linear address as it is now, on the vCPU's thread: pages are found through its page tables, in the present mode, without setting off a fault.
 * Remembers what it was asked, so that a snapshot answers the same questions alike.
 */
export class LiveCode implements CodePages {
	/** Frame of each page that was asked for; -1: cannot be fetched. */
	readonly frames = new Map<number, number>()
	/** Pages whose bytes were asked for. */
	private readonly read = new Set<number>()
	private readonly machine: MachineMemory
	private readonly core: RegionExports
	/** Linear address of page 0. */
	readonly linear: number
	/** Offsets that are entry points, of those that were asked for. */
	private readonly entries = new Map<number, number[]>()

	constructor(machine: MachineMemory, core: RegionExports, linear: number) {
		this.machine = machine
		this.core = core
		this.linear = linear
	}

	frameOf(page: number): number {
		const known = this.frames.get(page)
		if (known !== undefined) return known
		if (this.frames.size === MAX_SNAPSHOT_PAGES) return -1
		const mfn = this.core.codeFrameAt(this.linear + page * PAGE_SIZE)
		this.frames.set(page, mfn)
		return mfn
	}

	addressOf(page: number): number | undefined {
		const mfn = this.frameOf(page)
		if (mfn >= 0) this.read.add(page)
		return mfn < 0 ? undefined : this.machine.frameAddress(mfn)
	}

	isEntry(page: number, at: number): boolean {
		const mfn = this.frameOf(page)
		if (mfn < 0 || this.core.isEntry(mfn * PAGE_SIZE + at) === 0) return false
		const list = this.entries.get(page)
		if (list === undefined) this.entries.set(page, [at])
		else list.push(at)
		return true
	}

	/** What discover() has asked for, with these options. */
	snapshot(entry: number, options: DiscoverOptions): CodeSnapshot {
		const pages = new Map<number, CodePage>()
		for (const [page, mfn] of this.frames)
			if (mfn >= 0)
				pages.set(page, {
					bytes: this.read.has(page) ? this.machine.framePage(mfn).slice() : UNREAD,
					entries: this.entries.get(page) ?? [],
				})
		return { entry, pages, options }
	}
}
