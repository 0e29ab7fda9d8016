import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLOT_ZERO } from '../core/layout.ts'
import { type CodeSource, discover } from './discover.ts'
import type { Instruction } from './instruction.ts'

type Line = readonly [off: number, op: string, length: number, target?: number, operand?: Partial<Instruction>]

/** Code of the given lines; `entered` are the offsets that control has come to so far. */
function code(lines: readonly Line[], entered: readonly number[]): CodeSource {
	const instructions = new Map(
		lines.map(([off, op, length, target = 0, operand]) => [
			off,
			{ off, op, length, imm: BigInt(target), cc: 0, ...operand } as unknown as Instruction,
		]),
	)
	const decode = (offset: number) => instructions.get(offset)
	return { decode, look: decode, isEntry: (offset) => entered.includes(offset) }
}

const run = (from: number, count: number): Line[] => Array.from({ length: count }, (_, n) => [from + n, 'NOP', 1])

test('a region goes on in another page where control was seen to go', () => {
	const lines: Line[] = [
		[0x10, 'CALL', 5, 0x5000],
		[0x15, 'JMP', 2, 0x10],
		[0x5000, 'RET', 1],
	]
	const region = discover(0x10, code(lines, [0x10, 0x15, 0x5000]))!
	assert.deepEqual(region.pages, [0, 5])
	assert.equal(region.blocks.get(0x5000)!.pages, 0b10)
	assert.deepEqual(region.blocks.get(0x5000)!.end, { kind: 'return', sites: [0x15] })
})

test('code that was not seen to run brings in no page', () => {
	const lines: Line[] = [
		[0x10, 'JCC', 6, -0x800],
		[0x16, 'RET', 1],
		[-0x800, 'RET', 1],
	]
	assert.deepEqual(discover(0x10, code(lines, [0x10]))!.pages, [0])
	assert.deepEqual(discover(0x10, code(lines, [0x10, -0x800]))!.pages, [0, -1])
})

test('what is behind a call that leaves the region is not part of it', () => {
	const lines: Line[] = [
		[0x10, 'CALL', 5, 0x5000],
		[0x15, 'RET', 1],
		[0x5000, 'RET', 1],
	]
	assert.deepEqual([...discover(0x10, code(lines, [0x10, 0x15]))!.blocks.keys()], [0x10])
})

test('a call is followed where the function is small, with what it calls', () => {
	const caller: Line[] = [
		[0, 'CALL', 5, 0x100],
		[5, 'RET', 1],
		[0x100, 'CALL', 5, 0x200],
		[0x105, 'RET', 1],
	]
	const called = (length: number) => discover(0, code([...caller, ...run(0x200, length), [0x200 + length, 'RET', 1]], [0x100, 0x200]))!
	assert.equal(called(20).instructions, 4 + 21)
	assert.equal(called(200).instructions, 1)
})

test('of a function that is called, only what was seen to run counts', () => {
	const lines: Line[] = [
		[0, 'CALL', 5, 0x100],
		[5, 'RET', 1],
		[0x100, 'JCC', 6, 0x200],
		[0x106, 'RET', 1],
		...run(0x200, 200),
		[0x2c8, 'RET', 1],
	]
	assert.equal(discover(0, code(lines, [0x100]))!.blocks.has(0x106), true)
	assert.equal(discover(0, code(lines, [0x100, 0x200]))!.blocks.has(0x106), false)
})

test('a function that calls itself, or one that nobody can tell, is not followed', () => {
	const recursive: Line[] = [
		[0, 'CALL', 5, 0x100],
		[5, 'RET', 1],
		[0x100, 'CALL', 5, 0x100],
		[0x105, 'RET', 1],
	]
	assert.equal(discover(0, code(recursive, [0x100]))!.instructions, 1)
	const unknown: Line[] = [
		[0, 'CALL', 5, 0x100],
		[5, 'RET', 1],
		[0x100, 'CALL_E', 2],
		[0x102, 'RET', 1],
	]
	assert.equal(discover(0, code(unknown, [0x100]))!.instructions, 1)
})

