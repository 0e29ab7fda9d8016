import { Bytes } from './bytes.ts'
import { type FunctionBody, type ValueType, VOID } from './module.ts'

/** Operators without immediates, by their text names. */
export const OPERATORS = {
	unreachable: 0x00,
	return: 0x0f,
	drop: 0x1a,
	select: 0x1b,
	'i32.eqz': 0x45,
	'i32.eq': 0x46,
	'i32.ne': 0x47,
	'i32.lt_s': 0x48,
	'i32.lt_u': 0x49,
	'i32.gt_s': 0x4a,
	'i32.gt_u': 0x4b,
	'i32.le_s': 0x4c,
	'i32.le_u': 0x4d,
	'i32.ge_s': 0x4e,
	'i32.ge_u': 0x4f,
	'i64.eqz': 0x50,
	'i64.eq': 0x51,
	'i64.ne': 0x52,
	'i64.lt_s': 0x53,
	'i64.lt_u': 0x54,
	'i64.gt_s': 0x55,
	'i64.gt_u': 0x56,
	'i64.le_s': 0x57,
	'i64.le_u': 0x58,
	'i64.ge_s': 0x59,
	'i64.ge_u': 0x5a,
	'f32.eq': 0x5b,
	'f32.ne': 0x5c,
	'f32.lt': 0x5d,
	'f32.gt': 0x5e,
	'f32.le': 0x5f,
	'f32.ge': 0x60,
	'f64.eq': 0x61,
	'f64.ne': 0x62,
	'f64.lt': 0x63,
	'f64.gt': 0x64,
	'f64.le': 0x65,
	'f64.ge': 0x66,
	'i32.clz': 0x67,
	'i32.ctz': 0x68,
	'i32.popcnt': 0x69,
	'i32.add': 0x6a,
	'i32.sub': 0x6b,
	'i32.mul': 0x6c,
	'i32.and': 0x71,
	'i32.or': 0x72,
	'i32.xor': 0x73,
	'i32.shl': 0x74,
	'i32.shr_s': 0x75,
	'i32.shr_u': 0x76,
	'i32.rotl': 0x77,
	'i32.rotr': 0x78,
	'i64.clz': 0x79,
	'i64.ctz': 0x7a,
	'i64.popcnt': 0x7b,
	'i64.add': 0x7c,
	'i64.sub': 0x7d,
	'i64.mul': 0x7e,
	'i64.div_s': 0x7f,
	'i64.div_u': 0x80,
	'i64.rem_s': 0x81,
	'i64.rem_u': 0x82,
	'i64.and': 0x83,
	'i64.or': 0x84,
	'i64.xor': 0x85,
	'i64.shl': 0x86,
	'i64.shr_s': 0x87,
	'i64.shr_u': 0x88,
	'i64.rotl': 0x89,
	'i64.rotr': 0x8a,
	'f32.sqrt': 0x91,
	'f32.add': 0x92,
	'f32.sub': 0x93,
	'f32.mul': 0x94,
	'f32.div': 0x95,
	'f64.abs': 0x99,
	'f64.neg': 0x9a,
	'f64.sqrt': 0x9f,
	'f64.add': 0xa0,
	'f64.sub': 0xa1,
	'f64.mul': 0xa2,
	'f64.div': 0xa3,
	'i32.wrap_i64': 0xa7,
	'i64.extend_i32_s': 0xac,
	'i64.extend_i32_u': 0xad,
	'f32.convert_i32_s': 0xb2,
	'f32.convert_i64_s': 0xb4,
	'f64.convert_i32_s': 0xb7,
	'f64.convert_i64_s': 0xb9,
	'f32.demote_f64': 0xb6,
	'f64.promote_f32': 0xbb,
	'i32.reinterpret_f32': 0xbc,
	'i64.reinterpret_f64': 0xbd,
	'f32.reinterpret_i32': 0xbe,
	'f64.reinterpret_i64': 0xbf,
	'i32.extend8_s': 0xc0,
	'i32.extend16_s': 0xc1,
	'i64.extend8_s': 0xc2,
	'i64.extend16_s': 0xc3,
	'i64.extend32_s': 0xc4,
} as const
export type Operator = keyof typeof OPERATORS
const OPCODES: ReadonlyMap<Operator, number> = new Map(Object.entries(OPERATORS) as [Operator, number][])

