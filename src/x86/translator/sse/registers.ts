import { F64, V128, type ValueType, VOID } from '../../../wasm/module.ts'
import * as L from '../../core/layout.ts'
import type { RegionContext } from '../context.ts'
import type { Exits } from '../exits.ts'
import type { Instruction } from '../instruction.ts'
import { DISTANCE } from './double_tests.ts'
import type { LaneFlow } from './lane_flow.ts'
import { cleanLanes, D0, D1, effectOf, forward, isTested, type Lanes, NO_LANES } from './lanes.ts'

/** TS and EM. */
const CR0_NO_FPU = 0xc

/** Of core/sse_region.ts. */
const UNCLEAN = -2

/** Forms of a register. */
const VECTOR = 0
const SPLIT = 1
const BOTH = 2

const offsetOf = (index: number) => L.CPU_XMM + index * 16

/**
 * The XMM registers of a region, and what is known of the numbers in them.
 *
 * Rules:
 * - A register is a v128 local, or split: then its lower half is in an f64 local, and only the upper half of the v128 local counts; or both, when they agree.
 *   Between blocks and on the ways out it is split when the region uses it for doubles more than for vectors. Locals are made when they are first asked for.
 * - get() and getLow() may change a register's form, and so are not for code that only runs on some ways.
 * - `lanes` is what is known of the lanes at this place of the code, on condition: while `slow` is 0, it is true, and MXCSR is such that operations on
 *   clean operands with a normal result have it as WebAssembly computes it and set no flag that is not set (core/sse_region.ts, sseReady()).
 * - `slow` is in the state block: as a local it would be one more value that has to be in one place on each way into a loop.
 * - Whoever makes what is known untrue makes `slow` so. Only ready(), at the entry and at the heads of loops, makes it 0 again.
 * - CR0 doesn't change inside a region, so it is asked once on every way through it.
 */
export class XmmRegisters {
	/** Local: 0xc0000000 in every lane. V8 makes vector constants anew wherever they are used. */
	readonly quarters: number
	/** Local: DISTANCE of double_tests.ts in both quadwords. */
	readonly distances: number
	/** A mask of registers, of the block that is written (accumulators.ts). */
	accumulators = 0
	/** Whether SSE is known to be available on every way to this place. */
	asked = false
	private known = NO_LANES
	/** Whether `known` is this object's own. */
	private isOwn = false
	private readonly context: RegionContext
	private readonly exits: Exits
	private readonly vectors = new Map<number, number>()
	private readonly lows = new Map<number, number>()
	/** The registers' forms here, and between blocks. */
	private readonly forms: number[]
	private readonly home: readonly number[]
	private readonly flow: LaneFlow

	constructor(context: RegionContext, exits: Exits, flow: LaneFlow) {
		const { code } = context
		this.context = context
		this.flow = flow
		this.home = Array.from({ length: 16 }, (_, n) => (flow.split.has(n) ? SPLIT : VECTOR))
		this.forms = this.home.slice()
		this.exits = exits
		this.quarters = code.local(V128)
		this.distances = code.local(V128)
	}

	// ---- values -----------------------------------------------------------------------------------------------------------

	/** Pushes a register by index. */
	get(index: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(index)
		const vector = this.vector(index)
		code.get(vector)
		if (this.forms[index] !== SPLIT) return
		code.get(this.low(index)).lane('f64x2.replace_lane', 0).tee(vector)
		this.forms[index] = BOTH
	}

	/** Pops a register. */
	set(index: number): void {
		this.writes(index)
		this.context.code.set(this.vector(index))
		this.forms[index] = VECTOR
	}

	/** Pushes the double in the lower half. */
	getLow(index: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(index)
		if (this.forms[index] !== VECTOR) {
			code.get(this.low(index))
			return
		}
		code.get(this.vector(index)).lane('f64x2.extract_lane', 0).tee(this.low(index))
		this.forms[index] = BOTH
	}

	/** The local with the double in the lower half. It holds it until the register is written. */
	lowLocal(index: number): number {
		this.getLow(index)
		this.context.code.op('drop')
		return this.low(index)
	}

	/** The local with all of a register. It holds it until the register is written. */
	vectorLocal(index: number): number {
		this.get(index)
		this.context.code.op('drop')
		return this.vector(index)
	}

