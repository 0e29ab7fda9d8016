import { REGION_MAX_PAGES, SLOT_ZERO } from '../core/layout.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import { type Glance, type Instruction, pageOf } from './instruction.ts'

/** A straight run of instructions that begin in one page. Offsets are in bytes from the entry's page; they may be negative. */
export interface Block {
	readonly start: number
	readonly instructions: Instruction[]
	/** How it ends. */
	end: BlockEnd
	/** Mask of the region's pages that its instructions lie in: one, or two when the only instruction runs into the next page. */
	readonly pages: number
}

export type BlockEnd =
	/** Goes on to an offset: a jump, or the next block. `inside` is false when the target is not part of the region. */
	| { readonly kind: 'goto'; readonly target: number }
	/** The last instruction is a JCC. */
	| { readonly kind: 'branch'; readonly cc: number; readonly taken: number; readonly next: number }
	/** The last instruction is a CALL. */
	| { readonly kind: 'call'; readonly target: number; readonly back: number }
	/** The last instruction is a RET; `sites` are the offsets behind the region's calls that it may return from, ascending. */
	| { readonly kind: 'return'; sites: readonly number[] }
	/** The last instruction is a JMP through a register or memory; it goes to the dispatcher. */
	| { readonly kind: 'indirect' }
	/** The dispatcher itself: no instructions, control goes to the address that an indirect jump left. */
	| { readonly kind: 'dispatch' }
	/** Nothing follows: the last instruction leaves by itself (an indirect jump, a system call, ...). */
	| { readonly kind: 'leave' }

export interface Region {
	/** Offset of the entry. */
	readonly entry: number
	/** By start. */
	readonly blocks: ReadonlyMap<number, Block>
	/** Pages, counted from the entry's, which is the first. Their places here are the bits of a block's mask. */
	readonly pages: readonly number[]
	/** Offsets where an indirect jump may go on inside the region, ascending. Not empty: there is a dispatcher at DISPATCH. */
	readonly indirect: readonly number[]
	readonly instructions: number
}

/** The dispatcher's offset: one that no branch can have as its target, not even into another page. */
export const DISPATCH = -(2 ** 40)

/** Where a region's code comes from. */
export interface CodeSource {
	/** Decodes the instruction at an offset from the entry's page; undefined when it is invalid or cannot be fetched as a whole. */
	decode(offset: number): Instruction | undefined
	/** The same, of which nothing is kept: its records are not the region's. */
	look(offset: number): Glance | undefined
	/** Whether code has been entered at the offset so far: it is the target of a branch that was taken. */
	isEntry(offset: number): boolean
}

/** Targets of indirect jumps at most, and bytes that they may lie apart: the dispatcher's table is as long. */
const MAX_INDIRECT = 160
const MAX_INDIRECT_SPAN = 4 * PAGE_SIZE
/** Instructions before an indirect jump of which one reads the table of a switch, if it is a switch's. */
const MAX_FROM_TABLE = 6
/** Instructions in a region from which on no block begins, and beyond which none goes on. Ciphers and digests have blocks of thousands. */
const MAX_INSTRUCTIONS = 600
const MAX_IN_BLOCKS = 4000
/** Instructions of a function at most, those of what it calls included, for its calls to be followed. */
const MAX_CALLED = 80
/** Instructions beyond which nothing is added that has not been seen to run. */
const MAX_BEFORE_UNSEEN = 16
/** Operations after which control never goes on to the next instruction. */
const LEAVES: ReadonlySet<string> = new Set([
	'CALL_E',
	'RET_I',
	'RETF',
	'RETF_I',
	'IRET',
	'SYSCALL',
	'INT',
	'INT3',
	'INT1',
	'UD2',
	'UD1',
	'UD0',
	'JMP_FAR_E',
	'CALL_FAR_E',
	'HLT',
	'CPUID',
])

export interface DiscoverOptions {
	/** Takes in what has not been seen to run as if it had: for tests, which translate before they run. */
	readonly everything?: boolean
}

/**
 * Finds what can be reached from `entry` by direct jumps, calls and returns of 64-bit code, in a few pages. What is known to run comes first, breadth first, so
 * that the limits cut what is cold or far from the entry; edges to what was not taken become exits. Where there is the jump of a switch, all offsets of its page
 * that have been entered so far may be its targets: that takes in the handlers of a bytecode interpreter, too.
 */
export function discover(entry: number, source: CodeSource, { everything = false }: DiscoverOptions = {}): Region | undefined {
	return new Discovery(entry, source, everything).region()
}

class Discovery {
	private readonly entry: number
	private readonly source: CodeSource
	private readonly everything: boolean
	private readonly found = new Map<number, Instruction>()
	/** Where decoding has gone on from. */
	private readonly walked = new Set<number>()
	private readonly leaders: Set<number>
	private readonly pages: number[] = [0]
	/** To be decoded: what has been seen to run, or follows it, and the rest. */
	private readonly seen: number[]
	private readonly unseen: number[] = []
	/** Of functions that are called: sizeOf(). */
	private readonly sizes = new Map<number, number>()
	/** Pages with the jumps of a switch or an interpreter. */
	private readonly jumpPages = new Set<number>()