/** Loads and stores, by their text names. */
export const MEMORY_OPERATORS = {
	'i32.load': 0x28,
	'i64.load': 0x29,
	'f32.load': 0x2a,
	'f64.load': 0x2b,
	'i32.load8_u': 0x2d,
	'i32.load16_u': 0x2f,
	'i64.load8_s': 0x30,
	'i64.load8_u': 0x31,
	'i64.load16_s': 0x32,
	'i64.load16_u': 0x33,
	'i64.load32_s': 0x34,
	'i64.load32_u': 0x35,
	'i32.store': 0x36,
	'i64.store': 0x37,
	'f32.store': 0x38,
	'f64.store': 0x39,
	'i32.store8': 0x3a,
	'i32.store16': 0x3b,
	'i64.store8': 0x3c,
	'i64.store16': 0x3d,
	'i64.store32': 0x3e,
} as const
export type MemoryOperator = keyof typeof MEMORY_OPERATORS

/** Atomic read-modify-writes of 32 bits; those of 64, 8 and 16 bits follow, in this order. The address is naturally aligned. */
const ATOMIC_OPERATORS = { add: 0x1e, sub: 0x25, and: 0x2c, or: 0x33, xor: 0x3a, xchg: 0x41, cmpxchg: 0x48 } as const
const ATOMIC_SIZES = [4, 8, 1, 2]
export type AtomicOperator = keyof typeof ATOMIC_OPERATORS

