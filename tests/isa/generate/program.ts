// A program as a list of pieces: what the generator makes, the minimiser cuts down, and the assembler lays out.

import type { IsaCase } from '../case.ts'
import { STATUS_FLAGS } from '../state.ts'
import { immediate } from './assembler.ts'

/** Where control goes after a piece. */
export type Flow =
	| { readonly kind: 'next' }
	/** Taken when `condition` is true or undefined; `short` and `near` are its opcodes, encoded in the assembler. */
	| {
			readonly kind: 'jump'
			readonly label: number
			readonly conditional: boolean
			readonly short?: readonly number[]
			readonly near?: readonly number[]
	  }
	| { readonly kind: 'call'; readonly label: number }
	| { readonly kind: 'return' }
	/** Through a register or memory. */
	| { readonly kind: 'indirect'; readonly labels: readonly number[]; readonly call: boolean }
	| { readonly kind: 'stop' }

/** A 32-bit displacement at offset `at`, relative to offset `end` of the piece. */
export interface Reference {
	readonly at: number
	readonly end: number
	readonly label?: number
	/** Bytes beyond the label. */
	readonly addend?: number
	readonly address?: number
}

/** One instruction, or a few that only make sense together. */
export interface Piece {
	readonly name: string
	readonly bytes: readonly number[]
	/** Status flags that it reads, gives a defined value, and leaves undefined. */
	readonly uses: number
	readonly defines: number
	readonly undefines: number
	readonly flow: Flow
	readonly references: readonly Reference[]
	/** A place in the code, no bytes. */
	readonly label?: number
}

export interface Program {
	readonly seed: number
	readonly pieces: readonly Piece[]
	/** State, memory, entry: everything but the code. */
	readonly start: IsaCase
}

const NEXT: Flow = { kind: 'next' }

export function piece(name: string, bytes: readonly number[], rest: Partial<Piece> = {}): Piece {
	return { name, bytes, uses: 0, defines: 0, undefines: 0, flow: NEXT, references: [], ...rest }
}

export function label(number: number): Piece {
	return piece(`L${number}:`, [], { label: number })
}

/** Several pieces that stay together. */
export function together(name: string, parts: readonly Piece[]): Piece {
	const bytes: number[] = []
	const references: Reference[] = []
	let uses = 0
	let defines = 0
	let undefines = 0
	for (const part of parts) {
		for (const r of part.references) references.push({ ...r, at: r.at + bytes.length, end: r.end + bytes.length })
		bytes.push(...part.bytes)
		uses |= part.uses & ~defines
		undefines = (undefines & ~part.defines) | part.undefines
		defines = (defines | part.defines) & ~part.undefines
	}
	return { name, bytes, uses, defines, undefines, flow: parts.at(-1)!.flow, references }
}

// ---- layout ---------------------------------------------------------------------------------------------------------------------

export interface Layout {
	readonly code: Uint8Array
	/** Offset of each piece from the entry; one more for the end. */
	readonly offsets: readonly number[]
}

/** Assembles the pieces for an entry at linear address `base`. Jumps are short where they reach. */
export function assemble(pieces: readonly Piece[], base: number): Layout {
	const near = new Set<number>()
	for (;;) {
		const offsets = place(pieces, near)
		const labels = new Map<number, number>()
		pieces.forEach((p, i) => {
			if (p.label !== undefined) labels.set(p.label, offsets[i]!)
		})
		const grown = pieces.findIndex((p, i) => {
			if (p.flow.kind !== 'jump' || near.has(i)) return false
			const distance = labels.get(p.flow.label)! - offsets[i + 1]!
			return distance < -128 || distance > 127
		})
		if (grown >= 0) {
			if (pieces[grown]!.flow.kind === 'jump' && (pieces[grown]!.flow as { near?: unknown }).near === undefined)
				throw new Error(`${pieces[grown]!.name} has no near form`)
			near.add(grown)
			continue
		}
		const code: number[] = []
		pieces.forEach((p, i) => {
			code.push(...bytesOf(p, near.has(i), labels, offsets[i]!, offsets[i + 1]!, base))
		})
		return { code: Uint8Array.from(code), offsets }
	}
}

