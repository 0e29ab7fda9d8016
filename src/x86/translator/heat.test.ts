import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Heat, worthBuilding, worthImproving } from './heat.ts'

test('an address is due once it has been met again, one that a dispatcher goes to much later', () => {
	const heat = new Heat()
	heat.add(0x1000, false)
	heat.add(0x2000, true)
	assert.equal(heat.isDue(0x1000), false)
	assert.equal(heat.add(0x1000, false), 2)
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

test('with too many addresses what was met once is forgotten, and the rest counts half', () => {
	const heat = new Heat()
	for (let n = 0; n < 8; n++) heat.add(0x1000, false)
	for (let n = 1; n < 1 << 16; n++) heat.add(0x10000 + n, false)
	heat.add(1, false)
	assert.equal(heat.add(0x1000, false), 5)
	assert.equal(heat.add(0x10001, false), 1)
})

test('more instructions, and more requests that wait, ask for more heat', () => {
	assert.ok(worthBuilding(500, 0) > worthBuilding(20, 0))
	assert.ok(worthBuilding(20, 60) > worthBuilding(20, 0))
	assert.ok(worthImproving(500) > worthImproving(20))
})
