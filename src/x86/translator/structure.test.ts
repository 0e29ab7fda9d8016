import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CodeSource, discover } from './discover.ts'
import type { Instruction } from './instruction.ts'
import { Shape } from './structure.ts'

/** The shape of code at offset 0: instructions of two bytes, each with the target of its jump. */
function shapeOf(...lines: readonly (readonly [op: string, target?: number])[]): {
	shape: Shape
	at: (offset: number) => Shape['order'][number]
} {
	const instructions = new Map(
		lines.map(([op, target = 0], n) => [n * 2, { off: n * 2, op, length: 2, imm: BigInt(target), cc: 0 } as unknown as Instruction]),
	)
	const decode = (offset: number) => instructions.get(offset)
	const source: CodeSource = { decode, look: decode, isEntry: (offset) => instructions.has(offset) }
	const shape = new Shape(discover(0, source)!)
	return { shape, at: (offset) => shape.order.find(({ start }) => start === offset)! }
}

const startsOf = (blocks: Iterable<{ readonly start: number }>) => [...blocks].map(({ start }) => start).sort((a, b) => a - b)

test('loops that are nested are loops in one another, each with what it goes round', () => {
	const { shape, at } = shapeOf(['NOP'], ['NOP'], ['NOP'], ['JCC', 4], ['JCC', 2], ['RET'])
	assert.deepEqual(startsOf(shape.order.filter((block) => shape.isHeader(block))), [2, 4])
	assert.deepEqual(startsOf(shape.loopOf(at(2))), [2, 4, 8])
	assert.deepEqual(startsOf(shape.loopOf(at(4))), [4])
	assert.deepEqual([shape.isBackEdge(at(4), 4), shape.isBackEdge(at(8), 2), shape.isBackEdge(at(4), 8)], [true, true, false])
	assert.equal(
		shape.order.some((block) =>
			[0, 2, 4, 8, 10].some((target) => shape.isCut(block, target) && shape.predecessorsOf(at(target)).includes(block)),
		),
		false,
	)
})

test('where two ways meet is a merge point below what both come from', () => {
	const { shape, at } = shapeOf(['JCC', 6], ['NOP'], ['JMP', 8], ['NOP'], ['RET'])
	assert.deepEqual(
		[2, 6, 8].map((start) => shape.isMerge(start)),
		[false, false, true],
	)
	assert.deepEqual(startsOf(shape.mergesBelow(at(0))), [8])
	assert.equal(shape.repeats, false)
})

test('a way back into the middle of a loop that can be entered from elsewhere is cut', () => {
	// Two blocks go to one another, and both are entered from the first.
	const { shape, at } = shapeOf(['JCC', 6], ['NOP'], ['JMP', 6], ['NOP'], ['JMP', 2])
	const cut = shape.order.flatMap((block) =>
		[2, 6].filter((target) => shape.predecessorsOf(at(target)).includes(block) && shape.isCut(block, target)),
	)
	assert.equal(cut.length, 1)
	assert.equal(shape.repeats, false)
})

test('a round is charged what it executes at least', () => {
	// The way around the three NOPs is shorter.
	const { shape, at } = shapeOf(['NOP'], ['JCC', 10], ['NOP'], ['NOP'], ['NOP'], ['JCC', 0], ['RET'])
	assert.equal(shape.instructionsBetween(0, at(10)), 3)
})
