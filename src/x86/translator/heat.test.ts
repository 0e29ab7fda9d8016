import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Economy, Heat, worthImproving } from './heat.ts'

test('an address is due once it has been met again, one that a dispatcher goes to much later', () => {
	const heat = new Heat()
	heat.add(0x1000, false)
	heat.add(0x2000, true)
	assert.equal(heat.add(0x1000, false), 2)
	assert.equal(heat.isDue(0x1000), false)
	assert.equal(heat.add(0x1000, false), 3)
	assert.equal(heat.isDue(0x1000), true)
	for (let n = 0; n < 62; n++) heat.add(0x2000, true)
	assert.equal(heat.isDue(0x2000), false)
	heat.add(0x2000, true)
	assert.equal(heat.isDue(0x2000), true)
})

test('what is postponed is due when it has been met that often', () => {
	const heat = new Heat()
	heat.add(0x1000, false)
	heat.add(0x1000, false)
	heat.postpone(0x1000, 4)
	assert.equal(heat.isDue(0x1000), false)
	heat.add(0x1000, false)
	heat.add(0x1000, false)
	assert.equal(heat.isDue(0x1000), true)
})

test('how large a region would be is remembered with its address', () => {
	const heat = new Heat()
	heat.add(0x1000, false)
	const guess = heat.instructionsAt(0x1000)
	heat.found(0x1000, 90)
	heat.found(0x2000, 80)
	assert.deepEqual([heat.instructionsAt(0x1000), heat.instructionsAt(0x2000)], [90, guess])
})

test('with too many addresses what was met once is forgotten, and the rest counts half', () => {
	const heat = new Heat()
	for (let n = 0; n < 8; n++) heat.add(0x1000, false)
	for (let n = 1; n < 1 << 16; n++) heat.add(0x10000 + n, false)
	heat.add(1, false)
	assert.equal(heat.add(0x1000, false), 5)
	assert.equal(heat.add(0x10001, false), 1)
})

test('more instructions, more requests that wait, and want of room ask for more heat', () => {
	const economy = new Economy()
	const worth = economy.worthBuilding(20, 0)
	assert.ok(economy.worthBuilding(500, 0) > worth)
	assert.ok(economy.worthBuilding(20, 60) > worth)
	assert.ok(worthImproving(8, 500) < worthImproving(8, 20))
	for (let n = 0; n < 20; n++) economy.evicted()
	const scarce = economy.worthBuilding(20, 0)
	assert.ok(scarce > 10 * worth && scarce < 20 * worth)
	for (let n = 0; n < 100_000; n++) economy.sample(1, 0)
	assert.equal(economy.worthBuilding(20, 0), worth)
})

test('looking at code must wait when it has taken more time than samples grant', () => {
	const economy = new Economy()
	economy.looked(100)
	assert.equal(economy.mayLook, false)
	for (let n = 0; n < 10_000; n++) economy.sample(1, 0)
	assert.equal(economy.mayLook, true)
})

test('a vCPU is busy that has run for most of a tenth of a second, and not after a rest', () => {
	const economy = new Economy()
	const run = (from_ms: number, to_ms: number) => {
		for (let at = from_ms; at < to_ms; at += 0.25) economy.sample(1, at)
		return economy.isBusy
	}
	assert.equal(run(1000, 1020), false, 'a moment only')
	assert.equal(run(2000, 2100), true)
	assert.equal(run(2400, 2420), false, 'it has rested')
	assert.equal(run(2420, 2500), true)
	const worth = economy.worthBuilding(20, 0)
	assert.equal(run(3000, 3020), false)
	assert.ok(economy.worthBuilding(20, 0) > 2 * worth, 'code of one that rests must be hotter')
})
