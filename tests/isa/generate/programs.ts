// Random programs: structured and unstructured control flow around random instructions. The same seed and pool give the same program.

import type { IsaCase } from '../case.ts'
import * as map from '../memory_map.ts'
import { Random } from '../random.ts'
import { BASES, baseState, CF, FX_MXCSR, FX_XMM, STATE_FX, STATE_RFLAGS, STATE_RIP, STATUS_FLAGS, setGpr, viewOf } from '../state.ts'
import { immediate } from './assembler.ts'
import { farFault } from './far_pieces.ts'
import { stackGroup } from './move_pieces.ts'
import {
	DOUBLES_OFFSET,
	DOUBLES_SIZE,
	FREE,
	HIGH_POINTER,
	INDEX,
	INDEX_MASK,
	INNER,
	make,
	memory,
	NAMES,
	OUTER,
	POINTER_OFFSET,
	RBX,
	RCX,
	RSP,
	usesOf,
} from './piece_parts.ts'
import { arithmeticPiece, defineFlags, floatPiece, integerPiece, producer } from './pieces.ts'
import { assemble, define, isDefined, label, type Piece, type Program, piece, together } from './program.ts'
import { countingJump, rarePiece } from './rare_pieces.ts'
import { selfModification } from './self_modifying.ts'
import { float64, integer, littleEndian } from './values.ts'

/** Never generated, not even across instructions: SYSCALL, SYSENTER, INT 80. A program that goes astray must not call the host's kernel. */
const SYSTEM_CALLS = [
	[0x0f, 0x05],
	[0x0f, 0x34],
	[0xcd, 0x80],
]

export interface ProgramOptions {
	/** Pieces of the case generator. */
	readonly pool?: readonly Piece[]
	/** Programs that write to their own code. */
	readonly selfModifying?: boolean
}

export function generateProgram(seed: number, options: ProgramOptions = {}): Program {
	for (let attempt = 0; ; attempt++) {
		const random = new Random(seed * 64 + attempt)
		const made = new ProgramGenerator(random, options).program(seed)
		if (made !== undefined) return made
	}
}

export function jump(to: number): Piece {
	return piece(`jmp L${to}`, [], { flow: { kind: 'jump', label: to, conditional: false, short: [0xeb], near: [0xe9] } })
}

export function branch(cc: number, to: number): Piece {
	const flow = { kind: 'jump', label: to, conditional: true, short: [0x70 + cc], near: [0x0f, 0x80 + cc] } as const
	return piece(`j${NAMES[cc]} L${to}`, [], { uses: usesOf(cc), flow })
}

/** Loads the address of a label. */
export function addressOf(to: number, register: number, addend = 0): Piece {
	const one = make(`lea r,L${to}`, { size: 8, opcode: [0x8d], reg: register, rm: { rip: 0 } })
	return { ...one, references: [{ at: 3, end: 7, label: to, addend }] }
}

class ProgramGenerator {
	private readonly random: Random
	private readonly pool: readonly Piece[]
	private readonly selfModifying: boolean
	/** One double in so many is an extreme one. */
	private readonly extremes: number
	private readonly flavour: number
	/** One piece in so many is a rare one. */
	private readonly rare: number
	private labels = 0
	/** Labels of functions; the first ones have no loops. */
	private readonly functions: number[] = []
	private readonly simpleFunctions: number[] = []
	/** Pieces that may still be made, about. */
	private left: number
	/** Longer than what the translator takes into one region. */
	private readonly long: boolean
	private readonly fault: boolean

	constructor(random: Random, { pool = [], selfModifying = false }: ProgramOptions) {
		this.random = random
		this.pool = pool
		this.selfModifying = selfModifying
		this.extremes = random.oneIn(4) ? 2 : 12
		this.flavour = random.below(5)
		this.rare = random.oneIn(6) ? 2 : 20
		this.long = random.oneIn(20)
		this.left = this.long ? 550 : 15 + random.below(random.oneIn(4) ? 250 : 90)
		this.fault = random.oneIn(3)
	}

	program(seed: number): Program | undefined {
		const { random } = this
		const functions = random.below(4)
		for (let i = 0; i < functions; i++) (random.oneIn(2) ? this.functions : this.simpleFunctions).push(this.newLabel())
		const main = this.body(0)
		if (this.fault) main.push(this.faulting())
		main.push(...this.straight(3), piece('int3', [0xcc], { flow: { kind: 'stop' } }))
		const all = [...main]
		if (random.oneIn(3)) all.push(this.gap())
		for (const n of this.simpleFunctions) all.push(...this.function(n, false))
		if (random.oneIn(3)) all.push(this.gap())
		for (const n of this.functions) all.push(...this.function(n, true))
		const pieces = define(all, () => defineFlags(random))
		if (!isDefined(pieces)) throw new Error(`program ${seed}: undefined flags are read`)
		const start = this.start(pieces)
		if (start === undefined) return undefined
		return { seed, pieces, start }
	}

