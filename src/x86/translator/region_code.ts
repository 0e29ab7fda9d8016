import { Code, type MemoryOperator } from '../../wasm/code.ts'
import { F64, type FunctionBody, I32, I64, type ModuleBuilder, V128, type ValueType, VOID } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import { decoderTables, familyRanges } from '../opcodes/operations.ts'
import type { Instruction } from './instruction.ts'

/**
 * What a region's code is made of: registers, flags, memory accesses and ways out.
 *
 * Rules:
 * - General registers live in i64 locals, loaded at the entry and stored at every way out. A local is written only when its instruction can no longer fault, so
 *   the locals are the architectural registers wherever an access can fail.
 * - Flags are lazy as in the core (core/flags.ts). Between two instructions the translator knows either nothing (`kind`, `a`, `b` locals hold them) or the
 *   operation and size that set them; then `a` and `b` hold its operands, not shifted, and `kind` is stale. Every way out makes them canonical first.
 * - A value of 8 bytes is an i64, a smaller one an i32 with the upper bits zero.
 * - A way out says where to go on (CPU_RIP), or which record could not be completed (CPU_REGION_RECORD) and why (CPU_REGION_STATUS, an outcome of core/execute.ts).
 */

/** Outcomes of core/execute.ts. */
export const FAULTED = 1
export const JUMP = 3
export const AGAIN = 4

const CC_SUB = 1
const CC_ADD = 2
const CC_RES = 3
const KINDS = { SUB: CC_SUB, ADD: CC_ADD, RES: CC_RES, LOGIC: CC_RES } as const

/**
 * What is known of the flags. LOGIC is RES with CF, OF and AF clear. OVER: those of `base`, but the flags in `mask` are in the local `over`
 * (rotates and bit tests set CF and OF and leave the others). STATUS: `a` holds the flags themselves.
 * PRODUCT: `a` is the signed product of 64-bit factors that are kept; whether it overflowed is asked when it matters.
 */
export type KnownFlags =
	| { readonly kind: keyof typeof KINDS; readonly size: number }
	| { readonly kind: 'OVER'; readonly mask: number; readonly base: KnownFlags }
	| { readonly kind: 'STATUS' }
	| { readonly kind: 'PRODUCT' }
	| undefined

/** Function and global indices of what a region imports from the core. */
export interface CoreImports {
	readonly readSlow: number
	readonly writeSlow: number
	readonly commitWrite: number
	readonly execute: number
	readonly carryOf: number
	readonly conditionWith: number
	readonly flagsWith: number
	readonly productOverflows: number
	readonly ccKind: number
	readonly ccA: number
	readonly ccB: number
	readonly tlbRead: number
	readonly tlbWrite: number
	readonly frameBase: number
	/** Changes when decoded code is dropped. */
	readonly jumpGeneration: number
}

/** Declares the imports, in a module that has none yet. `pages` is the memory's size. */
export function importCore(module: ModuleBuilder, pages: number): CoreImports {
	module.importSharedMemory('env', 'memory', pages, pages)
	const f = (name: string, params: readonly ValueType[], results: readonly ValueType[]) =>
		module.importFunction('core', name, params, results)
	return {
		readSlow: f('readSlow', [I64, I32], [I32]),
		writeSlow: f('writeSlow', [I64, I32], [I32]),
		commitWrite: f('commitWrite', [], [I32]),
		execute: f('execute', [I32], [I32]),
		carryOf: f('carryOf', [I32, I64, I64], [I64]),
		conditionWith: f('conditionWith', [I32, I64, I64, I32], [I32]),
		flagsWith: f('flagsWith', [I32, I64, I64], [I32]),
		productOverflows: f('productOverflows', [I64, I64, I64], [I32]),
		ccKind: module.importGlobal('core', 'ccKind', I32),
		ccA: module.importGlobal('core', 'ccA', I64),
		ccB: module.importGlobal('core', 'ccB', I64),
		tlbRead: module.importGlobal('core', 'tlbRead', I32),
		tlbWrite: module.importGlobal('core', 'tlbWrite', I32),
		frameBase: module.importGlobal('core', 'frameBase', I32),
		jumpGeneration: module.importGlobal('core', 'jumpGeneration', I32),
	}
}

