import type { Code } from '../../wasm/code.ts'
import { I64 } from '../../wasm/module.ts'
import * as K from '../core/flag_kinds.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'

/** Operations that set flags and the operands that are kept of them: the KEPT_* of core/flag_kinds.ts. STATUS: `a` holds the flags themselves. */
const OPERATIONS = {
	STATUS: 0,
	SUB: K.KEPT_SUB,
	ADD: K.KEPT_ADD,
	LOGIC: K.KEPT_LOGIC,
	ADC: K.KEPT_ADC,
	SBB: K.KEPT_SBB,
	INC: K.KEPT_INC,
	DEC: K.KEPT_DEC,
	SHL: K.KEPT_SHL,
	SHR: K.KEPT_SHR,
	SAR: K.KEPT_SAR,
	MUL: K.KEPT_MUL,
	IMUL: K.KEPT_IMUL,
	RES: K.KEPT_RES,
	DOUBLES: K.KEPT_DOUBLES,
} as const
export type FlagOperation = keyof typeof OPERATIONS

/** They are in memory, but what overrides some of them is known, and in `d`. */
const UNKNOWN = 'UNKNOWN'
/** The core has them. */
const CORE = 'CORE'

/** Operations that keep a second operand. */
const TWO_KEPT: ReadonlySet<string> = new Set(['SUB', 'ADD', 'ADC', 'SBB', 'MUL', 'IMUL', 'RES', 'DOUBLES'])
const CARRY_KEPT: ReadonlySet<string> = new Set(['ADC', 'SBB', 'INC', 'DEC'])
const SHIFTS: ReadonlySet<string> = new Set(['SHL', 'SHR', 'SAR'])

/** What overrides CF, or CF and OF, with its operand in `d`: the OVER_* of core/flag_kinds.ts. */
const OVERRIDES = {
	CF: K.OVER_CF,
	ROL32: K.OVER_ROL32,
	ROL64: K.OVER_ROL64,
	ROR32: K.OVER_ROR32,
	ROR64: K.OVER_ROR64,
	CF_OF: K.OVER_CF_OF,
} as const
export type FlagOverride = keyof typeof OVERRIDES

/** What is known of the flags; undefined: they are in memory, at CPU_KEPT_*. */
export type KnownFlags =
	| {
			readonly kind: FlagOperation | typeof UNKNOWN | typeof CORE
			/** Bytes. */
			readonly size: number
			/** Of a shift; 0: in `c`. */
			readonly count?: number
			readonly over?: FlagOverride
	  }
	| undefined

/** Widens the value of `size` bytes on the stack to 64 bits. */
export function widen(code: Code, size: number): void {
	if (size < 8) code.op('i64.extend_i32_u')
}

/**
 * The six status flags, lazy: the operands of the operation that set them are kept in locals until somebody asks, as core/flag_kinds.ts says. Which operation
 * it was is known when code is written. Where ways meet they are in memory instead: locals would have V8 keep five more values at hand, and move them about.
 */
export class LazyFlags {
	/** Locals. */
	readonly a: number
	readonly b: number
	readonly c: number
	readonly d: number
	/** Start of the block that is written. */
	block = 0
	private current: KnownFlags = undefined
	private readonly context: RegionContext

	constructor(context: RegionContext) {
		const { code } = context
		this.context = context
		this.a = code.local(I64)
		this.b = code.local(I64)
		this.c = code.local(I64)
		this.d = code.local(I64)
	}

	get known(): KnownFlags {
		return this.current
	}

	set known(flags: KnownFlags) {
		this.current = flags
	}

	/** From here on the core has them. */
	load(): void {
		this.current = { kind: CORE, size: 8 }
		this.note('set')
	}

	/** What a block does with the flags in memory first decides whether they have to be there. */
	private note(what: 'set' | 'read'): void {
		const { flagsFirst } = this.context.use
		if (what === 'set' || this.current === undefined || this.current.kind === UNKNOWN)
			if (!flagsFirst.has(this.block)) flagsFirst.set(this.block, what)
	}

	/** Those in the state block are not valid: the core has newer ones. */
	setKeptByCore(): void {
		const { code, state } = this.context
		code.i32(state).i32(K.KEPT_NONE).memory('i32.store', L.CPU_KEPT_KIND)
	}

	/** Gives them to the core, and leaves them there. */
	give(): void {
		if (this.current?.kind !== CORE) {
			this.pushKept()
			this.context.code.call(this.context.core.settle)
		}
		this.load()
	}