	private newLabel(): number {
		return ++this.labels
	}

	/** Bytes that never run, so that what follows may be in another page. */
	private gap(): Piece {
		return piece('gap', new Array(this.random.below(0x700)).fill(map.FILL), { flow: { kind: 'stop' } })
	}

	// ---- blocks --------------------------------------------------------------------------------------------------------------

	private one(): Piece {
		const { random } = this
		if (random.oneIn(this.rare)) return rarePiece(random)
		const dice = random.below(10)
		if (this.pool.length > 0 && dice < 2) return random.pick(this.pool)
		if (this.flavour === 4 && dice < 7) return arithmeticPiece(random)
		const isFloat = this.flavour === 3 ? dice < 8 : this.flavour === 2 ? dice < 4 : dice < 3
		return isFloat ? floatPiece(random) : integerPiece(random)
	}

	private straight(limit: number): Piece[] {
		const { random } = this
		const count = random.below(limit + 1)
		this.left -= count
		const pieces = Array.from({ length: count }, () => this.one())
		if (count > 1 && random.oneIn(6)) {
			const from = random.below(count)
			const to = from + random.below(count - from)
			pieces.splice(from, to - from, ...stackGroup(random, pieces.slice(from, to)))
		}
		return pieces
	}

	/** A conditional jump, its flags set 0..2 instructions before. */
	private conditional(to: number): Piece[] {
		const { random } = this
		const cc = random.below(16)
		const out = random.oneIn(6) ? [] : [producer(random)]
		for (let n = random.below(3); n > 0; n--) out.push(this.one())
		return [...out, branch(cc, to)]
	}

	/** `depth` counts the loops around. */
	private body(depth: number): Piece[] {
		const { random } = this
		const out: Piece[] = []
		for (let n = 1 + random.below(depth > 0 ? 4 : this.long ? 60 : 12); n > 0 && this.left > 0; n--) {
			out.push(...this.straight(6))
			switch (random.below(8)) {
				case 0:
				case 1:
					out.push(...this.choice(depth))
					break
				case 2:
				case 3:
				case 4:
					if (depth < 2) out.push(...this.loop(depth))
					break
				case 5:
					out.push(...this.call(depth))
					break
				case 6:
					out.push(...(depth === 0 && random.oneIn(3) ? this.threaded() : this.indirect()))
					break
				default:
					if (this.selfModifying) out.push(...selfModification(random, () => this.newLabel()))
					else if (this.fault && random.oneIn(4)) out.push(...this.guardedFault())
			}
			if (this.selfModifying && random.oneIn(3)) out.push(...selfModification(random, () => this.newLabel()))
		}
		return out
	}

	private choice(depth: number): Piece[] {
		const other = this.newLabel()
		const end = this.newLabel()
		const first = this.random.oneIn(3) ? this.body(depth) : this.straight(4)
		if (this.random.oneIn(8)) return [...countingJump(this.random, this.newLabel(), end), ...first, label(end)]
		if (this.random.oneIn(2)) return [...this.conditional(other), ...first, label(other)]
		return [...this.conditional(other), ...first, jump(end), label(other), ...this.straight(4), label(end)]
	}

	// ---- loops -------------------------------------------------------------------------------------------------------------------

	private loop(depth: number, counter: number = depth === 0 ? OUTER : INNER): Piece[] {
		const { random } = this
		const head = this.newLabel()
		const exit = this.newLabel()
		const middle = this.newLabel()
		const turns = 1 + random.below(depth === 0 ? 25 : 8)
		const set = make(`mov r${counter}d,${turns}`, { size: 4, opcode: [0xb8], plus: counter, immediate: immediate(turns, 4) })
		const out = [set]
		// Entered in the middle as well: irreducible where the middle is in the loop.
		const twoEntries = random.oneIn(4)
		if (twoEntries) out.push(...this.conditional(middle))
		out.push(label(head), ...this.straight(3))
		// Whatever goes back passes here.
		const free = random.below(3)
		if (free > 0) out.push(this.countDown(counter), branch(8, exit))
		out.push(...(depth === 0 && random.oneIn(2) ? this.body(depth + 1) : this.straight(5)))
		if (free > 0 && random.oneIn(2)) out.push(...this.conditional(random.oneIn(2) ? head : exit))
		out.push(label(middle), ...this.straight(4))
		if (free === 0) out.push(...this.lastTurn(counter, head, exit))
		else if (free === 1) out.push(...this.conditional(head))
		else out.push(...this.conditional(exit), jump(head))
		return [...out, label(exit)]
	}

