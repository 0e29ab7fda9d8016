import type { Block } from '../discover.ts'
import type { Shape } from '../structure.ts'
import { Accumulators } from './accumulators.ts'
import {
	backward,
	type Effect,
	effectOf,
	forward,
	isDouble,
	isNumeric,
	isSse,
	type Lanes,
	NO_LANES,
	noLanes,
	noWanted,
	type WantedLanes,
} from './lanes.ts'
import { equal, hull, isKnown, normalRange, unknownRange, windowRange } from './ranges.ts'

/** What is known of lanes at the start of a region's blocks. */
export interface LaneFlow {
	/** Whether the region computes with numbers at all. */
	readonly computes: boolean
	/** Whether it does with vectors. */
	readonly packs: boolean
	/** Lanes that are tested at the region's entry. */
	readonly entry: Lanes
	/** By the block's start. */
	readonly blocks: ReadonlyMap<number, Lanes>
	/** By the block's start, masks of the registers that only sum up there (accumulators.ts). */
	readonly accumulators: ReadonlyMap<number, number>
	/** Registers that are used for doubles more than for vectors. */
	readonly split: ReadonlySet<number>
	/** Heads of the loops with arithmetic in them. */
	readonly loops: ReadonlySet<number>
	/** Whether a loop has any SSE instruction. */
	readonly repeats: boolean
}

/** Rounds after which a range that still grows may be any that is normal. */
const PATIENCE = 3

export function laneFlow(shape: Shape): LaneFlow {
	const { order } = shape
	const computing = new Set(order.filter((block) => block.instructions.some(({ op }) => isNumeric(op))))
	const targets = new Map(order.map((block) => [block, shape.successorsOf(block)]))
	if (computing.size === 0) {
		return {
			computes: false,
			packs: false,
			entry: NO_LANES,
			blocks: new Map(order.map(({ start }) => [start, NO_LANES])),
			accumulators: new Map(),
			split: new Set(),
			loops: new Set(),
			repeats: findLoops(shape, targets, new Set(order.filter((block) => block.instructions.some(({ op }) => isSse(op))))).size > 0,
		}
	}
	const effects = new Map(order.map((block) => [block, block.instructions.map(effectOf).filter((effect) => effect !== 'none')]))
	const loops = findLoops(shape, targets, computing)
	const wanted = wantedIn(order, targets, effects)
	const usedIn = new Map([...loops].map(([start, inside]) => [start, wantedIn(inside, targets, effects).get(start)!]))
	/** What is known at the head of a loop: what it computes with is tested before it is reached. */
	const arriving = (target: number, lanes: Lanes): Lanes => {
		const used = usedIn.get(target)
		if (used === undefined) return lanes
		return lanes.map((range, lane) => (!isKnown(range) && isDouble(lane) && used[lane >> 3]! & (1 << (lane & 7)) ? windowRange() : range))
	}
	// What nobody wants needs no keeping: a number that is never used again can't hold up the others.
	const isWanted = (start: number, lane: number) => (wanted.get(start)![lane >> 3]! & (1 << (lane & 7))) !== 0
	const entryStart = order[0]!.start
	const entry = noLanes().map((range, lane) => (isWanted(entryStart, lane) ? windowRange() : range))
	const blocks = new Map<number, Lanes>([[entryStart, entry]])
	const sums = new Accumulators(shape, targets)
	// Ranges only grow; those that go on growing are given up.
	let round = 0
	for (let changed = true; changed; round++) {
		changed = false
		for (const block of order) {
			const lanes = blocks.get(block.start)?.slice()
			if (lanes === undefined) continue
			for (const effect of effects.get(block)!) forward(lanes, effect, sums.at(block))
			for (const target of targets.get(block)!) {
				const into = blocks.get(target)
				const known = arriving(target, lanes)
				if (sums.arrive(block, target, known)) changed = true
				if (into === undefined) {
					blocks.set(
						target,
						known.map((range, lane) => (isWanted(target, lane) ? { ...range } : unknownRange())),
					)
					changed = true
					continue
				}
				into.forEach((before, lane) => {
					if (!isKnown(before)) return
					const after = hull(before, known[lane]!)
					if (equal(before, after)) return
					into[lane] = round >= PATIENCE && isKnown(after) ? normalRange() : after
					changed = true
				})
			}
		}
	}
	for (const { start } of order) if (!blocks.has(start)) blocks.set(start, noLanes())
	const packs = order.some((block) => block.instructions.some(({ op }) => /P[SD]$/.test(op) && isNumeric(op)))
	return {
		computes: true,
		packs,
		entry: blocks.get(entryStart)!,
		blocks,
		accumulators: new Map(order.map((block) => [block.start, sums.at(block)])),
		split: splitRegisters(shape, targets),
		loops: new Set(loops.keys()),
		repeats: loops.size > 0,
	}
}

/** Lanes that must be tested where control goes to the head of a loop: register * 8 + lane. */
export function lanesToTest(flow: LaneFlow, head: number, lanes: Lanes): readonly number[] {
	if (!flow.loops.has(head)) return []
	return flow.blocks.get(head)!.flatMap((range, lane) => (isDouble(lane) && isKnown(range) && !isKnown(lanes[lane]!) ? [lane] : []))
}

/** The blocks of loops with any of these blocks, by the loop's head. */
function findLoops(
	shape: Shape,
	targets: ReadonlyMap<Block, readonly number[]>,
	blocks: ReadonlySet<Block>,
): Map<number, readonly Block[]> {
	const loops = new Map<number, readonly Block[]>()
	for (const block of shape.order)
		for (const target of targets.get(block)!) {
			if (!shape.isBackEdge(block, target)) continue
			const span = shape.span(block, target)
			// They are in order: the last is the longest.
			if (span.some((inside) => blocks.has(inside))) loops.set(target, span)
		}
	return loops
}

/** Lanes that are operands in blocks or behind them, at the start of each. */
function wantedIn(
	blocks: readonly Block[],
	targets: ReadonlyMap<Block, readonly number[]>,
	effects: ReadonlyMap<Block, readonly Effect[]>,
): Map<number, WantedLanes> {
	const wanted = new Map<number, WantedLanes>(blocks.map(({ start }) => [start, noWanted()]))
	for (let changed = true; changed; ) {
		changed = false
		for (const block of blocks.toReversed()) {
			const lanes = noWanted()
			for (const target of targets.get(block)!) wanted.get(target)?.forEach((bits, n) => void (lanes[n]! |= bits))
			for (const effect of effects.get(block)!.toReversed()) backward(lanes, effect)
			const before = wanted.get(block.start)!
			if (lanes.every((bits, n) => bits === before[n])) continue
			wanted.set(block.start, lanes)
			changed = true
		}
	}
	return wanted
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
