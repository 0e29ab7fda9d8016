import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, parseConfig } from './config_parser.ts'

function parse(text: string): Record<string, unknown> {
	return Object.fromEntries([...parseConfig(text, 'guest')].map(([name, { value }]) => [name, value]))
}

test('parseConfig() reads the assignments of a usual file', () => {
	const text = `# -*- mode: python; -*-
kernel = "/boot/vmlinuz-2.6-xenU"
memory = 64   # MiB
name = 'ExampleDomain'
vif = [ '' ]
disk = [ 'phy:hda1,hda1,w',
         # the second
         "file:/img,sda2,r", ]
extra = "4"; vcpus=1
`
	assert.deepEqual(parse(text), {
		kernel: '/boot/vmlinuz-2.6-xenU',
		memory: 64,
		name: 'ExampleDomain',
		vif: [''],
		disk: ['phy:hda1,hda1,w', 'file:/img,sda2,r'],
		extra: '4',
		vcpus: 1,
	})
})

test('parseConfig() reads strings of every quoting', () => {
	assert.deepEqual(
		parse(`a = 'it\\'s'\nb = "tab\\there"\nc = '''two\nlines'''\nd = """say "x\\""""\ne = r'c:\\new'\nf = u'\\u00e9\\x41\\101'`),
		{
			a: "it's",
			b: 'tab\there',
			c: 'two\nlines',
			d: 'say "x"',
			e: 'c:\\new',
			f: 'éAA',
		},
	)
	assert.deepEqual(parse(`a = 'one ' "two"\nb = ('x'\n 'y')\nc = 'a\\\nb'`), { a: 'one two', b: 'xy', c: 'ab' })
})

test('parseConfig() reads numbers, booleans, None, tuples and nested lists', () => {
	assert.deepEqual(parse('a = 0x10\nb = 010\nc = 0o17\nd = -3\ne = 1.5\nf = True\ng = None\nh = (1,)\ni = [[1, 2], []]\nj = ()'), {
		a: 16,
		b: 8,
		c: 15,
		d: -3,
		e: 1.5,
		f: true,
		g: null,
		h: [1],
		i: [[1, 2], []],
		j: [],
	})
})

test('parseConfig() lets the last assignment win and says where its value stands', () => {
	const { memory } = Object.fromEntries(parseConfig('memory = 1\n\nmemory =  2\n', 'guest'))
	assert.deepEqual(memory, { value: 2, line: 3, column: 11 })
})

const refused: [text: string, line: number, column: number, message: RegExp][] = [
	['memory = sixty', 1, 10, /'sixty' is not a value: strings are quoted/],
	['name = "abc\nmemory = 1', 1, 8, /this string is not closed with "/],
	['x = 1\ndisk = [ "a"', 2, 8, /no matching '\]'/],
	['disk = ["a" 5]', 1, 13, /'5' stands where ',' or '\]'/],
	['extra = "a" + "b"', 1, 13, /'\+' is not understood after the value of 'extra'/],
	['import os', 1, 8, /'import' is not followed by '='/],
	['  memory = 1', 1, 3, /unexpected indentation/],
	['memory == 1', 1, 9, /'memory' is not followed by '='/],
	['memory =', 1, 9, /the end of the file is not a value/],
	['[1]', 1, 1, /'\[' is not understood here/],
]
for (const [text, line, column, message] of refused) {
	test(`parseConfig() refuses ${JSON.stringify(text)} by line and column`, () => {
		assert.throws(
			() => parseConfig(text, 'guest'),
			(error: unknown) => {
				assert(error instanceof ConfigError)
				assert.match(error.message, message)
				assert.equal(error.line, line)
				assert.equal(error.column, column)
				return true
			},
		)
	})
}

test('parseConfig() refuses lists nested without bound', () => {
	assert.throws(() => parseConfig(`x = ${'['.repeat(100_000)}`, 'guest'), /nested deeper/)
})