	constructor(entry: number, source: CodeSource, everything: boolean) {
		this.entry = entry
		this.everything = everything
		this.source = source
		this.leaders = new Set([entry])
		this.seen = [entry]
	}

	region(): Region | undefined {
		const { entry, found, leaders, pages } = this
		this.drain()
		const first = found.get(entry)
		// The interpreter keeps no record of an instruction that runs into the next page, and a region's first block is not verified.
		if (first === undefined || pageOf(entry + first.length - 1) !== 0) return undefined
		const indirect = this.targets()
		const blocks = new Map<number, Block>()
		for (const leader of leaders) if (found.has(leader)) blocks.set(leader, this.blockAt(leader))
		if (indirect.length > 0) blocks.set(DISPATCH, { start: DISPATCH, instructions: [], end: { kind: 'dispatch' }, pages: 0 })
		const region = { entry, blocks, pages, indirect, instructions: found.size }
		findReturnSites(region)
		return region
	}

	/** Targets of indirect jumps: what has been entered in the pages of such jumps, those nearest to the first. */
	private targets(): number[] {
		const targets: number[] = []
		const [first = 0] = this.jumpPages
		const isNear = (page: number) => Math.abs(page - first) * PAGE_SIZE < MAX_INDIRECT_SPAN / 2
		for (const page of [...this.jumpPages].filter(isNear).sort((a, b) => a - b)) {
			for (let offset = page * PAGE_SIZE; offset < (page + 1) * PAGE_SIZE && targets.length < MAX_INDIRECT; offset++) {
				if (!this.source.isEntry(offset)) continue
				targets.push(offset)
				this.leaders.add(offset)
				this.seen.push(offset)
			}
		}
		this.drain()
		return targets.filter((offset) => this.found.has(offset))
	}

	private drain(): void {
		for (;;) {
			const at = this.seen.shift()
			if (at !== undefined) {
				this.walk(at, true)
				continue
			}
			const unseen = this.unseen.shift()
			if (unseen === undefined) return
			this.walk(unseen, false)
		}
	}

	private hasRun(offset: number): boolean {
		return this.everything || this.source.isEntry(offset)
	}

	/** A block begins at `offset`, if it comes to be part of the region. */
	private lead(offset: number, isSeen: boolean): void {
		this.leaders.add(offset)
		if (!this.walked.has(offset)) (isSeen ? this.seen : this.unseen).push(offset)
	}

	/** Decodes from `start` to where control does not just go on. */
	private walk(start: number, isSeen: boolean): void {
		const { walked, leaders } = this
		// Instructions since one that may have read a switch's table.
		let sinceTable = MAX_FROM_TABLE
		for (let off = start; !walked.has(off); ) {
			const instruction = this.take(off, isSeen, off !== start)
			if (instruction === undefined) return
			walked.add(off)
			sinceTable = readsTable(instruction) ? 0 : sinceTable + 1
			const next = off + instruction.length
			const { op } = instruction
			const target = Number(instruction.imm)
			if (pageOf(next - 1) !== pageOf(off)) leaders.add(off)
			if (pageOf(next) !== pageOf(off)) leaders.add(next)
			if (op === 'JMP') return this.lead(target, this.hasRun(target))
			if (op === 'CALL') {
				const isCalled = this.hasRun(target)
				if (!this.found.has(target) && (!isCalled || this.sizeOf(target) > MAX_CALLED)) return
				// What is behind a call is reached by a return inside the region only.
				if (this.take(target, isCalled) === undefined) return
				this.lead(target, isCalled)
				return this.lead(next, isSeen)
			}
			if (op === 'JCC') {
				this.lead(next, isSeen)
				return this.lead(target, this.hasRun(target))
			}
			if (op === 'JMP_E' && sinceTable <= MAX_FROM_TABLE) this.jumpPages.add(pageOf(off))
			if (op === 'RET' || op === 'JMP_E' || LEAVES.has(op)) return
			off = next
		}
	}

	/** Instructions of the function at `start` that have been seen to run, those of what it calls included; more than MAX_CALLED when they are more, or can't be told. */
	private sizeOf(start: number): number {
		const known = this.sizes.get(start)
		if (known !== undefined) return known
		// A function that calls itself is not small.
		this.sizes.set(start, MAX_CALLED + 1)
		const size = this.count(start)
		this.sizes.set(start, size)
		return size
	}