/** Registers that a region reads or writes; found by a first pass over it. */
export interface RegisterUse {
	readonly used: Set<number>
	readonly written: Set<number>
	/** The same of XMM registers. */
	readonly xmmUsed: Set<number>
	readonly xmmWritten: Set<number>
}

/** FTZ, RC, the six masks, DAZ and PE of MXCSR; and their values when floating point needs no flag looked at but what its operands decide. */
const MXCSR_MASK = 0xffe0
const MXCSR_FAST = 0x1fa0
/** TS and EM. */
const CR0_NO_FPU = 0xc

const xmmOffset = (index: number) => L.CPU_XMM + index * 16
const integerRange = familyRanges().find(({ name }) => name === 'INTEGER')!

/** Whether an operation is one of the integer family, which touches nothing of SSE. */
function isInteger(operation: string): boolean {
	const number = decoderTables.operations.indexOf(operation)
	return number >= integerRange.first && number <= integerRange.last
}

const LOADS: Readonly<Record<number, MemoryOperator>> = { 1: 'i32.load8_u', 2: 'i32.load16_u', 4: 'i32.load', 8: 'i64.load' }
const STORES: Readonly<Record<number, MemoryOperator>> = { 1: 'i32.store8', 2: 'i32.store16', 4: 'i32.store', 8: 'i64.store' }
const PAGE_MASK = ~0xfffn

export class RegionCode {
	readonly code = new Code(1)
	readonly core: CoreImports
	/** Host address of the vCPU's state block. */
	readonly state: number
	readonly use: RegisterUse
	flags: KnownFlags
	/** Locals: parameter 0 is the budget. */
	readonly budget = 0
	readonly x32: number
	readonly y32: number
	readonly z32: number
	readonly x64: number
	readonly y64: number
	readonly z64: number
	/** Host address of the last memory operand. */
	readonly host: number
	/** 0: SSE instructions go to the core (CR0.TS or EM). 1: they run here. 3: floating point does, too (MXCSR_FAST). */
	readonly fpu: number
	/** Where an indirect jump goes. */
	readonly dispatch: number
	/** Temporary doubles. */
	readonly f64: number
	readonly g64: number
	readonly h64: number
	/** Temporary v128. */
	readonly wide: number
	private readonly gpr: number[] = []
	/** Locals of the XMM registers, made when they are first asked for. */
	private readonly xmm = new Map<number, number>()
	private readonly temporaries = new Map<ValueType, number[]>()
	private readonly taken = new Map<ValueType, number>()
	private readonly page: number
	private readonly kind: number
	private readonly a: number
	private readonly b: number
	private readonly over: number
	private readonly factorX: number
	private readonly factorY: number
	private readonly va: number
	private readonly slot: number
	private readonly tlbRead: number
	private readonly tlbWrite: number
	private readonly target: number
	private readonly record: number
	private readonly status: number
	private readonly tlbMask: number
	/** Labels of the ways out. */
	private jumpExit = 0
	private faultExit = 0
	private rawExit = 0

