import { F64, V128, VOID } from '../../../wasm/module.ts'
import { byOperation } from '../by_operation.ts'
import type { Instruction } from '../instruction.ts'
import { INTEGER } from '../integer.ts'
import type { RegionCode } from '../region_code.ts'
import { KINDS } from './arithmetic.ts'
import { branchOnDoubles, type DoubleTest } from './double_tests.ts'
import { type Emitter, operandLocal, pushNumber } from './emitter.ts'
import { effectOf, forward, isKnownDouble, type LaneEffect, type Lanes, planOf } from './lanes.ts'
import { duplicate, duplicateHigh, highToLow, lowToHigh } from './moves.ts'
import type { Operation } from './number_tests.ts'

// Arithmetic on doubles is written in groups: instructions in a row of which only the first may have an operand in memory. At its start a group tests the
// operands whose ranges ask for it (ranges.ts), then all of it is computed by WebAssembly's operators without another test; or all of it by the core, from the
// values, exactly, when a test fails or `slow` says so. A group ends before an operation that needs a test of what was computed in it.

/** Added to a KIND_*: FROM_MEMORY of core/sse_region.ts. */
const FROM_MEMORY = 8
const ARITHMETIC = /^(ADD|SUB|MUL|DIV|MIN|MAX|SQRT)([SP])D$/
const COMPARISON = /^U?COMISD$/

const copy: Emitter = (r, { reg, rm }) => {
	r.xmm.copy(rm, reg)
	return true
}

/** Moves between registers that a group may have inside. */
const MOVES: Readonly<Record<string, Emitter>> = {
	MOVA_V_W: copy,
	MOVU_V_W: copy,
	MOVSD_V_W: (r, { reg, rm }) => {
		r.xmm.getLow(rm)
		r.xmm.setLow(reg)
		return true
	},
	PXOR: (r, { reg }) => {
		r.xmm.clear(reg)
		return true
	},
	MOVDDUP: duplicate,
	MOVHLPS: highToLow,
	MOVLHPS: lowToHigh,
	PUNPCKLQDQ: lowToHigh,
	PUNPCKHQDQ: duplicateHigh,
}
/** Those that are only known with a register as both operands. */
const WITH_ITSELF: ReadonlySet<string> = new Set(['PXOR', 'PUNPCKHQDQ'])

/** Integer instructions that a group may have inside: compilers mix them. They can't fault, and their emitters always write them. */
const INTEGER_INSIDE: ReadonlySet<string> = new Set([
	'ADD',
	'SUB',
	'CMP',
	'AND',
	'OR',
	'XOR',
	'TEST',
	'MOV',
	'MOVSXD',
	'MOVZX_B',
	'MOVZX_W',
])

function isInteger({ op, memory, size }: Instruction): boolean {
	return op === 'LEA' ? size >= 4 : !memory && INTEGER_INSIDE.has(op) && (op !== 'MOVSXD' || size === 8)
}

function isMove({ op, memory, reg, rm }: Instruction): boolean {
	return !memory && op in MOVES && (reg === rm || !WITH_ITSELF.has(op))
}

/** What is tested: a register, or the operand of the first instruction in memory; the lower double of it or both. */
const MEMORY = 16
const VECTOR = 32
type Tests = Map<number, DoubleTest>

interface Group {
	readonly instructions: readonly Instruction[]
	readonly tests: Tests
}

/** The tests that an instruction needs, with what is known before it; undefined: it is no member of a group. */
function testsOf(i: Instruction, lanes: Lanes, accumulators: number): Tests | undefined {
	if (i.addressRecord !== 0) return undefined
	if (isMove(i) || isInteger(i)) return new Map()
	const tests: Tests = new Map()
	const other = i.memory ? MEMORY : i.rm
	if (COMPARISON.test(i.op)) {
		if (!isKnownDouble(lanes, i.reg)) tests.set(i.reg, 'clean')
		if (i.memory || !isKnownDouble(lanes, i.rm)) tests.set(other, 'clean')
		return tests
	}
	const arithmetic = ARITHMETIC.exec(i.op)
	if (arithmetic === null) return undefined
	const shape = arithmetic[2] === 'P' ? VECTOR : 0
	const { testsX, testsY } = planOf(effectOf(i) as LaneEffect, lanes, accumulators)!
	// One test for two copies of one number.
	const isCopy = !i.memory && lanes[i.reg * 8] === lanes[i.rm * 8] && (shape === 0 || lanes[i.reg * 8 + 1] === lanes[i.rm * 8 + 1])
	if (testsX && !(testsY && isCopy)) tests.set(i.reg | shape, 'clean')
	if (testsY) tests.set(other | shape, arithmetic[1] === 'DIV' ? 'divisor' : arithmetic[1] === 'SQRT' ? 'radicand' : 'clean')
	return tests
}

