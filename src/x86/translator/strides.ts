import * as L from '../core/layout.ts'
import type { Block } from './discover.ts'
import type { Instruction } from './instruction.ts'
import { isSse } from './sse/lanes.ts'
import type { Shape } from './structure.ts'

/** What a register holds in a loop, as the addresses made of it see it. */
interface Motion {
	/** BOUNDED: 0 to 255. STEADY: it stays, or goes on by small steps. ANYWHERE: loaded, or computed otherwise. */
	readonly kind: typeof STEADY | typeof BOUNDED | typeof ANYWHERE
	/** A power of two, at most 64, that divides each step. */
	readonly grain: number
}
const STEADY = 0
const BOUNDED = 1
const ANYWHERE = 2

const MAX_GRAIN = 64
const STILL: Motion = { kind: STEADY, grain: MAX_GRAIN }
const UNKNOWN: Motion = { kind: ANYWHERE, grain: 1 }
const SMALL: Motion = { kind: BOUNDED, grain: 1 }
const PAGE_SIZE = 4096
/** Steps from which on an access is likely to be in another page than the one before it, in bytes. */
const LONG_STEP = 1024

const RAX = 0
const RDX = 2
const RBP = 5

/** SSE operations whose result is a general register. */
const GENERAL_RESULT = /^(CVTT?S[SD]2SI|MOVMSKP.|PMOVMSKB|PEXTRW_G)$/

/** Operations whose result is ModRM.rm, ModRM.reg being no operand, and those that have both forms and that of a constant. */
const ONE_OPERAND = /^(SETCC|NEG|NOT|SAR|SAR_1|SHR_1|S[AH][LR]_CL|RO[LR](_1|_CL)?)$/
const ARITHMETIC = /^(ADC|SBB|OR)$/

type Motions = (Motion | undefined)[]

/**
 * Which memory operands in loops are likely to lie in the page of the round before: those whose registers only go on by small steps there, or have an index of a
 * byte. Whether the guess is right matters for speed only.
 */
export class Strides {
	/** Of the memory operands in loops, by instruction: what base and index do in the innermost one. */
	private readonly addresses = new Map<Instruction, readonly [base: Motion, index: Motion]>()
	/** Of all that is in a loop: what registers do in the innermost one. */
	private readonly motions = new Map<Instruction, Motions>()

	constructor(shape: Shape) {
		for (const blocks of loops(shape)) {
			const motions = motionsIn(blocks)
			for (const block of blocks) this.follow(block, motions)
		}
	}

	/** What a register has been given in the block is nearer the truth than all that it is given in the loop. */
	private follow({ instructions }: Block, motions: Motions): void {
		const here = [...motions]
		for (const instruction of instructions) {
			this.motions.set(instruction, motions)
			if (instruction.memory) this.addresses.set(instruction, [motionOf(instruction.base, here), motionOf(instruction.index, here)])
			for (const [register, motion] of changesOf(instruction, here)) here[register] = motion
		}
	}

	/** Whether it is in a loop. */
	repeats(instruction: Instruction): boolean {
		return this.motions.has(instruction)
	}

	/** Whether the memory operand, of `size` bytes, is likely to be in the page that it was in a round before, and aligned. */
	isSteady(instruction: Instruction, size: number): boolean {
		const motions = this.addresses.get(instruction)
		if (motions === undefined) return false
		const { base, scale, disp } = instruction
		const [from, by] = motions
		// Of two operands a half apart one is never aligned: likely the one that is not even from its base.
		if (from.kind !== STEADY || by.kind === ANYWHERE || disp % size !== 0) return false
		if (by.kind === BOUNDED) {
			if (base === L.SLOT_ZERO && (disp & (PAGE_SIZE - 1)) + (255 << scale) + size > PAGE_SIZE) return false
			return from.grain % size === 0 && 1 << scale >= size
		}
		return Math.min(from.grain, by.grain << scale) % size === 0
	}

	/** The same of what a register points to. */
	isSteadyAt(instruction: Instruction, slot: number): boolean {
		const motions = this.motions.get(instruction)
		return motions !== undefined && motionOf(slot, motions).kind === STEADY
	}
}

function motionOf(slot: number, motions: Motions): Motion {
	return slot === L.SLOT_ZERO || slot === L.SLOT_PAGE ? STILL : (motions[slot >> 3] ?? STILL)
}

/**
 * The blocks of each natural loop, the largest loops first. Ways back to one header are loops of their own: a region that is entered at the head of an inner loop
 * has it as the outer loop's head too.
 */
function loops(shape: Shape): Set<Block>[] {
	const found: Set<Block>[] = []
	for (const block of shape.order)
		for (const header of shape.headersFrom(block)) {
			const inside = new Set([header])
			found.push(inside)
			const stack = [block]
			for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
				if (inside.has(at)) continue
				inside.add(at)
				stack.push(...shape.predecessorsOf(at))
			}
		}
	return found.sort((a, b) => b.size - a.size)
}