	constructor(core: CoreImports, state: number, tlbEntries: number, use: RegisterUse) {
		this.core = core
		this.state = state
		this.use = use
		this.tlbMask = (tlbEntries - 1) << 4
		const { code } = this
		for (let n = 0; n < 16; n++) this.gpr.push(code.local(I64))
		this.wide = code.local(V128)
		this.dispatch = code.local(I64)
		this.f64 = code.local(F64)
		this.g64 = code.local(F64)
		this.h64 = code.local(F64)
		this.page = code.local(I64)
		this.a = code.local(I64)
		this.b = code.local(I64)
		this.over = code.local(I64)
		this.factorX = code.local(I64)
		this.factorY = code.local(I64)
		this.va = code.local(I64)
		this.target = code.local(I64)
		this.x64 = code.local(I64)
		this.y64 = code.local(I64)
		this.z64 = code.local(I64)
		this.x32 = code.local(I32)
		this.y32 = code.local(I32)
		this.z32 = code.local(I32)
		this.fpu = code.local(I32)
		this.kind = code.local(I32)
		this.slot = code.local(I32)
		this.host = code.local(I32)
		this.tlbRead = code.local(I32)
		this.tlbWrite = code.local(I32)
		this.record = code.local(I32)
		this.status = code.local(I32)
	}

	// ---- temporaries ------------------------------------------------------------------------------------------------------

	/** A local for the rest of the present instruction. They are shared by all instructions: V8's first compiler clears every local at each entry. */
	temporary(type: ValueType): number {
		const list = this.temporaries.get(type) ?? []
		this.temporaries.set(type, list)
		const next = this.taken.get(type) ?? 0
		this.taken.set(type, next + 1)
		if (next === list.length) list.push(this.code.local(type))
		return list[next]!
	}

	/** The temporaries taken so far are free again. */
	beginInstruction(): void {
		this.taken.clear()
	}

	// ---- prologue and ways out ---------------------------------------------------------------------------------------------

	/** Writes the whole function around `body`. */
	wrap(body: () => void): FunctionBody {
		const { code, core } = this
		for (const n of this.use.used)
			code
				.i32(this.state)
				.memory('i64.load', n * 8)
				.set(this.gpr[n]!)
		for (const n of this.use.xmmUsed) code.i32(this.state).v128('load', xmmOffset(n)).set(this.xmmLocal(n))
		if (this.use.xmmUsed.size > 0) this.refreshFpu()
		code.i32(this.state).memory('i64.load', L.SLOT_PAGE).set(this.page)
		code.globalGet(core.ccKind).set(this.kind).globalGet(core.ccA).set(this.a).globalGet(core.ccB).set(this.b)
		code.globalGet(core.tlbRead).set(this.tlbRead).globalGet(core.tlbWrite).set(this.tlbWrite)
		this.rawExit = code.block()
		const spill = code.block()
		this.faultExit = code.block()
		this.jumpExit = code.block()
		body()
		code.op('unreachable')
		code.end()
		code.i32(this.state).get(this.target).memory('i64.store', L.CPU_RIP).i32(JUMP).set(this.status).br(spill)
		code.end()
		code.i32(FAULTED).set(this.status)
		code.end()
		this.spillRegisters()
		code.get(this.kind).globalSet(core.ccKind).get(this.a).globalSet(core.ccA).get(this.b).globalSet(core.ccB)
		code.end()
		code.i32(this.state).get(this.record).memory('i32.store', L.CPU_REGION_RECORD)
		code.i32(this.state).get(this.status).memory('i32.store', L.CPU_REGION_STATUS)
		code.get(this.budget)
		return code.finish()
	}

	private spillRegisters(): void {
		this.spillGpr(this.use.written)
		this.spillXmm(this.use.xmmWritten)
	}

	private spillGpr(registers: Iterable<number>): void {
		const { code, state, gpr } = this
		for (const n of registers)
			code
				.i32(state)
				.get(gpr[n]!)
				.memory('i64.store', n * 8)
	}

	private spillXmm(registers: Iterable<number>): void {
		const { code, state } = this
		for (const n of registers) code.i32(state).get(this.xmmLocal(n)).v128('store', xmmOffset(n))
	}

	private reloadXmm(registers: Iterable<number>): void {
		const { code, state } = this
		for (const n of registers) code.i32(state).v128('load', xmmOffset(n)).set(this.xmmLocal(n))
	}

	private xmmLocal(index: number): number {
		const local = this.xmm.get(index) ?? this.code.local(V128)
		this.xmm.set(index, local)
		return local
	}