/** Adds tests to those of a group. False where one would have to be made in two ways. */
function merge(tests: Tests, more: Tests): boolean {
	for (const [what, test] of more) {
		const before = tests.get(what) ?? 'clean'
		if (before !== 'clean' && test !== 'clean' && before !== test) return false
	}
	for (const [what, test] of more) if ((tests.get(what) ?? 'clean') === 'clean') tests.set(what, test)
	return true
}

/** Whether a group may start with it. */
const mayStart = byOperation((op) => COMPARISON.test(op) || ARITHMETIC.test(op))

/** The group that starts with an instruction, if any does. */
function groupAt(instructions: readonly Instruction[], start: number, before: Lanes, accumulators: number): Group | undefined {
	if (!mayStart(instructions[start]!.op)) return undefined
	const lanes = before.slice()
	const tests: Tests = new Map()
	const written = new Set<number>()
	let end = start
	for (let n = start; n < instructions.length; n++) {
		const i = instructions[n]!
		if (n > start && i.memory && !isInteger(i)) break
		const wanted = testsOf(i, lanes, accumulators)
		if (wanted === undefined || [...wanted.keys()].some((what) => written.has(what & ~VECTOR)) || !merge(tests, wanted)) break
		forward(lanes, effectOf(i), accumulators)
		if (isInteger(i)) continue
		if (!isMove(i)) end = n + 1
		if (COMPARISON.test(i.op)) break
		written.add(i.reg)
	}
	return end === start ? undefined : { instructions: instructions.slice(start, end), tests }
}

/** Writes the group that starts with an instruction. Returns how many instructions it has, perhaps 0. */
export function writeDoubleGroup(r: RegionCode, instructions: readonly Instruction[], start: number): number {
	const group = groupAt(instructions, start, r.xmm.lanes, r.xmm.accumulators)
	if (group === undefined) return 0
	new GroupWriter(r, group).write()
	for (const i of group.instructions) r.xmm.finish(i, true)
	return group.instructions.length
}

function operationOf({ op }: Instruction): Operation {
	return op.slice(0, -2).toLowerCase() as Operation
}

class GroupWriter {
	private readonly r: RegionCode
	private readonly group: Group
	/** Local: the operand in memory. */
	private memory = 0
	/** Locals: the operands of a comparison. */
	private readonly compared: readonly [number, number]

	constructor(r: RegionCode, group: Group) {
		this.r = r
		this.group = group
		this.compared = [r.temporary(F64), r.temporary(F64)]
	}

	write(): void {
		const { code, xmm } = this.r
		const { instructions, tests } = this.group
		const first = instructions[0]!
		xmm.require(first)
		if (first.memory) this.load(first)
		if (tests.size === 0) {
			xmm.pushSlow()
			code.if(VOID, false)
			this.r.alternative(() => this.writeArm(true))
			code.else()
			this.writeArm(false)
			code.end()
		} else this.writeTested()
		if (COMPARISON.test(instructions.at(-1)!.op)) this.r.setComparedFlags(...this.compared)
	}

	private load(i: Instruction): void {
		if (i.op.endsWith('PD')) {
			this.memory = operandLocal(this.r, i)
			return
		}
		this.memory = this.r.temporary(F64)
		pushNumber(this.r, i, 'f64')
		this.r.code.set(this.memory)
	}

