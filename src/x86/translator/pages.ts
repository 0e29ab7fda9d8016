import { I32 } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'
import type { Instruction } from './instruction.ts'
import type { GeneralRegisters } from './registers.ts'
import type { Strides } from './strides.ts'

/** How far apart, in bytes, accesses are that may be expected in one page. */
const NEAR = 512
const PAGE_SIZE = 0x1000
/** Pages that are remembered at a time, of those looked up for reading and of those for writing. */
const REMEMBERED = 4
/** Pages that are carried through loops, of those looked up for reading and of those for writing. */
const CARRIED = [7, 5] as const
/** A tag that no address has: neither with its lowest 12 bits cut off, nor with some of the lowest four kept. */
const NO_PAGE = 0x800
/** The distance that a place has from the start of its page when the page is not known: too far, also for what is NEAR. */
const NO_DISTANCE = 0x4000_0000

/** A place whose page was looked up, in locals. */
export interface FoundPlace {
	/** i32: bytes from the page's start, or NO_DISTANCE. */
	readonly distance: number
	/** i32: host address. */
	readonly host: number
	/** Bytes from the registers' sum. */
	readonly offset: number
}

/** Operations whose address is not their memory operand's alone. */
const FAR_BITS: ReadonlySet<string> = new Set(['BT', 'BTS', 'BTR', 'BTC'])

/** Where an access is, as far as can be told when code is written. */
export interface Place {
	/** The sum of registers that its address is `offset` bytes from. */
	readonly name: string
	readonly offset: number
	/** The register that it is alone, as a slot. */
	readonly slot?: number
}

/** The page that a place in a loop was in last. */
export interface CarriedPage {
	/** Where it is in the state block, as in a data TLB. In memory, because V8 would move more locals about than it has registers for. */
	readonly at: number
	/** The registers of its addresses. */
	readonly name: string
	readonly disp: number
}

/** The page that all an access can be in, by its operand alone. */
export interface PinnedPage {
	/** Where its host address is in the state block, or 0. */
	readonly at: number
	/** Bytes from the page's start to where the access is when its registers are 0. */
	readonly offset: number
}

interface Remembered extends FoundPlace {
	name: string
	offset: number
	scope: number
	age: number
	/** Of all that were remembered, which one; the first pass tells for which there is use. */
	number: number
}

/**
 * In loops (for the rest: spans.ts), which places a look-up has found shortly before, so that an access near one of them, by the same registers, need only be asked whether it is in the page too: fields
 * of a structure, a stack frame, pushes in a row. How far the two are apart is known when code is written, so names of places must be exact; that a place and its host
 * address belong together is what a TLB entry said when all that was executed since has left mappings alone.
 */
export class Pages {
	private readonly context: RegionContext
	private readonly registers: GeneralRegisters
	private readonly pools: readonly [read: Remembered[], write: Remembered[]] = [[], []]
	private readonly strides: Strides
	private readonly carried: readonly [read: CarriedPage[], write: CarriedPage[]] = [[], []]
	/** By what the page is counted from, its number and whether it was looked up for writing. */
	private readonly pinned = new Map<string, number>()
	private clock = 0
	private count = 0

	constructor(context: RegionContext, registers: GeneralRegisters, strides: Strides) {
		this.context = context
		this.registers = registers
		this.strides = strides
	}

	/** At the region's entry. */
	begin(): void {
		this.forgetCarried()
	}

	/** What the first pass has found to be carried. */
	private forgetCarried(): void {
		const { code, state, use } = this.context
		for (const at of use.carried) code.i32(state).i64(NO_PAGE).memory('i64.store', at)
		for (const at of use.pinned) code.i32(state).i32(0).memory('i32.store', at)
	}

	/** The place of an instruction's memory operand. */
	placeOf({ op, base, index, scale, seg, disp }: Instruction): Place {
		// The number of a bit takes them anywhere.
		if (FAR_BITS.has(op)) return { name: `${op} ${++this.count}`, offset: 0 }
		const parts: string[] = [seg === L.SLOT_ZERO ? '' : String(seg)]
		let offset = disp
		if (base === L.SLOT_PAGE || base === L.SLOT_ZERO) parts.push(String(base))
		else {
			const value = this.registers.valueOf(base)
			parts.push(value.name)
			offset += value.offset
		}
		if (index !== L.SLOT_ZERO) {
			const value = this.registers.valueOf(index)
			parts.push(value.name, String(scale))
			offset += value.offset * 2 ** scale
		}
		return { name: parts.join(' '), offset }
	}

	/** The place of what a register points to. */
	placeAt(slot: number, offset: number): Place {
		const value = this.registers.valueOf(slot)
		return { name: ` ${value.name}`, offset: value.offset + offset, slot }
	}

	/** A place near this one, looked up for writing, or for either when the access reads. Of two that must be aligned and are odd from each other one is not. */
	find(place: Place, size: number, aligned: boolean, write: boolean): FoundPlace | undefined {
		const { code, use } = this.context
		const near = (page: Remembered) => {
			const apart = place.offset - page.offset
			return page.name === place.name && Math.abs(apart) < NEAR && !(aligned && apart % size !== 0) && code.dominates(page.scope)
		}
		const found = this.pools[1].find(near) ?? (write ? undefined : this.pools[0].find(near))
		if (found === undefined) return undefined
		found.age = this.clock++
		use.placesUsed.add(found.number)
		return found
	}