	/** Pushes an XMM register by index. */
	getXmm(index: number): void {
		this.use.xmmUsed.add(index)
		this.code.get(this.xmmLocal(index))
	}

	/** Pops an XMM register. */
	setXmm(index: number): void {
		this.use.xmmUsed.add(index)
		this.use.xmmWritten.add(index)
		this.code.set(this.xmmLocal(index))
	}

	/** Finds `fpu` from CR0 and MXCSR. */
	private refreshFpu(): void {
		const { code, state } = this
		code.i32(state).memory('i32.load', L.CPU_MXCSR).i32(MXCSR_MASK).op('i32.and').i32(MXCSR_FAST).op('i32.eq')
		code.i32(1).op('i32.shl').i32(1).op('i32.or').i32(0)
		code.i32(state).memory('i32.load', L.CPU_CR0).i32(CR0_NO_FPU).op('i32.and', 'i32.eqz', 'select').set(this.fpu)
	}

	/** Pushes page + offset. */
	pushAddress(offset: number): void {
		this.code.get(this.page).i64(offset).op('i64.add')
	}

	/** Leaves the region for an offset from its page. */
	exitTo(offset: number): void {
		this.pushAddress(offset)
		this.exitToPushed()
	}

	/** Leaves the region for the linear address on the stack. */
	exitToPushed(): void {
		this.code.set(this.target)
		this.canonical()
		this.code.br(this.jumpExit)
	}

	/** Leaves because the instruction raised an exception. */
	private fault(instruction: Instruction): void {
		this.canonical()
		this.code.i32(instruction.record).set(this.record).br(this.faultExit)
	}

	/** Inside a loop, before going back: charges the budget and leaves when it is spent. */
	charge(instructions: number, offset: number): void {
		const { code } = this
		code.get(this.budget).i32(instructions).op('i32.sub').tee(this.budget).i32(0).op('i32.le_s')
		code.if(VOID, false)
		this.exitTo(offset)
		code.end()
	}

	// ---- registers --------------------------------------------------------------------------------------------------------

	/** Pushes a general register by slot, as a value of `size` bytes. */
	getRegister(slot: number, size: number): void {
		const { code } = this
		const number = slot >> 3
		this.use.used.add(number)
		code.get(this.gpr[number]!)
		if (size === 8) return
		code.op('i32.wrap_i64')
		if (slot & 1) code.i32(8).op('i32.shr_u')
		if (size === 2) code.i32(0xffff).op('i32.and')
		else if (size === 1) code.i32(0xff).op('i32.and')
	}

