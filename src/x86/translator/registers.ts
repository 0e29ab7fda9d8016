import { InternalError } from '../../base/errors.ts'
import { I64 } from '../../wasm/module.ts'
import type { BlockChanges, RegionContext } from './context.ts'

/** What is known of the values that registers hold: see GeneralRegisters. */
interface Values {
	readonly versions: number[]
	readonly offsets: number[]
}
/** A version that no value has. */
const UNKNOWN = -1
/** All general registers. */
const ALL = 0xffff

/** The general registers of a region: i64 locals. */
export class GeneralRegisters {
	private readonly context: RegionContext
	private readonly locals: readonly number[]
	/** What was last said of each register's value: a number that no other value has had, and what has been added since. */
	private versions = new Array<number>(16).fill(0)
	private offsets = new Array<number>(16).fill(0)
	private clock = 0
	/** By version: the most that the value is. */
	private readonly bounds = new Map<number, number>()
	/** By block start: what is known at the heads of loops. */
	private readonly heads = new Map<number, Values>()
	/** Of the block that is written: registers that change. */
	private changes: BlockChanges = { registers: 0, mappings: false }
	/** By block start: what is known on all ways that have been written so far to where ways meet. */
	private readonly met = new Map<number, Values>()

	constructor(context: RegionContext) {
		this.context = context
		this.locals = Array.from({ length: 16 }, () => context.code.local(I64))
	}

	/** Pushes a register by slot, as a value of `size` bytes. */
	get(slot: number, size: number): void {
		const { code } = this.context
		this.push(slot >> 3)
		if (size === 8) return
		code.op('i32.wrap_i64')
		if (slot & 1) code.i32(8).op('i32.shr_u')
		if (size === 2) code.i32(0xffff).op('i32.and')
		else if (size === 1) code.i32(0xff).op('i32.and')
	}

	/** Pops a value of `size` bytes into a register by slot. */
	set(slot: number, size: number): void {
		const { code, use, residence } = this.context
		const number = slot >> 3
		const local = this.locals[number]!
		this.versions[number] = ++this.clock
		this.offsets[number] = 0
		this.changes.registers |= 1 << number
		use.written.add(number)
		if (size === 8) {
			residence.write(number)
			code.set(local)
			return
		}
		code.op('i64.extend_i32_u')
		if (size < 4) {
			const shift = slot & 1 ? 8 : 0
			const mask = (size === 2 ? 0xffffn : 0xffn) << BigInt(shift)
			if (shift) code.i64(shift).op('i64.shl')
			code.i64(mask).op('i64.and')
			this.push(number)
			code.i64(~mask).op('i64.and', 'i64.or')
		}
		residence.write(number)
		code.set(local)
	}

	/** Pops the new value of a register, 8 bytes: the old one and `bytes`. */
	setMoved(slot: number, bytes: number): void {
		const number = slot >> 3
		const version = this.versions[number]!
		const offset = this.offsets[number]!
		this.set(slot, 8)
		this.versions[number] = version
		this.offsets[number] = offset + bytes
	}

	/** A name for the value that the register's value is `offset` bytes from. Equal names mean equal values where control has come straight. */
	valueOf(slot: number): { readonly name: string; readonly offset: number } {
		const number = slot >> 3
		return { name: `${number}.${this.versions[number]}`, offset: this.offsets[number]! }
	}

	/** The most that the register's value is, 8 bytes of it. Undefined where that is not known. */
	boundOf(slot: number): number | undefined {
		const number = slot >> 3
		return this.offsets[number] === 0 ? this.bounds.get(this.versions[number]!) : undefined
	}

	/** What was just written to a register, 4 or 8 bytes, is `most` at most. */
	bound(slot: number, most: number): void {
		this.bounds.set(this.versions[slot >> 3]!, most)
	}

	/** Runs `body`, which writes code that control does not come back from. */
	aside(body: () => void): void {
		const { registers } = this.changes
		this.onOneWay(() => this.context.residence.runAside(body))
		this.changes.registers = registers
	}