/** What the registers that change in a loop do there. Begins with nothing moving, and goes on until no instruction adds to it. */
function motionsIn(blocks: Iterable<Block>): Motions {
	const motions: Motions = []
	const instructions = [...blocks].flatMap((block) => block.instructions)
	for (let changed = true; changed; ) {
		changed = false
		for (const instruction of instructions)
			for (const [register, motion] of changesOf(instruction, motions)) {
				const before = motions[register]
				const kind = before === undefined ? motion.kind : joined(before.kind, motion.kind)
				const grain = Math.min(before?.grain ?? MAX_GRAIN, motion.grain)
				if (before?.kind === kind && before.grain === grain) continue
				motions[register] = { kind, grain }
				changed = true
			}
	}
	return motions
}

/** What is a byte at one time and steady at another may be anywhere. */
function joined(a: Motion['kind'], b: Motion['kind']): Motion['kind'] {
	return a === b ? a : ANYWHERE
}

/** The registers that an instruction changes, and how. */
function changesOf(instruction: Instruction, motions: Motions): (readonly [register: number, motion: Motion])[] {
	const { op, size, memory, reg, rm, base, index, scale, imm, opcode } = instruction
	const at = (slot: number) => motionOf(slot, motions)
	const toReg = (motion: Motion) => [[reg >> 3, motion] as const]
	const toRm = (motion: Motion) => (memory ? [] : [[rm >> 3, motion] as const])
	switch (op) {
		case 'ADD':
		case 'SUB': {
			if (size < 4) return toRm(UNKNOWN).concat(opcode & 2 ? toReg(UNKNOWN) : [])
			const hasImmediate = opcode >= 0x80 || (opcode & 7) >= 4
			if (hasImmediate) return toRm(stepped(at(rm), imm))
			if ((opcode & 2) === 0) return toRm(sum(at(rm), at(reg)))
			return toReg(memory ? UNKNOWN : sum(at(reg), at(rm)))
		}
		case 'INC':
		case 'DEC':
			return toRm(stepped(at(rm), 1n))
		case 'LEA':
			return toReg(
				size < 4
					? UNKNOWN
					: base === reg || index === reg
						? stepped(sum(at(base), scaled(at(index), scale)), BigInt(instruction.disp))
						: sum(at(base), scaled(at(index), scale)),
			)
		case 'MOV':
			if (opcode >= 0xb0) return toRm(STILL)
			if (opcode >= 0x8a) return toReg(memory || size < 4 ? UNKNOWN : at(rm))
			return toRm(size < 4 ? UNKNOWN : at(reg))
		case 'MOVSXD':
			return toReg(memory ? UNKNOWN : at(rm))
		case 'MOVZX_B':
			return toReg(SMALL)
		case 'AND':
			if (opcode >= 0x80 && imm >= 0n && imm < 256n) return toRm(SMALL)
			return opcode < 0x80 && (opcode & 2) !== 0 ? toReg(UNKNOWN) : toRm(UNKNOWN)
		case 'XOR':
			if (!memory && reg === rm && opcode < 0x80) return toReg(STILL)
			return opcode < 0x80 && (opcode & 2) !== 0 ? toReg(UNKNOWN) : toRm(UNKNOWN)
		case 'SHL_1':
			return toRm(scaled(at(rm), 1))
		case 'SHL':
			return toRm(scaled(at(rm), Number(imm & 63n)))
		case 'SHR':
			return toRm(size === 4 && imm === 24n ? SMALL : UNKNOWN)
		case 'CMP':
		case 'TEST':
		case 'JCC':
		case 'JMP':
		case 'NOP':
		case 'BT':
		case 'BT_I':
		case 'PUSH':
		case 'PUSH_I':
		case 'CALL':
		case 'RET':
		case 'MOVS':
		case 'STOS':
			return []
		case 'LEAVE':
			return [[RBP, UNKNOWN]]
		case 'POP':
			return toRm(UNKNOWN)
		case 'MUL':
		case 'IMUL1':
		case 'DIV':
		case 'IDIV':
			return [
				[RAX, UNKNOWN],
				[RDX, UNKNOWN],
			]
		default:
			if (isSse(op)) return GENERAL_RESULT.test(op) ? toReg(UNKNOWN) : []
			if (ONE_OPERAND.test(op) || (ARITHMETIC.test(op) && (opcode >= 0x80 || (opcode & 2) === 0))) return toRm(UNKNOWN)
			return ARITHMETIC.test(op) ? toReg(UNKNOWN) : [...toReg(UNKNOWN), ...toRm(UNKNOWN)]
	}
}

function stepped({ kind, grain }: Motion, step: bigint): Motion {
	if (kind === ANYWHERE || step >= LONG_STEP || -step >= LONG_STEP) return UNKNOWN
	return { kind: STEADY, grain: Math.min(grain, grainOf(step)) }
}

function grainOf(step: bigint): number {
	let grain = 1
	while (grain < MAX_GRAIN && step % BigInt(grain * 2) === 0n) grain *= 2
	return grain
}

/** One of the terms may be a byte. */
function sum(a: Motion, b: Motion): Motion {
	return { kind: a.kind === ANYWHERE || b.kind === ANYWHERE ? ANYWHERE : STEADY, grain: Math.min(a.grain, b.grain) }
}

function scaled({ kind, grain }: Motion, shift: number): Motion {
	return { kind: kind === BOUNDED && shift > 2 ? ANYWHERE : kind, grain: Math.min(MAX_GRAIN, grain * 2 ** Math.min(shift, 6)) }
}
