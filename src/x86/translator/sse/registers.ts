import { I32, I64, V128, VOID } from '../../../wasm/module.ts'
import * as L from '../../core/layout.ts'
import type { RegionContext } from '../context.ts'
import type { Exits } from '../exits.ts'
import type { Instruction } from '../instruction.ts'
import type { LaneFlow } from './lane_flow.ts'
import { effectOf, forward, isTested, type Lanes, noLanes } from './lanes.ts'

/** TS and EM. */
const CR0_NO_FPU = 0xc

const offsetOf = (index: number) => L.CPU_XMM + index * 16

/**
 * The XMM registers of a region: v128 locals, made when they are first asked for, and what is known of the numbers in them.
 *
 * Rules:
 * - `lanes` are the clean lanes at this place of the code, on condition: while the local `slow` is 0, they are clean, and MXCSR is such that operations on clean
 *   operands with a normal result have it as WebAssembly computes it and set no flag that is not set (core/sse_region.ts, sseReady()). Otherwise `slow` has its
 *   sign bits (63 and 31) set.
 * - Whoever puts into a clean lane what may not be clean makes `slow` so. Only ready(), at the entry and at the heads of loops, makes it 0 again.
 * - CR0 doesn't change inside a region, so `unavailable` is asked once on every way through it.
 */
export class XmmRegisters {
	/** Local: whether SSE instructions raise #NM or #UD. */
	readonly unavailable: number
	/** Local. */
	readonly slow: number
	lanes: Lanes = noLanes()
	/** Whether `unavailable` has been asked on every way to this place. */
	asked = false
	private readonly context: RegionContext
	private readonly exits: Exits
	private readonly locals = new Map<number, number>()
	private readonly status: number

	constructor(context: RegionContext, exits: Exits) {
		const { code } = context
		this.context = context
		this.exits = exits
		this.unavailable = code.local(I32)
		this.slow = code.local(I64)
		this.status = code.local(I64)
	}

	/** Pushes a register by index. */
	get(index: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(index)
		code.get(this.local(index))
	}

	/** Pops a register. */
	set(index: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(index)
		use.xmmWritten.add(index)
		code.set(this.local(index))
	}

	/** Stores registers in the state block. */
	spill(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) code.i32(state).get(this.local(n)).v128('store', offsetOf(n))
	}

	/** Loads registers from the state block. */
	load(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) code.i32(state).v128('load', offsetOf(n)).set(this.local(n))
	}

	private local(index: number): number {
		const local = this.locals.get(index) ?? this.context.code.local(V128)
		this.locals.set(index, local)
		return local
	}

	// ---- where SSE may run ------------------------------------------------------------------------------------------------

	/** At the region's entry, registers loaded. */
	begin({ present, computes, entry }: LaneFlow): void {
		const { code, state } = this.context
		if (!present) return
		code.i32(state).memory('i32.load', L.CPU_CR0).i32(CR0_NO_FPU).op('i32.and').set(this.unavailable)
		this.lanes = entry.slice()
		if (computes) this.ready()
	}

	/** Finds `slow` from MXCSR and the clean lanes. The registers that have any are in the state block. */
	private ready(): void {
		let doubles = 0
		let singles = 0n
		this.lanes.forEach((bits, n) => {
			doubles |= (bits & 3) << (n * 2)
			singles |= BigInt(bits >> 2) << BigInt(n * 4)
		})
		this.context.code.i32(doubles).i64(BigInt.asIntN(64, singles)).call(this.context.core.sseReady).set(this.slow)
	}

	/** Finds `slow` again. */
	refresh(): void {
		this.spill([...this.context.use.xmmWritten].filter((n) => this.lanes[n] !== 0))
		this.ready()
	}

	/** At the head of a loop, where these lanes are clean: the fast paths may be possible again. */
	beginLoop(lanes: Lanes): void {
		const { code } = this.context
		this.lanes = lanes.slice()
		code.get(this.slow).op('i64.eqz', 'i32.eqz')
		code.if(VOID, false)
		this.refresh()
		code.end()
	}

	/** Raises what CR0 asks for, before any fault of the operand. */
	require(i: Instruction): void {
		if (this.asked) return
		const { code, core } = this.context
		code.get(this.unavailable)
		code.if(VOID, false)
		code.call(core.raiseSimdUnavailable)
		this.exits.fault(i)
		code.end()
		this.asked = true
	}

	// ---- numbers ----------------------------------------------------------------------------------------------------------

	/** Whether all of a register's lanes in a mask are clean. */
	isClean(index: number, lanes: number): boolean {
		return (this.lanes[index]! & lanes) === lanes
	}

	/** After an instruction: what is known now. `tested`: its emitter wrote it, else the core has executed it. */
	finish(i: Instruction, tested: boolean): void {
		const effect = effectOf(i)
		forward(this.lanes, effect)
		if (i.op === 'LDMXCSR' || i.op === 'FXRSTOR' || (!tested && isTested(effect))) this.refresh()
	}

	/** After an operation of core/sse_region.ts: leaves with its exception, or notes that a number is not clean. */
	takeStatus(i: Instruction): void {
		const { code, core } = this.context
		code.globalGet(core.sseStatus).tee(this.status).op('i32.wrap_i64').i32(1).op('i32.and')
		code.if(VOID, false)
		this.exits.fault(i)
		code.end()
		code.get(this.slow).get(this.status).op('i64.or').set(this.slow)
	}
}
