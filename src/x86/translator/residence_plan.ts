import { type BlockEffect, GENERAL, GOOD_PAGES, type ResidencePlan } from './residence.ts'
import type { Shape } from './structure.ts'

const NO_EFFECT: BlockEffect = { uses: 0, valid: 0, dirty: 0, clears: false }
const ALL = -1

/**
 * Where blocks begin, what is in locals: what is there on all ways, what is dirty on some, and at the head of a loop what is used in the loop, so that nothing is loaded
 * again in every round.
 */
export function planResidence(shape: Shape, effects: ReadonlyMap<number, BlockEffect>): ResidencePlan {
	const { order } = shape
	const own = order.map(({ start }) => effects.get(start) ?? NO_EFFECT)
	const into = order.map((_, n) => shape.waysInto(n))
	const dirty = order.map(() => 0)
	settle(order.length, (n) => {
		const before = dirty[n]!
		for (const from of into[n]!) dirty[n]! |= (own[from]!.clears ? 0 : dirty[from]!) | own[from]!.dirty
		return dirty[n] !== before
	})
	const least = order.map((_, n) => dirty[n]! | usedInLoop(n, into, own))
	const valid = order.map((_, n) => (n === 0 ? least[0]! : ALL))
	settle(order.length, (n) => {
		if (n === 0) return false
		const before = valid[n]!
		let mask = before
		for (const from of into[n]!) {
			const atEnd = (own[from]!.clears ? valid[from]! & ~GENERAL : valid[from]!) | own[from]!.valid
			mask &= shape.pagesBetween(from, n) === 0 ? atEnd : atEnd | (1 << GOOD_PAGES)
		}
		valid[n] = mask | least[n]!
		return valid[n] !== before
	})
	return { valid: (block) => valid[shape.numberOf(block)]!, dirty: (block) => dirty[shape.numberOf(block)]! }
}

/** Repeats `step` for each number below `count` until it changes nothing. */
function settle(count: number, step: (n: number) => boolean): void {
	for (let changed = true; changed; ) {
		changed = false
		for (let n = 0; n < count; n++) if (step(n)) changed = true
	}
}

/** What the blocks of the loop that a block is the head of use; 0 when it is none. */
function usedInLoop(head: number, into: readonly (readonly number[])[], own: readonly BlockEffect[]): number {
	const stack = into[head]!.filter((from) => from >= head)
	if (stack.length === 0) return 0
	const inside = new Set([head])
	for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
		if (inside.has(at)) continue
		inside.add(at)
		stack.push(...into[at]!)
	}
	let uses = 0
	for (const n of inside) uses |= own[n]!.uses
	return uses
}
