import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALL_COMMANDS, COMMON_COMMANDS, DEPRECATED_NAMES } from './command_names.ts'
import { COMMANDS } from './commands.ts'
import { lookUp, similar } from './lookup.ts'

const named = (name: string) => lookUp(name, COMMANDS)?.command.name

test('a prefix of two letters or more names the only command that begins with it', () => {
	assert.equal(named('cre'), 'create')
	assert.equal(named('li'), 'list')
	assert.equal(named('l'), undefined, 'one letter is too few')
	assert.equal(named('dom'), undefined, 'domid and domname both begin so')
	assert.equal(named('res'), undefined)
	assert.equal(named('console'), 'console')
	assert.equal(named('createx'), undefined)
})

test('a whole name wins over longer ones', () => {
	assert.equal(named('pci-list'), 'pci-list')
})

test('an old name finds its successor and says so', () => {
	const found = lookUp('vif-list', COMMANDS)
	assert.equal(found?.command.name, 'network-list')
	assert.equal(found?.deprecation, 'Command vif-list is deprecated.  Please use xm network-list instead.')
})

test('the table and the lists of names agree', () => {
	const names = COMMANDS.map((command) => command.name)
	assert.deepEqual(names, ALL_COMMANDS)
	assert.equal(new Set(names).size, names.length)
	for (const name of [...COMMON_COMMANDS, ...DEPRECATED_NAMES.values()]) assert(names.includes(name), name)
})

test('similar() names what a word may be the beginning or a misspelling of', () => {
	assert.deepEqual(similar('lst', COMMANDS), { hint: 'Did you mean list?' })
	assert.deepEqual(similar('sched', COMMANDS), { hint: 'Did you mean sched-credit, sched-sedf?' })
	assert.deepEqual(similar('pasue', COMMANDS), { hint: 'Did you mean pause?' })
	for (const name of ['frobnicate', 'foo', 'x', '']) assert.deepEqual(similar(name, COMMANDS), {}, name)
})