/** SIMD operators without immediates that the translator uses. */
export const SIMD_OPERATORS = {
	'v128.not': 0x4d,
	'v128.and': 0x4e,
	'v128.andnot': 0x4f,
	'v128.or': 0x50,
	'v128.xor': 0x51,
	'i8x16.eq': 0x23,
	'i16x8.eq': 0x2d,
	'i32x4.eq': 0x37,
	'i64x2.eq': 0xd6,
	'i8x16.add': 0x6e,
	'i8x16.sub': 0x71,
	'i16x8.add': 0x8e,
	'i16x8.sub': 0x91,
	'i16x8.mul': 0x95,
	'i32x4.add': 0xae,
	'i32x4.sub': 0xb1,
	'i32x4.mul': 0xb5,
	'i64x2.add': 0xce,
	'i64x2.sub': 0xd1,
	'i16x8.shl': 0x8b,
	'i16x8.shr_s': 0x8c,
	'i16x8.shr_u': 0x8d,
	'i32x4.shl': 0xab,
	'i32x4.shr_s': 0xac,
	'i32x4.shr_u': 0xad,
	'i64x2.shl': 0xcb,
	'i64x2.shr_u': 0xcd,
	'i8x16.gt_s': 0x27,
	'i16x8.gt_s': 0x31,
	'i32x4.gt_s': 0x3b,
	'i8x16.min_u': 0x77,
	'i8x16.max_u': 0x79,
	'i16x8.min_s': 0x96,
	'i16x8.max_s': 0x98,
	'v128.any_true': 0x53,
	'i64x2.all_true': 0xc3,
	'i32x4.all_true': 0xa3,
	'i64x2.splat': 0x12,
	'f64x2.splat': 0x14,
	'i32x4.splat': 0x11,
	'f32x4.add': 0xe4,
	'f32x4.sub': 0xe5,
	'f32x4.mul': 0xe6,
	'f32x4.div': 0xe7,
	'f64x2.sqrt': 0xef,
	'i8x16.swizzle': 0x0e,
	// Of the relaxed ones: engines need not have them (features.ts).
	'i8x16.relaxed_swizzle': 0x100,
	'i8x16.bitmask': 0x64,
	'i64x2.ne': 0xd7,
	'f64x2.add': 0xf0,
	'f64x2.sub': 0xf1,
	'f64x2.mul': 0xf2,
	'f64x2.div': 0xf3,
	'f32x4.eq': 0x41,
	'f64x2.eq': 0x47,
	'f64x2.pmin': 0xf6,
	'f64x2.pmax': 0xf7,
	'f32x4.sqrt': 0xe3,
	'f32x4.pmin': 0xea,
	'f32x4.pmax': 0xeb,
	'i32x4.bitmask': 0xa4,
	'i64x2.bitmask': 0xc4,
	'f64x2.convert_low_i32x4_s': 0xfe,
	'v128.bitselect': 0x52,
	'i8x16.shr_s': 0x6c,
	'i64x2.shr_s': 0xcc,
	'i64x2.gt_s': 0xd9,
	'i8x16.add_sat_s': 0x6f,
	'i8x16.add_sat_u': 0x70,
	'i8x16.sub_sat_s': 0x72,
	'i8x16.sub_sat_u': 0x73,
	'i16x8.add_sat_s': 0x8f,
	'i16x8.add_sat_u': 0x90,
	'i16x8.sub_sat_s': 0x92,
	'i16x8.sub_sat_u': 0x93,
	'i8x16.min_s': 0x76,
	'i8x16.max_s': 0x78,
	'i16x8.min_u': 0x97,
	'i16x8.max_u': 0x99,
	'i32x4.min_s': 0xb6,
	'i32x4.min_u': 0xb7,
	'i32x4.max_s': 0xb8,
	'i32x4.max_u': 0xb9,
	'i8x16.avgr_u': 0x7b,
	'i16x8.avgr_u': 0x9b,
	'i8x16.abs': 0x60,
	'i16x8.abs': 0x80,
	'i32x4.abs': 0xa0,
	'i8x16.narrow_i16x8_s': 0x65,
	'i8x16.narrow_i16x8_u': 0x66,
	'i16x8.narrow_i32x4_s': 0x85,
	'i16x8.narrow_i32x4_u': 0x86,
	'i16x8.extend_low_i8x16_s': 0x87,
	'i16x8.extend_high_i8x16_s': 0x88,
	'i16x8.extend_low_i8x16_u': 0x89,
	'i16x8.extend_high_i8x16_u': 0x8a,
	'i32x4.extend_low_i16x8_s': 0xa7,
	'i32x4.extend_low_i16x8_u': 0xa9,
	'i64x2.extend_low_i32x4_s': 0xc7,
	'i64x2.extend_low_i32x4_u': 0xc9,
	'i16x8.extadd_pairwise_i8x16_u': 0x7d,
	'i32x4.extadd_pairwise_i16x8_u': 0x7f,
	'i32x4.extmul_low_i16x8_s': 0xbc,
	'i32x4.extmul_high_i16x8_s': 0xbd,
	'i32x4.extmul_low_i16x8_u': 0xbe,
	'i32x4.extmul_high_i16x8_u': 0xbf,
	'i64x2.extmul_low_i32x4_s': 0xdc,
	'i64x2.extmul_low_i32x4_u': 0xde,
	'i32x4.dot_i16x8_s': 0xba,
	'i16x8.q15mulr_sat_s': 0x82,
} as const
export type SimdOperator = keyof typeof SIMD_OPERATORS

const V128_MEMORY = { load: 0, store: 11, load32_zero: 0x5c, load64_zero: 0x5d } as const

/** SIMD operators with a lane number. */
export const LANE_OPERATORS = {
	'i8x16.extract_lane_u': 0x16,
	'i8x16.replace_lane': 0x17,
	'i16x8.extract_lane_u': 0x19,
	'i16x8.replace_lane': 0x1a,
	'i32x4.extract_lane': 0x1b,
	'i32x4.replace_lane': 0x1c,
	'i64x2.extract_lane': 0x1d,
	'i64x2.replace_lane': 0x1e,
	'f32x4.extract_lane': 0x1f,
	'f32x4.replace_lane': 0x20,
	'f64x2.extract_lane': 0x21,
	'f64x2.replace_lane': 0x22,
} as const
export type LaneOperator = keyof typeof LANE_OPERATORS

const LOOP = 0x03

/** A function's locals and body. Labels are counted from the outside, as `depth` was when their construct was opened. */
export class Code {
	private readonly out = new Bytes()
	private readonly locals: ValueType[] = []
	private readonly params: number
	readonly isOutline: boolean
	private readonly hints: number[] = []
	private readonly globals: number[] = []
	/** Open blocks, loops and ifs. */
	depth = 0
	/** Of each of them, innermost last: a number of its own, another one in its else arm, negative for a loop. 0, outside all, comes first. */
	private readonly constructs: number[] = [0]
	private scopes = 0

