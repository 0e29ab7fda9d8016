import { type Block, type Region, successors } from './discover.ts'

/** Bit of the entry's page in a block's mask. */
export const ENTRY_PAGE = 1

/**
 * The shape of a region as structured control flow needs it, after N. Ramsey, "Beyond Relooper" (ICFP 2022): reverse postorder, dominator tree, which blocks
 * are loop headers and which are merge points. An edge that makes the graph irreducible (it goes back to a block that does not dominate its source) is
 * reported by isCut(): it becomes an exit from the region.
 */
export class Shape {
	/** Blocks in reverse postorder; the entry is first. */
	readonly order: readonly Block[]
	private readonly number = new Map<number, number>()
	private readonly dominator: number[]
	private readonly headers = new Set<number>()
	private readonly merges = new Set<number>()
	private readonly children = new Map<number, Block[]>()
	/** By number: numbers of the blocks that it may follow, and of those that may follow it. */
	private readonly predecessors: readonly (readonly number[])[]
	private readonly successors: readonly (readonly number[])[]
	/** By number: pages of the blocks that dominate it, its own included. */
	private readonly pages: number[] = []

	constructor(region: Region) {
		this.order = reversePostorder(region)
		this.order.forEach((block, n) => {
			this.number.set(block.start, n)
		})
		const predecessors: number[][] = this.order.map(() => [])
		this.predecessors = predecessors
		this.successors = this.order.map((block, from) => {
			const inside: number[] = []
			for (const target of successors(block, region)) {
				const to = this.number.get(target)
				if (to === undefined) continue
				inside.push(to)
				predecessors[to]!.push(from)
			}
			return inside
		})
		this.dominator = immediateDominators(predecessors)
		for (let to = 0; to < this.order.length; to++) {
			this.pages.push(this.order[to]!.pages | (to === 0 ? ENTRY_PAGE : this.pages[this.dominator[to]!]!))
			let forward = 0
			for (const from of predecessors[to]!) {
				if (from < to) forward++
				else if (this.dominates(to, from)) this.headers.add(to)
			}
			if (forward > 1) this.merges.add(to)
		}
		for (let n = 1; n < this.order.length; n++) {
			const parent = this.order[this.dominator[n]!]!.start
			const list = this.children.get(parent) ?? []
			list.push(this.order[n]!)
			this.children.set(parent, list)
		}
	}

	/** Whether it has loops. */
	get repeats(): boolean {
		return this.headers.size > 0
	}

	has(start: number): boolean {
		return this.number.has(start)
	}

	isHeader(block: Block): boolean {
		return this.headers.has(this.number.get(block.start)!)
	}

	/** Reached by more than one forward edge. */
	isMerge(start: number): boolean {
		return this.merges.has(this.number.get(start)!)
	}

	isBackEdge(from: Block, target: number): boolean {
		return this.number.get(target)! <= this.number.get(from.start)!
	}

	/** A back edge to a block that does not dominate its source. */
	isCut(from: Block, target: number): boolean {
		return this.isBackEdge(from, target) && !this.dominates(this.number.get(target)!, this.number.get(from.start)!)
	}

	/** Its place in `order`. */
	numberOf(start: number): number {
		return this.number.get(start)!
	}

	/** Numbers of the blocks that the block of a number may follow inside the region. */
	waysInto(to: number): readonly number[] {
		return this.predecessors[to]!.filter((from) => from < to || this.dominates(to, from))
	}

	/** Mask of the pages that are asked about on the way from one block to another, by number. */
	pagesBetween(from: number, to: number): number {
		return this.order[to]!.pages & ~this.pages[from]!
	}

	/** Mask of the region's pages that are known to be good when `block` runs: those of what ran before it. */
	pagesAt(block: Block): number {
		return this.pages[this.number.get(block.start)!]!
	}

	/** Merge points that `block` immediately dominates, the last in order first. */
	mergesBelow(block: Block): readonly Block[] {
		return (this.children.get(block.start) ?? []).filter((child) => this.isMerge(child.start)).reverse()
	}

	/** Instructions that a round of the loop executes at least, from its header to `from`; of what it may go by or around, none. */
	instructionsBetween(header: number, from: Block): number {
		const first = this.number.get(header)!
		let sum = 0
		for (let n = this.number.get(from.start)!; n >= first; n = this.dominator[n]!) {
			sum += this.order[n]!.instructions.length
			if (n === first) break
		}
		return sum
	}

	/** Headers of the loops that a block ends a round of. */
	headersFrom(block: Block): readonly Block[] {
		const from = this.number.get(block.start)!
		return this.successors[from]!.filter((to) => to <= from && this.dominates(to, from)).map((to) => this.order[to]!)
	}

	/** Blocks that it may follow. */
	predecessorsOf(block: Block): readonly Block[] {
		return this.predecessors[this.number.get(block.start)!]!.map((n) => this.order[n]!)
	}

	/** Starts of the blocks that may follow it. */
	successorsOf(block: Block): readonly number[] {
		return this.successors[this.number.get(block.start)!]!.map((n) => this.order[n]!.start)
	}

	/** Blocks of all loops that the block is the head of. */
	loopOf(head: Block): ReadonlySet<Block> {
		const first = this.number.get(head.start)!
		const inside = new Set([first])
		const stack = this.predecessors[first]!.filter((n) => n >= first && this.dominates(first, n))
		for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
			if (inside.has(at)) continue
			inside.add(at)
			stack.push(...this.predecessors[at]!)
		}
		return new Set([...inside].map((n) => this.order[n]!))
	}

	/** Blocks between the loop's header and `from`, in order. */
	span(from: Block, header: number): readonly Block[] {
		return this.order.slice(this.number.get(header)!, this.number.get(from.start)! + 1)
	}

	private dominates(a: number, b: number): boolean {
		while (b > a) b = this.dominator[b]!
		return a === b
	}
}

function reversePostorder(region: Region): Block[] {
	const seen = new Set<number>()
	const out: Block[] = []
	const stack: { block: Block; next: number; targets: readonly number[] }[] = []
	const open = (start: number) => {
		const block = region.blocks.get(start)
		if (block === undefined || seen.has(start)) return
		seen.add(start)
		stack.push({ block, next: 0, targets: successors(block, region).toReversed() })
	}
	open(region.entry)
	for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
		const target = top.targets[top.next++]
		if (target === undefined) {
			out.push(top.block)
			stack.pop()
		} else open(target)
	}
	return out.reverse()
}

/** Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm". Nodes are numbered in reverse postorder. */
function immediateDominators(predecessors: readonly (readonly number[])[]): number[] {
	const dominator = predecessors.map(() => -1)
	dominator[0] = 0
	const intersect = (a: number, b: number) => {
		while (a !== b) {
			while (a > b) a = dominator[a]!
			while (b > a) b = dominator[b]!
		}
		return a
	}
	for (let changed = true; changed; ) {
		changed = false
		for (let n = 1; n < predecessors.length; n++) {
			let best = -1
			for (const p of predecessors[n]!) if (dominator[p] !== -1) best = best === -1 ? p : intersect(p, best)
			if (best !== dominator[n]) {
				dominator[n] = best
				changed = true
			}
		}
	}
	return dominator
}
