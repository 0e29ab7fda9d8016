import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discover, type Region } from '../discover.ts'
import type { Instruction } from '../instruction.ts'
import { Shape } from '../structure.ts'
import { laneFlow, lanesToTest } from './lane_flow.ts'
import { cleanLanes, D0, D1, DOUBLES, type Lanes, noLanes, S0 } from './lanes.ts'
import { windowRange } from './ranges.ts'

type Line = readonly [op: string, reg: number, rm: number | 'memory', target?: number]

/** A region of one-byte instructions from offset 0 on. */
function region(lines: readonly Line[]): Region {
	const instructions = lines.map(([op, reg, rm, target = 0], off) => {
		const memory = rm === 'memory'
		return { op, off, length: 1, reg, rm: memory ? 0 : rm, memory, imm: BigInt(target), cc: 5, flags: 0 } as unknown as Instruction
	})
	const decode = (offset: number) => instructions[offset]
	return discover(0, { decode, look: decode, isEntry: () => true })!
}

function flowOf(lines: readonly Line[]) {
	const found = region(lines)
	const flow = laneFlow(new Shape(found))
	const clean = (lanes: Lanes) => Array.from({ length: 16 }, (_, register) => cleanLanes(lanes, register))
	return { ...flow, entry: clean(flow.entry), blocks: new Map([...flow.blocks].map(([start, lanes]) => [start, clean(lanes)])) }
}

test('an operand that is computed before it is used is not tested at the entry', () => {
	const { entry } = flowOf([
		['MULSD', 1, 'memory'],
		['ADDSD', 2, 1],
		['RET', 0, 0],
	])
	assert.deepEqual([entry[1], entry[2]], [D0, D0])
	const computed = flowOf([
		['PXOR', 1, 1],
		['CVTSI2SD', 1, 0],
		['ADDSD', 2, 1],
		['RET', 0, 0],
	])
	assert.deepEqual([computed.entry[1], computed.entry[2]], [0, D0])
})

test('an operand is asked for in the register that it is copied from', () => {
	const { entry } = flowOf([
		['MOVA_V_W', 1, 4],
		['PUNPCKLQDQ', 1, 5],
		['MULPD', 1, 'memory'],
		['RET', 0, 0],
	])
	assert.deepEqual([entry[1], entry[4], entry[5]], [0, D0, D0])
})

const loop: readonly Line[] = [
	['PXOR', 0, 0],
	['NOP', 0, 0],
	['ADDSD', 0, 1],
	['MOVSD_V_W', 1, 'memory'],
	['MOVSD_V_W', 2, 'memory'],
	['JCC', 0, 0, 1],
	['RET', 0, 0],
]

test('a loop knows at its head what it computes with, and nothing else', () => {
	const { blocks, loops } = flowOf(loop)
	assert.deepEqual([...loops], [1])
	assert.deepEqual(blocks.get(1)!.slice(0, 3), [D0, D0, 0])
})

test('what a loop computes with is tested where control goes to its head, if it is not known', () => {
	const found = region(loop)
	const flow = laneFlow(new Shape(found))
	const lanes = noLanes()
	assert.deepEqual(lanesToTest(flow, 1, lanes), [0, 8])
	lanes[8] = windowRange()
	assert.deepEqual(lanesToTest(flow, 1, lanes), [0])
	assert.deepEqual(lanesToTest(flow, 0, lanes), [])
})

test('what one of two ways leaves unknown is unknown where they meet', () => {
	const { blocks } = flowOf([
		['PXOR', 0, 0],
		['JCC', 0, 0, 3],
		['MOVHPS_V_M', 0, 'memory'],
		['ADDPD', 0, 0],
		['RET', 0, 0],
	])
	assert.equal(blocks.get(3)![0], D0)
})

test('singles and doubles that overlap do not vouch for each other', () => {
	const { blocks, entry } = flowOf([
		['ADDSS', 0, 0],
		['JMP', 0, 0, 2],
		['ADDSD', 0, 0],
		['RET', 0, 0],
	])
	assert.equal(entry[0], S0)
	assert.equal(blocks.get(2)?.[0] ?? 0, 0)
})

test('LDMXCSR leaves nothing known', () => {
	const { blocks } = flowOf([
		['ADDPD', 0, 0],
		['LDMXCSR', 2, 'memory'],
		['JCC', 0, 0, 4],
		['NOP', 0, 0],
		['ADDPD', 0, 0],
		['RET', 0, 0],
	])
	assert.equal(blocks.get(4)![0], 0)
	assert.equal(blocks.get(0)![0], DOUBLES)
	assert.equal(D0 | D1, DOUBLES)
})

test('a register that is used for doubles more than for vectors is split', () => {
	const { split } = flowOf([
		['MULSD', 0, 'memory'],
		['ADDSD', 1, 0],
		['ADDPD', 1, 'memory'],
		['MULPD', 1, 2],
		['RET', 0, 0],
	])
	assert.deepEqual([...split], [0])
})

test('a register that a loop only adds to is a sum there', () => {
	const sumsOf = (lines: readonly Line[]) => flowOf([['NOP', 0, 0], ...lines, ['JCC', 0, 0, 1], ['RET', 0, 0]]).accumulators.get(1)
	const product: readonly Line[] = [
		['MOVSD_V_W', 1, 'memory'],
		['MULSD', 1, 'memory'],
	]
	assert.equal(sumsOf([...product, ['ADDSD', 0, 1]]), 1)
	assert.equal(sumsOf([...product, ['SUBSD', 0, 1], ['MOVSD_W_V', 0, 'memory']]), 1)
	assert.equal(sumsOf([...product, ['ADDSD', 0, 0]]), 0)
	assert.equal(sumsOf([...product, ['MULSD', 1, 0], ['ADDSD', 0, 1]]), 0)
	assert.equal(sumsOf([...product, ['ADDSD', 0, 1], ['MULSD', 0, 'memory']]), 0)
})

test('a sum that comes into its loop with more than the window holds is none', () => {
	const { accumulators } = flowOf([
		['MULSD', 0, 'memory'],
		['NOP', 0, 0],
		['ADDSD', 0, 'memory'],
		['JCC', 0, 0, 1],
		['RET', 0, 0],
	])
	assert.equal(accumulators.get(1), 0)
})
