import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { evaluate } from './evaluate.ts'
import { type ConfigHost, NO_HOST } from './host.ts'
import { repr, type Value } from './values.ts'

/** [expression, repr() of its value in CPython]. */
const results = JSON.parse(readFileSync(new URL('cpython_results.json', import.meta.url), 'utf8')) as [string, string][]

function run(source: string, host: Partial<ConfigHost> = {}, given: ReadonlyMap<string, Value> = new Map()): Map<string, string> {
	return new Map([...evaluate(source, 'guest', { ...NO_HOST, ...host }, given)].map(([name, { value }]) => [name, repr(value)]))
}

test('expressions have the values that CPython gives them', () => {
	for (const [expression, expected] of results) assert.equal(run(`import os, re\nx = ${expression}`).get('x'), expected, expression)
})

test('integers divide as in Python 2, in which the files were written', () => {
	assert.equal(run('x = 1024 / 3').get('x'), '341')
	assert.equal(run('x = -7 / 2').get('x'), '-4')
	assert.equal(run('x = 010 + 10L').get('x'), '18')
})

const programs: [source: string, expected: Record<string, string>][] = [
	['if 1 > 2:\n  x = 1\nelif 2 > 1: x = 2\nelse:\n  x = 3', { x: '2' }],
	['x = 0\nfor i in range(5):\n  if i == 1: continue\n  if i == 4: break\n  x += i\nelse:\n  x = -1', { x: '5' }],
	['x = 0\nwhile x < 3: x += 1\nelse: y = x', { x: '3', y: '3' }],
	['def f(a, b=2):\n  "text"\n  if a: return a * b\nx = f(4), f(b=5, a=1), f(0)', { x: '(8, 5, None)' }],
	['def f():\n  global y\n  y = 5\n  x = 6\nx = 1\nf()', { x: '1', y: '5' }],
	['def fact(n):\n  return n < 2 and 1 or n * fact(n - 1)\nx = fact(20)', { x: '2432902008176640000' }],
	['def add(n):\n  return lambda m: m + n\nx = add(2)(3)', { x: '5' }],
	['try:\n  x = int("a")\nexcept (ValueError, TypeError), e:\n  x = str(e)', { x: '"\'a\' is not an integer"' }],
	['try:\n  x = {}["k"]\nexcept ValueError: x = 1\nexcept LookupError: x = 2', { x: '2' }],
	['try:\n  raise ValueError, "no"\nexcept Exception as e:\n  x = str(e)\nelse: x = 0', { x: "'no'" }],
	['a, (b, c) = 1, [2, 3]\na, b = b, a', { a: '2', b: '1', c: '3' }],
	['x = y = []\nx.append(1)', { y: '[1]' }],
	['d = {}\nd["a"] = 1\nd["a"] += 1\nx = [1, 2]\nx[-1] = 3\ndel x[0]', { d: "{'a': 2}", x: '[3]' }],
	['x = [i for i in (1, 2)]\ni = 9', { x: '[1, 2]', i: '9' }],
	[
		'import os.path as p\nfrom os import path\nimport os.path\nx = p.join("a", "b"), path.basename("/c"), os.path.dirname("/d/e")',
		{ x: "('a/b', 'c', '/d')" },
	],
	[
		'import string\nx = string.join(["a", "b"], "."), string.upper("c"), string.atoi("5"), string.digits',
		{ x: "('a.b', 'C', 5, '0123456789')" },
	],
	['x = (1 +\n  2) \\\n  * 3; y = 1 # comment\n\n# another\nz = 2', { x: '9', y: '1', z: '2' }],
	['if 1:\n\tx = 1\n        y = 2\n', { x: '1', y: '2' }],
	['assert 1 == 1, "fine"\npass', {}],
]
for (const [source, expected] of programs) {
	test(`${JSON.stringify(source)} runs`, () => {
		const values = run(source)
		for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), value, name)
	})
}

test("xm_vars checks and converts the command line's variables", () => {
	const source =
		'def check(var, val):\n    val = int(val)\n    if val <= 0:\n        raise ValueError\n    return val\n' +
		'xm_vars.var("vmid", use="an integer above 0", check=check)\nxm_vars.check()\nname = "VM%d" % vmid'
	assert.equal(run(source, {}, new Map([['vmid', '7']])).get('name'), "'VM7'")
	assert.throws(() => run(source, {}, new Map([['vmid', 'x']])), /vmid=x is not allowed: an integer above 0/)
	assert.throws(() => run(source), /the variable 'vmid' must be given, as in vmid=1: an integer above 0/)
})

test('a file can include files beside it, and nothing else', () => {
	const files: Record<string, string> = {
		'common.py': 'base = "/img"\ndef path(n): return base + "/" + n',
		defaults: 'memory = 64',
		self: 'execfile("self")',
	}
	const host = { readBeside: (name: string) => files[name] }
	assert.equal(run('from common import path\nx = path("a")', host).get('x'), "'/img/a'")
	assert.equal(run('import common\nx = common.base', host).get('x'), "'/img'")
	assert.equal(run('execfile("defaults")\nx = memory + 1', host).get('x'), '65')
	assert.throws(() => run('execfile("self")', host), /'self' reads itself/)
	assert.throws(() => run('execfile("absent")', host), /guest:1:1: there is no file 'absent' beside/)
	files.broken = 'x = ('
	assert.throws(() => run('execfile("broken")', host), /guest:1:1: in broken, line 1, column 5: this '\(' has no matching '\)'/)
})

test('a file learns of the machine what its host tells', () => {
	const printed: string[] = []
	const host = {
		env: { HOME: '/home/me', MEM: '64' },
		pathKind: (path: string) => (path === '/boot/k' ? ('file' as const) : undefined),
		print: (line: string) => void printed.push(line),
	}
	const source =
		'import os, sys\nx = os.environ["MEM"], os.getenv("NO", "d"), os.environ.get("NO"), os.path.exists("/boot/k"), os.path.isdir("/boot/k")\n' +
		'y = os.path.expanduser("~/k"), os.uname()[4], sys.platform\nprint "a", 1\nprint("b")'
	const values = run(source, host)
	assert.equal(values.get('x'), "('64', 'd', None, True, False)")
	assert.equal(values.get('y'), "('/home/me/k', 'x86_64', 'linux')")
	assert.deepEqual(printed, ['a 1', 'b'])
})

test('whatever a file holds, it is read or refused with a place', () => {
	const seed = Number(process.env.XENOTYPE_SEED ?? Date.now() % 1_000_000)
	let state = seed
	const random = (below: number) => {
		state = (Math.imul(state, 1103515245) + 12345) >>> 0
		return (state >>> 8) % below
	}
	const pieces = results
		.flatMap(([expression]) => expression.split(/(\W)/))
		.concat(['\n', '\n  ', ':', ' if ', ' for x in ', 'def f(', '=', '\t', '"""'])
	for (let n = 0; n < 1500; n++) {
		const source = Array.from({ length: 1 + random(24) }, () => pieces[random(pieces.length)]).join('')
		try {
			run(source)
		} catch (error) {
			assert.match(
				String((error as Error).message),
				/^guest:\d+:\d+: ./,
				`seed ${seed}: ${JSON.stringify(source)}: ${(error as Error).stack}`,
			)
		}
	}
})