	/** Runs `body`; what is known of values stays. */
	onOneWay(body: () => void): void {
		const { versions, offsets } = this
		this.versions = versions.slice()
		this.offsets = offsets.slice()
		body()
		this.versions = versions
		this.offsets = offsets
	}

	/** Stores registers of a mask in the state block. */
	spill(mask: number): void {
		const { code, state } = this.context
		for (let n = 0; n < 16; n++) {
			if (!(mask & (1 << n))) continue
			code
				.i32(state)
				.get(this.locals[n]!)
				.memory('i64.store', n * 8)
		}
	}

	/** The same of those whose bits are set in a local; each may be. */
	spillBy(local: number, registers: Iterable<number>): void {
		const { code } = this.context
		for (const n of registers) {
			code
				.get(local)
				.i32(1 << n)
				.op('i32.and')
			code.if()
			this.spill(1 << n)
			code.end()
		}
	}

	/** Loads registers of a mask from the state block. */
	load(mask: number): void {
		const { code } = this.context
		for (let n = 0; n < 16; n++) {
			if (!(mask & (1 << n))) continue
			this.pushStored(n)
			code.set(this.locals[n]!)
		}
	}

	/** The same of those that the core has changed. */
	reload(mask: number): void {
		const { residence, use } = this.context
		this.load(mask)
		for (let n = 0; n < 16; n++) {
			if (!(mask & (1 << n))) continue
			this.versions[n] = ++this.clock
			this.changes.registers |= 1 << n
			use.written.add(n)
			residence.write(n)
		}
	}

	/** Nothing is known of any value: the core may have changed it, or ways meet. */
	forget(): void {
		this.changes.registers |= ALL
		for (let n = 0; n < 16; n++) this.versions[n] = ++this.clock
	}

	/** Control goes from here to where ways meet, at the block `target`. All ways to it are written before it. */
	meet(target: number): void {
		const { versions, offsets } = this
		const met = this.met.get(target)
		if (met === undefined) return void this.met.set(target, { versions: [...versions], offsets: [...offsets] })
		for (let n = 0; n < 16; n++) if (versions[n] !== met.versions[n] || offsets[n] !== met.offsets[n]) met.versions[n] = UNKNOWN
	}

	/** At the beginning of each block. */
	beginBlock(changes: BlockChanges): void {
		this.changes = changes
	}

	/** At the head of a loop: what the loop leaves alone is what it was before it. */
	beginLoop(head: number): void {
		const stays = this.context.use.loops.get(head)?.registers ?? 0
		this.versions = this.versions.map((version, n) => (stays & (1 << n) ? version : ++this.clock))
		this.offsets = [...this.offsets]
		this.heads.set(head, { versions: [...this.versions], offsets: [...this.offsets] })
	}

	/** Control goes back to the head of a loop. */
	endRound(head: number): void {
		const { use } = this.context
		const before = this.heads.get(head)!
		let moved = 0
		for (let n = 0; n < 16; n++) if (this.versions[n] !== before.versions[n] || this.offsets[n] !== before.offsets[n]) moved |= 1 << n
		use.moved.set(head, (use.moved.get(head) ?? 0) | moved)
		if (moved & (use.loops.get(head)?.registers ?? 0)) throw new InternalError('a register changes in a loop that was to leave it alone')
	}

	/** Where they meet. */
	begin(block: number): void {
		const met = this.met.get(block)
		if (met === undefined) return this.forget()
		this.versions = met.versions.map((version) => (version === UNKNOWN ? ++this.clock : version))
		this.offsets = met.offsets
	}

	/** Pushes a register, 8 bytes. */
	private push(n: number): void {
		const { code, residence } = this.context
		if (!residence.need(n)) {
			code.get(this.locals[n]!)
			return
		}
		this.pushStored(n)
		code.tee(this.locals[n]!)
	}

	private pushStored(n: number): void {
		this.context.code.i32(this.context.state).memory('i64.load', n * 8)
	}
}
