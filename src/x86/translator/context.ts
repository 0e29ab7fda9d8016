import type { Code } from '../../wasm/code.ts'
import type { CoreImports } from './core_imports.ts'
import type { Residence, ResidenceFound } from './residence.ts'
import type { Span } from './spans.ts'

/** Registers that a region reads or writes; found by a first pass over it. */
export interface RegisterUse {
	/** General registers that are written. */
	readonly written: Set<number>
	readonly residence: ResidenceFound
	readonly xmmUsed: Set<number>
	readonly xmmWritten: Set<number>
	/** Where in the state block pages are kept that are carried through loops (pages.ts). */
	readonly carried: Set<number>
	/** Where in the state block host addresses of pages are kept that are pinned (pages.ts). */
	readonly pinned: Set<number>
	/** Which of the places that were looked up others are near (pages.ts). */
	readonly placesUsed: Set<number>
	/** Which accesses are made together (spans.ts), by number. */
	readonly spans: Map<number, Span>
	/** What blocks change, by their start. */
	readonly changes: Map<number, BlockChanges>
	/** By the start of a loop's head: registers that are not, at the end of a round, what they were at its beginning. */
	readonly moved: Map<number, number>
	/** By the start of its head, once known. */
	readonly loops: Map<number, LoopInvariants>
	/** What blocks, by their start, do first with the flags that they find: set all of them, or need them. The others leave them alone. */
	readonly flagsFirst: Map<number, 'set' | 'read'>
	/** Starts of blocks where nobody needs the flags. */
	readonly flagsDead: Set<number>
}

/** What a loop leaves alone; found by a pass before the others. */
export interface LoopInvariants {
	/** General registers that change in no round, or are in the end of each what they were in the beginning: a mask. */
	readonly registers: number
	/** Mappings stay. */
	readonly mappings: boolean
}

/** What a block changes: general registers, a mask, and mappings perhaps. */
export interface BlockChanges {
	registers: number
	mappings: boolean
}

/** What all parts of a region's code share. */
export interface RegionContext {
	readonly code: Code
	readonly core: CoreImports
	/** Host address of the vCPU's state block. */
	readonly state: number
	readonly use: RegisterUse
	readonly residence: Residence
	/** Pages that the region lies in. */
	readonly pages: number
}