	/** Flags of an operation on the values in locals x and y, i64 or i32 by `size` (y of RES an i64). ADC, SBB, INC, DEC and shifts by a variable have set `c`. */
	set(kind: FlagOperation, size: number, x: number, y?: number, count?: number): void {
		const { code } = this.context
		code.get(x)
		widen(code, size)
		code.set(this.a)
		if (y !== undefined) {
			code.get(y)
			if (kind !== 'RES') widen(code, size)
			code.set(this.b)
		}
		this.known = count === undefined ? { kind, size } : { kind, size, count }
		this.note('set')
	}

	/** Flags of a comparison of the doubles in locals x and y. */
	setCompared(x: number, y: number): void {
		this.context.code.get(x).op('i64.reinterpret_f64').set(this.a).get(y).op('i64.reinterpret_f64').set(this.b)
		this.known = { kind: 'DOUBLES', size: 8 }
		this.note('set')
	}

	/** On a way out: stores them, without changing what the translator knows elsewhere. */
	store(): void {
		const before = this.current
		this.forget()
		this.current = before
	}

	/** From here on nothing is known of the flags; they are in memory. */
	forget(): void {
		this.note('read')
		this.leave()
	}

	/** Before control goes on where ways meet, at the block `target`. */
	meet(target: number): void {
		if (this.context.use.flagsDead.has(target)) this.current = undefined
		else this.leave()
	}

	/** Stores what is not in memory. */
	private leave(): void {
		const known = this.current
		if (known === undefined) return
		const { code, state } = this.context
		if (code.isOutline) {
			this.current = undefined
			return
		}
		const { kind } = known
		const isHere = kind !== UNKNOWN
		code.i32(state)
		this.pushKind()
		code.memory('i32.store', L.CPU_KEPT_KIND)
		if (isHere) {
			code.i32(state)
			this.pushA()
			code.memory('i64.store', L.CPU_KEPT_A)
			if (kind === CORE || TWO_KEPT.has(kind)) {
				code.i32(state)
				this.pushB()
				code.memory('i64.store', L.CPU_KEPT_B)
			}
			if (this.keepsThird()) code.i32(state).get(this.c).memory('i64.store', L.CPU_KEPT_C)
		}
		if (known.over !== undefined) code.i32(state).get(this.d).memory('i64.store', L.CPU_KEPT_D)
		this.current = undefined
	}

	private keepsThird(): boolean {
		const known = this.current
		return known !== undefined && (CARRY_KEPT.has(known.kind) || (SHIFTS.has(known.kind) && !known.count))
	}

	/** Pushes what `kind` is to be. */
	private pushKind(): void {
		const { code, core, state } = this.context
		const known = this.current
		if (known?.kind === CORE) {
			code.globalGet(core.ccKind)
			return
		}
		if (known === undefined || known.kind === UNKNOWN) code.i32(state).memory('i32.load', L.CPU_KEPT_KIND)
		if (known === undefined) return
		const { kind, size, count = 0 } = known
		const over = known.over === undefined ? 0 : OVERRIDES[known.over] << K.KEPT_OVER_SHIFT
		if (kind === UNKNOWN) {
			code
				.i32((1 << K.KEPT_OVER_SHIFT) - 1)
				.op('i32.and')
				.i32(over)
				.op('i32.or')
			return
		}
		const shift = kind === 'STATUS' ? 0 : 64 - size * 8
		code.i32(OPERATIONS[kind] | (shift << 8) | (count << K.KEPT_COUNT_SHIFT) | over)
	}

	private get isInMemory(): boolean {
		return this.current === undefined || this.current.kind === UNKNOWN
	}

	private pushA(): void {
		const { code, core, state } = this.context
		if (this.isInMemory) code.i32(state).memory('i64.load', L.CPU_KEPT_A)
		else if (this.current!.kind === CORE) code.globalGet(core.ccA)
		else code.get(this.a)
	}

	private pushB(): void {
		const { code, core, state } = this.context
		if (this.isInMemory) code.i32(state).memory('i64.load', L.CPU_KEPT_B)
		else if (this.current!.kind === CORE) code.globalGet(core.ccB)
		else if (TWO_KEPT.has(this.current!.kind)) code.get(this.b)
		else code.i64(0)
	}