	private countDown(counter: number): Piece {
		if (this.random.oneIn(2))
			return make(`dec r${counter}`, { size: 4, opcode: [0xff], reg: 1, rm: counter }, { defines: STATUS_FLAGS & ~CF })
		return make(`sub r${counter},1`, { size: 4, opcode: [0x83], reg: 5, rm: counter, immediate: [1] }, { defines: STATUS_FLAGS })
	}

	/** The end of a loop that is counted there. */
	private lastTurn(counter: number, head: number, exit: number): Piece[] {
		switch (this.random.below(4)) {
			case 0:
				return [this.countDown(counter), branch(5, head)]
			case 1:
				return [this.countDown(counter), branch(15, head)]
			case 2: {
				const compare = make(
					`cmp r${counter},1`,
					{ size: 4, opcode: [0x83], reg: 7, rm: counter, immediate: [1] },
					{ defines: STATUS_FLAGS },
				)
				const down = make(`lea r${counter}`, { size: 8, opcode: [0x8d], reg: counter, rm: { base: counter, disp: -1 } })
				return [compare, down, branch(7, head)]
			}
			default: {
				// Without flags, so that those of the body come round.
				const over = this.newLabel()
				const down = make(`lea r${counter}`, { size: 8, opcode: [0x8d], reg: counter, rm: { base: counter, disp: -1 } })
				const copy = make('mov rcx,r', { size: 8, opcode: [0x89], reg: counter, rm: RCX })
				const out = piece('jrcxz', [], { flow: { kind: 'jump', label: over, conditional: true, short: [0xe3] } })
				return [down, copy, out, jump(head), label(over), ...(this.random.oneIn(2) ? [jump(exit)] : [])]
			}
		}
	}

	// ---- calls -------------------------------------------------------------------------------------------------------------------

	private call(depth: number): Piece[] {
		const { random } = this
		const choices = depth < 2 ? [...this.functions, ...this.simpleFunctions] : this.simpleFunctions
		if (choices.length === 0) return []
		const to = random.pick(choices)
		if (random.oneIn(4)) {
			const register = random.pick(FREE)
			const through = make('call r', { opcode: [0xff], reg: 2, rm: register }, { flow: { kind: 'indirect', labels: [to], call: true } })
			return [together(`lea; call L${to}`, [addressOf(to, register), through])]
		}
		const direct = piece(`call L${to}`, [0xe8, 0, 0, 0, 0], {
			flow: { kind: 'call', label: to },
			references: [{ at: 1, end: 5, label: to }],
		})
		return [direct, ...(random.oneIn(3) ? [direct] : [])]
	}

	private function(n: number, loops: boolean): Piece[] {
		const { random } = this
		const early = this.newLabel()
		const ret = random.oneIn(6)
			? together('push; ret 8', [
					make('pop', { opcode: [0x58], plus: 9 }),
					make('push', { opcode: [0x51] }),
					make('push', { opcode: [0x50], plus: 9 }),
					make('ret', { opcode: [0xc2], immediate: [8, 0] }, { flow: { kind: 'return' } }),
				])
			: piece('ret', [0xc3], { flow: { kind: 'return' } })
		const saved = random.pick(FREE)
		const save = random.oneIn(2)
		const out: Piece[] = [label(n)]
		if (save) out.push(make('push r', { opcode: [0x50], plus: saved }))
		out.push(...this.straight(6))
		if (random.oneIn(2)) out.push(...this.conditional(early))
		if (loops) out.push(...this.loop(1))
		if (loops && this.simpleFunctions.length > 0 && random.oneIn(3)) out.push(...this.call(2))
		out.push(...this.straight(4), label(early))
		if (save) out.push(make('pop r', { opcode: [0x58], plus: saved }))
		return [...out, ret]
	}

	private indirect(): Piece[] {
		const { random } = this
		const there = this.newLabel()
		const other = this.newLabel()
		const through = { kind: 'indirect', call: false } as const
		const register = random.pick(FREE)
		switch (random.below(3)) {
			case 0: {
				const go = make('jmp r', { opcode: [0xff], reg: 4, rm: register }, { flow: { ...through, labels: [there] } })
				return [together(`lea; jmp L${there}`, [addressOf(there, register), go]), ...this.straight(2), label(there)]
			}
			case 1: {
				const place = memory(random, 8)
				const store = make('', { size: 8, opcode: [0x89], reg: register, rm: place })
				const go = make('', { opcode: [0xff], reg: 4, rm: place }, { flow: { ...through, labels: [there] } })
				return [together(`lea; mov; jmp m L${there}`, [addressOf(there, register), store, go]), ...this.straight(2), label(there)]
			}
			default:
				return [...this.eitherOf(there, other), label(there), ...this.straight(3), label(other)]
		}
	}

