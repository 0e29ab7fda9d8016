import type { Code } from '../../wasm/code.ts'
import { I32, I64, type ValueType, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { BlockChanges, RegionContext } from './context.ts'
import type { Exits } from './exits.ts'
import type { Instruction } from './instruction.ts'
import { type CarriedPage, type FoundPlace, Pages, type PinnedPage, type Place } from './pages.ts'
import type { GeneralRegisters } from './registers.ts'
import { TLB_READ, TLB_WRITE } from './residence.ts'
import { type FoundSpan, Spans } from './spans.ts'
import type { Strides } from './strides.ts'
import type { Target } from './translate.ts'

const PAGE_SIZE = 0x1000
const PAGE_MASK = ~0xfffn

/** One access to the guest's memory. */
export interface Access {
	readonly instruction: Instruction
	/** Bytes, a power of two. */
	readonly size: number
	/** An address that is no multiple of the size, which is then at most 16, raises #GP. */
	readonly aligned: boolean
	readonly write: boolean
	/** Where it is not the instruction's memory operand. */
	readonly place?: Place | undefined
	readonly pushAddress?: (() => void) | undefined
}

/** Pops an address, pushes one `offset` bytes behind it. */
export function pushSum(code: Code, offset: number): void {
	if (offset !== 0) code.i32(offset).op('i32.add')
}

/** Where a region's accesses find the host address of what they access: by the TLBs, or by what was found there before. */
export class LookUps {
	/** Local: linear address of the access. */
	readonly va: number
	private readonly context: RegionContext
	private readonly registers: GeneralRegisters
	private readonly exits: Exits
	private readonly pages: Pages
	private readonly spans: Spans
	private readonly strides: Strides
	private readonly separate: boolean
	/** Of the block that is written. */
	private changes: BlockChanges = { registers: 0, mappings: false }
	private readonly slot: number
	/** Locals: the page that was compared last, and what is to be added to a linear address in it to have the host's. */
	private readonly tag: number
	private readonly addend: number
	private readonly tlbRead: number
	private readonly tlbWrite: number
	private readonly tlbMask: number

	constructor(context: RegionContext, target: Target, registers: GeneralRegisters, exits: Exits, strides: Strides) {
		const { code } = context
		this.context = context
		this.registers = registers
		this.exits = exits
		this.pages = new Pages(context, registers, strides)
		this.spans = new Spans(context)
		this.strides = strides
		this.tlbMask = (target.tlbEntries - 1) << 4
		this.separate = target.separate
		this.va = code.local(I64)
		this.slot = code.local(I32)
		this.tag = code.local(I64)
		this.addend = code.local(I32)
		this.tlbRead = code.local(I32)
		this.tlbWrite = code.local(I32)
	}

	/** At the region's entry. */
	beginRegion(): void {
		this.pages.begin()
	}

	beginBlock(changes: BlockChanges): void {
		this.changes = changes
	}

	/** At the head of a loop, after begin(). */
	beginLoop(head: number): void {
		this.spans.beginLoop(head)
	}

	/** Where its code ends; it began when there were `before` accesses. */
	endLoop(before: number): void {
		this.spans.endLoop(before)
	}

	get accesses(): number {
		return this.spans.accesses
	}

	/** Where ways meet. */
	begin(block: number): void {
		this.spans.begin(block)
	}

	/** Control goes from here to where ways meet. */
	meet(target: number): void {
		this.spans.meet(target)
	}

	/** Runs `body`, which writes one of several ways. */
	onOneWay(body: () => void): void {
		this.spans.onOneWay(body)
	}

	/** Loads the tables in use, those of a mask of TLB_READ and TLB_WRITE. */
	loadTables(mask: number): void {
		const { code, state } = this.context
		if (mask & (1 << TLB_READ)) code.i32(state).memory('i32.load', L.CPU_TLB_READ).set(this.tlbRead)
		if (mask & (1 << TLB_WRITE)) code.i32(state).memory('i32.load', L.CPU_TLB_WRITE).set(this.tlbWrite)
	}

	/** Pushes the effective linear address, and what is `further` bytes from it. */
	pushEffectiveAddress(instruction: Instruction, further = 0): void {
		const { code, state } = this.context
		const { base, index, scale, seg } = instruction
		const disp = instruction.disp + further
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

	/**
	 * Where the access is in a span or near a place that is known, or its page is carried or in the TLB, does `hit` with a host address on the stack that it is
	 * `offset` bytes behind, otherwise `miss` with its linear address in `va`; both leave a value of `type`. An address that is no multiple of the size is never in a
	 * page that is carried, and when it must be one nowhere. Returns whether only `hit` was written.
	 */
	reach(access: Access, type: ValueType | typeof VOID, hit: (offset: number) => void, miss: () => void): boolean {
		const { instruction, size, write, place = this.pages.placeOf(instruction) } = access
		const span = this.separate ? undefined : this.spans.of(place, size, write, this.strides.repeats(instruction))
		if (span !== undefined) {
			this.reachSpan(access, span, place.offset, hit)
			return true
		}
		this.reachAlone(access, place, type, hit, miss)
		return false
	}

	private isAlone(instruction: Instruction): boolean {
		return this.separate || this.strides.repeats(instruction)
	}

	/** `offset`: bytes from the span's registers. */
	private reachSpan(access: Access, found: FoundSpan, offset: number, hit: (offset: number) => void): void {
		const { code } = this.context
		const { instruction, size, aligned } = access
		const { span, host, isAnchor } = found
		if (isAnchor) this.findSpan(access, found, span.low - offset)
		const apart = offset - span.low
		if (aligned) {
			code.get(host)
			pushSum(code, apart)
			code.i32(size - 1).op('i32.and')
			code.if(VOID, false)
			this.exits.execute(instruction)
			code.end()
		}
		code.get(host)
		hit(apart)
	}

	/** Leaves the host address of a span that begins `further` bytes from the access. Without one the core executes the instruction, and the region is left. */
	private findSpan(access: Access, { span, host }: FoundSpan, further: number): void {
		const { code, core } = this.context
		const bytes = span.high - span.low
		this.setAddress(access, further)
		this.needTable(access.write)
		this.pushEntry(access.write)
		this.pushMatch(bytes, false)
		code.if(I32, true)
		this.pushHost(undefined)
		code.else()
		code
			.get(this.va)
			.i32(bytes)
			.i32(access.write ? 1 : 0)
		code.call(core.findSpan).tee(host).i32(-1).op('i32.eq')
		code.if()
		this.exits.execute(access.instruction)
		code.end()
		code.get(host)
		code.end()
		code.set(host)
	}

	private reachAlone(access: Access, place: Place, type: ValueType | typeof VOID, hit: (offset: number) => void, miss: () => void): void {
		const { instruction, size, aligned, write } = access
		const isAlone = this.isAlone(instruction)
		const pinned =
			isAlone && !aligned && access.place === undefined && access.pushAddress === undefined
				? this.pages.pinnedPage(instruction, size, write)
				: undefined
		if (pinned !== undefined) return this.reachPinned(access, pinned, type, hit, miss)
		const known = isAlone ? this.pages.find(place, size, aligned, write) : undefined
		if (known !== undefined) return this.reachKnown(access, known, place.offset - known.offset, type, hit, miss)
		this.setAddress(access)
		const found = isAlone ? this.pages.remember(place, write) : undefined
		const carried = this.pages.steady(instruction, access.place, size, write)
		if (carried !== undefined) return this.reachCarried(access, carried, found, type, hit, miss)
		this.reachByTable(access, found, type, hit, miss)
	}

	private setAddress({ instruction, pushAddress }: Access, further = 0): void {
		const { code } = this.context
		if (pushAddress === undefined) this.pushEffectiveAddress(instruction, further)
		else {
			pushAddress()
			if (further !== 0) code.i64(further).op('i64.add')
		}
		code.set(this.va)
	}

	/** `apart`: bytes from the place that is known. */
	private reachKnown(
		access: Access,
		known: FoundPlace,
		apart: number,
		type: ValueType | typeof VOID,
		hit: (offset: number) => void,
		miss: () => void,
	): void {
		const { code } = this.context
		const { size, aligned } = access
		code.get(known.distance)
		if (aligned || apart < 0) pushSum(code, apart)
		if (aligned) code.i32(~(PAGE_SIZE - 1) | (size - 1)).op('i32.and', 'i32.eqz')
		else code.i32(PAGE_SIZE - size - Math.max(apart, 0)).op('i32.le_u')
		code.if(type, true)
		code.get(known.host)
		pushSum(code, Math.min(apart, 0))
		hit(Math.max(apart, 0))
		code.else()
		this.setAddress(access)
		this.reachByTable(access, undefined, type, hit, miss)
		code.end()
	}

	private reachPinned(
		access: Access,
		{ at, offset }: PinnedPage,
		type: ValueType | typeof VOID,
		hit: (offset: number) => void,
		miss: () => void,
	): void {
		const { code, state } = this.context
		const { base, index, scale } = access.instruction
		code.i32(state).memory('i32.load', at).tee(this.slot)
		code.if(type, true)
		code.get(this.slot)
		if (base !== L.SLOT_ZERO && base !== L.SLOT_PAGE) {
			this.registers.get(base, 4)
			code.op('i32.add')
		}
		if (index !== L.SLOT_ZERO) {
			this.registers.get(index, 4)
			if (scale) code.i32(scale).op('i32.shl')
			code.op('i32.add')
		}
		hit(offset)
		code.else()
		this.setAddress(access)
		const keep = () => {
			code.i32(state).get(this.va).op('i32.wrap_i64').i32(-PAGE_SIZE).op('i32.and').get(this.addend).op('i32.add')
			code.memory('i32.store', at)
		}
		this.reachByTable(access, undefined, type, hit, miss, keep)
		code.end()
	}

	private reachCarried(
		access: Access,
		{ at }: CarriedPage,
		found: FoundPlace | undefined,
		type: ValueType | typeof VOID,
		hit: (offset: number) => void,
		miss: () => void,
	): void {
		const { code, state } = this.context
		const { tag, addend } = this
		code.i32(state).memory('i64.load', at).tee(tag)
		code
			.get(this.va)
			.i64(PAGE_MASK | BigInt(access.size - 1))
			.op('i64.and', 'i64.eq')
		code.if(type, true)
		code
			.i32(state)
			.memory('i32.load', at + 8)
			.set(addend)
		this.pushHost(found)
		hit(0)
		code.else()
		this.useTag()
		const keep = () => {
			code.i32(state).get(this.va).i64(PAGE_MASK).op('i64.and').memory('i64.store', at)
			code
				.i32(state)
				.get(addend)
				.memory('i32.store', at + 8)
		}
		this.reachByTable(access, found, type, hit, miss, keep)
		code.end()
	}

	/** By the TLB; where that is is left in `found`. */
	private reachByTable(
		access: Access,
		found: FoundPlace | undefined,
		type: ValueType | typeof VOID,
		hit: (offset: number) => void,
		miss: () => void,
		keep = () => {},
	): void {
		const { code } = this.context
		this.needTable(access.write)
		if (code.isOutline) return this.outline(access, type, hit)
		this.pushEntry(access.write)
		this.pushMatch(access.size, access.aligned)
		code.if(type, true)
		keep()
		this.pushHost(found)
		hit(0)
		code.else()
		if (found !== undefined) this.pages.lose(found)
		miss()
		code.end()
	}

	private needTable(write: boolean): void {
		const table = write ? TLB_WRITE : TLB_READ
		if (this.context.residence.need(table)) this.loadTables(1 << table)
	}

	/** Pushes the page that the TLB has in the slot of `va`, and leaves it in `tag`, with its `addend`. */
	private pushEntry(write: boolean): void {
		const { code } = this.context
		code.get(this.va).op('i32.wrap_i64').i32(8).op('i32.shr_u').i32(this.tlbMask).op('i32.and')
		code
			.get(write ? this.tlbWrite : this.tlbRead)
			.op('i32.add')
			.tee(this.slot)
		code.memory('i64.load').set(this.tag).get(this.slot).memory('i32.load', 8).set(this.addend)
		code.get(this.tag)
	}

	/** What a look-up reads and writes: where it fails nothing that another look-up doesn't, but for the fault. */
	private outline({ instruction }: Access, type: ValueType | typeof VOID, hit: (offset: number) => void): void {
		const { code } = this.context
		code.if(type)
		hit(0)
		code.else()
		this.exits.fault(instruction)
		code.end()
	}

	/**
	 * Pops the tag of the slot of `va`; pushes whether the `size` bytes at `va` are in its page. `aligned`: not unless the address is a multiple of the size. An empty slot's tag differs from
	 * all addresses of that slot in other bits than those of the place in the page (core/tlb.ts).
	 */
	private pushMatch(size: number, aligned: boolean): void {
		const { code } = this.context
		// In this order: V8 would load the tag twice if it could be the second operand.
		code.get(this.va).op('i64.xor')
		if (aligned) code.i64(PAGE_MASK | BigInt(size - 1)).op('i64.and', 'i64.eqz')
		else code.i64(PAGE_SIZE - size).op('i64.le_u')
	}

	/** Pushes the host address of `va`, which is in the page that was compared last, and leaves it in `found`. */
	private pushHost(found: FoundPlace | undefined): void {
		const { code } = this.context
		code.get(this.va).op('i32.wrap_i64').get(this.addend).op('i32.add')
		if (found === undefined) return
		code.tee(found.host)
		code
			.get(this.va)
			.op('i32.wrap_i64')
			.i32(PAGE_SIZE - 1)
			.op('i32.and')
			.set(found.distance)
	}

	/**
	 * In the arm of what is not in the TLB. A tag with a single use is compared where it lies, but V8 loads it all the same: this is a second use, in a place of the
	 * bounce buffer that nothing reads.
	 */
	private useTag(): void {
		const { code, state } = this.context
		code.i32(state).get(this.tag).memory('i64.store', L.CPU_SPLIT_BUFFER)
	}

	/** The place of what a register points to, for read() and write(). */
	placeAt(slot: number, offset: number): Place {
		return this.pages.placeAt(slot, offset)
	}

	/** Mappings may have changed in the code just written. */
	forgetPages(): void {
		this.changes.mappings = true
		this.pages.forget()
		this.spans.forget()
	}

	/** Whether there are pages to forget. */
	get pagesAreKnown(): boolean {
		return this.pages.areKnown
	}

	/** The same in a rare arm of the code: pages are not found there, but remain known. */
	forgetPagesHere(): void {
		this.pages.forgetHere()
	}

	/** Whether spans are to be used after the present access. */
	get spansAreUsedLater(): boolean {
		return this.spans.areUsedLater
	}
}
