import type { MemoryOperator } from '../../wasm/code.ts'
import { I32, I64, type ValueType, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'
import type { Exits, Way } from './exits.ts'
import { type LazyFlags, widen } from './flags.ts'
import type { Instruction } from './instruction.ts'
import { type Access, type LookUps, pushSum } from './look_ups.ts'
import type { Place } from './pages.ts'
import type { GeneralRegisters } from './registers.ts'

const LOADS: Readonly<Record<number, MemoryOperator>> = { 1: 'i32.load8_u', 2: 'i32.load16_u', 4: 'i32.load', 8: 'i64.load' }
const STORES: Readonly<Record<number, MemoryOperator>> = { 1: 'i32.store8', 2: 'i32.store16', 4: 'i32.store', 8: 'i64.store' }

/** A region's accesses to the guest's memory, through the TLBs. */
export class Memory {
	/** Local: host address of the last memory operand. */
	readonly host: number
	private readonly context: RegionContext
	private readonly registers: GeneralRegisters
	private readonly flags: LazyFlags
	private readonly exits: Exits
	private readonly lookUps: LookUps
	/** What is at `host` may be written in place. */
	private isDirect = false
	/** Local: what became of a store. */
	private readonly outcome: number

	constructor(context: RegionContext, registers: GeneralRegisters, flags: LazyFlags, exits: Exits, lookUps: LookUps) {
		const { code } = context
		this.context = context
		this.registers = registers
		this.flags = flags
		this.exits = exits
		this.lookUps = lookUps
		this.host = code.local(I32)
		this.outcome = code.local(I32)
	}

	/** Leaves the host address of `size` readable bytes in `host`. */
	hostForRead(instruction: Instruction, size: number, aligned: boolean): void {
		this.findHost({ instruction, size, aligned, write: false }, this.context.core.readSlow)
	}

	/** Leaves the host address to store `size` bytes at in `host`. After the store: finish(). */
	hostForWrite(instruction: Instruction, size: number, aligned: boolean, pushAddress?: () => void): void {
		this.findHost({ instruction, size, aligned, write: true, pushAddress }, this.context.core.writeSlow)
	}

	private findHost(access: Access, slow: number): void {
		this.isDirect = this.lookUps.reach(
			access,
			I32,
			(offset) => pushSum(this.context.code, offset),
			() => this.pushSlow(access, slow),
		)
		this.context.code.set(this.host)
	}

	/** Pushes the value of the memory operand's `size` bytes, or those at another address. */
	read(instruction: Instruction, size: number, pushAddress?: () => void): void {
		this.load({ instruction, size, aligned: false, write: false, pushAddress })
	}

	/** Pushes the value of the `size` bytes that a register points to. */
	readAt(instruction: Instruction, slot: number, size: number): void {
		const pushAddress = () => this.registers.get(slot, 8)
		this.load({ instruction, size, aligned: false, write: false, place: this.lookUps.placeAt(slot, 0), pushAddress })
	}

	private load(access: Access): void {
		const { size } = access
		this.lookUps.reach(
			access,
			size === 8 ? I64 : I32,
			(offset) => this.context.code.memory(LOADS[size]!, offset),
			() => {
				this.pushSlow(access, this.context.core.readSlow)
				this.context.code.memory(LOADS[size]!)
			},
		)
	}

	/**
	 * Pushes what `load` makes of the memory operand's `size` bytes: it pops their host address and pushes a value of `type`. It is written for each way
	 * to the address, so that the value and not its address is what they meet with.
	 */
	readWith(instruction: Instruction, size: number, type: ValueType, load: () => void, aligned: boolean): void {
		const access = { instruction, size, aligned, write: false }
		const loadAt = (offset: number) => {
			pushSum(this.context.code, offset)
			load()
		}
		this.lookUps.reach(access, type, loadAt, () => {
			this.pushSlow(access, this.context.core.readSlow)
			load()
		})
	}

	/**
	 * Stores the value in local `value` at the memory operand, then does `finish` (register and flag changes). A store that drops decoded code leaves the
	 * region for offset `next` after it.
	 */
	write(instruction: Instruction, size: number, value: number, finish: () => void, next: number): void {
		this.keep({ instruction, size, aligned: false, write: true }, value, finish, next)
	}

	/** The same of `size` bytes at the address that `pushAddress` pushes. */
	writeAt(
		instruction: Instruction,
		size: number,
		place: Place,
		pushAddress: () => void,
		value: number,
		finish: () => void,
		next: Way,
	): void {
		this.keep({ instruction, size, aligned: false, write: true, place, pushAddress }, value, finish, next)
	}

	private keep(access: Access, value: number, finish: () => void, next: Way): void {
		const { code, core } = this.context
		const { instruction, size } = access
		this.lookUps.reach(
			access,
			VOID,
			(offset) => code.get(value).memory(STORES[size]!, offset),
			() => {
				code.get(this.lookUps.va).get(value)
				widen(code, size)
				code.i32(size).call(core.storeSlow)
				this.afterSlowStore(instruction, finish, next)
			},
		)
		finish()
	}

	/** What is not in the TLB: pushes the host address that the core finds. */
	private pushSlow({ instruction, size, aligned }: Access, slow: number): void {
		const { code, core } = this.context
		if (aligned) {
			code
				.get(this.lookUps.va)
				.op('i32.wrap_i64')
				.i32(size - 1)
				.op('i32.and')
			code.if(VOID, false)
			code.call(core.raiseMisaligned)
			this.exits.fault(instruction)
			code.end()
		}
		code.get(this.lookUps.va).i32(size).call(slow).tee(this.host).i32(-1).op('i32.eq')
		code.if()
		this.exits.fault(instruction)
		code.end()
		code.get(this.host)
	}

	/** Pushes the value of `size` bytes at `host`. */
	loadHost(size: number): void {
		this.context.code.get(this.host).memory(LOADS[size]!)
	}

	/** Stores the value in local `value` at `host`, which hostForWrite() found; otherwise as write(). A refused store faults before `finish`. */
	store(instruction: Instruction, size: number, value: number, finish: () => void, next: number): void {
		this.context.code.get(this.host).get(value).memory(STORES[size]!)
		this.complete(instruction, finish, next)
		finish()
	}

	/** After a store at `host`: the core completes one that was made in the bounce buffer. */
	complete(instruction: Instruction, finish: () => void, next: number): void {
		if (this.isDirect) return
		const { code, core, state } = this.context
		code
			.get(this.host)
			.i32(state + L.CPU_SPLIT_BUFFER)
			.op('i32.eq')
		code.if(VOID, false)
		code.call(core.commitWrite)
		this.afterSlowStore(instruction, finish, next)
		code.end()
	}

	/**
	 * Pops the outcome of commitWrite() or storeSlow(): 0 faults, 1 goes on; 2, decoded code was dropped, leaves; 3, mappings may have changed, leaves where a span is
	 * used after it, and forgets pages otherwise.
	 */
	private afterSlowStore(instruction: Instruction, finish: () => void, next: Way): void {
		const { code } = this.context
		const mustLeave = this.lookUps.spansAreUsedLater
		code.tee(this.outcome).i32(1)
		if (mustLeave) code.op('i32.ne')
		else code.op('i32.and', 'i32.eqz')
		code.if()
		code.get(this.outcome).op('i32.eqz')
		code.if()
		this.exits.fault(instruction)
		code.end()
		if (code.isOutline) return void code.end()
		const before = this.flags.known
		this.registers.aside(() => {
			finish()
			this.exits.toRarely(next)
		})
		this.flags.known = before
		code.end()
		if (mustLeave || !this.lookUps.pagesAreKnown) return
		code.get(this.outcome).i32(3).op('i32.eq')
		code.if()
		this.lookUps.forgetPagesHere()
		code.end()
	}
}
