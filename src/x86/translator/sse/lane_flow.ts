import { type Block, type Region, successors } from '../discover.ts'
import type { Shape } from '../structure.ts'
import { backward, effectOf, forward, isNumeric, isSse, type Lanes, noLanes } from './lanes.ts'

/** The lanes that are known to be clean at the start of a region's blocks. */
export interface LaneFlow {
	/** Whether the region has any SSE instruction. */
	readonly present: boolean
	/** Whether the region computes with numbers at all. */
	readonly computes: boolean
	/** Whether it does with vectors. */
	readonly packs: boolean
	/** Lanes whose cleanness is tested at the region's entry. */
	readonly entry: Lanes
	/** By the block's start. */
	readonly blocks: ReadonlyMap<number, Lanes>
	/** Registers that are used for doubles more than for vectors. */
	readonly split: ReadonlySet<number>
	/** Heads of the loops with arithmetic in them. */
	readonly loops: ReadonlySet<number>
}

export function laneFlow(shape: Shape, region: Region): LaneFlow {
	const { order } = shape
	const effects = new Map(order.map((block) => [block, block.instructions.map(effectOf).filter((effect) => effect !== 'none')]))
	const present = order.some((block) => block.instructions.some(({ op }) => isSse(op)))
	const computing = new Set(order.filter((block) => block.instructions.some(({ op }) => isNumeric(op))))
	if (computing.size === 0)
		return {
			present,
			computes: false,
			packs: false,
			entry: noLanes(),
			blocks: new Map(order.map(({ start }) => [start, noLanes()])),
			split: new Set(),
			loops: new Set(),
		}
	const wanted = new Map<number, Lanes>(order.map(({ start }) => [start, noLanes()]))
	const targets = new Map(order.map((block) => [block, successors(block, region).filter((start) => wanted.has(start))]))
	for (let changed = true; changed; ) {
		changed = false
		for (const block of order.toReversed()) {
			const lanes = noLanes()
			for (const target of targets.get(block)!) wanted.get(target)!.forEach((bits, n) => void (lanes[n]! |= bits))
			for (const effect of effects.get(block)!.toReversed()) backward(lanes, effect)
			const before = wanted.get(block.start)!
			if (lanes.every((bits, n) => bits === before[n])) continue
			wanted.set(block.start, lanes)
			changed = true
		}
	}
	// What nobody wants needs no keeping: a number that is never used again can't hold up the others.
	const blocks = new Map<number, Lanes>(order.map(({ start }) => [start, wanted.get(start)!.slice()]))
	for (let changed = true; changed; ) {
		changed = false
		for (const block of order) {
			const lanes = blocks.get(block.start)!.slice()
			for (const effect of effects.get(block)!) forward(lanes, effect)
			for (const target of targets.get(block)!) {
				const into = blocks.get(target)!
				into.forEach((bits, n) => {
					if ((bits & lanes[n]!) === bits) return
					into[n] = bits & lanes[n]!
					changed = true
				})
			}
		}
	}
	const loops = new Set<number>()
	for (const block of order)
		for (const target of targets.get(block)!)
			if (shape.isBackEdge(block, target) && shape.span(block, target).some((inside) => computing.has(inside))) loops.add(target)
	const packs = order.some((block) => block.instructions.some(({ op }) => /P[SD]$/.test(op) && isNumeric(op)))
	return { present, computes: true, packs, entry: blocks.get(order[0]!.start)!, blocks, split: splitRegisters(shape, targets), loops }
}

/** What a use of a register in a loop counts, in uses outside. */
const LOOP_WEIGHT = 8
const DOUBLES_ONLY = /^((ADD|SUB|MUL|DIV|MIN|MAX|SQRT)SD|U?COMISD|MOVSD_._.|MOVQ_._.|CVTSI2SD|CVTT?SD2SI)$/
/** What is the same for both: copies and clearing. */
const EITHER = /^(MOV[AU]_V_W|PXOR)$/

function splitRegisters(shape: Shape, targets: ReadonlyMap<Block, readonly number[]>): Set<number> {
	const inLoop = new Set<Block>()
	for (const [block, starts] of targets)
		for (const start of starts) if (shape.isBackEdge(block, start)) for (const inside of shape.span(block, start)) inLoop.add(inside)
	const balance = new Array<number>(16).fill(0)
	for (const block of shape.order)
		for (const { op, reg, rm, memory } of block.instructions) {
			if (!isSse(op) || (EITHER.test(op) && !memory)) continue
			const weight = (inLoop.has(block) ? LOOP_WEIGHT : 1) * (DOUBLES_ONLY.test(op) ? 1 : -1)
			// Slots of general registers are numbers too, and then mean nothing here.
			if (!/^(CVTT?S[SD]2SI|MOVMSKP.|PMOVMSKB|PEXTRW_G)$/.test(op) && reg < 16) balance[reg]! += weight
			if (!memory && !/^(CVTSI2S[SD]|MOVD_._.|PINSR.|PEXTR.)$/.test(op) && rm < 16) balance[rm]! += weight
		}
	return new Set(balance.flatMap((n, register) => (n > 0 ? [register] : [])))
}