	/** An outline has locals, constructs and scopes, but few operators: for a pass that only looks at what would be written. */
	constructor(params: number, isOutline = false) {
		this.params = params
		this.isOutline = isOutline
	}

	local(type: ValueType): number {
		this.locals.push(type)
		return this.params + this.locals.length - 1
	}

	/** Up to four operators in a row. */
	op(name: Operator, second?: Operator, third?: Operator, fourth?: Operator): this {
		if (this.isOutline) return this
		const { out } = this
		out.u8(OPCODES.get(name)!)
		if (second === undefined) return this
		out.u8(OPCODES.get(second)!)
		if (third === undefined) return this
		out.u8(OPCODES.get(third)!)
		if (fourth !== undefined) out.u8(OPCODES.get(fourth)!)
		return this
	}

	simd(name: SimdOperator): this {
		if (this.isOutline) return this
		this.out.u8(0xfd)
		this.out.u32(SIMD_OPERATORS[name])
		return this
	}

	/** v128.load, v128.store, v128.load32_zero or v128.load64_zero at a constant offset. */
	v128(kind: keyof typeof V128_MEMORY, offset = 0): this {
		this.out.u8(0xfd)
		this.out.u32(V128_MEMORY[kind])
		this.out.u32(0)
		this.out.u32(offset)
		return this
	}

	/** A SIMD operator with a lane number. */
	lane(name: LaneOperator, lane: number): this {
		this.out.u8(0xfd)
		this.out.u32(LANE_OPERATORS[name])
		this.out.u8(lane)
		return this
	}

	/** i8x16.shuffle: bytes 0..15 of the first operand, 16..31 of the second. */
	shuffle(bytes: readonly number[]): this {
		if (this.isOutline) return this
		this.out.u8(0xfd)
		this.out.u32(0x0d)
		for (const byte of bytes) this.out.u8(byte)
		return this
	}