	/** The registers' forms, for code that is written for several ways: each begins with the same. */
	takeForms(): readonly number[] {
		return this.forms.slice()
	}

	resetForms(forms: readonly number[]): void {
		forms.forEach((form, n) => {
			this.forms[n] = form
		})
	}

	/** Pops a double for the lower half; the upper half stays. */
	setLow(index: number): void {
		this.writes(index)
		this.context.code.set(this.low(index))
		this.forms[index] = SPLIT
	}

	/** Pops a double for the lower half; the upper half is cleared. */
	setLowAndClear(index: number): void {
		this.setLow(index)
		this.context.code.v128Const(0n).set(this.vector(index))
	}

	/** Pushes the double in the upper half. */
	getHigh(index: number): void {
		this.context.use.xmmUsed.add(index)
		this.context.code.get(this.vector(index)).lane('f64x2.extract_lane', 1)
	}

	/** Makes the double that `push` pushes the upper half; the lower half stays. */
	setHigh(index: number, push: () => void): void {
		this.writes(index)
		this.context.code.get(this.vector(index))
		push()
		this.context.code.lane('f64x2.replace_lane', 1).set(this.vector(index))
	}

	/** Clears a register. */
	clear(index: number): void {
		this.writes(index)
		this.context.code.v128Const(0n).set(this.vector(index))
		this.forms[index] = VECTOR
		if (!this.isSplit(index)) return
		this.context.code.i64(0).op('f64.reinterpret_i64').set(this.low(index))
		this.forms[index] = BOTH
	}

	/** Copies a register. */
	copy(from: number, to: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(from)
		this.writes(to)
		code.get(this.vector(from)).set(this.vector(to))
		if (this.forms[from] !== VECTOR) code.get(this.low(from)).set(this.low(to))
		this.forms[to] = this.forms[from]!
	}

	/** Whether the lower half is in a local of its own now. */
	hasLow(index: number): boolean {
		return this.forms[index] !== VECTOR
	}

	/** Whether a register is split between blocks. */
	isSplit(index: number): boolean {
		return this.home[index] === SPLIT
	}

