import type { MemoryOperator } from '../../wasm/code.ts'
import { I32, I64, type ValueType, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'
import type { Exits } from './exits.ts'
import { type LazyFlags, widen } from './flags.ts'
import type { Instruction } from './instruction.ts'
import { type FoundPage, Pages, type Place } from './pages.ts'
import type { GeneralRegisters } from './registers.ts'

const LOADS: Readonly<Record<number, MemoryOperator>> = { 1: 'i32.load8_u', 2: 'i32.load16_u', 4: 'i32.load', 8: 'i64.load' }
const STORES: Readonly<Record<number, MemoryOperator>> = { 1: 'i32.store8', 2: 'i32.store16', 4: 'i32.store', 8: 'i64.store' }
const PAGE_MASK = ~0xfffn

/** A region's accesses to the guest's memory, through the TLBs. */
export class Memory {
	/** Local: host address of the last memory operand. */
	readonly host: number
	private readonly context: RegionContext
	private readonly registers: GeneralRegisters
	private readonly flags: LazyFlags
	private readonly exits: Exits
	private readonly pages: Pages
	private readonly va: number
	private readonly slot: number
	private readonly tlbRead: number
	private readonly tlbWrite: number
	private readonly tlbMask: number
	/** Local that probe() has told. */
	private addend = 0

	constructor(context: RegionContext, tlbEntries: number, registers: GeneralRegisters, flags: LazyFlags, exits: Exits) {
		const { code } = context
		this.context = context
		this.registers = registers
		this.flags = flags
		this.exits = exits
		this.pages = new Pages(context, registers)
		this.tlbMask = (tlbEntries - 1) << 4
		this.va = code.local(I64)
		this.slot = code.local(I32)
		this.host = code.local(I32)
		this.tlbRead = code.local(I32)
		this.tlbWrite = code.local(I32)
	}

	/** At the region's entry. */
	begin(): void {
		const { code, state } = this.context
		code.i32(state).memory('i32.load', L.CPU_TLB_READ).set(this.tlbRead)
		code.i32(state).memory('i32.load', L.CPU_TLB_WRITE).set(this.tlbWrite)
	}

	/** Pushes the effective linear address. */
	pushEffectiveAddress(instruction: Instruction): void {
		const { code, state } = this.context
		const { base, index, scale, seg, disp } = instruction
		let pushed = false
		const add = () => {
			if (pushed) code.op('i64.add')
			pushed = true
		}
		if (base === L.SLOT_PAGE) {
			code.get(this.exits.page)
			add()
		} else if (base !== L.SLOT_ZERO) {
			this.registers.get(base, 8)
			add()
		}
		if (index !== L.SLOT_ZERO) {
			this.registers.get(index, 8)
			if (scale) code.i64(scale).op('i64.shl')
			add()
		}
		if (seg !== L.SLOT_ZERO) {
			code.i32(state).memory('i64.load', seg)
			add()
		}
		if (disp !== 0 || !pushed) {
			code.i64(disp)
			add()
		}
	}

	/** Pops a linear address; leaves the host address of `size` readable bytes in `host`. */
	hostForRead(instruction: Instruction, size: number, aligned: boolean): void {
		this.probe(size, this.pages.placeOf(instruction), false, aligned)
		this.finishHost(instruction, size, this.context.core.readSlow, aligned)
	}

	/** Pops a linear address; leaves the host address to store `size` bytes at in `host`. After the store: finish(). */
	hostForWrite(instruction: Instruction, size: number, aligned: boolean): void {
		this.probe(size, this.pages.placeOf(instruction), true, aligned)
		this.finishHost(instruction, size, this.context.core.writeSlow, aligned)
	}

	/**
	 * Pops a linear address into `va`; pushes whether its page is known, or else in the TLB, for `size` bytes; `addend` then leads to the host's address.
	 * `aligned`: an address that is no multiple of the size, which is then at most 16, does not match.
	 */
	private probe(size: number, place: Place, write: boolean, aligned = false): void {
		const { code } = this.context
		code.set(this.va)
		const known = this.pages.find(place, write)
		const page = known ?? this.lookUp(place, write)
		this.addend = page.addend
		const reaches = size > 1 && !aligned
		code.get(page.tag).get(this.va)
		if (reaches) code.i64(size - 1).op('i64.add')
		code.i64(aligned ? PAGE_MASK | BigInt(size - 1) : PAGE_MASK).op('i64.and', 'i64.eq')
		// The last byte is in the page. The first is too in a page looked up for it; one that is known may be the next.
		if (known !== undefined && reaches) code.get(this.va).get(page.tag).op('i64.ge_u', 'i32.and')
	}

	/** Reads the TLB entry for `va`. */
	private lookUp(place: Place, write: boolean): FoundPage {
		const { code } = this.context
		const page = this.pages.remember(place, write)
		code.get(this.va).op('i32.wrap_i64').i32(8).op('i32.shr_u').i32(this.tlbMask).op('i32.and')
		code
			.get(write ? this.tlbWrite : this.tlbRead)
			.op('i32.add')
			.tee(this.slot)
		code.memory('i64.load').set(page.tag).get(this.slot).memory('i32.load', 8).set(page.addend)
		return page
	}

	/** Pushes the host address of what probe() found. */
	private pushHost(): void {
		this.context.code.get(this.va).op('i32.wrap_i64').get(this.addend).op('i32.add')
	}

	/** What probe() has not found: pushes the host address that the core finds. */
	private pushSlow(instruction: Instruction, size: number, slow: number, aligned: boolean): void {
		const { code, core } = this.context
		if (aligned) {
			code
				.get(this.va)
				.op('i32.wrap_i64')
				.i32(size - 1)
				.op('i32.and')
			code.if(VOID, false)
			code.call(core.raiseMisaligned)
			this.exits.fault(instruction)
			code.end()
		}
		code.get(this.va).i32(size).call(slow).tee(this.host).i32(-1).op('i32.eq')
		code.if()
		this.exits.fault(instruction)
		code.end()
		code.get(this.host)
	}

	private finishHost(instruction: Instruction, size: number, slow: number, aligned: boolean): void {
		const { code } = this.context
		code.if(I32, true)
		this.pushHost()
		code.else()
		this.pushSlow(instruction, size, slow, aligned)
		code.end()
		code.set(this.host)
	}

	/** Pops a linear address, pushes the value of `size` bytes there. */
	read(instruction: Instruction, size: number, place = this.pages.placeOf(instruction)): void {
		this.readWith(instruction, size, size === 8 ? I64 : I32, () => this.context.code.memory(LOADS[size]!), false, place)
	}

	/**
	 * Pops a linear address, pushes what `load` makes of `size` bytes there: it pops their host address and pushes a value of `type`. It is written twice, so that
	 * the value and not its address is what the fast and the slow path meet with.
	 */
	readWith(
		instruction: Instruction,
		size: number,
		type: ValueType,
		load: () => void,
		aligned = false,
		place = this.pages.placeOf(instruction),
	): void {
		const { code } = this.context
		this.probe(size, place, false, aligned)
		code.if(type, true)
		this.pushHost()
		load()
		code.else()
		this.pushSlow(instruction, size, this.context.core.readSlow, aligned)
		load()
		code.end()
	}

	/**
	 * Pops a linear address, stores the value in local `value` there, then does `finish` (register and flag changes). A store that drops decoded code leaves the
	 * region for offset `next` after it.
	 */
	write(
		instruction: Instruction,
		size: number,
		value: number,
		finish: () => void,
		next: number,
		place = this.pages.placeOf(instruction),
	): void {
		const { code, core } = this.context
		this.probe(size, place, true)
		code.if(VOID, true)
		this.pushHost()
		code.get(value).memory(STORES[size]!)
		code.else()
		code.get(this.va).get(value)
		widen(code, size)
		code.i32(size).call(core.storeSlow)
		this.afterSlowStore(instruction, finish, next)
		code.end()
		finish()
	}

	/** Pushes the value of `size` bytes at `host`. */
	load(size: number): void {
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

	/** Pops the outcome of commitWrite() or storeSlow(). */
	private afterSlowStore(instruction: Instruction, finish: () => void, next: number): void {
		const { code } = this.context
		code.tee(this.slot).i32(1).op('i32.ne')
		code.if()
		code.get(this.slot).op('i32.eqz')
		code.if()
		this.exits.fault(instruction)
		code.end()
		const before = this.flags.known
		this.registers.aside(finish)
		this.exits.to(next)
		this.flags.known = before
		code.end()
		this.pages.forgetHere()
	}

	/** The place of what a register points to, for read() and write(). */
	placeAt(slot: number, offset: number): Place {
		return this.pages.placeAt(slot, offset)
	}

	/** Mappings may have changed in the code just written. */
	forgetPages(): void {
		this.pages.forget()
	}
}
