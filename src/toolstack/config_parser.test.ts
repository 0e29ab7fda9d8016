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

test("parseConfig() leaves a file's own variables out, and returns a name that is a mistake", () => {
	assert.deepEqual(parse('import os\nbase = "/img"\n_unused = 1\ndef f(x):\n\treturn x\nkernel = os.path.join(base, "k")\nkernl = 1'), {
		kernel: '/img/k',
		kernl: 1,
	})
})

test("parseConfig() gives the command line's variables to the file, and lets them win", () => {
	const given = new Map([
		['vmid', '3'],
		['memory', '99'],
	])
	const values = parseConfig('name = "vm" + vmid\nmemory = 10', 'guest', { given })
	assert.deepEqual(
		[...values].map(([name, { value }]) => [name, value]),
		[
			['memory', '99'],
			['name', 'vm3'],
		],
	)
})

test("parseConfig() adds to a variable that is not there yet, as xl's files may", () => {
	assert.deepEqual(parse('extra += "a"\nextra += "b"\ndisk += [ "x" ]'), { extra: 'ab', disk: ['x'] })
})

test('parseConfig() refuses a dictionary and a huge number as a value, by its place', () => {
	assert.throws(() => parse('a = 1\nkernel = {"a": 1}'), { message: /^guest:2:10: kernel is a dictionary: a variable is a string/ })
	assert.throws(() => parse('memory = 2 ** 80'), { message: /^guest:1:10: memory is the number 1208925819614629174706176/ })
})

const refused: [text: string, line: number, column: number, message: RegExp][] = [
	['memory = sixty', 1, 10, /'sixty' is not defined: a text is quoted, as in 'sixty'/],
	['name = "abc\nmemory = 1', 1, 8, /this string is not closed with "/],
	['x = 1\ndisk = [ "a"', 2, 8, /no matching '\]'/],
	['disk = ["a" 5]', 1, 13, /'5' stands where '\]' was expected/],
	['  memory = 1', 1, 1, /unexpected indentation/],
	['memory =', 1, 9, /the end of the line is not a value/],
	['memory = 1 2', 1, 12, /'2' is not understood after this statement/],
	['import socket', 1, 1, /the module 'socket' is not allowed: a configuration file may hold/],
	['class A: pass', 1, 1, /'class' is not allowed/],
	['f = open("x")', 1, 5, /'open' is not defined/],
	['import os\nos.system("ls")', 2, 1, /the module 'os' has no 'system' here/],
	['x = "a".__class__', 1, 5, /a str has no '__class__' here/],
	['x = "a" + 1', 1, 5, /'\+' cannot take str and int: str\(value\) makes a string/],
	['x = [1, 2]\ny = x[5]', 2, 5, /the index 5 is outside: there are 2 elements/],
	['x = 1 / 0', 1, 5, /division by zero/],
	['x = "%d" % "a"', 1, 5, /%d needs a number, not str/],
	['if 1:\nx = 1', 2, 1, /an indented block was expected/],
	['x = 5\n"a" = x', 2, 1, /this cannot be assigned to/],
	['x = f"a"', 1, 5, /f-strings are not allowed/],
	['raise ValueError("no")', 1, 1, /^guest:1:1: no$/],
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

const boundless: [what: string, text: string, message: RegExp][] = [
	['nesting', `x = ${'['.repeat(100_000)}`, /no matching/],
	['closed nesting', `x = ${'['.repeat(1000)}${']'.repeat(1000)}`, /nested deeper/],
	['a loop', 'while True: pass', /more than \d+ steps/],
	['a string', 'x = "a" * 10 ** 9', /too large/],
	['a growing string', 'x = "a"\nwhile 1: x += x', /too large/],
	['a number', 'x = 9 ** 9 ** 9', /too large/],
	['a range', 'x = range(10 ** 12)', /too large/],
	['a recursion', 'def f(n): return f(n + 1)\nx = f(0)', /nested deeper/],
	['a list', 'x = []\nwhile 1: x.append(x)', /more than \d+ steps|too large/],
	['a format', 'x = "%99999999d" % 1', /not allowed: at most/],
	['an except in its way', 'while 1:\n  try:\n    x = "a" * 10 ** 9\n  except: pass', /too large/],
]
for (const [what, text, message] of boundless) {
	test(`parseConfig() ends ${what} that would go on without bound`, () => {
		assert.throws(() => parseConfig(text, 'guest'), message)
	})
}
