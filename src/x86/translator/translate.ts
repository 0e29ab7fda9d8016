import { type FunctionBody, I32, I64 } from '../../wasm/module.ts'
import { byOperation } from './by_operation.ts'
import type { LoopInvariants, RegisterUse } from './context.ts'
import { CORE_IMPORTS } from './core_imports.ts'
import { type Block, DISPATCH, type Region, successors } from './discover.ts'
import type { Instruction } from './instruction.ts'
import { emitCall, emitDispatch, emitIndirect, finishReturn, INTEGER, peekReturn } from './integer.ts'
import { RegionCode } from './region_code.ts'
import type { ResidenceFound } from './residence.ts'
import { planResidence } from './residence_plan.ts'
import { writeDoubleGroup } from './sse/double_groups.ts'
import { requireDoubles } from './sse/double_tests.ts'
import type { Emitter } from './sse/emitter.ts'
import { type LaneFlow, laneFlow, lanesToTest } from './sse/lane_flow.ts'
import { type Lanes, NO_LANES } from './sse/lanes.ts'
import { isPure, SSE } from './sse/table.ts'
import { Strides } from './strides.ts'
import { Shape } from './structure.ts'

export interface Target {
	/** The machine's memory has at least that many pages of 64 KiB. */
	readonly memoryPages: number
	/** Host address of the vCPU's state block. */
	readonly state: number
	readonly tlbEntries: number
	/** Accesses near one another are looked up each for itself (spans.ts). */
	readonly separate: boolean
}

/** What the dispatcher looks up: for each offset from the first to the last that it goes to, 0 for none, or one more than its place in `indirect`. */
export function dispatchTable({ indirect }: Region): Uint8Array {
	const [low = 0, high = -1] = [indirect[0], indirect.at(-1)]
	const table = new Uint8Array(high - low + 1)
	for (const [n, offset] of indirect.entries()) table[offset - low] = n + 1
	return table
}

/**
 * A function of a regionModule(), `(budget: i32) -> i32`: what is left of the budget. Its dispatchTable() is to be `dispatchAt` bytes into the region's data.
 */
export function translate(region: Region, target: Target, dispatchAt = 0, shape = new Shape(region)): FunctionBody {
	const known: Known = { region, shape, lanes: laneFlow(shape), strides: new Strides(shape) }
	const loops = new Map<number, LoopInvariants>()
	if (shape.repeats) {
		const first = newUse(loops)
		writeFunction(known, target, dispatchAt, first)
		for (const head of shape.order) if (shape.isHeader(head)) loops.set(head.start, invariants(shape.loopOf(head), head, first))
	}
	const use = newUse(loops)
	const { residence } = use
	// The first pass finds out which registers the second has to load and store, and where nobody needs the flags.
	writeFunction(known, target, dispatchAt, use)
	residence.plan = planResidence(shape, residence.effects)
	findDeadFlags(shape, use)
	return writeFunction(known, target, dispatchAt, use)
}

function newUse(loops: Map<number, LoopInvariants>): RegisterUse {
	const residence: ResidenceFound = { effects: new Map(), conditional: new Map(), plan: undefined }
	return {
		written: new Set(),
		residence,
		xmmUsed: new Set(),
		xmmWritten: new Set(),
		carried: new Set(),
		pinned: new Set(),
		placesUsed: new Set(),
		spans: new Map(),
		changes: new Map(),
		moved: new Map(),
		loops,
		flagsFirst: new Map(),
		flagsDead: new Set(),
	}
}

/** Of a loop of these blocks: what none of them changes, and registers that are what they were at the end of each round. */
function invariants(blocks: Iterable<Block>, head: Block, { changes, moved }: RegisterUse): LoopInvariants {
	let changed = 0
	let mappings = true
	for (const { start } of blocks) {
		const block = changes.get(start)
		changed |= block?.registers ?? 0
		if (block?.mappings) mappings = false
	}
	return { registers: ~(changed & (moved.get(head.start) ?? 0)) & 0xffff, mappings }
}

/** The flags are needed in a block that needs them first, or that leaves them alone and goes on to one where they are. */
function findDeadFlags(shape: Shape, { flagsFirst, flagsDead }: RegisterUse): void {
	for (const { start } of shape.order) if (flagsFirst.get(start) !== 'read') flagsDead.add(start)
	const open = shape.order.filter(({ start }) => !flagsFirst.has(start)).reverse()
	for (let changed = true; changed; ) {
		changed = false
		for (const block of open)
			if (flagsDead.has(block.start) && shape.successorsOf(block).some((next) => !flagsDead.has(next)))
				changed = flagsDead.delete(block.start)
	}
}

/** What is known of a region before its code is written. */
interface Known {
	readonly region: Region
	readonly shape: Shape
	readonly lanes: LaneFlow
	readonly strides: Strides
}

function writeFunction(known: Known, target: Target, dispatchAt: number, use: RegisterUse): FunctionBody {
	const { region, lanes, strides } = known
	const code = new RegionCode(CORE_IMPORTS, target, use, region.pages.length, lanes, strides)
	return code.wrap(() => new RegionWriter(code, known, dispatchAt).write())
}