	/** A jump through a register to one of two labels. */
	private eitherOf(first: number, second: number): Piece[] {
		const { random } = this
		const [one, two] = [8, 9]
		const cc = random.below(16)
		const choose = make('', { size: 8, opcode: [0x0f, 0x40 + cc], reg: one, rm: two }, { uses: usesOf(cc) })
		const go = make('', { opcode: [0xff], reg: 4, rm: one }, { flow: { kind: 'indirect', labels: [first, second], call: false } })
		return [
			producer(random),
			together(`lea; lea; cmov${NAMES[cc]}; jmp L${first} L${second}`, [addressOf(first, one), addressOf(second, two), choose, go]),
		]
	}

	/** Handlers that jump from one to another, as those of a bytecode interpreter. */
	private threaded(): Piece[] {
		const { random } = this
		const turns = 1 + random.below(40)
		const handlers = Array.from({ length: 2 + random.below(6) }, () => this.newLabel())
		const exit = this.newLabel()
		const out = [make(`mov r14d,${turns}`, { size: 4, opcode: [0xb8], plus: OUTER, immediate: immediate(turns, 4) })]
		for (const handler of handlers) {
			out.push(label(handler), ...this.straight(4), this.countDown(OUTER), branch(8, exit))
			if (random.oneIn(4)) out.push(...this.conditional(random.pick(handlers)))
			out.push(...this.eitherOf(random.pick(handlers), random.pick(handlers)))
		}
		return [...out, label(exit)]
	}

	// ---- faults ------------------------------------------------------------------------------------------------------------------

	private guardedFault(): Piece[] {
		const over = this.newLabel()
		return [...this.conditional(over), this.faulting(), label(over)]
	}

	/** Raises an exception, most of the time. */
	private faulting(): Piece {
		const { random } = this
		const readOnly = map.DATA_VA + map.READ_ONLY_OFFSET
		const size = random.pick([1, 2, 4, 8])
		const reg = random.pick([0, 1, 2])
		const bytes = size === 1
		const missing = random.pick([
			map.DATA_VA - 1 - random.below(64),
			map.DATA_VA + map.DATA_SIZE - random.below(8),
			readOnly - random.below(8),
			readOnly + random.below(64),
		])
		const at = { disp: missing }
		switch (random.below(15)) {
			case 0:
				return make('load fault', { size, bytes, opcode: [bytes ? 0x8a : 0x8b], reg, rm: at })
			case 1:
			case 2:
				return make('store fault', { size, bytes, opcode: [bytes ? 0x88 : 0x89], reg, rm: at })
			case 3:
				return make('rmw fault', { size, bytes, opcode: [bytes ? 0x00 : 0x01], reg, rm: at }, { defines: STATUS_FLAGS })
			case 4:
				return make('adc fault', { size, bytes, opcode: [bytes ? 0x10 : 0x11], reg, rm: at }, { uses: CF, defines: STATUS_FLAGS })
			case 5: {
				const clear = make('', { size: 4, opcode: [0xb8], plus: RCX, immediate: [0, 0, 0, 0] })
				return together('#DE', [clear, make('', { size: 4, opcode: [0xf7], reg: 6, rm: RCX }, { undefines: STATUS_FLAGS })])
			}
			case 6: {
				const low = make('', { size: 8, opcode: [0x81], reg: 4, rm: RSP, immediate: immediate(-0x1000, 4) }, { undefines: STATUS_FLAGS })
				return together('push fault', [low, make('', { opcode: [random.pick([0x50, 0x51, 0x9c])] }, { uses: 0 })])
			}
			case 7:
				return piece('ud2', [0x0f, 0x0b])
			case 8:
				return make('movaps misaligned', { opcode: [0x0f, random.pick([0x28, 0x29])], reg: random.below(16), rm: { base: RBX, disp: 4 } })
			case 9:
				return make('sse store fault', { prefix: 0xf2, opcode: [0x0f, 0x11], reg: random.below(16), rm: at })
			case 10:
				return make('shl fault', { size, bytes, opcode: [bytes ? 0xd0 : 0xd1], reg: 4, rm: at }, { undefines: STATUS_FLAGS })
			case 11: {
				const wild = make('', {
					size: 8,
					opcode: [0xb8],
					plus: 10,
					immediate: immediate(random.pick([0x1234_5678_9abc_def0n, 0x7fff_0000_0000n, 0xffff_8000_0000_0000n]), 8),
				})
				return together('wild', [wild, make('', { size, bytes, opcode: [bytes ? 0x8a : 0x8b], reg, rm: { base: 10 } })])
			}
			case 12: {
				const wild = make('', {
					size: 8,
					opcode: [0xb8],
					plus: 10,
					immediate: immediate(random.pick([0x1234_5678_9abc_def0n, 0x7fff_0000_0000n]), 8),
				})
				return together('wild jmp', [wild, make('', { opcode: [0xff], reg: random.pick([2, 4]), rm: 10 })])
			}
			case 13:
				return farFault(random)
			default: {
				const count = make('', { size: 4, opcode: [0xb8], plus: RCX, immediate: immediate(9, 4) })
				const to = make('', { size: 8, opcode: [0xb8], plus: 7, immediate: immediate(readOnly - random.below(40), 8) })
				return together('rep stos fault', [count, to, make('', { size, prefix: 0xf3, opcode: [bytes ? 0xaa : 0xab] })])
			}
		}
	}

