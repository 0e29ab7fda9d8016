import type { Block } from '../discover.ts'
import type { Instruction } from '../instruction.ts'
import type { Shape } from '../structure.ts'
import { effectOf, isSse, type Lanes } from './lanes.ts'
import { isKnown, WINDOW_HI } from './ranges.ts'

// A register that a loop only adds to and subtracts from, and reads for nothing else but to store or compare it, holds what it held before the loop and as many
// terms as the loop has added, none of which depends on it: so it can't grow to more than the terms' size times their number. That is bounded by how much a
// region executes before it is left. Such sums need no test, other than those that go into what is added to them.

const SUM = /^(ADD|SUB)[SP]D$/
/** Reads whose outcome can't go into a term: what is loaded again is tested. */
const HARMLESS = /^(MOV(SD|U|A|Q)_W_V|MOV[LH]PS_M_V)$/
const COMPARISON = /^U?COMISD$/
/** Read XMM0. */
const WITH_XMM0 = /BLENDV|STR[IM]$/
const ALL = 0xffff

interface Loop {
	readonly head: number
	readonly body: ReadonlySet<Block>
	/** Mask of registers. */
	sums: number
}

export class Accumulators {
	private readonly loops: readonly Loop[]

	constructor(shape: Shape, targets: ReadonlyMap<Block, readonly number[]>) {
		this.loops = findLoops(shape, targets).filter(({ sums }) => sums !== 0)
	}

	/** Mask of the registers that are sums in a block. */
	at(block: Block): number {
		return this.loops.reduce((mask, { body, sums }) => (body.has(block) ? mask | sums : mask), 0)
	}

	/** Control goes from a block to a target. What comes into a loop with more than the window holds is not bounded. Returns whether that is news. */
	arrive(from: Block, target: number, lanes: Lanes): boolean {
		let news = false
		for (const loop of this.loops) {
			if (loop.head !== target || loop.body.has(from)) continue
			for (let register = 0; register < 16; register++) {
				const bit = 1 << register
				if ((loop.sums & bit) === 0) continue
				if (![lanes[register * 8]!, lanes[register * 8 + 1]!].some((range) => isKnown(range) && range.hi > WINDOW_HI)) continue
				loop.sums &= ~bit
				news = true
			}
		}
		return news
	}
}

function findLoops(shape: Shape, targets: ReadonlyMap<Block, readonly number[]>): Loop[] {
	const predecessors = new Map<number, Block[]>(shape.order.map(({ start }) => [start, []]))
	for (const block of shape.order) for (const target of targets.get(block)!) predecessors.get(target)!.push(block)
	return shape.order.flatMap((block) =>
		targets.get(block)!.flatMap((head) => {
			if (!shape.isBackEdge(block, head) || shape.isCut(block, head)) return []
			const body = bodyOf(block, head, predecessors, shape)
			return [{ head, body, sums: sumsIn(body) }]
		}),
	)
}

/** The blocks from which a back edge is reached without passing the loop's head, and that. */
function bodyOf(from: Block, head: number, predecessors: ReadonlyMap<number, readonly Block[]>, shape: Shape): Set<Block> {
	const body = new Set(shape.order.filter(({ start }) => start === head))
	const open = [from]
	for (let block = open.pop(); block !== undefined; block = open.pop()) {
		if (body.has(block)) continue
		body.add(block)
		open.push(...predecessors.get(block.start)!)
	}
	return body
}

function sumsIn(body: ReadonlySet<Block>): number {
	let sums = 0
	let others = 0
	for (const { instructions } of body)
		for (const i of instructions) {
			if (SUM.test(i.op)) sums |= 1 << i.reg
			others |= otherUses(i)
		}
	return sums & ~others & ALL
}

/** Mask of the registers that an instruction uses otherwise than a sum may be. */
function otherUses(i: Instruction): number {
	const { op, reg, rm, memory } = i
	const bit = (register: number) => (register < 16 ? 1 << register : 0)
	if (!isSse(op)) return effectOf(i) === 'everything' ? ALL : 0
	if (SUM.test(op)) return memory ? 0 : bit(rm)
	if (COMPARISON.test(op) || (memory && HARMLESS.test(op))) return 0
	if (effectOf(i) === 'everything') return ALL
	return bit(reg) | (memory ? 0 : bit(rm)) | (WITH_XMM0.test(op) ? 1 : 0)
}
