import assert from 'node:assert/strict'
import { test } from 'node:test'
import { showSxp } from './sxp.ts'
import { parseSxp, type SxpNode } from './sxp_parser.ts'

const plain = (node: SxpNode): string | object => ('atom' in node ? node.atom : node.items.map(plain))
const parse = (text: string) => parseSxp(text, 'f').map(plain)

test('parseSxp() reads lists of bare and quoted atoms, and skips comments', () => {
	assert.deepEqual(parse("# first\n(a b-c)(d 'e f' \"it's\")\n  # (x)\n(g (h i) '')\n()"), [
		['a', 'b-c'],
		['d', 'e f', "it's"],
		['g', ['h', 'i'], ''],
		[],
	])
})

test('parseSxp() takes the escapes of C, and leaves a backslash before anything else', () => {
	assert.deepEqual(parse(String.raw`('a\tb\x41\101\'' "^x\.y$" 'tail\\')`), [["a\tbAA'", String.raw`^x\.y$`, 'tail\\']])
})

test('parseSxp() reads what showSxp() writes', () => {
	for (const value of [
		['vm', ['name', 'web'], ['args', 'root=/dev/xvda1 ro'], ['q', `it's "so"`], ['b', 'a\\b c']],
		['n', 'x'.repeat(70000)],
	]) {
		assert.deepEqual(parse(showSxp(value)), [value])
	}
})

test('parseSxp() says where brackets and strings do not match', () => {
	assert.throws(() => parse('(a b)\n (c'), /^ConfigError: f:2:2: this parenthesis is not closed$/)
	assert.throws(() => parse('(a b)\n\n  )'), /f:3:3: this parenthesis closes nothing/)
	assert.throws(() => parse("(a 'b\nc"), /f:1:4: this string has no end/)
	assert.throws(() => parse("('x\ny' ))"), /f:2:5: this parenthesis closes nothing/)
	assert.throws(() => parse('('.repeat(100_000)), /f:1:65: lists may be nested 64 deep/)
})
