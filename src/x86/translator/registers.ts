import { I64 } from '../../wasm/module.ts'
import type { RegionContext } from './context.ts'

/** The general registers of a region: i64 locals. */
export class GeneralRegisters {
	private readonly context: RegionContext
	private readonly locals: readonly number[]
	/** What was last said of each register's value: a number that changes with it, and what has been added since. */
	private values = Array.from({ length: 16 }, () => ({ version: 0, offset: 0 }))

	constructor(context: RegionContext) {
		this.context = context
		this.locals = Array.from({ length: 16 }, () => context.code.local(I64))
	}

	/** Pushes a register by slot, as a value of `size` bytes. */
	get(slot: number, size: number): void {
		const { code, use } = this.context
		const number = slot >> 3
		use.used.add(number)
		code.get(this.locals[number]!)
		if (size === 8) return
		code.op('i32.wrap_i64')
		if (slot & 1) code.i32(8).op('i32.shr_u')
		if (size === 2) code.i32(0xffff).op('i32.and')
		else if (size === 1) code.i32(0xff).op('i32.and')
	}

	/** Pops a value of `size` bytes into a register by slot. */
	set(slot: number, size: number): void {
		const { code, use } = this.context
		const number = slot >> 3
		const local = this.locals[number]!
		const value = this.values[number]!
		value.version++
		value.offset = 0
		use.written.add(number)
		// A way out stores it even where it was not yet written.
		use.used.add(number)
		if (size === 8) {
			code.set(local)
			return
		}
		code.op('i64.extend_i32_u')
		if (size < 4) {
			const shift = slot & 1 ? 8 : 0
			const mask = (size === 2 ? 0xffffn : 0xffn) << BigInt(shift)
			if (shift) code.i64(shift).op('i64.shl')
			code.i64(mask).op('i64.and').get(local).i64(~mask).op('i64.and', 'i64.or')
		}
		code.set(local)
	}

	/** Pops the new value of a register, 8 bytes: the old one and `bytes`. */
	setMoved(slot: number, bytes: number): void {
		const value = this.values[slot >> 3]!
		const { version, offset } = value
		this.set(slot, 8)
		value.version = version
		value.offset = offset + bytes
	}

	/** A name for the value that the register's value is `offset` bytes from. Equal names mean equal values where control has come straight. */
	valueOf(slot: number): { readonly name: string; readonly offset: number } {
		const { version, offset } = this.values[slot >> 3]!
		return { name: `${slot >> 3}.${version}`, offset }
	}

	/** Runs `body`, which writes code that control does not come back from: what is known of values stays. */
	aside(body: () => void): void {
		const { values } = this
		this.values = values.map((value) => ({ ...value }))
		body()
		this.values = values
	}

	/** Stores registers in the state block. */
	spill(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers)
			code
				.i32(state)
				.get(this.locals[n]!)
				.memory('i64.store', n * 8)
	}

	/** Loads registers from the state block. */
	load(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) {
			code
				.i32(state)
				.memory('i64.load', n * 8)
				.set(this.locals[n]!)
			this.values[n]!.version++
		}
	}
}