/** Instructions that an indirect jump inside a region is charged for. */
const INDIRECT_CHARGE = 8

/** For what the core executes. */
const NO_EMITTER: Emitter = () => false
/** Emitters of the instructions that do not end a block. */
const emitterOf = byOperation((operation) => INTEGER[operation] ?? SSE[operation] ?? NO_EMITTER)

class RegionWriter {
	private readonly r: RegionCode
	private readonly region: Region
	private readonly shape: Shape
	private readonly lanes: LaneFlow
	private readonly dispatchAt: number
	/** Local: host address of the region's data, for the dispatcher. */
	private readonly table: number
	/** What is known at the end of the blocks that were written. */
	private readonly lanesAtEnd = new Map<Block, Lanes>()
	/** Labels of the loops and of the blocks that a branch may repeat or leave, by block start. Each is written once, and only code inside goes there. */
	private readonly loops = new Map<number, number>()
	private readonly merges = new Map<number, number>()

	constructor(r: RegionCode, { region, shape, lanes }: Known, dispatchAt: number) {
		this.dispatchAt = dispatchAt
		this.table = r.code.local(I32)
		this.r = r
		this.region = region
		this.shape = shape
		this.lanes = lanes
	}

	write(): void {
		const { code, core } = this.r
		const entry = this.shape.order[0]!
		if (this.region.indirect.length > 0) code.globalGet(core.data).set(this.table)
		this.refuse()
		this.r.prepare(entry.start)
		this.writeTree(entry)
	}

	/**
	 * Where loops have SSE instructions but SSE is not available, which it hardly ever isn't, the core executes the region's first instruction, and the region is
	 * left. So nothing has to ask in the loops.
	 */
	private refuse(): void {
		const [{ instructions, end }] = this.shape.order as readonly [Block]
		const [first] = instructions
		if (!this.lanes.repeats || first === undefined || first.addressRecord !== 0 || first.op === 'JMP') return
		if (!(first.op in INTEGER || first.op in SSE) || (instructions.length === 1 && end.kind !== 'goto')) return
		this.r.xmm.pushUnavailable()
		this.r.rarely(first)
		this.r.xmm.asked = true
	}

	/** A block and everything it dominates. */
	private writeTree(block: Block): void {
		const { code, xmm } = this.r
		const { asked } = xmm
		const { block: outer } = this.r
		if (this.shape.isHeader(block)) {
			this.r.meetFlags(block.start)
			this.r.block = block.start
			const { accesses } = this.r
			this.loops.set(block.start, code.loop())
			if (this.lanes.loops.has(block.start)) xmm.beginLoop(this.lanes.blocks.get(block.start)!)
			code.enter()
			this.writeWithin(block, this.shape.mergesBelow(block), 0)
			code.leave()
			code.end()
			this.r.endLoop(accesses)
		} else {
			this.r.block = block.start
			code.enter()
			this.writeWithin(block, this.shape.mergesBelow(block), 0)
			code.leave()
		}
		this.r.block = outer
		// What this block has asked, others that it doesn't dominate have not.
		xmm.asked = asked
	}

	/** The block inside one wasm block for each merge point below it, from the `n`th on, each followed by that merge point's tree. */
	private writeWithin(block: Block, merges: readonly Block[], n: number): void {
		const first = merges[n]
		if (first === undefined) return this.writeBlock(block)
		const { code } = this.r
		this.merges.set(first.start, code.plainBlock())
		this.writeWithin(block, merges, n + 1)
		code.end()
		this.r.flags = undefined
		this.writeTree(first)
	}

	private writeBlock(block: Block): void {
		const { r, shape } = this
		const { code } = r
		const last = block.instructions.at(-1)
		r.beginBlock(block.start, this.shape.isMerge(block.start), this.shape.isHeader(block))
		r.xmm.beginBlock(this.lanes.blocks.get(block.start)!)
		r.xmm.accumulators = this.lanes.accumulators.get(block.start) ?? 0
		for (let n = 0; n < block.instructions.length; ) {
			const instruction = block.instructions[n]!
			if (instruction === last && block.end.kind !== 'goto') break
			if (instruction.op === 'JMP') break
			r.beginInstruction()
			const group = writeDoubleGroup(r, block.instructions, n)
			if (group === 0) this.writeInstruction(instruction)
			n += group || 1
		}
		const { end } = block
		r.xmm.endBlock()
		this.lanesAtEnd.set(block, r.xmm.lanes)
		r.beginInstruction()
		switch (end.kind) {
			case 'goto':
				r.endBlock()
				return this.goTo(block, end.target)
			case 'branch': {
				if (end.taken !== end.next) r.pushCondition(end.cc)
				r.endBlock()
				if (end.taken === end.next) return this.goTo(block, end.next)
				code.if()
				r.onOneWay(() => this.goTo(block, end.taken))
				code.end()
				return this.goTo(block, end.next)
			}
			case 'call':
				emitCall(r, last!, end.target)
				r.endBlock()
				if (!shape.has(end.target) || shape.isCut(block, end.target)) return r.exitByCall(end.target, last!.off + last!.length)
				return this.goTo(block, end.target)
			case 'return':
				return this.writeReturn(block, last!)
			case 'indirect':
				return this.writeIndirect(block, last!)
			case 'dispatch':
				return this.writeDispatch(block, this.region.indirect)
			case 'leave':
				if (last!.op === 'SYSCALL') return r.systemCall(last!)
				if (last!.op === 'CALL_E' && last!.addressRecord === 0 && emitIndirect(r, last!)) return
				r.execute(last!)
				return r.exitTo(last!.off + last!.length)
		}
	}

