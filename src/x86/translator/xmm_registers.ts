import { I32, V128 } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionContext } from './context.ts'

/** FTZ, RC, the six masks, DAZ and PE of MXCSR; and their values when floating point needs no flag looked at but what its operands decide. */
const MXCSR_MASK = 0xffe0
const MXCSR_FAST = 0x1fa0
/** TS and EM. */
const CR0_NO_FPU = 0xc

const offsetOf = (index: number) => L.CPU_XMM + index * 16

/** The XMM registers of a region: v128 locals, made when they are first asked for. */
export class XmmRegisters {
	/** Local. 0: SSE instructions go to the core (CR0.TS or EM). 1: they run here. 3: floating point does, too (MXCSR_FAST). */
	readonly fpu: number
	private readonly context: RegionContext
	private readonly locals = new Map<number, number>()

	constructor(context: RegionContext) {
		this.context = context
		this.fpu = context.code.local(I32)
	}

	/** Pushes a register by index. */
	get(index: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(index)
		code.get(this.local(index))
	}

	/** Pops a register. */
	set(index: number): void {
		const { code, use } = this.context
		use.xmmUsed.add(index)
		use.xmmWritten.add(index)
		code.set(this.local(index))
	}

	/** Stores registers in the state block. */
	spill(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) code.i32(state).get(this.local(n)).v128('store', offsetOf(n))
	}

	/** Loads registers from the state block. */
	load(registers: Iterable<number>): void {
		const { code, state } = this.context
		for (const n of registers) code.i32(state).v128('load', offsetOf(n)).set(this.local(n))
	}

	/** Finds `fpu` from CR0 and MXCSR. */
	refreshFpu(): void {
		const { code, state } = this.context
		code.i32(state).memory('i32.load', L.CPU_MXCSR).i32(MXCSR_MASK).op('i32.and').i32(MXCSR_FAST).op('i32.eq')
		code.i32(1).op('i32.shl').i32(1).op('i32.or').i32(0)
		code.i32(state).memory('i32.load', L.CPU_CR0).i32(CR0_NO_FPU).op('i32.and', 'i32.eqz', 'select').set(this.fpu)
	}

	private local(index: number): number {
		const local = this.locals.get(index) ?? this.context.code.local(V128)
		this.locals.set(index, local)
		return local
	}
}