	// ---- the start ------------------------------------------------------------------------------------------------------------------

	/** Undefined where the program is too long or holds what must not be run. */
	private start(pieces: readonly Piece[]): IsaCase | undefined {
		const { random } = this
		const base = random.below(BASES)
		const state = baseState(base, false)
		const view = viewOf(state)
		const entry = map.CODE_VA + (this.long ? random.below(0x200) : random.oneIn(2) ? 0xa00 + random.below(0x600) : random.below(0x900))
		view.setUint32(STATE_RIP, entry, true)
		for (const n of FREE) setGpr(view, n, integer(random, 8))
		setGpr(view, RSP, BigInt(map.DATA_VA + 0x180))
		setGpr(view, RBX, BigInt(map.DATA_VA + POINTER_OFFSET))
		setGpr(view, HIGH_POINTER, BigInt(map.HIGH_VA + POINTER_OFFSET))
		setGpr(view, INDEX, BigInt(random.below(INDEX_MASK + 1)))
		view.setUint32(STATE_RFLAGS, 0x202 | (random.u32() & STATUS_FLAGS), true)
		for (let n = 0; n < 32; n++) if (random.oneIn(2)) state.set(littleEndian(this.double(), 8), STATE_FX + FX_XMM + n * 8)
		// Usually as compiled code has it after a while: precision is lost already.
		view.setUint32(STATE_FX + FX_MXCSR, random.oneIn(4) ? 0x1f80 | (random.u32() & 0xe07f) : random.oneIn(3) ? 0x1f80 : 0x1fa0, true)
		const doubles = new Uint8Array(DOUBLES_SIZE)
		for (let n = 0; n < DOUBLES_SIZE; n += 8) doubles.set(littleEndian(this.double(), 8), n)
		const { code } = assemble(pieces, entry)
		if (entry + code.length + 16 > map.CODE_VA + map.CODE_SIZE || isHarmful(code)) return undefined
		const memory = [{ offset: DOUBLES_OFFSET, bytes: doubles }]
		const common = { base, compat: false, state, memory, undefinedFlags: 0, undefinedStatus: 0x4700, tolerance: 0 } as const
		return { label: 'program', code, ...common, ...(this.selfModifying ? { writableCode: true } : {}) }
	}

	private double(): bigint {
		const { random } = this
		if (random.oneIn(6)) return float64(random)
		// Where the translator's tests change their minds: the smallest normal numbers, and 2^-255 and 2^257 with their neighbours.
		if (random.oneIn(this.extremes)) {
			const exponent = random.pick([0x001, 0x002, 0x2ff, 0x300, 0x301, 0x4fe, 0x4ff, 0x4ff, 0x500, 0x7fe])
			const fraction = random.pick([0n, 1n, 0xfffffffffffffn, random.u64() & 0xfffffffffffffn])
			return (BigInt(random.below(2)) << 63n) | (BigInt(exponent) << 52n) | fraction
		}
		const view = new DataView(new ArrayBuffer(8))
		view.setFloat64(0, random.oneIn(2) ? random.below(2000) - 1000 : (random.below(2000) - 1000) / (1 + random.below(100)))
		return view.getBigUint64(0)
	}
}

export function isHarmful(code: Uint8Array): boolean {
	return SYSTEM_CALLS.some(([a, b]) => code.some((byte, i) => byte === a && code[i + 1] === b))
}
