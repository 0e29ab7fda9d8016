import { InternalError } from '../../base/errors.ts'
import type { Code } from '../../wasm/code.ts'

// What may be in locals: the sixteen general registers, and by the numbers of their bits
const REGISTERS = 16
export const TLB_READ = 16
export const TLB_WRITE = 17
export const GOOD_PAGES = 18
const COUNT = 19
/** The general registers. */
export const GENERAL = (1 << REGISTERS) - 1

/** Masks, of what a block does when nothing is in locals where it begins. */
export interface BlockEffect {
	/** Loaded before the block has written it. */
	uses: number
	/** In locals, and only there, where it ends. */
	valid: number
	dirty: number
	/** All registers that were in locals where it began are in the state block. */
	clears: boolean
}

/** For each block, what is in locals where it begins: what is dirty there on some way to it, and at least that. By block start. */
export interface ResidencePlan {
	valid(block: number): number
	dirty(block: number): number
}

/** What a first pass over a region finds out, for the second. */
export interface ResidenceFound {
	readonly effects: Map<number, BlockEffect>
	/** By instruction, in the order in which they are written: what it writes on some ways only. */
	readonly conditional: Map<number, number>
	plan: ResidencePlan | undefined
}

export interface Snapshot {
	readonly valid: (number | undefined)[]
	readonly dirty: number
	readonly block: number
	readonly scope: number
	readonly effect: BlockEffect
}

/**
 * Which registers of the processor, and what else of the state block, are in locals, at the place where code is being written.
 *
 * Rules:
 * - What is valid is in its local, on every way to this place. What is not valid is in the state block; it is loaded where it is first needed.
 * - What is dirty is valid, and on some way to this place the state block has another value. Ways out store that, and nothing else.
 * - Where ways meet, the plan says what is valid; each way loads what it lacks.
 * - What an instruction writes on some ways only is made valid before it.
 */
export class Residence {
	dirty = 0
	private readonly code: Code
	private readonly found: ResidenceFound
	/** The scope in which each was loaded or written. */
	private valid: (number | undefined)[] = new Array(COUNT).fill(undefined)
	private effect: BlockEffect = { uses: 0, valid: 0, dirty: 0, clears: false }
	private block = 0
	private scope = 0
	private instruction = 0
	/** In runAside(): where its code begins. */
	private aside: { readonly scope: number } | undefined

	constructor(code: Code, found: ResidenceFound) {
		this.code = code
		this.found = found
	}

	beginBlock(start: number): void {
		const { plan } = this.found
		this.block = start
		this.scope = this.code.scope
		const valid = plan?.valid(start) ?? 0
		for (let n = 0; n < COUNT; n++) this.valid[n] = valid & (1 << n) ? this.scope : undefined
		this.dirty = plan?.dirty(start) ?? 0
		this.effect = { uses: 0, valid: 0, dirty: 0, clears: false }
	}

	/** Where the block's ways to others begin. */
	endBlock(): void {
		this.effect.valid = this.mask
		this.effect.dirty = this.dirty
		this.found.effects.set(this.block, this.effect)
	}

	/** Returns what is to be loaded now, because the instruction writes it on some ways only. */
	beginInstruction(): number {
		const written = this.found.conditional.get(++this.instruction) ?? 0
		return written === 0 ? 0 : written & ~this.mask
	}

	/** Of all that is valid here. */
	get mask(): number {
		let mask = 0
		for (let n = 0; n < COUNT; n++) if (this.has(n)) mask |= 1 << n
		return mask
	}

	has(n: number): boolean {
		const scope = this.valid[n]
		return scope !== undefined && this.code.dominates(scope)
	}

	/** Its value is needed here. True when it must be loaded now. */
	need(n: number): boolean {
		if (this.has(n)) return false
		if (this.aside === undefined && (!this.effect.clears || n >= REGISTERS)) this.effect.uses |= 1 << n
		this.valid[n] = this.code.scope
		return true
	}

	/** It is written here. */
	write(n: number): void {
		const { scope } = this.code
		const base = this.aside?.scope ?? this.scope
		// Scopes are numbered as they are opened.
		const isValid = this.has(n) && this.valid[n]! <= base
		if (!isValid && scope !== base) this.writeOnSomeWays(n)
		else if (!isValid) this.valid[n] = scope
		this.dirty |= 1 << n
	}

	private writeOnSomeWays(n: number): void {
		const { conditional, plan } = this.found
		if (plan !== undefined) throw new InternalError(`register ${n} is written where it was not expected`)
		conditional.set(this.instruction, (conditional.get(this.instruction) ?? 0) | (1 << n))
		if (!this.effect.clears) this.effect.uses |= 1 << n
		this.valid[n] = this.scope
	}

	/** True where everything written so far in the block has been executed, if control comes here. */
	get isOnAllWays(): boolean {
		return this.code.scope === (this.aside?.scope ?? this.scope)
	}

	/** The core has the registers, and may change them: none is in locals any more. */
	clear(): void {
		for (let n = 0; n < REGISTERS; n++) this.valid[n] = undefined
		this.dirty = 0
		if (this.aside === undefined) this.effect.clears = true
	}

	/** On a way out. */
	check(): void {
		if (this.found.plan !== undefined && this.dirty !== 0 && this.dirty & ~this.mask)
			throw new InternalError('a register is to be stored that is in no local')
	}

	snapshot(): Snapshot {
		const { valid, dirty, block, scope, effect } = this
		return { valid: valid.slice(), dirty, block, scope, effect }
	}

	/** Once. */
	restore({ valid, dirty, block, scope, effect }: Snapshot): void {
		this.valid = valid
		this.dirty = dirty
		this.block = block
		this.scope = scope
		this.effect = effect
	}

	/** Runs `body`, which writes code that control does not come back from. */
	runAside(body: () => void): void {
		const before = this.snapshot()
		const { aside } = this
		this.aside = { scope: this.code.scope }
		body()
		this.aside = aside
		this.restore(before)
	}
}
