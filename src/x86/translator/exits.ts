import { I32, I64 } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'
import type { LazyFlags } from './flags.ts'
import type { Instruction } from './instruction.ts'

/** Outcomes of core/execute.ts. */
const FAULTED = 1
const JUMP = 3
const AGAIN = 4

/**
 * The ways out of a region. Each says where to go on (CPU_RIP), or which record could not be completed (CPU_REGION_RECORD), and why (CPU_REGION_STATUS, an
 * outcome of core/execute.ts).
 */
export class Exits {
	/** Local: linear address of the region's page. */
	readonly page: number
	private readonly context: RegionContext
	private readonly flags: LazyFlags
	private readonly target: number
	private readonly record: number
	private readonly status: number
	/** Labels. */
	private jumpExit = 0
	private faultExit = 0
	private rawExit = 0

	constructor(context: RegionContext, flags: LazyFlags) {
		const { code } = context
		this.context = context
		this.flags = flags
		this.page = code.local(I64)
		this.target = code.local(I64)
		this.record = code.local(I32)
		this.status = code.local(I32)
	}

	/** At the region's entry. */
	begin(): void {
		const { code, state } = this.context
		code.i32(state).memory('i64.load', L.SLOT_PAGE).set(this.page)
	}

	/** Writes `body` and behind it what the ways out have in common; `spill` stores the registers. */
	around(body: () => void, spill: () => void): void {
		const { code, state } = this.context
		this.rawExit = code.block()
		const spilled = code.block()
		this.faultExit = code.block()
		this.jumpExit = code.block()
		body()
		code.op('unreachable')
		code.end()
		code.i32(state).get(this.target).memory('i64.store', L.CPU_RIP).i32(JUMP).set(this.status).br(spilled)
		code.end()
		code.i32(FAULTED).set(this.status)
		code.end()
		spill()
		this.flags.spill()
		code.end()
		code.i32(state).get(this.record).memory('i32.store', L.CPU_REGION_RECORD)
		code.i32(state).get(this.status).memory('i32.store', L.CPU_REGION_STATUS)
	}

	/** Pushes page + offset. */
	pushAddress(offset: number): void {
		this.context.code.get(this.page).i64(offset).op('i64.add')
	}

	/** Leaves for an offset from the page. */
	to(offset: number): void {
		this.pushAddress(offset)
		this.toPushed()
	}

	/** Leaves for the linear address on the stack. */
	toPushed(): void {
		const { code } = this.context
		code.set(this.target)
		this.flags.canonical()
		code.br(this.jumpExit)
	}

	/** Leaves because the instruction raised an exception. */
	fault(instruction: Instruction): void {
		this.flags.canonical()
		this.context.code.i32(instruction.record).set(this.record).br(this.faultExit)
	}

	/** Keeps the outcome that is on the stack, an i32. It is 0 when the region goes on. */
	teeStatus(): void {
		this.context.code.tee(this.status)
	}

	/** Leaves with the outcome of teeStatus(), registers and flags as the core has them. */
	withStatus(instruction: Instruction): void {
		const { code, state } = this.context
		code.i32(instruction.record).set(this.record)
		// Interrupted in the middle: goes on with the same instruction, from outside.
		code.get(this.status).i32(AGAIN).op('i32.eq')
		code.if()
		code.i32(state)
		this.pushAddress(instruction.off)
		code.memory('i64.store', L.CPU_RIP).i32(JUMP).set(this.status)
		code.end()
		code.br(this.rawExit)
	}
}