function place(pieces: readonly Piece[], near: ReadonlySet<number>): number[] {
	const offsets = [0]
	pieces.forEach(({ flow, bytes }, i) => {
		const jump = flow.kind === 'jump' ? (near.has(i) ? flow.near!.length + 4 : flow.short!.length + 1) : 0
		offsets.push(offsets[i]! + bytes.length + jump)
	})
	return offsets
}

function bytesOf(p: Piece, isNear: boolean, labels: ReadonlyMap<number, number>, from: number, to: number, base: number): number[] {
	const bytes = [...p.bytes]
	for (const { at, end, label, addend = 0, address } of p.references) {
		const target = label === undefined ? address! - base : labels.get(label)! + addend
		bytes.splice(at, 4, ...immediate(target - from - end, 4))
	}
	if (p.flow.kind !== 'jump') return bytes
	const distance = labels.get(p.flow.label)! - to
	return [...bytes, ...(isNear ? [...p.flow.near!, ...immediate(distance, 4)] : [...p.flow.short!, distance & 0xff])]
}

// ---- undefined flags ------------------------------------------------------------------------------------------------------------------

/** For each piece the status flags that may be undefined before it; undefined where it can't be reached. */
export function undefinedBefore(pieces: readonly Piece[]): (number | undefined)[] {
	const places = new Map<number, number>()
	const afterCalls: number[] = []
	pieces.forEach((p, i) => {
		if (p.label !== undefined) places.set(p.label, i)
		if (p.flow.kind === 'call' || (p.flow.kind === 'indirect' && p.flow.call)) afterCalls.push(i + 1)
	})
	const successors = (i: number): readonly number[] => {
		const { flow } = pieces[i]!
		switch (flow.kind) {
			case 'next':
				return [i + 1]
			case 'jump':
				return flow.conditional ? [places.get(flow.label)!, i + 1] : [places.get(flow.label)!]
			case 'call':
				return [places.get(flow.label)!]
			case 'return':
				return afterCalls
			case 'indirect':
				return flow.labels.map((n) => places.get(n)!)
			case 'stop':
				return []
		}
	}
	const before: (number | undefined)[] = pieces.map(() => undefined)
	before[0] = 0
	const work = [0]
	for (let i = work.pop(); i !== undefined; i = work.pop()) {
		const { defines, undefines } = pieces[i]!
		const after = (before[i]! & ~defines) | undefines
		for (const next of successors(i)) {
			if (next >= pieces.length) continue
			const merged = (before[next] ?? 0) | after
			if (merged === before[next]) continue
			before[next] = merged
			work.push(next)
		}
	}
	return before
}

/** Whether no flag is read that the architecture leaves undefined. */
export function isDefined(pieces: readonly Piece[]): boolean {
	const before = undefinedBefore(pieces)
	return pieces.every((p, i) => (p.uses & (before[i] ?? 0)) === 0)
}

/** Inserts what `fix` gives before every piece that would read undefined flags. It defines them all. */
export function define(pieces: readonly Piece[], fix: () => Piece): Piece[] {
	const before = undefinedBefore(pieces)
	return pieces.flatMap((p, i) => ((p.uses & (before[i] ?? 0)) === 0 ? [p] : [fix(), p]))
}

/** Status flags that may be undefined when the processor stopped at `offset` from the entry. */
export function undefinedAt(pieces: readonly Piece[], { offsets }: Layout, offset: number): number {
	const before = undefinedBefore(pieces)
	const i = pieces.findIndex((p, n) => offset >= offsets[n]! && offset < offsets[n + 1]! && p.label === undefined)
	if (i < 0) return STATUS_FLAGS
	// Inside a piece of several instructions some of it has happened.
	return (before[i] ?? STATUS_FLAGS) | (offset > offsets[i]! ? pieces[i]!.undefines | STATUS_FLAGS : 0)
}