	/** Pops a value of `size` bytes into a general register by slot. */
	setRegister(slot: number, size: number): void {
		const { code } = this
		const number = slot >> 3
		const local = this.gpr[number]!
		this.use.written.add(number)
		// A way out stores it even where it was not yet written.
		this.use.used.add(number)
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

	// ---- flags ------------------------------------------------------------------------------------------------------------

	/** Widens the value on the stack to 64 bits. */
	widen(size: number): void {
		if (size < 8) this.code.op('i64.extend_i32_u')
	}

	/** Flags of an operation on the values in locals x and y (of the width of `size`). RES expects b's flags in y as an i64. */
	setFlags(kind: keyof typeof KINDS, size: number, x: number, y?: number): void {
		const { code } = this
		code.get(x)
		this.widen(size)
		code.set(this.a)
		if (y === undefined) code.i64(0)
		else {
			code.get(y)
			if (kind !== 'RES') this.widen(size)
		}
		code.set(this.b)
		this.flags = { kind, size }
	}

	/** Makes kind, a and b canonical in the code that follows, without changing what the translator knows elsewhere. */
	private canonical(): void {
		const { flags, code } = this
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
	forgetFlags(): void {
		this.canonical()
		this.flags = undefined
	}

	/** Pushes kind, a, b as the core's functions take them. */
	private pushCanonical(): void {
		const { flags, code } = this
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
		const { flags, code } = this
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
		code.call(this.core.flagsWith)
	}

	/** Runs `body` as if the flags were `flags`. */
	private withFlags<T>(flags: KnownFlags, body: () => T): T {
		const before = this.flags
		this.flags = flags
		const result = body()
		this.flags = before
		return result
	}

	/** Flags of the signed product in local z of the factors in x and y. */
	setProductFlags(x: number, y: number, z: number): void {
		this.code.get(x).set(this.factorX).get(y).set(this.factorY).get(z).set(this.a).i64(0).set(this.b)
		this.flags = { kind: 'PRODUCT' }
	}

	/** Pushes whether the product overflowed, an i64 of 0 or 1. */
	private pushOverflow(): void {
		this.code.get(this.factorX).get(this.factorY).get(this.a).call(this.core.productOverflows).op('i64.extend_i32_u')
	}

	/** Pops an i64 with new values of the flags in `mask` (CF, or CF and OF); the others stay. */
	overrideFlags(mask: number): void {
		const { flags, code } = this
		if (flags?.kind !== 'OVER') {
			code.set(this.over)
			this.flags = { kind: 'OVER', mask, base: flags }
			return
		}
		const kept = flags.mask & ~mask
		if (kept) code.get(this.over).i64(kept).op('i64.and', 'i64.or')
		code.set(this.over)
		this.flags = { kind: 'OVER', mask: flags.mask | mask, base: flags.base }
	}

	/** Pops an i32 of status flags as in EFLAGS. */
	setStatus(): void {
		const { code } = this
		code.op('i64.extend_i32_u').set(this.a).i64(0).set(this.b)
		this.flags = { kind: 'STATUS' }
	}

	/** Pushes CF, an i64. */
	pushCarry(): void {
		const { flags, code } = this
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
				code.call(this.core.carryOf)
		}
	}

	/** Pushes condition code 0..15, an i32 that is 0 or 1. */
	pushCondition(cc: number): void {
		const { code, flags } = this
		const base = cc >> 1
		if (flags?.kind === 'STATUS') {
			this.afterStatus(base)
			if (cc & 1) code.op('i32.eqz')
			return
		}
		if (flags?.kind === 'OVER' && base === 1) {
			this.pushCarry()
			code.op('i32.wrap_i64')
			if (cc & 1) code.op('i32.eqz')
			return
		}
		if (flags?.kind === 'OVER' && (base === 2 || base === 4)) return this.withFlags(flags.base, () => this.pushCondition(cc))
		const known =
			flags !== undefined &&
			flags.kind !== 'OVER' &&
			flags.kind !== 'PRODUCT' &&
			(flags.kind === 'SUB' ? this.afterCompare(base, flags.size) : this.afterResult(base, flags))
		if (!known) {
			this.pushCanonical()
			code.i32(cc).call(this.core.conditionWith)
			return
		}
		if (cc & 1) code.op('i32.eqz')
	}

	/** Pushes a flags operand so that comparisons of its width, signed ones too, can be made. */
	private operand(local: number, size: number): void {
		const { code } = this
		code.get(local)
		if (size === 8) return
		code.op('i32.wrap_i64')
		if (size < 4) code.i32(32 - size * 8).op('i32.shl')
	}

	/** Each condition is some flag of a mask, or SF and OF differing. */
	private afterStatus(base: number): void {
		const { code } = this
		const any = (mask: number) => code.get(this.a).op('i32.wrap_i64').i32(mask).op('i32.and').i32(0).op('i32.ne')
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
			this.operand(this.a, size)
			this.operand(this.b, size)
			this.code.op(`${prefix}.${operator}`)
			return true
		}
		if (base !== 4) return false
		this.operand(this.a, size)
		this.operand(this.b, size)
		this.code.op(`${prefix}.sub`)
		if (size === 8) this.code.i64(0).op('i64.lt_s')
		else this.code.i32(0).op('i32.lt_s')
		return true
	}