	/** A return goes on inside the region when its address is behind one of the region's calls. */
	private writeReturn(block: Block, instruction: Instruction): void {
		const { r } = this
		const { code } = r
		const address = r.temporary(I64)
		if (!peekReturn(r, instruction, address)) {
			r.execute(instruction)
			return r.exitTo(instruction.off + instruction.length)
		}
		for (const target of successors(block, this.region)) {
			code.get(address)
			r.pushAddress(target)
			code.op('i64.eq')
			code.if()
			r.onOneWay(() => {
				finishReturn(r, instruction, address, true)
				r.endBlock()
				this.goTo(block, target)
			})
			code.end()
		}
		finishReturn(r, instruction, address, false)
		r.endBlock()
		r.exitByReturn(address)
	}

	/** An indirect jump goes on at the dispatcher; without one, or where that knows nothing of its address, it leaves. */
	private writeIndirect(block: Block, instruction: Instruction): void {
		const { r, shape } = this
		const { indirect } = this.region
		const inside = shape.has(DISPATCH) && !shape.isCut(block, DISPATCH)
		const written =
			instruction.addressRecord === 0 &&
			(inside ? emitDispatch(r, instruction, indirect[0]!, indirect.at(-1)!) : emitIndirect(r, instruction))
		if (!written) {
			r.execute(instruction)
			return r.exitTo(instruction.off + instruction.length)
		}
		r.endBlock()
		if (inside) this.goTo(block, DISPATCH)
	}

	/** Goes to the offset that is `dispatch` behind the first, by the table of dispatchTable(). */
	private writeDispatch(block: Block, offsets: readonly number[]): void {
		const { r } = this
		const { code } = r
		const low = offsets[0]!
		r.forgetFlags()
		r.endBlock()
		const elsewhere = code.block()
		const targets = offsets.map(() => code.block()).reverse()
		code.get(r.budget).i32(INDIRECT_CHARGE).op('i32.sub').tee(r.budget).i32(0).op('i32.le_s')
		code.brIf(elsewhere)
		code.get(this.table).get(r.dispatch).op('i32.wrap_i64', 'i32.add').memory('i32.load8_u', this.dispatchAt)
		code.brTable([elsewhere, ...targets], elsewhere)
		for (const offset of offsets) {
			code.end()
			r.flags = undefined
			r.onOneWay(() => this.goTo(block, offset))
		}
		code.end()
		r.flags = undefined
		r.pushAddress(low)
		code.get(r.dispatch).op('i64.add')
		r.exitToPushed()
	}

	/** Control goes from the end of `from` to an offset. */
	private goTo(from: Block, target: number): void {
		const { r, shape } = this
		if (!shape.has(target) || shape.isCut(from, target)) return r.exitTo(target)
		const pages = this.region.blocks.get(target)!.pages & ~shape.pagesAt(from)
		if (pages !== 0) r.requirePages(pages, target)
		this.testLanes(from, target)
		if (shape.isBackEdge(from, target)) {
			// The dispatcher charges for itself.
			if (target !== DISPATCH) r.charge(shape.instructionsBetween(target, from), target)
			r.prepare(target)
			r.meetFlags(target)
			r.endRound(target)
			r.code.br(this.loops.get(target)!)
			return
		}
		r.prepare(target)
		if (shape.isMerge(target)) {
			r.meetFlags(target)
			r.meetRegisters(target)
			r.code.br(this.merges.get(target)!)
			return
		}
		this.writeTree(this.region.blocks.get(target)!)
	}

	/** Tests numbers that a loop computes with, before it is reached. */
	private testLanes(from: Block, head: number): void {
		const lanes = lanesToTest(this.lanes, head, this.lanesAtEnd.get(from)!)
		if (lanes.length === 0) return
		this.r.xmm.beginBlock(NO_LANES)
		requireDoubles(this.r, lanes)
	}

	private writeInstruction(instruction: Instruction): void {
		const { r } = this
		const written = instruction.addressRecord === 0 && emitterOf(instruction.op)(r, instruction)
		if (!written) r.execute(instruction, instruction.addressRecord !== 0 || !isPure(instruction.op))
		r.xmm.finish(instruction, written)
	}
}
