import { type Region, successors } from './discover.ts'
import { type BlockEffect, GENERAL, GOOD_PAGES, type ResidencePlan } from './residence.ts'
import type { Shape } from './structure.ts'

const NO_EFFECT: BlockEffect = { uses: 0, valid: 0, dirty: 0, clears: false }
const ALL = -1

/**
 * Where blocks begin, what is in locals: what is there on all ways, what is dirty on some, and at the head of a loop what is used in the loop, so that nothing is loaded
 * again in every round.
 */
export function planResidence(shape: Shape, region: Region, effects: ReadonlyMap<number, BlockEffect>): ResidencePlan {
	const { order } = shape
	const number = new Map(order.map(({ start }, n) => [start, n]))
	const own = order.map(({ start }) => effects.get(start) ?? NO_EFFECT)
	/** Edges into each block: where from, and what they make valid. */
	const into: { readonly from: number; readonly valid: number }[][] = order.map(() => [])
	order.forEach((block, from) => {
		for (const target of new Set(successors(block, region))) {
			const to = number.get(target)
			if (to === undefined || shape.isCut(block, target)) continue
			into[to]!.push({ from, valid: order[to]!.pages & ~shape.pagesAt(block) ? 1 << GOOD_PAGES : 0 })
		}
	})
	const dirty = order.map(() => 0)
	const dirtyAtEnd = (n: number) => (own[n]!.clears ? 0 : dirty[n]!) | own[n]!.dirty
	settle(order.length, (n) => {
		const before = dirty[n]!
		for (const { from } of into[n]!) dirty[n]! |= dirtyAtEnd(from)
		return dirty[n] !== before
	})
	const least = order.map((_, n) => dirty[n]! | usedInLoop(n, into, own))
	const valid = order.map((_, n) => (n === 0 ? least[0]! : ALL))
	const validAtEnd = (n: number) => (own[n]!.clears ? valid[n]! & ~GENERAL : valid[n]!) | own[n]!.valid
	settle(order.length, (n) => {
		if (n === 0) return false
		const before = valid[n]!
		valid[n] = into[n]!.reduce((mask, edge) => mask & (validAtEnd(edge.from) | edge.valid), before) | least[n]!
		return valid[n] !== before
	})
	return { valid: (block) => valid[number.get(block)!]!, dirty: (block) => dirty[number.get(block)!]! }
}

/** Repeats `step` for each number below `count` until it changes nothing. */
function settle(count: number, step: (n: number) => boolean): void {
	for (let changed = true; changed; ) {
		changed = false
		for (let n = 0; n < count; n++) if (step(n)) changed = true
	}
}

/** What the blocks of the loop that a block is the head of use; 0 when it is none. */
function usedInLoop(head: number, into: readonly (readonly { readonly from: number }[])[], own: readonly BlockEffect[]): number {
	const inside = new Set([head])
	const stack = into[head]!.filter(({ from }) => from >= head).map(({ from }) => from)
	if (stack.length === 0) return 0
	for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
		if (inside.has(at)) continue
		inside.add(at)
		stack.push(...into[at]!.map(({ from }) => from))
	}
	let uses = 0
	for (const n of inside) uses |= own[n]!.uses
	return uses
}