	private count(start: number): number {
		const counted = new Set<number>()
		const open = [start]
		let called = 0
		for (let off = open.pop(); off !== undefined; off = open.pop()) {
			while (!counted.has(off)) {
				const instruction = this.source.look(off)
				if (instruction === undefined) break
				counted.add(off)
				const { op } = instruction
				const target = Number(instruction.imm)
				if (op === 'CALL') called += this.sizeOf(target)
				if (counted.size + called > MAX_CALLED || op === 'JMP_E' || op === 'CALL_E') return MAX_CALLED + 1
				if (op === 'JCC' && this.hasRun(target)) open.push(target)
				if (op === 'RET' || LEAVES.has(op)) break
				off = op === 'JMP' ? target : off + instruction.length
			}
		}
		return counted.size + called
	}

	/** The instruction at `off`, now part of the region; undefined when it cannot be. `follows` others in a block. Code that was not seen to run brings in no page. */
	private take(off: number, isSeen: boolean, follows = false): Instruction | undefined {
		const { pages, found } = this
		const known = found.get(off)
		if (known !== undefined) return known
		if (found.size >= (!isSeen ? MAX_BEFORE_UNSEEN : follows ? MAX_IN_BLOCKS : MAX_INSTRUCTIONS)) return undefined
		const room = isSeen ? REGION_MAX_PAGES - pages.length : 0
		if (room === 0 && !pages.includes(pageOf(off))) return undefined
		const instruction = this.source.decode(off)
		if (instruction === undefined) return undefined
		const first = pageOf(off)
		const last = pageOf(off + instruction.length - 1)
		const needed = (pages.includes(first) ? 0 : 1) + (last === first || pages.includes(last) ? 0 : 1)
		if (needed > room) return undefined
		if (!pages.includes(first)) pages.push(first)
		if (!pages.includes(last)) pages.push(last)
		found.set(off, instruction)
		return instruction
	}

	private blockAt(start: number): Block {
		const instructions: Instruction[] = []
		const end = this.fill(start, instructions)
		const last = instructions.at(-1)!
		const bit = (offset: number) => 1 << this.pages.indexOf(pageOf(offset))
		return { start, instructions, end, pages: bit(start) | bit(last.off + last.length - 1) }
	}

	/** Instructions of the block at `start`; how it ends. */
	private fill(start: number, instructions: Instruction[]): BlockEnd {
		for (let off = start; ; ) {
			const instruction = this.found.get(off)
			if (instruction === undefined) return { kind: 'goto', target: off }
			instructions.push(instruction)
			const next = off + instruction.length
			const { op } = instruction
			const target = Number(instruction.imm)
			if (op === 'JMP') return { kind: 'goto', target }
			if (op === 'JCC') return { kind: 'branch', cc: instruction.cc, taken: target, next }
			if (op === 'CALL') return { kind: 'call', target, back: next }
			if (op === 'RET') return { kind: 'return', sites: [] }
			if (op === 'JMP_E') return { kind: 'indirect' }
			if (LEAVES.has(op)) return { kind: 'leave' }
			if (this.leaders.has(next)) return { kind: 'goto', target: next }
			off = next
		}
	}
}

/** Whether it reads, as the table of a switch is read. Other indirect jumps are calls of functions that are found elsewhere: by a linker, or in an object. */
function readsTable({ memory, index, scale, op }: Instruction): boolean {
	return memory && index !== SLOT_ZERO && scale >= 2 && op !== 'LEA'
}

/** A RET goes back behind the calls of the functions that it can be reached in. */
function findReturnSites(region: Region): void {
	const { blocks } = region
	const callers = new Map<number, number[]>()
	for (const { end } of blocks.values()) {
		if (end.kind !== 'call' || !blocks.has(end.target) || !blocks.has(end.back)) continue
		const sites = callers.get(end.target) ?? []
		sites.push(end.back)
		callers.set(end.target, sites)
	}
	const sites = new Map<BlockEnd, Set<number>>()
	for (const [target, backs] of callers) {
		for (const { end } of functionAt(target, region)) {
			if (end.kind !== 'return') continue
			const all = sites.get(end) ?? new Set()
			for (const back of backs) all.add(back)
			sites.set(end, all)
		}
	}
	for (const [end, all] of sites) if (end.kind === 'return') end.sites = [...all].sort((a, b) => a - b)
}

/** The blocks that control reaches from `start` when every call returns. */
function functionAt(start: number, region: Region): Block[] {
	const reached = new Set<number>()
	const out: Block[] = []
	const stack = [start]
	for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
		const block = region.blocks.get(at)
		if (block === undefined || reached.has(at)) continue
		reached.add(at)
		out.push(block)
		stack.push(...(block.end.kind === 'call' ? [block.end.back] : successors(block, region)))
	}
	return out
}

/** Offsets of the blocks that may follow, each once, those outside the region included. */
export function successors(block: Block, region: Region): readonly number[] {
	const { end } = block
	switch (end.kind) {
		case 'goto':
			return [end.target]
		case 'branch':
			return end.taken === end.next ? [end.next] : [end.taken, end.next]
		case 'call':
			return [end.target]
		case 'return':
			return end.sites
		case 'indirect':
			return [DISPATCH]
		case 'dispatch':
			return region.indirect
		case 'leave':
			return []
	}
}
