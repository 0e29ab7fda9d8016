import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type AbiFacts, declaredFacts, layoutFile } from '../../scripts/abi_layout.ts'

// What gcc makes of the real headers; written by scripts/abi_layout.ts, to be run again when src/abi declares something new.
const measured = JSON.parse(readFileSync(layoutFile, 'utf8')) as AbiFacts
const declared = await declaredFacts()

/** Last values of lists that grew after Xen 4.17: declared as the newest headers have them. */
const NEWER = new Set(['XEN_ELFNOTE_MAX', 'XS_TYPE_COUNT'])

test('every constant of src/abi that the headers define has their value', () => {
	const names = Object.keys(measured.constants)
	assert.ok(names.length > 300)
	const wrong = names.filter(
		(name) => name in declared.constants && !NEWER.has(name) && declared.constants[name] !== measured.constants[name],
	)
	assert.deepEqual(
		wrong.map((name) => `${name}: ${declared.constants[name]}, is ${measured.constants[name]}`),
		[],
	)
})

test('every structure of src/abi has the size that a compiler gives it', () => {
	const names = Object.keys(measured.sizes)
	assert.ok(names.length > 60)
	for (const name of names) if (name in declared.sizes) assert.equal(declared.sizes[name], measured.sizes[name], name)
})

test('every field of src/abi is where a compiler puts it, and as wide', () => {
	const names = Object.keys(measured.fields)
	assert.ok(names.length > 150)
	for (const name of names) if (name in declared.fields) assert.deepEqual(declared.fields[name], measured.fields[name], name)
})
