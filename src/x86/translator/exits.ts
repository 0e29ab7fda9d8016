import { I32, I64, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import type { RegionContext } from './context.ts'
import { pushRecord } from './core_imports.ts'
import type { LazyFlags } from './flags.ts'
import { type Instruction, pageOf } from './instruction.ts'
import type { GeneralRegisters } from './registers.ts'
import { GOOD_PAGES } from './residence.ts'
import { ENTRY_PAGE } from './structure.ts'

/** Outcomes of core/execute.ts. */
const NEXT = 0
const FAULTED = 1
const JUMP = 3
export const AGAIN = 4
const STATUS_SHIFT = 20

/** Where control goes: an offset from the page, or what pushes a linear address. */
export type Way = number | (() => void)

/**
 * The ways out of a region. Each says where to go on (CPU_RIP), or which record could not be completed (CPU_REGION_RECORD), and why (CPU_REGION_STATUS, an
 * outcome of core/execute.ts).
 *
 * Control goes to another page only when that is known to be what the region was made from (core/regions.ts): its bit of `good` is set, or verifyPage() says so.
 * In such a region SLOT_PAGE is that of the instruction only where the core executes it, and where one faults.
 */
export class Exits {
	/** Local: linear address of the region's page. */
	readonly page: number
	private readonly context: RegionContext
	private readonly registers: GeneralRegisters
	private readonly flags: LazyFlags
	/** Local: what leaveRarely() says is to be stored, and from bit STATUS_SHIFT on the status. */
	private readonly rare: number
	/** Local: what is left of the budget. */
	private readonly budget: number
	/** Local: mask of the pages that may be run. */
	private readonly good: number
	private readonly target: number
	private readonly record: number
	private readonly status: number
	/** Gives XMM registers the form that the ways out have in common. */
	settle: () => void = () => {}
	/** Stores the XMM registers. */
	private spillVectors: () => void = () => {}
	/** Labels. */
	private jumpExit = 0
	private rareExit = 0
	private rawExit = 0
	private executes = false

	constructor(context: RegionContext, registers: GeneralRegisters, flags: LazyFlags, budget: number) {
		const { code } = context
		this.budget = budget
		this.context = context
		this.registers = registers
		this.flags = flags
		this.rare = code.local(I32)
		this.page = code.local(I64)
		this.target = code.local(I64)
		this.record = code.local(I32)
		this.status = code.local(I32)
		this.good = code.local(I32)
	}

	private get isAlone(): boolean {
		return this.context.pages === 1
	}

	/** At the region's entry. */
	begin(): void {
		const { code, state } = this.context
		code.i32(state).memory('i64.load', L.SLOT_PAGE).set(this.page)
	}

	/** Loads `good`. */
	findGoodPages(): void {
		const { code, core, state } = this.context
		code.globalGet(core.data).memory('i64.load', L.REGION_PAGE).get(this.page).op('i64.eq')
		code.globalGet(core.data).memory('i32.load', L.REGION_GENERATION).i32(state).memory('i32.load', L.CPU_JUMP_GENERATION)
		code.op('i32.eq', 'i32.and')
		code.if(I32)
		code.globalGet(core.data).memory('i32.load16_u', L.REGION_GOOD)
		code.else()
		code.i32(ENTRY_PAGE)
		code.end()
		code.set(this.good)
	}

	/** Leaves for an offset where a page of the mask may not be run. */
	requirePages(mask: number, offset: number): void {
		for (let n = 0; mask >> n !== 0; n++) if (mask & (1 << n)) this.requirePage(n, offset)
	}

	private requirePage(n: number, offset: number): void {
		const { code, core, residence } = this.context
		if (residence.need(GOOD_PAGES)) this.findGoodPages()
		code
			.get(this.good)
			.i32(1 << n)
			.op('i32.and', 'i32.eqz')
		code.if(VOID, false)
		code.globalGet(core.data).get(this.page).i32(n).call(core.verifyPage).op('i32.eqz')
		code.if()
		this.toRarely(offset)
		code.end()
		code
			.get(this.good)
			.i32(1 << n)
			.op('i32.or')
			.set(this.good)
		code.end()
	}

	/** Before the core executes the instruction. */
	setPage(instruction: Instruction): void {
		if (this.isAlone) return
		const { code, state } = this.context
		code.i32(state)
		this.pushAddress(pageOf(instruction.off) * PAGE_SIZE)
		code.memory('i64.store', L.SLOT_PAGE)
	}

	/** Writes `body` and behind it what the ways out have in common; `spillVectors` stores the XMM registers. */
	around(body: () => void, spillVectors: () => void): void {
		const { code, core, state, use } = this.context
		this.spillVectors = spillVectors
		this.rawExit = code.block()
		this.jumpExit = code.block()
		this.rareExit = code.block()
		body()
		code.op('unreachable')
		code.end()
		this.registers.spillBy(this.rare, use.written)
		code.get(this.rare).i32(STATUS_SHIFT).op('i32.shr_u').tee(this.status).i32(JUMP).op('i32.eq').brIf(this.jumpExit)
		spillVectors()
		this.setPageOfRecord()
		if (this.executes) this.executeRecord()
		code.br(this.rawExit)
		code.end()
		spillVectors()
		code.get(this.budget).get(this.target).returnCall(core.goOn)
		code.end()
		code.i32(state).get(this.record).memory('i32.store', L.CPU_REGION_RECORD)
		code.i32(state).get(this.status).memory('i32.store', L.CPU_REGION_STATUS)
	}

	/** What execute() goes to. */
	private executeRecord(): void {
		const { code, core, state } = this.context
		code.get(this.status).op('i32.eqz')
		code.if()
		code.call(core.settleKept)
		this.flags.setKeptByCore()
		code.get(this.record).call(core.execute).tee(this.status).op('i32.eqz')
		code.if()
		code.i32(state).get(this.target).memory('i64.store', L.CPU_RIP).i32(JUMP).set(this.status)
		code.end()
		code.end()
	}

	/** Leaves with `status`, storing what is dirty here, where that is hardly ever needed. */
	private leaveRarely(status: number): void {
		const { code, residence } = this.context
		this.flags.store()
		if (code.isOutline) return
		this.settle()
		residence.check()
		code
			.i32(residence.dirty | (status << STATUS_SHIFT))
			.set(this.rare)
			.br(this.rareExit)
	}

	/** The page of the instruction in `record`, which knows its distance from the entry's. */
	private setPageOfRecord(): void {
		if (this.isAlone) return
		const { code, state } = this.context
		code.i32(state).get(this.page)
		code.get(this.record).memory('i64.load32_s', L.REC_LINK).i64(12).op('i64.shl', 'i64.add').memory('i64.store', L.SLOT_PAGE)
	}

	/** Has the core execute an instruction without an EA record, which does not ask to be executed again, and leaves behind it. */
	execute(instruction: Instruction): void {
		const { code, core } = this.context
		this.pushAddress(instruction.off + instruction.length)
		code.set(this.target)
		pushRecord(code, core, instruction.record)
		code.set(this.record)
		this.leaveRarely(NEXT)
		this.executes = true
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

	/** The same where that hardly ever happens. */
	toRarely(way: Way): void {
		if (typeof way === 'number') this.pushAddress(way)
		else way()
		this.context.code.set(this.target)
		this.leaveRarely(JUMP)
	}

	/** Ends with a SYSCALL. */
	systemCall(instruction: Instruction): void {
		const { code, core } = this.context
		if (!this.leave()) return
		code.get(this.budget)
		this.pushAddress(instruction.off + instruction.length)
		pushRecord(code, core, instruction.record)
		code.returnCall(core.systemCall)
	}

	/** Leaves for the linear address on the stack. */
	toPushed(): void {
		const { code, residence } = this.context
		if (code.isOutline) return this.flags.store()
		code.set(this.target)
		this.settle()
		residence.check()
		this.registers.spill(residence.dirty)
		this.flags.store()
		code.br(this.jumpExit)
	}

	/** Leaves with a call; the address of offset `next` is on the guest's stack. */
	call(target: Way, next: number): void {
		const { code, core } = this.context
		if (!this.leave()) return
		code.get(this.budget)
		if (typeof target === 'number') this.pushAddress(target)
		else target()
		this.pushAddress(next)
		code.returnCall(core.callOn)
	}

	/** Leaves with a return to the linear address in a local, which has been taken off the guest's stack. */
	return(address: number): void {
		const { code, core } = this.context
		if (!this.leave()) return
		code.get(this.budget).get(address).returnCall(core.returnOn)
	}

	/** Stores all that is dirty. False: the way out itself isn't to be written. */
	private leave(): boolean {
		const { code, residence } = this.context
		if (!code.isOutline) {
			this.settle()
			residence.check()
			this.registers.spill(residence.dirty)
		}
		this.flags.store()
		if (!code.isOutline) this.spillVectors()
		return !code.isOutline
	}

	/** Leaves because the instruction raised an exception. */
	fault(instruction: Instruction): void {
		const { code, core } = this.context
		pushRecord(code, core, instruction.record)
		code.set(this.record)
		this.leaveRarely(FAULTED)
	}

	/** Keeps the outcome that is on the stack, an i32. It is 0 when the region goes on. */
	teeStatus(): void {
		this.context.code.tee(this.status)
	}

	/** Leaves with the outcome of teeStatus(), registers and flags as the core has them. */
	withStatus(instruction: Instruction): void {
		const { code, core, state } = this.context
		this.flags.setKeptByCore()
		pushRecord(code, core, instruction.record)
		code.set(this.record)
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
