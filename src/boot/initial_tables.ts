import type { Gva } from '../x86/cpu.ts'
import { type MachineMemory, PAGE_SHIFT, PAGE_SIZE } from '../x86/machine_memory.ts'

/**
 * The page tables that a domain starts with, as libxc lays them out (tools/libs/guest/xg_dom_x86.c): one 4 KiB-page mapping from VIRT_BASE,
 * and for a kernel with INIT_P2M another of the P2M. Within a mapping the tables follow one another from the top level down, each level
 * ascending; the first is the L4.
 *
 * A linear address is used here modulo 2^48, so that it counts up through both halves of the address space.
 */

const ENTRIES_SHIFT = 9
const ENTRIES = 1 << ENTRIES_SHIFT
const ADDRESS_SPACE = 2 ** 48
/** Tables of level 0 are L1s: each spans 2^21 bytes. */
const LEVELS = 4
const spanOf = (level: number) => 2 ** (PAGE_SHIFT + ENTRIES_SHIFT * (level + 1))

const PAGE_PRESENT = 0x001
const PAGE_RW = 0x002
const PAGE_USER = 0x004
const PAGE_ACCESSED = 0x020
const PAGE_DIRTY = 0x040
/** Without USER, though a 64-bit PV kernel runs in ring 3: Xen adds it when it validates an L1, and marks the page as the kernel's by that. */
const LEAF_FLAGS = PAGE_PRESENT | PAGE_RW | PAGE_ACCESSED
const TABLE_FLAGS = PAGE_PRESENT | PAGE_RW | PAGE_USER | PAGE_ACCESSED | PAGE_DIRTY

interface Mapping {
	readonly from: number
	/** Pages, from pfn up. */
	readonly pages: number
	readonly pfn: number
}

export class InitialTables {
	/** By level, the pfn of each table, by its number: the address that it begins to map, divided by its span. */
	private readonly tables: Map<number, number>[] = Array.from({ length: LEVELS }, () => new Map())
	private readonly mappings: Mapping[] = []

	/** How many further tables it takes to map `pages` from `va`. */
	count(va: Gva, pages: number): number {
		let count = 0
		this.eachMissing(va, pages, () => count++)
		return count
	}

	/** Maps `pages` pages at `va` to `pfn` up, with tables at `tablePfn` up. Returns how many tables it took. */
	map(va: Gva, pages: number, pfn: number, tablePfn: number): number {
		let next = tablePfn
		this.eachMissing(va, pages, (level, number) => this.tables[level]!.set(number, next++))
		this.mappings.push({ from: unsigned(va), pages, pfn })
		return next - tablePfn
	}

	/** The pfns of all tables, the L4's first. */
	pfns(): number[] {
		return this.tables.flatMap((level) => [...level.values()]).sort((a, b) => a - b)
	}

	/** Writes the tables to their frames, which are zero. Tables are mapped read-only wherever a mapping has them. */
	write(machine: MachineMemory): void {
		for (let level = 0; level < LEVELS - 1; level++) {
			for (const [number, pfn] of this.tables[level]!) {
				const parent = this.tables[level + 1]!.get(number >> ENTRIES_SHIFT)!
				writeEntry(machine, parent, number & (ENTRIES - 1), pfn, TABLE_FLAGS)
			}
		}
		const readOnly = new Set(this.pfns())
		for (const { from, pages, pfn } of this.mappings) {
			for (let page = 0; page < pages; page++) {
				const number = from / PAGE_SIZE + page
				const l1 = this.tables[0]!.get(Math.floor(number / ENTRIES))!
				const flags = readOnly.has(pfn + page) ? LEAF_FLAGS & ~PAGE_RW : LEAF_FLAGS
				writeEntry(machine, l1, number % ENTRIES, pfn + page, flags)
			}
		}
	}

	private eachMissing(va: Gva, pages: number, visit: (level: number, number: number) => void): void {
		const from = unsigned(va)
		for (let level = LEVELS - 1; level >= 0; level--) {
			const last = Math.floor((from + pages * PAGE_SIZE - 1) / spanOf(level))
			for (let number = Math.floor(from / spanOf(level)); number <= last; number++) {
				if (!this.tables[level]!.has(number)) visit(level, number)
			}
		}
	}
}

function unsigned(va: Gva): number {
	return va < 0 ? va + ADDRESS_SPACE : va
}

function writeEntry(machine: MachineMemory, table: number, index: number, pfn: number, flags: number): void {
	const at = (machine.frameAddress(table) + index * 8) >>> 2
	machine.u32[at] = ((pfn << PAGE_SHIFT) | flags) >>> 0
	machine.u32[at + 1] = pfn >>> (32 - PAGE_SHIFT)
}
