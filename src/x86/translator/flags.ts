import type { Code } from '../../wasm/code.ts'
import { I32, I64 } from '../../wasm/module.ts'
import type { RegionContext } from './context.ts'

const CC_SUB = 1
const CC_ADD = 2
const CC_RES = 3
const KINDS = { SUB: CC_SUB, ADD: CC_ADD, RES: CC_RES, LOGIC: CC_RES } as const

/** The flags of an operation whose operands (RES: result and CF, AF, OF) are kept. */
export interface OperandFlags {
	readonly kind: keyof typeof KINDS
	readonly size: number
}

/**
 * What is known of the flags. LOGIC is RES with CF, OF and AF clear. OVER: those of `base`, but the flags in `mask` are in the local `over`
 * (rotates and bit tests set CF and OF and leave the others). STATUS: `a` holds the flags themselves.
 * PRODUCT: `a` is the signed product of 64-bit factors that are kept; whether it overflowed is asked when it matters.
 */
export type KnownFlags =
	| OperandFlags
	| { readonly kind: 'OVER'; readonly mask: number; readonly base: KnownFlags }
	| { readonly kind: 'STATUS' }
	| { readonly kind: 'PRODUCT' }
	| undefined

/** Widens the value of `size` bytes on the stack to 64 bits. */
export function widen(code: Code, size: number): void {
	if (size < 8) code.op('i64.extend_i32_u')
}

/**
 * The six status flags, lazy as in the core (core/flags.ts). Between two instructions the translator knows either nothing (the locals `kind`, `a` and `b` hold
 * them) or the operation and size that set them; then `a` and `b` hold its operands, not shifted, and `kind` is stale. Every way out makes them canonical first.
 */
export class LazyFlags {
	known: KnownFlags
	/** Locals. */
	readonly a: number
	readonly b: number
	private readonly context: RegionContext
	private readonly kind: number
	private readonly over: number
	private readonly factorX: number
	private readonly factorY: number

	constructor(context: RegionContext) {
		const { code } = context
		this.context = context
		this.a = code.local(I64)
		this.b = code.local(I64)
		this.over = code.local(I64)
		this.factorX = code.local(I64)
		this.factorY = code.local(I64)
		this.kind = code.local(I32)
	}

	/** Loads the locals from the core. */
	load(): void {
		const { code, core } = this.context
		code.globalGet(core.ccKind).set(this.kind).globalGet(core.ccA).set(this.a).globalGet(core.ccB).set(this.b)
	}

	/** Gives the canonical locals to the core. */
	spill(): void {
		const { code, core } = this.context
		code.get(this.kind).globalSet(core.ccKind).get(this.a).globalSet(core.ccA).get(this.b).globalSet(core.ccB)
	}

	/** Flags of an operation on the values in locals x and y (of the width of `size`). RES expects b's flags in y as an i64. */
	set(kind: keyof typeof KINDS, size: number, x: number, y?: number): void {
		const { code } = this.context
		code.get(x)
		widen(code, size)
		code.set(this.a)
		if (y === undefined) code.i64(0)
		else {
			code.get(y)
			if (kind !== 'RES') widen(code, size)
		}
		code.set(this.b)
		this.known = { kind, size }
	}

	/** Makes kind, a and b canonical in the code that follows, without changing what the translator knows elsewhere. */
	canonical(): void {
		const { known: flags } = this
		const { code } = this.context
		if (flags === undefined) return
		if (flags.kind === 'STATUS') {
			code.i32(0).set(this.kind)
			return
		}
		if (flags.kind === 'PRODUCT') {
			this.pushOverflow()
			code.i64(0x801).op('i64.mul').set(this.b).i32(CC_RES).set(this.kind)
			return
		}
		if (flags.kind === 'OVER') {
			this.pushStatus()
			code.op('i64.extend_i32_u').set(this.a).i64(0).set(this.b).i32(0).set(this.kind)
			return
		}
		const shift = 64 - flags.size * 8
		code.i32(KINDS[flags.kind] | (shift << 8)).set(this.kind)
		if (shift === 0) return
		code.get(this.a).i64(shift).op('i64.shl').set(this.a)
		if (flags.kind === 'SUB' || flags.kind === 'ADD') code.get(this.b).i64(shift).op('i64.shl').set(this.b)
	}

