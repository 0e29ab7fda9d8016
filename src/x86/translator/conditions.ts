import type { Operator } from '../../wasm/code.ts'
import type { RegionContext } from './context.ts'
import type { FlagOperation, LazyFlags } from './flags.ts'

const wide = (size: number) => (size === 8 ? 'i64' : 'i32')
const op = (size: number, name: string) => `${wide(size)}.${name}` as Operator

/** Operations whose result is in `a`. */
const RESULT_KEPT: ReadonlySet<FlagOperation> = new Set(['ADD', 'LOGIC', 'INC', 'DEC', 'RES'])

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
		const { code, core } = this.context
		if (this.pushKnown(cc >> 1)) {
			if (cc & 1) code.op('i32.eqz')
			return
		}
		this.flags.pushKept()
		code.i32(cc).call(core.conditionKept)
	}

	private pushKnown(base: number): boolean {
		const { known } = this.flags
		if (base === 1) {
			this.pushCarry()
			return true
		}
		if (known === undefined || known.kind === 'UNKNOWN' || known.kind === 'CORE') return false
		const unaffected = base === 2 || base === 4
		if (known.over !== undefined && !unaffected) return false
		if (known.kind === 'STATUS') this.afterStatus(base)
		else if (known.kind === 'DOUBLES') this.afterComparison(base)
		else if (known.kind === 'SUB') return this.afterCompare(base, known.size)
		else return this.afterResult(base, known.kind, known.size)
		return true
	}

	private pushCarry(): void {
		const { known, a, b } = this.flags
		if (known?.kind === 'SUB' && known.over === undefined) this.compare(a, b, 'lt_u', known.size)
		else if (known?.kind === 'DOUBLES' && known.over === undefined) this.afterComparison(1)
		else {
			this.flags.pushCarry()
			this.context.code.op('i32.wrap_i64')
		}
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

	/** Of doubles: CF, ZF and PF tell less, equal and unordered, which sets all three; the other flags are clear. */
	private afterComparison(base: number): void {
		const { code } = this.context
		const { a, b } = this.flags
		const compare = (x: number, y: number, operator: 'f64.ge' | 'f64.gt' | 'f64.ne') =>
			code.get(x).op('f64.reinterpret_i64').get(y).op('f64.reinterpret_i64', operator)
		switch (base) {
			case 1:
				compare(a, b, 'f64.ge').op('i32.eqz')
				return
			case 3:
				compare(a, b, 'f64.gt').op('i32.eqz')
				return
			case 2:
			case 7:
				compare(a, b, 'f64.gt')
				compare(b, a, 'f64.gt').op('i32.or', 'i32.eqz')
				return
			case 5:
				compare(a, a, 'f64.ne')
				compare(b, b, 'f64.ne').op('i32.or')
				return
			default:
				code.i32(0)
		}
	}

	/** Pushes an operand; `signed` ones of less than 32 bits at the top. */
	private operand(local: number, size: number, signed: boolean): void {
		const { code } = this.context
		code.get(local)
		if (size === 8) return
		code.op('i32.wrap_i64')
		if (size < 4 && signed) code.i32(32 - size * 8).op('i32.shl')
	}

	private compare(x: number, y: number, operator: string, size: number): void {
		const signed = operator.endsWith('_s')
		this.operand(x, size, signed)
		this.operand(y, size, signed)
		this.context.code.op(op(size, operator))
	}

	private afterCompare(base: number, size: number): boolean {
		const { a, b } = this.flags
		const { code } = this.context
		const operator = { 2: 'eq', 3: 'le_u', 6: 'lt_s', 7: 'le_s' }[base]
		if (operator !== undefined) {
			this.compare(a, b, operator, size)
			return true
		}
		if (base !== 4) return false
		this.operand(a, size, true)
		this.operand(b, size, true)
		code.op(op(size, 'sub'))
		this.isNegative(size)
		return true
	}

	private isNegative(size: number): void {
		if (size === 8) this.context.code.i64(0).op('i64.lt_s')
		else this.context.code.i32(0).op('i32.lt_s')
	}

	private afterResult(base: number, kind: FlagOperation, size: number): boolean {
		const { code } = this.context
		if (base === 5) return false
		if (base === 2) {
			this.pushResult(kind, size, false)
			code.op(op(size, 'eqz'))
			return true
		}
		if (base === 3) {
			this.pushCarry()
			this.pushResult(kind, size, false)
			code.op(op(size, 'eqz'), 'i32.or')
			return true
		}
		if (base !== 4 && !this.overflows(kind)) return false
		if (base !== 0) {
			this.pushResult(kind, size, true)
			this.isNegative(size)
		}
		if (base === 4) return true
		// Nothing that sets OF to 0 needs it looked at.
		if (kind !== 'LOGIC') {
			this.pushOverflow(kind, size)
			if (base !== 0) code.op('i32.ne')
		} else if (base === 0) code.i32(0)
		if (base === 7) {
			this.pushResult(kind, size, false)
			code.op(op(size, 'eqz'), 'i32.or')
		}
		return true
	}

	private overflows(kind: FlagOperation): boolean {
		return RESULT_KEPT.has(kind)
	}

	/** Pushes OF, an i32. */
	private pushOverflow(kind: FlagOperation, size: number): void {
		const { code } = this.context
		const { a, b } = this.flags
		switch (kind) {
			case 'INC':
			case 'DEC': {
				const top = 1n << BigInt(size * 8 - 1)
				code
					.get(a)
					.i64(BigInt.asIntN(64, kind === 'INC' ? top : top - 1n))
					.op('i64.eq')
				return
			}
			case 'ADD':
				// The terms have one sign and the sum another: (sum - b ^ sum) & (b ^ sum).
				code.get(a).get(b).op('i64.sub').get(a).op('i64.xor').get(b).get(a).op('i64.xor', 'i64.and')
				code
					.i64(size * 8 - 1)
					.op('i64.shr_u', 'i32.wrap_i64')
					.i32(1)
					.op('i32.and')
				return
			default:
				code.get(b).i64(11).op('i64.shr_u', 'i32.wrap_i64').i32(1).op('i32.and')
		}
	}

	/** Pushes the result of the operation that set the flags, as wide as an operand; `top`: only its sign matters, which is at the top. */
	private pushResult(kind: FlagOperation, size: number, top: boolean): void {
		const { code } = this.context
		const { a, b, c, known } = this.flags
		if (RESULT_KEPT.has(kind)) return this.operand(a, size, top)
		this.operand(a, size, false)
		switch (kind) {
			case 'ADC':
			case 'SBB': {
				const operator = op(size, kind === 'ADC' ? 'add' : 'sub')
				this.operand(b, size, false)
				code.op(operator)
				this.operand(c, size, false)
				code.op(operator)
				break
			}
			case 'MUL':
			case 'IMUL':
				this.operand(b, size, false)
				code.op(op(size, 'mul'))
				break
			default: {
				const count = known!.count ?? 0
				if (count === 0) this.operand(c, size, false)
				else if (size === 8) code.i64(count)
				else code.i32(count)
				code.op(op(size, kind === 'SHL' ? 'shl' : kind === 'SHR' ? 'shr_u' : 'shr_s'))
			}
		}
		if (size < 4) {
			code.i32(32 - size * 8).op('i32.shl')
		}
	}
}
