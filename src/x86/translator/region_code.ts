import { Code } from '../../wasm/code.ts'
import { type FunctionBody, I32, I64, type ValueType, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import { decoderTables, familyRanges } from '../opcodes/operations.ts'
import { byOperation } from './by_operation.ts'
import { Conditions } from './conditions.ts'
import type { RegionContext, RegisterUse } from './context.ts'
import { type CoreImports, pushRecord } from './core_imports.ts'
import { AGAIN, Exits, type Way } from './exits.ts'
import { type FlagOperation, type FlagOverride, type KnownFlags, LazyFlags, widen } from './flags.ts'
import type { Instruction } from './instruction.ts'
import { LookUps } from './look_ups.ts'
import { Memory } from './memory.ts'
import { GeneralRegisters } from './registers.ts'
import { GENERAL, GOOD_PAGES, Residence } from './residence.ts'
import type { LaneFlow } from './sse/lane_flow.ts'
import { NO_LANES } from './sse/lanes.ts'
import { XmmRegisters } from './sse/registers.ts'
import type { Strides } from './strides.ts'
import type { Target } from './translate.ts'

const vectorRanges = familyRanges().filter(({ name }) => name === 'SSE' || name === 'MMX')

/** Whether an operation is of a family that may change XMM registers. */
const isVector = byOperation((operation) => {
	const number = decoderTables.operations.indexOf(operation)
	return vectorRanges.some(({ first, last }) => number >= first && number <= last)
})
/** Whether ModRM.reg is no destination: of stores to a register and shifts by an immediate. */
const isOutputRm = byOperation((operation) => /_W_V$|_M_V$|_E_V$|_I$/.test(operation))

/** Locals of a type that instructions take for themselves. */
interface Temporaries {
	readonly type: ValueType
	readonly locals: number[]
	/** By the present instruction. */
	taken: number
}

/**
 * What a region's code is made of, as the emitters use it: registers, flags, memory accesses and ways out.
 *
 * Rules:
 * - General registers live in i64 locals, loaded where they are first needed and stored on ways out where they may have changed (residence.ts). A local is written
 *   only when its instruction can no longer fault, so what is in locals is architectural wherever an access can fail.
 * - Flags are lazy (flags.ts).
 * - A value of 8 bytes is an i64, a smaller one an i32 with the upper bits zero.
 */
export class RegionCode {
	readonly code: Code
	readonly core: CoreImports
	readonly use: RegisterUse
	/** Host address of the vCPU's state block. */
	readonly state: number
	/** Local: parameter 0. */
	readonly budget = 0
	/** Temporary locals. */
	readonly x32: number
	readonly y32: number
	readonly z32: number
	readonly x64: number
	readonly y64: number
	readonly z64: number
	/** Local: where an indirect jump goes. */
	readonly dispatch: number
	readonly xmm: XmmRegisters
	private readonly residence: Residence
	private readonly registers: GeneralRegisters
	private readonly lazy: LazyFlags
	private readonly conditions: Conditions
	private readonly exits: Exits
	private readonly lookUps: LookUps
	private readonly memory: Memory
	private readonly generation: number
	private readonly temporaries: Temporaries[] = []

	constructor(core: CoreImports, target: Target, use: RegisterUse, pages: number, lanes: LaneFlow, strides: Strides) {
		const { state } = target
		const code = new Code(1, use.residence.plan === undefined)
		this.code = code
		this.residence = new Residence(code, use.residence)
		const context: RegionContext = { code, core, state, use, residence: this.residence, pages }
		this.core = core
		this.state = state
		this.use = use
		this.registers = new GeneralRegisters(context)
		this.dispatch = code.local(I64)
		this.x64 = code.local(I64)
		this.y64 = code.local(I64)
		this.z64 = code.local(I64)
		this.lazy = new LazyFlags(context)
		this.conditions = new Conditions(context, this.lazy)
		this.exits = new Exits(context, this.registers, this.lazy, this.budget)
		this.lookUps = new LookUps(context, target, this.registers, this.exits, strides)
		this.memory = new Memory(context, this.registers, this.lazy, this.exits, this.lookUps)
		this.xmm = new XmmRegisters(context, this.exits, lanes)
		this.exits.settle = () => this.xmm.settle()
		this.x32 = code.local(I32)
		this.y32 = code.local(I32)
		this.z32 = code.local(I32)
		this.generation = code.local(I32)
	}

	/** Writes the whole function around `body`. */
	wrap(body: () => void): FunctionBody {
		const { code, use } = this
		this.xmm.begin()
		this.exits.begin()
		this.lookUps.beginRegion()
		this.exits.around(body, () => {
			this.xmm.beginBlock(NO_LANES)
			this.xmm.spill(use.xmmWritten)
		})
		code.get(this.budget)
		return code.finish()
	}

	// ---- temporaries ------------------------------------------------------------------------------------------------------

	/** A local for the rest of the present instruction. They are shared by all instructions: V8's first compiler clears every local at each entry. */
	temporary(type: ValueType): number {
		let temporaries = this.temporaries.find((one) => one.type === type)
		if (temporaries === undefined) this.temporaries.push((temporaries = { type, locals: [], taken: 0 }))
		const { locals } = temporaries
		if (temporaries.taken === locals.length) locals.push(this.code.local(type))
		return locals[temporaries.taken++]!
	}

	/** Runs `body`, which writes one of two ways to do the same; the other one is written next, and then what is known is what is known after both. */
	alternative(body: () => void): void {
		const { flags } = this
		const forms = this.xmm.takeForms()
		this.registers.aside(body)
		this.xmm.resetForms(forms)
		this.flags = flags
	}

	/** The temporaries taken so far are free again. */
	beginInstruction(): void {
		for (const temporaries of this.temporaries) temporaries.taken = 0
		this.bring(this.residence.beginInstruction())
	}

	// ---- blocks -----------------------------------------------------------------------------------------------------------

	/** `isMerge`: several ways lead there, but for those back; `isHead`: some lead back. */
	beginBlock(start: number, isMerge: boolean, isHead: boolean): void {
		this.residence.beginBlock(start)
		const changes = { registers: 0, mappings: false }
		this.use.changes.set(start, changes)
		this.registers.beginBlock(changes)
		this.lookUps.beginBlock(changes)
		if (isMerge) {
			this.registers.begin(start)
			this.lookUps.begin(start)
		}
		if (!isHead) return
		this.registers.beginLoop(start)
		this.lookUps.beginLoop(start)
	}

	/** Where the block's ways to others begin. */
	endBlock(): void {
		this.residence.endBlock()
	}

	/** Writes one of several ways, of which only one is taken. */
	onOneWay(body: () => void): void {
		const { flags } = this
		const before = this.residence.snapshot()
		this.lookUps.onOneWay(() => this.registers.onOneWay(body))
		this.residence.restore(before)
		this.flags = flags
	}

	/** On a way to a block that does not begin with what is in locals here. */
	prepare(target: number): void {
		this.bring((this.use.residence.plan?.valid(target) ?? 0) & ~this.residence.mask)
	}

	/** Loads what a mask says. */
	private bring(mask: number): void {
		if (mask === 0) return
		const { residence } = this
		for (let n = 0; n <= GOOD_PAGES; n++) if (mask & (1 << n)) residence.need(n)
		this.registers.load(mask)
		this.lookUps.loadTables(mask)
		if (mask & (1 << GOOD_PAGES)) this.exits.findGoodPages()
	}

	// ---- ways out ---------------------------------------------------------------------------------------------------------

	/** Pushes page + offset. */
	pushAddress(offset: number): void {
		this.exits.pushAddress(offset)
	}

	/** Leaves the region for an offset from its page. */
	exitTo(offset: number): void {
		this.exits.to(offset)
	}

	/** Ends the region with a SYSCALL. */
	systemCall(instruction: Instruction): void {
		this.exits.systemCall(instruction)
	}

	/** Leaves for an offset where one of the region's pages, a mask, is not what the region was made from. */
	requirePages(mask: number, offset: number): void {
		this.exits.requirePages(mask, offset)
	}

	/** Leaves the region for the linear address on the stack. */
	exitToPushed(): void {
		this.exits.toPushed()
	}

	/** Leaves the region by a call: see Exits. */
	exitByCall(target: Way, next: number): void {
		this.exits.call(target, next)
	}

	exitByReturn(address: number): void {
		this.exits.return(address)
	}

	/** Inside a loop, before going back: charges the budget and leaves when it is spent. */
	charge(instructions: number, offset: number): void {
		const { code } = this
		code.get(this.budget).i32(instructions).op('i32.sub').tee(this.budget).i32(0).op('i32.le_s')
		code.if(VOID, false)
		this.exits.toRarely(offset)
		code.end()
	}

	// ---- registers --------------------------------------------------------------------------------------------------------

	/** Pushes a general register by slot, as a value of `size` bytes. */
	getRegister(slot: number, size: number): void {
		this.registers.get(slot, size)
	}

	/** Pops a value of `size` bytes into a general register by slot. */
	setRegister(slot: number, size: number): void {
		this.registers.set(slot, size)
	}

	/** The most that the register's value is, 8 bytes of it. Undefined where that is not known. */
	boundOf(slot: number): number | undefined {
		return this.registers.boundOf(slot)
	}

	/** What was just written to a register, 4 or 8 bytes, is `most` at most. */
	boundRegister(slot: number, most: number): void {
		this.registers.bound(slot, most)
	}

	// ---- flags ------------------------------------------------------------------------------------------------------------

	get flags(): KnownFlags {
		return this.lazy.known
	}

	set flags(flags: KnownFlags) {
		this.lazy.known = flags
	}

	/** Widens the value on the stack to 64 bits. */
	widen(size: number): void {
		widen(this.code, size)
	}

	/** Flags of an operation on the values in locals x and y; see LazyFlags. */
	setFlags(kind: FlagOperation, size: number, x: number, y?: number, count?: number): void {
		this.lazy.set(kind, size, x, y, count)
	}

	/** Pops the third operand of the flags, an i64: the carry that ADC, SBB, INC and DEC keep, or the count of a shift. */
	setFlagsOperand(): void {
		this.code.set(this.lazy.c)
	}

	overrideFlags(over: FlagOverride): void {
		this.lazy.override(over)
	}

	/** Pushes the six status flags as in EFLAGS, an i32. */
	pushStatus(): void {
		this.lazy.pushStatus()
	}

	/** Pops an i32 of status flags as in EFLAGS. */
	setStatus(): void {
		this.lazy.setStatus()
	}

	/** Flags of a comparison of the doubles in locals x and y. */
	setComparedFlags(x: number, y: number): void {
		this.lazy.setCompared(x, y)
	}

	/** Start of the block that is written. */
	get block(): number {
		return this.lazy.block
	}

	set block(start: number) {
		this.lazy.block = start
	}

	/** Before control goes on where ways meet, at the block `target`: nothing is known of the flags there. */
	meetFlags(target: number): void {
		this.lazy.meet(target)
	}

	/** Before control goes back to the head of a loop. */
	endRound(head: number): void {
		this.registers.endRound(head)
	}

	/** Where the code of a loop ends that begins after the first `count` accesses to memory, and which that is now. */
	endLoop(count: number): void {
		this.lookUps.endLoop(count)
	}

	get accesses(): number {
		return this.lookUps.accesses
	}

	/** Before control goes on where ways meet, at the block `target`, but for the ways back. */
	meetRegisters(target: number): void {
		this.registers.meet(target)
		this.lookUps.meet(target)
	}

	/** From here on nothing is known of the flags; they are in memory. */
	forgetFlags(): void {
		this.lazy.forget()
	}

	/** Pushes CF, an i64. */
	pushCarry(): void {
		this.lazy.pushCarry()
	}

	/** Pushes condition code 0..15, an i32 that is 0 or 1. */
	pushCondition(cc: number): void {
		this.conditions.push(cc)
	}

	// ---- memory -----------------------------------------------------------------------------------------------------------

	/** Local: host address of the last memory operand. */
	get host(): number {
		return this.memory.host
	}

	/** Pushes the effective linear address. */
	pushEffectiveAddress(instruction: Instruction): void {
		this.lookUps.pushEffectiveAddress(instruction)
	}

	/** Leaves the host address of the memory operand's `size` readable bytes in `host`. `aligned`: a multiple of the size, else #GP. */
	hostForRead(instruction: Instruction, size: number, aligned = false): void {
		this.memory.hostForRead(instruction, size, aligned)
	}

	/** The same to store `size` bytes there, by store() or storeXmm(). `pushAddress` as for read(). */
	hostForWrite(instruction: Instruction, size: number, aligned = false, pushAddress?: () => void): void {
		this.memory.hostForWrite(instruction, size, aligned, pushAddress)
	}

	/** Pushes the value of the memory operand's `size` bytes. `pushAddress`: where they are, if not where the operand says. */
	read(instruction: Instruction, size: number, pushAddress?: () => void): void {
		this.memory.read(instruction, size, pushAddress)
	}

	/** Pushes the value of the `size` bytes that a register points to. */
	readAt(instruction: Instruction, slot: number, size = 8): void {
		this.memory.readAt(instruction, slot, size)
	}

	/** The same as write(), of `size` bytes that a register points to. */
	writeTo(instruction: Instruction, slot: number, size: number, value: number, finish: () => void): void {
		const pushAddress = () => this.registers.get(slot, 8)
		this.memory.writeAt(instruction, size, this.lookUps.placeAt(slot, 0), pushAddress, value, finish, instruction.off + instruction.length)
	}

	/** The same as write(), of 8 bytes at the address in local `address`, `offset` bytes from what a register holds. */
	writeAt(instruction: Instruction, slot: number, offset: number, address: number, value: number, finish: () => void, next?: Way): void {
		const place = this.lookUps.placeAt(slot, offset)
		this.memory.writeAt(
			instruction,
			8,
			place,
			() => void this.code.get(address),
			value,
			finish,
			next ?? instruction.off + instruction.length,
		)
	}

	/** Pops the new value of a register, 8 bytes: the old one and `bytes`. */
	moveRegister(slot: number, bytes: number): void {
		this.registers.setMoved(slot, bytes)
	}

	/** As read() with a load of one's own, which pops a host address and pushes a value of `type`; it is written more than once. `aligned` as above. */
	readWith(instruction: Instruction, size: number, type: ValueType, load: () => void, aligned = false): void {
		this.memory.readWith(instruction, size, type, load, aligned)
	}

	/** Stores the value in local `value` at the memory operand, then does `finish` (register and flag changes); see store(). */
	write(instruction: Instruction, size: number, value: number, finish: () => void, next = instruction.off + instruction.length): void {
		this.memory.write(instruction, size, value, finish, next)
	}

	/** Pushes the value of `size` bytes at `host`. */
	load(size: number): void {
		this.memory.loadHost(size)
	}

	/**
	 * Stores the value in local `value` at `host`, then does `finish` (register and flag changes). A store that the core must complete may fault, before
	 * `finish`; one that dropped decoded code leaves the region for offset `next` after it.
	 */
	store(instruction: Instruction, size: number, value: number, finish: () => void, next = instruction.off + instruction.length): void {
		this.memory.store(instruction, size, value, finish, next)
	}

	/** Stores the 16 bytes of an XMM register at `host`. */
	storeXmm(instruction: Instruction, index: number): void {
		const { code } = this
		code.get(this.host)
		this.xmm.get(index)
		code.v128('store')
		this.memory.complete(instruction, () => {}, instruction.off + instruction.length)
	}

	/** After a store of one's own at `host`, which hostForWrite() found: does `finish`, as store() does. */
	finishStore(instruction: Instruction, finish: () => void): void {
		this.memory.complete(instruction, finish, instruction.off + instruction.length)
		finish()
	}

	// ---- the core's executors -----------------------------------------------------------------------------------------------

	/** Pops an i32: unless it is 0, which it hardly ever is, the core executes the instruction and the region is left. */
	rarely(instruction: Instruction): void {
		this.code.if(VOID, false)
		this.exits.execute(instruction)
		this.code.end()
	}

	/**
	 * Has the core execute an instruction that uses no flags, no vectors and no address of its own, but only these general registers, by slot. What it changes
	 * it may have changed in part when it faults.
	 */
	executeOn(instruction: Instruction, read: readonly number[], changed: readonly number[]): void {
		const { code, core, residence, x32: status } = this
		const maskOf = (slots: readonly number[]) => slots.reduce((mask, slot) => mask | (1 << (slot >> 3)), 0)
		residence.check()
		this.registers.spill(residence.dirty & maskOf([...read, ...changed]))
		code.globalGet(core.jumpGeneration).set(this.generation)
		pushRecord(code, core, instruction.record)
		code.call(core.execute).set(status)
		this.registers.reload(maskOf(changed))
		code.get(status)
		code.if(VOID, false)
		code.get(status).i32(AGAIN).op('i32.eq')
		code.if()
		this.exits.toRarely(instruction.off)
		code.end()
		this.exits.fault(instruction)
		code.end()
		this.lookUps.forgetPages()
		this.leaveIfDropped(instruction)
	}

	/** Leaves behind an instruction that has dropped decoded code, perhaps this region's; `generation` is from before it. */
	private leaveIfDropped(instruction: Instruction): void {
		const { code, core } = this
		code.globalGet(core.jumpGeneration).get(this.generation).op('i32.ne')
		code.if()
		this.exits.toRarely(instruction.off + instruction.length)
		code.end()
	}

	/**
	 * Has the core execute the instruction. `touches` tells that it may change general registers or flags; without it only the registers of its address are
	 * given to the core and nothing is read back.
	 */
	execute(instruction: Instruction, touches = true): void {
		const { code, core } = this
		const { residence } = this
		residence.check()
		this.registers.spill(residence.dirty & (touches ? GENERAL : (1 << (instruction.base >> 3)) | (1 << (instruction.index >> 3))))
		const { xmmUsed, xmmWritten } = this.use
		// What leaves general registers alone is an SSE instruction: its operands, and XMM0 of the variable blends.
		const vector = touches ? xmmUsed : new Set([instruction.reg, instruction.rm, 0].filter((n) => xmmUsed.has(n)))
		this.xmm.spill([...vector].filter((n) => xmmWritten.has(n)))
		const outputs = isOutputRm(instruction.op) ? vector : new Set([instruction.reg].filter((n) => xmmUsed.has(n)))
		if (touches) this.lazy.give()
		if (touches || instruction.addressRecord || instruction.base === L.SLOT_PAGE) this.exits.setPage(instruction)
		if (instruction.addressRecord) {
			pushRecord(code, core, instruction.addressRecord)
			code.call(core.execute).op('drop')
		}
		code.globalGet(core.jumpGeneration).set(this.generation)
		pushRecord(code, core, instruction.record)
		code.call(core.execute)
		this.exits.teeStatus()
		code.if(VOID, false)
		if (touches) this.exits.withStatus(instruction)
		else this.exits.fault(instruction)
		code.end()
		if (isVector(instruction.op)) this.xmm.load(touches ? xmmUsed : outputs)
		if (touches) this.takeFromCore()
		this.lookUps.forgetPages()
		// It may have written to this region's code.
		if (touches || instruction.memory) this.leaveIfDropped(instruction)
	}

	/** After the core may have changed general registers and flags. */
	private takeFromCore(): void {
		const { residence, registers, lazy } = this
		if (residence.isOnAllWays) residence.clear()
		// On other ways they stay where they are.
		else registers.load(residence.mask & GENERAL)
		registers.forget()
		lazy.load()
	}
}
