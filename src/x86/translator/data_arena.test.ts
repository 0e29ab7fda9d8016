import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DataArena } from './data_arena.ts'

test('take() gives stretches of whole units that do not overlap, and undefined when none is long enough', () => {
	const arena = new DataArena(0x1000, 256, 32)
	assert.equal(arena.take(33), 0x1000)
	assert.equal(arena.take(64), 0x1040)
	assert.equal(arena.take(129), undefined)
	assert.equal(arena.take(128), 0x1080)
	assert.equal(arena.take(1), undefined)
})

test('what is given back is joined with its free neighbours', () => {
	const arena = new DataArena(0, 96, 32)
	const [a, b, c] = [arena.take(32)!, arena.take(32)!, arena.take(32)!]
	arena.give(a, 32)
	arena.give(c, 32)
	assert.equal(arena.take(64), undefined)
	arena.give(b, 32)
	assert.equal(arena.take(96), 0)
})
