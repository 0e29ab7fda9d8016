import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REAL_PROGRAMS, timedArguments } from './real_programs.ts'
import { makeText } from './real_text.ts'

test('makeText() makes the same text every time, and its part is its beginning', () => {
	const { text, part } = makeText()
	assert.equal(text, makeText().text)
	assert.ok(text.startsWith(part) && part.length < text.length)
	assert.match(text, /^[A-Z][a-z]+( [a-z]+)+(, \d+)?\.\n/)
})

test('a real program runs under the dynamic linker of its own tree, and only one that prints rates keeps its output', () => {
	const linker = ['lib/ld-linux-x86-64.so.2', '--library-path', 'lib']
	const [gzip, rsa] = ['gzip', 'openssl_rsa'].map((wanted) => REAL_PROGRAMS.find(({ name }) => name === wanted)!)
	assert.deepEqual(timedArguments(gzip!, '/out'), ['gzip', '2', '/out', ...linker, 'bin/gzip', '-nc', 'data/text'])
	assert.deepEqual(timedArguments(rsa!, '/out').slice(0, 6), ['openssl_rsa', '0', '-', ...linker])
})
