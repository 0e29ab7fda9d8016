import type { Instruction } from './instruction.ts'

/** A straight run of instructions. Offsets are in bytes from the region's page. */
export interface Block {
	readonly start: number
	readonly instructions: Instruction[]
	/** How it ends. */
	end: BlockEnd
}

export type BlockEnd =
	/** Goes on to an offset: a jump, or the next block. `inside` is false when the target is not part of the region. */
	| { readonly kind: 'goto'; readonly target: number }
	/** The last instruction is a JCC. */
	| { readonly kind: 'branch'; readonly cc: number; readonly taken: number; readonly next: number }
	/** The last instruction is a CALL whose target is at an offset of this page. */
	| { readonly kind: 'call'; readonly target: number; readonly back: number }
	/** The last instruction is a RET. */
	| { readonly kind: 'return' }
	/** The last instruction is a JMP through a register or memory; it goes to the dispatcher. */
	| { readonly kind: 'indirect' }
	/** The dispatcher itself: no instructions, control goes to the address that an indirect jump left. */
	| { readonly kind: 'dispatch' }
	/** Nothing follows: the last instruction leaves by itself (an indirect jump, a system call, ...). */
	| { readonly kind: 'leave' }

export interface Region {
	/** Offset of the entry. */
	readonly entry: number
	/** By start. */
	readonly blocks: ReadonlyMap<number, Block>
	/** Offsets after calls, where a return may go on inside the region. */
	readonly returns: readonly number[]
	/** Offsets where an indirect jump may go on inside the region, ascending. Not empty: there is a dispatcher at DISPATCH. */
	readonly indirect: readonly number[]
	readonly instructions: number
}

/** The dispatcher's offset: one that no branch can have as its target, not even into another page. */
export const DISPATCH = -(2 ** 40)

/** Decodes the instruction at an offset of the page; undefined when it does not lie in the page as a whole or is invalid. */
export type Decode = (offset: number) => Instruction | undefined

/** Targets of indirect jumps at most. */
const MAX_INDIRECT = 160
/** Instructions in a region at most. */
const MAX_INSTRUCTIONS = 500
/** Operations after which control never goes on to the next instruction. */
const LEAVES: ReadonlySet<string> = new Set([
	'CALL_E',
	'RET_I',
	'RETF',
	'RETF_I',
	'IRET',
	'SYSCALL',
	'INT',
	'INT3',
	'INT1',
	'UD2',
	'UD1',
	'UD0',
	'JMP_FAR_E',
	'CALL_FAR_E',
	'HLT',
	'CPUID',
])

/**
 * Finds what can be reached from `entry` by direct jumps, calls and returns inside one page of 64-bit code. Breadth first, so that a limit cuts what is far
 * from the entry; edges to what was not taken become exits. Where there is an indirect jump, all offsets that have been entry points so far (`isEntry`) may be
 * its targets: that takes in the handlers of a bytecode interpreter, or the cases of a switch.
 */
export function discover(entry: number, decode: Decode, isEntry: (offset: number) => boolean): Region | undefined {
	const found = new Map<number, Instruction>()
	const leaders = new Set<number>([entry])
	const returns = new Set<number>()
	const queue = [entry]
	let count = 0
	let indirect: number[] = []
	let jumps = false
	const drain = () => {
		for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
			const follow = (target: number) => {
				if (target < 0 || target >= 4096) return
				leaders.add(target)
				if (!found.has(target)) queue.push(target)
			}
			for (let off: number = at; !found.has(off) && count < MAX_INSTRUCTIONS; ) {
				const instruction = decode(off)
				if (instruction === undefined) break
				found.set(off, instruction)
				count++
				const next = off + instruction.length
				const { op } = instruction
				if (op === 'JMP') {
					follow(Number(instruction.imm))
					break
				}
				if (op === 'CALL') {
					const target = Number(instruction.imm)
					if (target >= 0 && target < 4096) {
						follow(target)
						returns.add(next)
						follow(next)
					}
					break
				}
				if (op === 'JMP_E') jumps = true
				if (op === 'RET' || op === 'JMP_E' || LEAVES.has(op)) break
				if (op === 'JCC') {
					follow(Number(instruction.imm))
					follow(next)
					break
				}
				off = next
			}
		}
	}
	drain()
	if (!found.has(entry)) return undefined
	if (jumps) {
		for (let offset = 0; offset < 4096 && indirect.length < MAX_INDIRECT; offset++) {
			if (!isEntry(offset)) continue
			indirect.push(offset)
			leaders.add(offset)
			if (!found.has(offset)) queue.push(offset)
		}
		drain()
		indirect = indirect.filter((offset) => found.has(offset))
	}
	const blocks = new Map<number, Block>()
	for (const leader of leaders) if (found.has(leader)) blocks.set(leader, blockAt(leader, found, leaders))
	if (indirect.length > 0) blocks.set(DISPATCH, { start: DISPATCH, instructions: [], end: { kind: 'dispatch' } })
	return { entry, blocks, returns: [...returns].filter((offset) => blocks.has(offset)), indirect, instructions: count }
}

function blockAt(start: number, found: ReadonlyMap<number, Instruction>, leaders: ReadonlySet<number>): Block {
	const instructions: Instruction[] = []
	for (let off = start; ; ) {
		const instruction = found.get(off)
		if (instruction === undefined) return { start, instructions, end: { kind: 'goto', target: off } }
		instructions.push(instruction)
		const next = off + instruction.length
		const { op } = instruction
		const target = Number(instruction.imm)
		if (op === 'JMP') return { start, instructions, end: { kind: 'goto', target } }
		if (op === 'JCC') return { start, instructions, end: { kind: 'branch', cc: instruction.cc, taken: target, next } }
		if (op === 'CALL') return { start, instructions, end: { kind: 'call', target, back: next } }
		if (op === 'RET') return { start, instructions, end: { kind: 'return' } }
		if (op === 'JMP_E') return { start, instructions, end: { kind: 'indirect' } }
		if (LEAVES.has(op)) return { start, instructions, end: { kind: 'leave' } }
		if (leaders.has(next)) return { start, instructions, end: { kind: 'goto', target: next } }
		off = next
	}
}

/** Offsets of the blocks that may follow, those outside the region included. */
export function successors(block: Block, region: Region): readonly number[] {
	const { end } = block
	switch (end.kind) {
		case 'goto':
			return [end.target]
		case 'branch':
			return [end.taken, end.next]
		case 'call':
			return [end.target]
		case 'return':
			return region.returns
		case 'indirect':
			return [DISPATCH]
		case 'dispatch':
			return region.indirect
		case 'leave':
			return []
	}
}