	/** Pushes all of them as the core's functions take them. */
	pushKept(): void {
		const { code, state } = this.context
		this.note('read')
		this.pushKind()
		this.pushA()
		this.pushB()
		if (this.isInMemory) code.i32(state).memory('i64.load', L.CPU_KEPT_C)
		else if (this.keepsThird()) code.get(this.c)
		else code.i64(0)
		if (this.current === undefined) code.i32(state).memory('i64.load', L.CPU_KEPT_D)
		else if (this.current.over !== undefined) code.get(this.d)
		else code.i64(0)
	}

	/** Pops an i64 in which bit 0 is the new CF (over is CF), the result of a rotate, or CF and OF; other flags stay. */
	override(over: FlagOverride): void {
		const { code } = this.context
		this.note('read')
		if (this.current?.kind === CORE) this.leave()
		const { known } = this
		// Of earlier overrides, OF stays when only CF changes.
		if (over === 'CF' && (known === undefined || (known.over !== undefined && known.over !== 'CF'))) {
			code.i64(1).op('i64.and')
			this.pushKept()
			code.call(this.context.core.flagsKept).op('i64.extend_i32_u').i64(0x800).op('i64.and', 'i64.or').set(this.d)
			this.known = { ...(known ?? { kind: UNKNOWN, size: 8 }), over: 'CF_OF' }
			return
		}
		code.set(this.d)
		this.known = { ...(known ?? { kind: UNKNOWN, size: 8 }), over }
	}

	/** Pops an i32 of status flags as in EFLAGS. */
	setStatus(): void {
		this.context.code.op('i64.extend_i32_u').set(this.a)
		this.known = { kind: 'STATUS', size: 8 }
		this.note('set')
	}

	/** Pushes the six status flags as in EFLAGS, an i32. */
	pushStatus(): void {
		this.pushKept()
		this.context.code.call(this.context.core.flagsKept)
	}

	/** Pushes CF, an i64. */
	pushCarry(): void {
		const { code, core } = this.context
		if (this.pushKnownCarry()) return
		this.pushKept()
		code.call(core.carryKept)
	}

	private pushKnownCarry(): boolean {
		const { known } = this
		const { code } = this.context
		const bit = (local: number, number: number) => {
			code.get(local)
			if (number) code.i64(number).op('i64.shr_u')
			code.i64(1).op('i64.and')
			return true
		}
		switch (known?.over) {
			case 'ROR32':
				return bit(this.d, 31)
			case 'ROR64':
				code.get(this.d).i64(63).op('i64.shr_u')
				return true
			case undefined:
				break
			default:
				return bit(this.d, 0)
		}
		switch (known?.kind) {
			case 'STATUS':
				return bit(this.a, 0)
			case 'RES':
				return bit(this.b, 0)
			case 'SUB':
			case 'ADD':
				code.get(this.a).get(this.b).op('i64.lt_u', 'i64.extend_i32_u')
				return true
			case 'ADC':
				this.pushCarryOut(known.size)
				return true
			case 'SBB':
				// x < y, or the difference less than the borrow.
				code.get(this.a).get(this.b).op('i64.lt_u').get(this.a).get(this.b).op('i64.sub').get(this.c)
				code.op('i64.lt_u', 'i32.or', 'i64.extend_i32_u')
				return true
			case 'LOGIC':
				code.i64(0)
				return true
			case 'DOUBLES':
				code.get(this.a).op('f64.reinterpret_i64').get(this.b).op('f64.reinterpret_i64', 'f64.ge', 'i32.eqz', 'i64.extend_i32_u')
				return true
			case 'INC':
			case 'DEC':
				code.get(this.c)
				return true
			case 'SHL':
				return known.count ? bit(this.a, known.size * 8 - known.count) : false
			case 'SHR':
			case 'SAR':
				return known.count ? bit(this.a, known.count - 1) : false
			default:
				return false
		}
	}

	private pushCarryOut(size: number): void {
		const { code } = this.context
		code.get(this.a).get(this.b).op('i64.add')
		if (size < 8) {
			code
				.get(this.c)
				.op('i64.add')
				.i64(size * 8)
				.op('i64.shr_u')
			return
		}
		// Either sum wraps.
		code.get(this.a).op('i64.lt_u')
		code.get(this.a).get(this.b).op('i64.add').get(this.c).op('i64.add').get(this.c).op('i64.lt_u', 'i32.or', 'i64.extend_i32_u')
	}
}