	private afterResult(base: number, { kind, size }: { readonly kind: keyof typeof KINDS; readonly size: number }): boolean {
		const { code } = this
		const zero = () => {
			this.operand(this.a, size)
			if (kind === 'ADD') {
				this.operand(this.b, size)
				code.op(size === 8 ? 'i64.add' : 'i32.add')
			}
			code.op(size === 8 ? 'i64.eqz' : 'i32.eqz')
		}
		const sign = () => {
			this.operand(this.a, size)
			if (kind === 'ADD') {
				this.operand(this.b, size)
				code.op(size === 8 ? 'i64.add' : 'i32.add')
			}
			if (size === 8) code.i64(0).op('i64.lt_s')
			else code.i32(0).op('i32.lt_s')
		}
		const carry = () => {
			this.pushCarry()
			code.op('i32.wrap_i64')
		}
		const overflow = () => code.get(this.b).i64(11).op('i64.shr_u', 'i32.wrap_i64').i32(1).op('i32.and')
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

	// ---- memory -----------------------------------------------------------------------------------------------------------

	/** Pushes the effective linear address. */
	pushEffectiveAddress(instruction: Instruction): void {
		const { code } = this
		const { base, index, scale, seg, disp } = instruction
		let pushed = false
		const add = () => {
			if (pushed) code.op('i64.add')
			pushed = true
		}
		if (base === L.SLOT_PAGE) {
			code.get(this.page)
			add()
		} else if (base !== L.SLOT_ZERO) {
			this.getRegister(base, 8)
			add()
		}
		if (index !== L.SLOT_ZERO) {
			this.getRegister(index, 8)
			if (scale) code.i64(scale).op('i64.shl')
			add()
		}
		if (seg !== L.SLOT_ZERO) {
			code.i32(this.state).memory('i64.load', seg)
			add()
		}
		if (disp !== 0 || !pushed) {
			code.i64(disp)
			add()
		}
	}

	/** Pops a linear address; leaves the host address of `size` readable bytes in `host`. */
	hostForRead(instruction: Instruction, size: number): void {
		this.lookUp(instruction, size, this.tlbRead, this.core.readSlow)
	}

	/** Pops a linear address; leaves the host address to store `size` bytes at in `host`. After the store: finishStore(). */
	hostForWrite(instruction: Instruction, size: number): void {
		this.lookUp(instruction, size, this.tlbWrite, this.core.writeSlow)
	}

	private lookUp(instruction: Instruction, size: number, table: number, slow: number): void {
		const { code } = this
		code.tee(this.va).i64(8).op('i64.shr_u', 'i32.wrap_i64').i32(this.tlbMask).op('i32.and').get(table).op('i32.add').tee(this.slot)
		code.memory('i64.load').get(this.va)
		if (size > 1) code.i64(size - 1).op('i64.add')
		code.i64(PAGE_MASK).op('i64.and', 'i64.eq')
		code.if(VOID, true)
		code.get(this.va).op('i32.wrap_i64').get(this.slot).memory('i32.load', 8).op('i32.add').set(this.host)
		code.else()
		code.get(this.va).i32(size).call(slow).tee(this.host).i32(-1).op('i32.eq')
		code.if()
		this.fault(instruction)
		code.end()
		code.end()
	}

	/** Pushes the value of `size` bytes at `host`. */
	load(size: number): void {
		this.code.get(this.host).memory(LOADS[size]!)
	}

	/**
	 * Stores the value in local `value` at `host`, then does `finish` (register and flag changes). A store that the core must complete may fault, before
	 * `finish`; one that dropped decoded code leaves the region for offset `next` after it.
	 */
	store(instruction: Instruction, size: number, value: number, finish: () => void, next = instruction.off + instruction.length): void {
		const { code, core } = this
		code.get(this.host).get(value).memory(STORES[size]!)
		code.get(this.host).globalGet(core.frameBase).op('i32.lt_u')
		code.if(VOID, false)
		this.complete(instruction, finish, next)
		code.end()
		finish()
	}

	/** The core completes a store that was made in the bounce buffer. */
	private complete(instruction: Instruction, finish: () => void, next: number): void {
		const { code, core } = this
		code.call(core.commitWrite).tee(this.slot).op('i32.eqz')
		code.if()
		this.fault(instruction)
		code.end()
		code.get(this.slot).i32(2).op('i32.eq')
		code.if()
		const before = this.flags
		finish()
		this.exitTo(next)
		this.flags = before
		code.end()
	}

	/** The same for the 16 bytes of an XMM register. */
	storeXmm(instruction: Instruction, index: number): void {
		const { code, core } = this
		code.get(this.host)
		this.getXmm(index)
		code.v128('store')
		code.get(this.host).globalGet(core.frameBase).op('i32.lt_u')
		code.if(VOID, false)
		this.complete(instruction, () => {}, instruction.off + instruction.length)
		code.end()
	}

	// ---- the core's executors -----------------------------------------------------------------------------------------------

	/**
	 * Has the core execute the instruction. `touches` tells that it may change general registers or flags; without it only the registers of its address are
	 * given to the core and nothing is read back.
	 */
	execute(instruction: Instruction, touches = true): void {
		const { code, core } = this
		const written = touches ? this.use.written : [instruction.base >> 3, instruction.index >> 3].filter((n) => this.use.written.has(n))
		this.spillGpr(written)
		const { xmmUsed, xmmWritten } = this.use
		// What leaves general registers alone is an SSE instruction: its operands, and XMM0 of the variable blends.
		const vector = touches ? xmmUsed : new Set([instruction.reg, instruction.rm, 0].filter((n) => xmmUsed.has(n)))
		this.spillXmm([...vector].filter((n) => xmmWritten.has(n)))
		// The destination is ModRM.reg, but for stores to a register and shifts by an immediate.
		const outputs = /_W_V$|_M_V$|_E_V$|_I$/.test(instruction.op) ? vector : new Set([instruction.reg].filter((n) => xmmUsed.has(n)))
		if (touches) {
			this.forgetFlags()
			code.get(this.kind).globalSet(core.ccKind).get(this.a).globalSet(core.ccA).get(this.b).globalSet(core.ccB)
		}
		if (instruction.addressRecord) code.i32(instruction.addressRecord).call(core.execute).op('drop')
		code.globalGet(core.jumpGeneration).set(this.slot)
		code.i32(instruction.record).call(core.execute).tee(this.status)
		code.if(VOID, false)
		code.i32(instruction.record).set(this.record)
		if (touches) {
			// Interrupted in the middle: goes on with the same instruction, from outside.
			code.get(this.status).i32(AGAIN).op('i32.eq')
			code.if()
			code.i32(this.state)
			this.pushAddress(instruction.off)
			code.memory('i64.store', L.CPU_RIP).i32(JUMP).set(this.status)
			code.end()
			code.br(this.rawExit)
		} else {
			this.fault(instruction)
		}
		code.end()
		if (!isInteger(instruction.op) && xmmUsed.size > 0) {
			this.reloadXmm(touches ? xmmUsed : outputs)
			// PE, which the instruction may have set, is seen at the next entry; what makes floating point slow is seen at once.
			if (touches) this.refreshFpu()
		}
		if (touches) {
			for (const n of this.use.used)
				code
					.i32(this.state)
					.memory('i64.load', n * 8)
					.set(this.gpr[n]!)
			code.globalGet(core.ccKind).set(this.kind).globalGet(core.ccA).set(this.a).globalGet(core.ccB).set(this.b)
		}
		// It may have written to this region's code.
		if (touches || instruction.memory) {
			code.globalGet(core.jumpGeneration).get(this.slot).op('i32.ne')
			code.if()
			this.exitTo(instruction.off + instruction.length)
			code.end()
		}
	}
}
