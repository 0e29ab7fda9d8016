import { I32, I64 } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'
import type { Instruction } from './instruction.ts'
import type { GeneralRegisters } from './registers.ts'
import type { Strides } from './strides.ts'

/** How far apart, in bytes, accesses are that may be expected in one page. */
const NEAR = 512
/** Pages that are remembered at a time, of those looked up for reading and of those for writing. */
const REMEMBERED = 4
/** Pages that are carried through loops, of those looked up for reading and of those for writing. */
const CARRIED = [7, 5] as const
/** A tag that no address has: neither with its lowest 12 bits cut off, nor with some of the lowest four kept. */
const NO_PAGE = 0x800

/** A page that was looked up, in locals. */
export interface FoundPage {
	/** i64: the page's linear address, or what no page has. */
	readonly tag: number
	/** i32: what is to be added to a linear address in it to have the host's. */
	readonly addend: number
}

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

interface Remembered extends FoundPage {
	name: string
	offset: number
	scope: number
	age: number
}

/**
 * Which pages a look-up has found shortly before, so that an access that is likely to be in one of them need only be compared with it: fields of a structure, a
 * stack frame, pushes in a row. That it is likely is a guess; that a page and its addend belong together is not: they are what a TLB entry held when all that
 * was executed since has left mappings alone.
 */
export class Pages {
	private readonly context: RegionContext
	private readonly registers: GeneralRegisters
	private readonly pools: readonly [read: Remembered[], write: Remembered[]] = [[], []]
	private readonly strides: Strides
	private readonly carried: readonly [read: CarriedPage[], write: CarriedPage[]] = [[], []]
	private clock = 0

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
	}

	/** The place of an instruction's memory operand. */
	placeOf({ base, index, scale, seg, disp }: Instruction): Place {
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

	/** A page that the access is likely to be in, looked up for writing, or for either when the access reads. One of two that are odd from each other isn't aligned, as it must be. */
	find(place: Place, size: number, write: boolean): FoundPage | undefined {
		const { code } = this.context
		const near = (page: Remembered) => {
			const distance = page.offset - place.offset
			return page.name === place.name && Math.abs(distance) < NEAR && distance % size === 0 && code.dominates(page.scope)
		}
		const found = this.pools[1].find(near) ?? (write ? undefined : this.pools[0].find(near))
		if (found !== undefined) found.age = this.clock++
		return found
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

	/** Locals for the page of a look-up that is written now. */
	remember(place: Place, write: boolean): FoundPage {
		const { code } = this.context
		const pool = this.pools[write ? 1 : 0]
		let page = pool.reduce<Remembered | undefined>(
			(oldest, other) => (oldest === undefined || other.age < oldest.age ? other : oldest),
			undefined,
		)
		if (page === undefined || pool.length < REMEMBERED) {
			page = { tag: code.local(I64), addend: code.local(I32), name: '', offset: 0, scope: 0, age: 0 }
			pool.push(page)
		}
		Object.assign(page, place, { scope: code.scope, age: this.clock++ })
		return page
	}

	/** Mappings may have changed in the code just written: no page is known any more. */
	forget(): void {
		for (const pool of this.pools) for (const page of pool) page.name = ''
		this.forgetCarried()
	}

	/** The same in a rare arm of it: pages are not found there, but remain known. */
	forgetHere(): void {
		const { code } = this.context
		for (const pool of this.pools)
			for (const { name, scope, tag } of pool) if (name !== '' && code.dominates(scope)) code.i64(NO_PAGE).set(tag)
		this.forgetCarried()
	}
}
