import { I64 } from '../../wasm/module.ts'
import type { RegionContext } from './context.ts'

/** The general registers of a region: i64 locals. */
export class GeneralRegisters {
	private readonly context: RegionContext
	private readonly locals: readonly number[]

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
		for (const n of registers)
			code
				.i32(state)
				.memory('i64.load', n * 8)
				.set(this.locals[n]!)
	}
}