	/** v128.const of two quadwords. */
	v128Const(low: bigint, high = low): this {
		if (this.isOutline) return this
		this.out.u8(0xfd)
		this.out.u32(0x0c)
		this.out.raw(new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, low), BigInt.asUintN(64, high)).buffer))
		return this
	}

	/** i64.trunc_sat_f64_s. */
	truncateSaturating(): this {
		this.out.u8(0xfc)
		this.out.u32(6)
		return this
	}

	memory(name: MemoryOperator, offset = 0): this {
		if (this.isOutline) return this
		this.out.u8(MEMORY_OPERATORS[name])
		this.out.u32(0)
		this.out.u32(offset)
		return this
	}

	/** On `size` bytes: of 8 an i64, otherwise an i32 whose upper bits are zero. */
	atomic(name: AtomicOperator, size: number): this {
		this.out.u8(0xfe)
		this.out.u32(ATOMIC_OPERATORS[name] + ATOMIC_SIZES.indexOf(size))
		this.out.u32(Math.log2(size))
		this.out.u32(0)
		return this
	}

	/** atomic.fence. */
	fence(): this {
		this.out.u8(0xfe)
		this.out.u32(3)
		this.out.u8(0)
		return this
	}

	get(local: number): this {
		if (this.isOutline) return this
		this.out.u8(0x20)
		this.out.u32(local)
		return this
	}
	set(local: number): this {
		if (this.isOutline) return this
		this.out.u8(0x21)
		this.out.u32(local)
		return this
	}
	tee(local: number): this {
		if (this.isOutline) return this
		this.out.u8(0x22)
		this.out.u32(local)
		return this
	}
	globalGet(global: number): this {
		if (this.isOutline) return this
		this.out.u8(0x23)
		this.globals.push(this.out.length)
		this.out.u32(global)
		return this
	}
	globalSet(global: number): this {
		if (this.isOutline) return this
		this.out.u8(0x24)
		this.globals.push(this.out.length)
		this.out.u32(global)
		return this
	}
	i32(value: number): this {
		if (this.isOutline) return this
		this.out.u8(0x41)
		this.out.i32(value)
		return this
	}
	i64(value: bigint | number): this {
		if (this.isOutline) return this
		this.out.u8(0x42)
		if (typeof value === 'number' && (value | 0) === value) this.out.i32(value)
		else this.out.i64(BigInt(value))
		return this
	}
	call(index: number): this {
		if (this.isOutline) return this
		this.out.u8(0x10)
		this.out.u32(index)
		return this
	}

	/** Leaves the function for another one, which returns in its place. */
	returnCall(index: number): this {
		this.out.u8(0x12)
		this.out.u32(index)
		return this
	}

	/** Opens a block; its label is the returned number. */
	block(result: ValueType | typeof VOID = VOID): number {
		return this.open(0x02, result)
	}
	/** The same, of no result; what is written in it first is always executed, so it is no scope of its own. */
	plainBlock(): number {
		if (!this.isOutline) {
			this.out.u8(0x02)
			this.out.u8(VOID)
		}
		this.constructs.push(this.scope)
		return this.depth++
	}
	loop(): number {
		return this.open(LOOP, VOID)
	}
	/** Opens a scope that is no construct. */
	enter(): void {
		this.constructs.push(++this.scopes)
	}
	leave(): void {
		this.constructs.pop()
	}
	/** `likely` goes into the module's branch hints. */
	if(result: ValueType | typeof VOID = VOID, likely?: boolean): number {
		if (likely !== undefined) this.hint(likely)
		return this.open(0x04, result)
	}
	private open(opcode: number, result: number): number {
		if (!this.isOutline) {
			this.out.u8(opcode)
			this.out.u8(result)
		}
		const scope = ++this.scopes
		this.constructs.push(opcode === LOOP ? -scope : scope)
		return this.depth++
	}
	else(): this {
		if (!this.isOutline) this.out.u8(0x05)
		this.constructs[this.constructs.length - 1] = ++this.scopes
		return this
	}
	end(): this {
		if (!this.isOutline) this.out.u8(0x0b)
		this.constructs.pop()
		this.depth--
		return this
	}

	/** A number for the construct whose arm is being written; 0 outside all. */
	get scope(): number {
		return Math.abs(this.constructs[this.constructs.length - 1]!)
	}

	/** Whether what was written in a scope has always been executed, and once only, where code is written now. */
	dominates(scope: number): boolean {
		const { constructs } = this
		for (let n = constructs.length - 1; n >= 0; n--) {
			const open = constructs[n]!
			if (open === scope || open === -scope) return true
			if (open < 0) return false
		}
		return false
	}

	/** The same, but that it may have been in an earlier round of a loop, or before all rounds. */
	encloses(scope: number): boolean {
		return this.constructs.some((open) => open === scope || open === -scope)
	}
	br(label: number): this {
		if (this.isOutline) return this
		this.out.u8(0x0c)
		this.out.u32(this.depth - 1 - label)
		return this
	}
	/** `likely` as for if(). */
	brIf(label: number, likely?: boolean): this {
		if (this.isOutline) return this
		if (likely !== undefined) this.hint(likely)
		this.out.u8(0x0d)
		this.out.u32(this.depth - 1 - label)
		return this
	}

	/** The branch that is written next is likely, or unlikely, to be taken. */
	private hint(likely: boolean): void {
		if (!this.isOutline) this.hints.push(this.out.length, likely ? 1 : 0)
	}

	/** Pops an index into `labels`; one beyond goes to `otherwise`. */
	brTable(labels: readonly number[], otherwise: number): this {
		this.out.u8(0x0e)
		this.out.u32(labels.length)
		for (const label of [...labels, otherwise]) this.out.u32(this.depth - 1 - label)
		return this
	}

	/** The body for ModuleBuilder.addFunction(). */
	finish(): FunctionBody {
		const body = new Bytes()
		const { locals } = this
		let runs = 0
		for (let n = 0; n < locals.length; n++) if (locals[n] !== locals[n - 1]) runs++
		body.u32(runs)
		for (let n = 0; n < locals.length; ) {
			const first = n
			while (locals[n] === locals[first]) n++
			body.u32(n - first)
			body.u8(locals[first]!)
		}
		const start = body.length
		this.out.moveTo(body)
		body.u8(0x0b)
		return { bytes: body.finish(), start, hints: this.hints, globals: this.globals }
	}
}
