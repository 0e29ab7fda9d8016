import type { RegionContext } from './context.ts'
import type { LazyFlags, OperandFlags } from './flags.ts'

/** The sixteen conditions of Jcc, SETcc and CMOVcc, asked of lazy flags. */
export class Conditions {
	private readonly context: RegionContext
	private readonly flags: LazyFlags

	constructor(context: RegionContext, flags: LazyFlags) {
		this.context = context
		this.flags = flags
	}

	/** Pushes condition code 0..15, an i32 that is 0 or 1. */
	push(cc: number): void {
		const { known: flags } = this.flags
		const { code } = this.context
		const base = cc >> 1
		if (flags?.kind === 'STATUS') {
			this.afterStatus(base)
			if (cc & 1) code.op('i32.eqz')
			return
		}
		if (flags?.kind === 'OVER' && base === 1) {
			this.flags.pushCarry()
			code.op('i32.wrap_i64')
			if (cc & 1) code.op('i32.eqz')
			return
		}
		if (flags?.kind === 'OVER' && (base === 2 || base === 4)) return this.flags.withFlags(flags.base, () => this.push(cc))
		const known =
			flags !== undefined &&
			flags.kind !== 'OVER' &&
			flags.kind !== 'PRODUCT' &&
			(flags.kind === 'SUB' ? this.afterCompare(base, flags.size) : this.afterResult(base, flags))
		if (!known) {
			this.flags.pushCanonical()
			code.i32(cc).call(this.context.core.conditionWith)
			return
		}
		if (cc & 1) code.op('i32.eqz')
	}

	/** Pushes a flags operand so that comparisons of its width, signed ones too, can be made. */
	private operand(local: number, size: number): void {
		const { code } = this.context
		code.get(local)
		if (size === 8) return
		code.op('i32.wrap_i64')
		if (size < 4) code.i32(32 - size * 8).op('i32.shl')
	}

	/** Each condition is some flag of a mask, or SF and OF differing. */
	private afterStatus(base: number): void {
		const { code } = this.context
		const any = (mask: number) => code.get(this.flags.a).op('i32.wrap_i64').i32(mask).op('i32.and').i32(0).op('i32.ne')
		const mask = [0x800, 1, 0x40, 0x41, 0x80, 4][base]
		if (mask !== undefined) {
			any(mask)
			return
		}
		any(0x80)
		any(0x800).op('i32.ne')
		if (base === 7) any(0x40).op('i32.or')
	}

	private afterCompare(base: number, size: number): boolean {
		const operator = { 1: 'lt_u', 2: 'eq', 3: 'le_u', 6: 'lt_s', 7: 'le_s' }[base] as 'eq' | undefined
		const prefix = size === 8 ? 'i64' : 'i32'
		if (operator !== undefined) {
			this.operand(this.flags.a, size)
			this.operand(this.flags.b, size)
			this.context.code.op(`${prefix}.${operator}`)
			return true
		}
		if (base !== 4) return false
		this.operand(this.flags.a, size)
		this.operand(this.flags.b, size)
		this.context.code.op(`${prefix}.sub`)
		if (size === 8) this.context.code.i64(0).op('i64.lt_s')
		else this.context.code.i32(0).op('i32.lt_s')
		return true
	}

	private afterResult(base: number, { kind, size }: OperandFlags): boolean {
		const { code } = this.context
		const zero = () => {
			this.operand(this.flags.a, size)
			if (kind === 'ADD') {
				this.operand(this.flags.b, size)
				code.op(size === 8 ? 'i64.add' : 'i32.add')
			}
			code.op(size === 8 ? 'i64.eqz' : 'i32.eqz')
		}
		const sign = () => {
			this.operand(this.flags.a, size)
			if (kind === 'ADD') {
				this.operand(this.flags.b, size)
				code.op(size === 8 ? 'i64.add' : 'i32.add')
			}
			if (size === 8) code.i64(0).op('i64.lt_s')
			else code.i32(0).op('i32.lt_s')
		}
		const carry = () => {
			this.flags.pushCarry()
			code.op('i32.wrap_i64')
		}
		const overflow = () => code.get(this.flags.b).i64(11).op('i64.shr_u', 'i32.wrap_i64').i32(1).op('i32.and')
		switch (base) {
			case 1:
				carry()
				return true
			case 2:
				zero()
				return true
			case 3:
				carry()
				zero()
				code.op('i32.or')
				return true
			case 4:
				sign()
				return true
		}
		if (kind === 'ADD' || base === 5) return false
		switch (base) {
			case 0:
				overflow()
				return true
			case 6:
				sign()
				overflow()
				code.op('i32.ne')
				return true
			default:
				sign()
				overflow()
				code.op('i32.ne')
				zero()
				code.op('i32.or')
				return true
		}
	}
}