	private writeTested(): void {
		const { code, xmm } = this.r
		const scalars = new Map<number, DoubleTest>()
		const vectors = new Map<number, DoubleTest>()
		for (const [what, test] of this.group.tests) {
			const register = what & ~VECTOR
			if (what & VECTOR) vectors.set(register === MEMORY ? this.memory : xmm.vectorLocal(register), test)
			else scalars.set(register === MEMORY ? this.memory : xmm.lowLocal(register), test)
		}
		const done = code.block()
		const slow = code.block()
		const fast = code.block()
		branchOnDoubles(this.r, { scalars, vectors }, this.r.temporary(V128), fast, slow)
		code.end()
		this.r.alternative(() => this.writeArm(false))
		code.br(done)
		code.end()
		this.writeArm(true)
		code.end()
	}

	private writeArm(slow: boolean): void {
		for (const i of this.group.instructions) {
			if (isMove(i)) MOVES[i.op]!(this.r, i)
			else if (isInteger(i)) INTEGER[i.op]!(this.r, i)
			else if (COMPARISON.test(i.op)) this.compare(i, slow)
			else if (i.op.endsWith('PD')) this.computeBoth(i, slow)
			else this.compute(i, slow)
		}
	}

	private compute(i: Instruction, slow: boolean): void {
		const { code, core, xmm } = this.r
		const operation = operationOf(i)
		const y = this.lowOfOther(i)
		const x = operation === 'sqrt' ? y : xmm.lowLocal(i.reg)
		if (slow) {
			const result = this.r.temporary(F64)
			code.i32(this.kindOf(i)).get(x).get(y)
			code.call(core.doubleArithmetic).set(result)
			xmm.takeStatus(i)
			code.get(result)
		} else if (operation === 'sqrt') code.get(y).op('f64.sqrt')
		// MIN and MAX give the second operand unless the first is less (greater).
		else if (operation === 'min' || operation === 'max') {
			code
				.get(x)
				.get(y)
				.get(x)
				.get(y)
				.op(operation === 'min' ? 'f64.lt' : 'f64.gt', 'select')
		} else code.get(x).get(y).op(`f64.${operation}`)
		xmm.setLow(i.reg)
	}

	private computeBoth(i: Instruction, slow: boolean): void {
		const { code, core, xmm } = this.r
		const operation = operationOf(i)
		const y = i.memory ? this.memory : xmm.vectorLocal(i.rm)
		const x = operation === 'sqrt' ? y : xmm.vectorLocal(i.reg)
		if (slow) {
			const result = this.r.temporary(V128)
			code.i32(this.kindOf(i)).get(x).get(y).call(core.packedDoubleArithmetic).set(result)
			xmm.takeStatus(i)
			code.get(result)
		} else if (operation === 'sqrt') code.get(y).simd('f64x2.sqrt')
		// pmin(a, b) is a unless b is less.
		else if (operation === 'min' || operation === 'max') code.get(y).get(x).simd(`f64x2.p${operation}`)
		else code.get(x).get(y).simd(`f64x2.${operation}`)
		xmm.set(i.reg)
	}

	private kindOf(i: Instruction): number {
		return KINDS[operationOf(i)] | (i.memory ? FROM_MEMORY : 0)
	}

	private lowOfOther({ memory, rm }: Instruction): number {
		return memory ? this.memory : this.r.xmm.lowLocal(rm)
	}

	/** Infinities are ordered like numbers, but they are tested as if they weren't: those are the core's. */
	private compare(i: Instruction, slow: boolean): void {
		const { code, core, xmm, z32 } = this.r
		const [x, y] = this.compared
		code.get(this.lowOfOther(i)).set(y).get(xmm.lowLocal(i.reg)).set(x)
		if (!slow) return
		code.i32(i.op === 'COMISD' ? 1 : 0)
		code.get(x).get(y).call(core.compareDoubles).set(z32)
		xmm.takeStatus(i)
		// What DAZ makes zero.
		for (const [local, bit] of [[x, 1] as const, [y, 2] as const])
			code.i64(0).op('f64.reinterpret_i64').get(local).get(z32).i32(bit).op('i32.and', 'select').set(local)
	}
}