test('an instruction that runs into the next page is a block of its own, in both pages', () => {
	const lines: Line[] = [
		[0xffc, 'NOP', 1],
		[0xffd, 'NOP', 5],
		[0x1002, 'NOP', 1],
		[0x1003, 'RET', 1],
	]
	const region = discover(0xffc, code(lines, [0xffc]))!
	const pages = [...region.blocks.values()].map(({ start, pages }) => [start, pages])
	assert.deepEqual(pages, [
		[0xffc, 0b01],
		[0xffd, 0b11],
		[0x1002, 0b10],
	])
})

test('an instruction that runs into a page that cannot be fetched is left out', () => {
	const region = discover(0xffc, code([[0xffc, 'NOP', 1]], [0xffc]))!
	assert.deepEqual(region.blocks.get(0xffc)!.end, { kind: 'goto', target: 0xffd })
})

test('a return goes back behind the calls of its own function only', () => {
	const lines: Line[] = [
		[0x10, 'CALL', 5, 0x100],
		[0x15, 'CALL', 5, 0x200],
		[0x1a, 'RET', 1],
		[0x100, 'RET', 1],
		[0x200, 'JCC', 2, 0x208],
		[0x202, 'CALL', 5, 0x100],
		[0x207, 'NOP', 1],
		[0x208, 'RET', 1],
	]
	const { blocks } = discover(0x10, code(lines, [0x100, 0x200, 0x208]))!
	const sites = (start: number) => (blocks.get(start)!.end as { sites: readonly number[] }).sites
	assert.deepEqual(sites(0x100), [0x15, 0x207])
	assert.deepEqual(sites(0x208), [0x1a])
	assert.deepEqual(sites(0x1a), [])
})

test('the limit cuts what was not seen to run before what was', () => {
	const lines: Line[] = [[0, 'JCC', 2, 0x800], ...run(2, 100), [102, 'RET', 1], ...run(0x800, 100), [0x864, 'RET', 1]]
	const region = discover(0, code(lines, [0]))!
	assert.equal(region.blocks.has(0x800), false)
	const whole = discover(0, code(lines, [0, 0x800]))!
	assert.equal(whole.instructions, 203)
	assert.equal(discover(0, code(lines, [0]), { everything: true })!.instructions, 203)
})

/** Reads the table of a switch. */
const table = { memory: true, index: 0, scale: 3 }

test('the jump of a switch may go wherever its page has been entered', () => {
	const lines: Line[] = [
		[0x10, 'JMP_E', 2, 0, table],
		[0x40, 'JMP_E', 2, 0, table],
		[0x80, 'NOP', 1],
	]
	assert.deepEqual(discover(0x10, code(lines, [0x10, 0x40]))!.indirect, [0x10, 0x40])
	const before: Line[] = [
		[0x10, 'MOVSXD', 4, 0, table],
		[0x14, 'JMP_E', 2],
	]
	assert.deepEqual(discover(0x10, code(before, [0x10]))!.indirect, [0x10])
})

test('an indirect jump that is no switch leaves the region', () => {
	const lines: Line[] = [
		[0x10, 'JMP_E', 6, 0, { memory: true, index: SLOT_ZERO, scale: 0 }],
		[0x20, 'JMP_E', 6],
	]
	assert.deepEqual(discover(0x10, code(lines, [0x10, 0x20]))!.indirect, [])
})

test('the targets of switches lie near the first', () => {
	const lines: Line[] = [
		[0x10, 'JCC', 6, 0x50_0000],
		[0x16, 'JMP_E', 2, 0, table],
		[0x50_0000, 'JMP_E', 2, 0, table],
	]
	assert.deepEqual(discover(0x10, code(lines, [0x10, 0x50_0000]))!.indirect, [0x10])
})

test('a long block is taken whole, but none begins where a region is long already', () => {
	const long = discover(0, code([...run(0, 3000), [3000, 'JCC', 2, 0], ...run(3002, 3), [3005, 'RET', 1]], [0]))!
	assert.deepEqual([...long.blocks.keys()], [0])
	assert.equal(long.instructions, 3001)
	assert.deepEqual(long.blocks.get(0)!.end, { kind: 'branch', cc: 0, taken: 0, next: 3002 })
})