	/** From here on nothing is known of the flags; the locals hold them. */
	forget(): void {
		this.canonical()
		this.known = undefined
	}

	/** Pushes kind, a, b as the core's functions take them. */
	pushCanonical(): void {
		const { known: flags } = this
		const { code } = this.context
		if (flags === undefined) {
			code.get(this.kind).get(this.a).get(this.b)
			return
		}
		if (flags.kind === 'PRODUCT') {
			code.i32(CC_RES).get(this.a)
			this.pushOverflow()
			code.i64(0x801).op('i64.mul')
			return
		}
		if (flags.kind === 'OVER' || flags.kind === 'STATUS') {
			code.i32(0)
			this.pushStatus()
			code.op('i64.extend_i32_u').i64(0)
			return
		}
		const shift = 64 - flags.size * 8
		code.i32(KINDS[flags.kind] | (shift << 8)).get(this.a)
		if (shift) code.i64(shift).op('i64.shl')
		code.get(this.b)
		if (shift && (flags.kind === 'SUB' || flags.kind === 'ADD')) code.i64(shift).op('i64.shl')
	}

	/** Pushes the six status flags as in EFLAGS, an i32. */
	pushStatus(): void {
		const { known: flags } = this
		const { code } = this.context
		if (flags?.kind === 'OVER') {
			this.withFlags(flags.base, () => this.pushStatus())
			code.i32(~flags.mask).op('i32.and').get(this.over).op('i32.wrap_i64', 'i32.or')
			return
		}
		if (flags?.kind === 'STATUS') {
			code.get(this.a).op('i32.wrap_i64')
			return
		}
		this.pushCanonical()
		code.call(this.context.core.flagsWith)
	}

	/** Runs `body` as if the flags were `flags`. */
	withFlags<T>(flags: KnownFlags, body: () => T): T {
		const before = this.known
		this.known = flags
		const result = body()
		this.known = before
		return result
	}

	/** Flags of the signed product in local z of the factors in x and y. */
	setProduct(x: number, y: number, z: number): void {
		this.context.code.get(x).set(this.factorX).get(y).set(this.factorY).get(z).set(this.a).i64(0).set(this.b)
		this.known = { kind: 'PRODUCT' }
	}

	/** Pushes whether the product overflowed, an i64 of 0 or 1. */
	private pushOverflow(): void {
		this.context.code.get(this.factorX).get(this.factorY).get(this.a).call(this.context.core.productOverflows).op('i64.extend_i32_u')
	}

	/** Pops an i64 with new values of the flags in `mask` (CF, or CF and OF); the others stay. */
	override(mask: number): void {
		const { known: flags } = this
		const { code } = this.context
		if (flags?.kind !== 'OVER') {
			code.set(this.over)
			this.known = { kind: 'OVER', mask, base: flags }
			return
		}
		const kept = flags.mask & ~mask
		if (kept) code.get(this.over).i64(kept).op('i64.and', 'i64.or')
		code.set(this.over)
		this.known = { kind: 'OVER', mask: flags.mask | mask, base: flags.base }
	}

	/** Pops an i32 of status flags as in EFLAGS. */
	setStatus(): void {
		const { code } = this.context
		code.op('i64.extend_i32_u').set(this.a).i64(0).set(this.b)
		this.known = { kind: 'STATUS' }
	}

	/** Pushes CF, an i64. */
	pushCarry(): void {
		const { known: flags } = this
		const { code } = this.context
		switch (flags?.kind) {
			case 'OVER':
				code.get(this.over).i64(1).op('i64.and')
				return
			case 'STATUS':
				code.get(this.a).i64(1).op('i64.and')
				return
			case 'PRODUCT':
				this.pushOverflow()
				return
			case 'SUB':
				code.get(this.a).get(this.b).op('i64.lt_u', 'i64.extend_i32_u')
				return
			case 'ADD':
				if (flags.size === 8) code.get(this.a).get(this.b).op('i64.add').get(this.a).op('i64.lt_u', 'i64.extend_i32_u')
				else
					code
						.get(this.a)
						.get(this.b)
						.op('i64.add')
						.i64(flags.size * 8)
						.op('i64.shr_u')
				return
			case 'LOGIC':
				code.i64(0)
				return
			case 'RES':
				code.get(this.b).i64(1).op('i64.and')
				return
			default:
				this.pushCanonical()
				code.call(this.context.core.carryOf)
		}
	}
}
