import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Block, BlockEnd, Region } from './discover.ts'
import type { Instruction } from './instruction.ts'
import { type BlockEffect, GOOD_PAGES } from './residence.ts'
import { planResidence } from './residence_plan.ts'
import { Shape } from './structure.ts'

const [RAX, RCX, RDX] = [1, 2, 4]

/** Blocks by start, the entry first. */
function region(ends: Readonly<Record<number, BlockEnd>>, pages: Readonly<Record<number, number>> = {}): Region {
	const blocks = new Map<number, Block>(
		Object.entries(ends).map(([start, end]) => [
			Number(start),
			{ start: Number(start), instructions: [] as Instruction[], end, pages: pages[Number(start)] ?? 1 },
		]),
	)
	return { entry: 0, blocks, pages: [0], indirect: [], instructions: 0 }
}

function plan(of: Region, effects: Readonly<Record<number, Partial<BlockEffect>>>) {
	const nothing: BlockEffect = { uses: 0, valid: 0, dirty: 0, clears: false }
	const all = Object.entries(effects).map(([start, effect]) => [Number(start), { ...nothing, ...effect }] as const)
	return planResidence(new Shape(of), new Map(all))
}

/** 0 goes to 10 or 20, and both to 30. */
const DIAMOND = region({
	0: { kind: 'branch', cc: 0, taken: 20, next: 10 },
	10: { kind: 'goto', target: 30 },
	20: { kind: 'goto', target: 30 },
	30: { kind: 'leave' },
})
/** 10 is a loop. */
const LOOP = region({
	0: { kind: 'goto', target: 10 },
	10: { kind: 'branch', cc: 0, taken: 10, next: 20 },
	20: { kind: 'leave' },
})

test('planResidence() has nothing in locals at the entry', () => {
	assert.equal(plan(DIAMOND, { 0: { uses: RAX, valid: RAX } }).valid(0), 0)
})

test('planResidence() keeps where ways meet what all have loaded', () => {
	assert.equal(plan(DIAMOND, { 10: { uses: RAX | RCX, valid: RAX | RCX }, 20: { uses: RAX, valid: RAX } }).valid(30), RAX)
})

test('planResidence() has what is dirty on one way in locals where ways meet', () => {
	const { valid, dirty } = plan(DIAMOND, { 10: { valid: RAX, dirty: RAX } })
	assert.deepEqual([valid(30), dirty(30)], [RAX, RAX])
	assert.deepEqual([valid(20), dirty(20)], [0, 0])
})

test('planResidence() loads before a loop what the loop uses, and not what is used behind it', () => {
	const { valid } = plan(LOOP, { 10: { uses: RCX, valid: RCX }, 20: { uses: RAX, valid: RAX } })
	assert.equal(valid(10), RCX)
})

test('planResidence() loads at the entry what the loop that it is the head of uses', () => {
	const loop = region({ 0: { kind: 'branch', cc: 0, taken: 0, next: 10 }, 10: { kind: 'leave' } })
	assert.equal(plan(loop, { 0: { uses: RCX, valid: RCX | RAX, dirty: RAX } }).valid(0), RCX | RAX)
})

test('planResidence() has no register in locals behind what the core may have changed all by', () => {
	const kept = 1 << GOOD_PAGES
	const { valid, dirty } = plan(DIAMOND, {
		0: { valid: RAX | RCX | kept, dirty: RAX },
		10: { clears: true, valid: RDX, dirty: RDX },
		20: { clears: true, valid: RDX, dirty: RDX },
	})
	assert.deepEqual([valid(30), dirty(30)], [RDX | kept, RDX])
})

test('planResidence() knows the good pages where an edge has asked for them', () => {
	const over = region({ 0: { kind: 'goto', target: 10 }, 10: { kind: 'leave' } }, { 10: 2 })
	assert.equal(plan(over, {}).valid(10), 1 << GOOD_PAGES)
})