	/** Stores registers in the state block. */
	spill(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) {
			code.i32(state).get(this.vector(n)).v128('store', offsetOf(n))
			if (this.forms[n] === SPLIT) code.i32(state).get(this.low(n)).memory('f64.store', offsetOf(n))
		}
	}

	/** Loads registers from the state block. */
	load(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) {
			code.i32(state).v128('load', offsetOf(n)).set(this.vector(n))
			if (this.forms[n] !== VECTOR) code.i32(state).memory('f64.load', offsetOf(n)).set(this.low(n))
		}
	}

	/** What is known here; not to be changed. */
	get lanes(): Lanes {
		this.isOwn = false
		return this.known
	}

	/** At the start of a block: all registers have the form that they have between blocks. */
	beginBlock(lanes: Lanes): void {
		this.known = lanes
		this.isOwn = false
		for (let n = 0; n < 16; n++) this.forms[n] = this.home[n]!
	}

	/** At the end of a block and on a way out, which changes nothing for the code that follows: gives registers the form that they have between blocks. */
	settle(): void {
		const { code } = this.context
		for (let n = 0; n < 16; n++) {
			const form = this.forms[n]
			if (form === this.home[n]) continue
			if (form === SPLIT) code.get(this.vector(n)).get(this.low(n)).lane('f64x2.replace_lane', 0).set(this.vector(n))
			else if (form === VECTOR) code.get(this.vector(n)).lane('f64x2.extract_lane', 0).set(this.low(n))
		}
	}

	/** At the end of a block, before what ends it. */
	endBlock(): void {
		this.settle()
		this.beginBlock(this.known)
	}

	private writes(index: number): void {
		this.context.use.xmmUsed.add(index)
		this.context.use.xmmWritten.add(index)
	}

	private vector(index: number): number {
		return this.localOf(this.vectors, index, V128)
	}

	private low(index: number): number {
		return this.localOf(this.lows, index, F64)
	}

	private localOf(locals: Map<number, number>, index: number, type: ValueType): number {
		const local = locals.get(index) ?? this.context.code.local(type)
		locals.set(index, local)
		return local
	}

	// ---- where SSE may run ------------------------------------------------------------------------------------------------

	/** At the region's entry. */
	begin(): void {
		const { code, core, use } = this.context
		const { computes, packs, entry } = this.flow
		this.beginBlock(entry)
		this.load(use.xmmUsed)
		if (!computes) return
		this.ready()
		if (!packs) return
		code.globalGet(core.sseQuarters).simd('i32x4.splat').set(this.quarters)
		code
			.globalGet(core.sseQuarters)
			.i32(DISTANCE - (0xc0000000 | 0))
			.op('i32.add', 'i64.extend_i32_u')
		code.i64(32).op('i64.shl').simd('i64x2.splat').set(this.distances)
	}

	/** Finds `slow` from MXCSR and the clean lanes. The registers that have any are in the state block. */
	private ready(): void {
		let doubles = 0
		let singles = 0n
		for (let n = 0; n < 16; n++) {
			const bits = cleanLanes(this.known, n)
			doubles |= (bits & (D0 | D1)) << (n * 2)
			singles |= BigInt(bits >> 2) << BigInt(n * 4)
		}
		this.context.code.i32(doubles).i64(BigInt.asIntN(64, singles)).call(this.context.core.sseReady)
	}

	/** Something that is known is not true. */
	becomeSlow(): void {
		const { code, state } = this.context
		code.i32(state).i32(UNCLEAN).memory('i32.store', L.CPU_SSE_SLOW)
		code.i32(state).i32(0).memory('i32.store', L.CPU_SSE_MODERATE)
	}

	/** Pushes `slow`, an i32: 0, or all bits but the lowest. */
	pushSlow(): void {
		const { code, state } = this.context
		code.i32(state).memory('i32.load', L.CPU_SSE_SLOW)
	}

	/** Pushes, while `slow` is 0, the highest bit of the exponent of a single, else 0. */
	pushModerate(): void {
		const { code, state } = this.context
		code.i32(state).memory('i32.load', L.CPU_SSE_MODERATE)
	}

	/** Pushes an i32: whether SSE instructions raise #NM or #UD. */
	pushUnavailable(): void {
		const { code, state } = this.context
		code.i32(state).memory('i32.load', L.CPU_CR0).i32(CR0_NO_FPU).op('i32.and')
	}

	/** Finds `slow` again. */
	refresh(): void {
		this.spill([...this.context.use.xmmWritten].filter((n) => cleanLanes(this.known, n) !== 0))
		this.ready()
	}

	/** At the head of a loop, where these lanes are clean: the fast paths may be possible again. */
	beginLoop(lanes: Lanes): void {
		const { code } = this.context
		this.beginBlock(lanes)
		this.pushSlow()
		code.if(VOID, false)
		this.refresh()
		code.end()
	}

	/** Raises what CR0 asks for, before any fault of the operand. */
	require(i: Instruction): void {
		if (this.asked) return
		const { code, core } = this.context
		this.pushUnavailable()
		code.if(VOID, false)
		code.call(core.raiseSimdUnavailable)
		this.exits.fault(i)
		code.end()
		this.asked = true
	}

	// ---- numbers ----------------------------------------------------------------------------------------------------------

	/** Whether all of a register's lanes in a mask are clean. */
	isClean(index: number, lanes: number): boolean {
		return (cleanLanes(this.known, index) & lanes) === lanes
	}

	/** After an instruction: what is known now. `tested`: its emitter wrote it, else the core has executed it. */
	finish(i: Instruction, tested: boolean): void {
		const effect = effectOf(i)
		if (effect !== 'none') {
			if (!this.isOwn) this.known = this.known.slice()
			this.isOwn = true
			forward(this.known, effect, this.accumulators)
		}
		if (i.op === 'LDMXCSR' || i.op === 'FXRSTOR' || (!tested && isTested(effect))) this.refresh()
	}

	/** After an operation of core/sse_region.ts, which says itself where a number is not clean: leaves with its exception. */
	takeStatus(i: Instruction): void {
		const { code, core } = this.context
		code.globalGet(core.sseStatus)
		code.if(VOID, false)
		this.exits.fault(i)
		code.end()
	}
}