	/**
	 * The page of an access that repeats, if it is the same whatever the operand's registers hold: a variable with a constant address, or one relative to RIP, or a table of those whose index
	 * is known to be small. As long as mappings stay that page's host address does.
	 */
	pinnedPage({ op, base, index, scale, seg, disp }: Instruction, size: number, write: boolean): PinnedPage | undefined {
		if (seg !== L.SLOT_ZERO || FAR_BITS.has(op)) return undefined
		const isRelative = base === L.SLOT_PAGE
		const most = this.most(isRelative ? L.SLOT_ZERO : base) + this.most(index) * 2 ** scale
		const number = Math.floor(disp / PAGE_SIZE)
		const offset = disp - number * PAGE_SIZE
		if (!(offset + most + size <= PAGE_SIZE)) return undefined
		const name = `${isRelative} ${number}`
		const at = this.pinned.get(`${name} true`) ?? (write ? undefined : this.pinned.get(`${name} false`)) ?? this.pin(`${name} ${write}`)
		return at === undefined ? undefined : { at, offset }
	}

	/** The most that an operand's register adds to its address; Infinity where that is not known. */
	private most(slot: number): number {
		return slot === L.SLOT_ZERO ? 0 : (this.registers.boundOf(slot) ?? Number.POSITIVE_INFINITY)
	}

	private pin(name: string): number | undefined {
		if (this.pinned.size === L.PINNED_PAGES) return undefined
		const at = L.CPU_PINNED_PAGES + 4 * this.pinned.size
		this.pinned.set(name, at)
		this.context.use.pinned.add(at)
		return at
	}

	/**
	 * The page that an access was in last, if it repeats and is likely to be in that one again: its look-up is to be left there. Any page does, for
	 * it is compared; those of one pair of registers share theirs when they are near.
	 */
	steady(instruction: Instruction, place: Place | undefined, size: number, write: boolean): CarriedPage | undefined {
		const { strides } = this
		const { base, index, scale, seg } = instruction
		if (
			place === undefined ? !strides.isSteady(instruction, size) : place.slot === undefined || !strides.isSteadyAt(instruction, place.slot)
		)
			return
		const name =
			place !== undefined ? `${place.slot}` : index === L.SLOT_ZERO && seg === L.SLOT_ZERO ? `${base}` : `${base} ${index} ${scale} ${seg}`
		const disp = place === undefined ? instruction.disp : 0
		const near = (page: CarriedPage) => page.name === name && Math.abs(page.disp - disp) < NEAR
		return this.carried[1].find(near) ?? (write ? undefined : this.carried[0].find(near)) ?? this.carry(name, disp, write ? 1 : 0)
	}

	private carry(name: string, disp: number, kind: 0 | 1): CarriedPage | undefined {
		const pages = this.carried[kind]
		if (pages.length === CARRIED[kind]) return undefined
		const at = L.CPU_CARRIED_PAGES + 16 * (pages.length + (kind === 0 ? 0 : CARRIED[0]))
		const page = { at, name, disp }
		pages.push(page)
		this.context.use.carried.add(at)
		return page
	}

	/** Locals for the place of a look-up that is written now; undefined where there is no use for it. */
	remember(place: Place, write: boolean): FoundPlace | undefined {
		const { code, use } = this.context
		const number = ++this.count
		if (use.residence.plan !== undefined && !use.placesUsed.has(number)) return undefined
		const pool = this.pools[write ? 1 : 0]
		let page = pool.reduce<Remembered | undefined>(
			(oldest, other) => (oldest === undefined || other.age < oldest.age ? other : oldest),
			undefined,
		)
		if (page === undefined || pool.length < REMEMBERED) {
			page = { distance: code.local(I32), host: code.local(I32), name: '', offset: 0, scope: 0, age: 0, number }
			pool.push(page)
		}
		page.name = place.name
		page.offset = place.offset
		page.scope = code.scope
		page.age = this.clock++
		page.number = number
		return page
	}

	/** Where the look-up has found nothing. */
	lose({ distance, host }: FoundPlace): void {
		this.context.code.i32(NO_DISTANCE).set(distance).i32(0).set(host)
	}

	/** Mappings may have changed in the code just written: no page is known any more. */
	forget(): void {
		for (const pool of this.pools) for (const page of pool) page.name = ''
		this.forgetCarried()
	}

	/** Whether there is something to forget. */
	get areKnown(): boolean {
		const { code, use } = this.context
		return (
			use.carried.size > 0 ||
			use.pinned.size > 0 ||
			this.pools.some((pool) => pool.some(({ name, scope }) => name !== '' && code.dominates(scope)))
		)
	}

	/** The same in a rare arm of it: pages are not found there, but remain known. */
	forgetHere(): void {
		const { code } = this.context
		for (const pool of this.pools)
			for (const { name, scope, distance } of pool) if (name !== '' && code.dominates(scope)) code.i32(NO_DISTANCE).set(distance)
		this.forgetCarried()
	}
}
