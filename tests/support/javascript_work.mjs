// What a JavaScript engine's compilers do: functions that get hot, lose their assumptions, are compiled anew and thrown away; regular expressions; WebAssembly.
const lines = []
const say = (name, value) => lines.push(`${name}: ${value}`)

function mix(seed, n) {
	let x = seed | 0
	for (let i = 0; i < n; i++) {
		x ^= x << 13
		x ^= x >>> 17
		x ^= x << 5
	}
	return x >>> 0
}
say('integers', mix(1, 300_000))

function roots(n) {
	let sum = 0
	for (let i = 1; i <= n; i++) sum += Math.sqrt(i) / (i + 0.5)
	return sum
}
say('doubles', roots(200_000))

// The shapes of what it is given change again and again.
const area = (shape) => shape.width * shape.height
const shapes = [(n) => ({ width: n, height: 2 }), (n) => ({ height: n / 3, width: 4 }), (n) => ({ name: 'x', width: n, height: n })]
let total = 0
for (const make of shapes) for (let n = 0; n < 30_000; n++) total += area(make(n))
say('shapes', total)

// New functions, compiled, used and dropped.
let generated = 0
for (let n = 0; n < 120; n++) {
	const made = new Function('x', `let s = x; for (let i = 0; i < 2000; i++) s = (Math.imul(s, ${n * 2 + 1}) + ${n}) | 0; return s`)
	for (let k = 0; k < 5; k++) generated = (generated + made(k)) | 0
}
say('generated', generated)

const text = Array.from({ length: 3000 }, (_, n) => `key${n % 97}=${mix(n, 3)};`).join('')
let matched = 0
for (let n = 0; n < 20; n++)
	for (const [, key, value] of text.matchAll(/(key\d*[13579])=(\d+);/g)) matched = (matched + key.length * (Number(value) % 1009)) | 0
say('matched', matched)

// (func (export "f") (param i32) (result i32)): the sum of n*n downwards.
const module = Uint8Array.of(
	0,
	0x61,
	0x73,
	0x6d,
	1,
	0,
	0,
	0,
	1,
	6,
	1,
	0x60,
	1,
	0x7f,
	1,
	0x7f,
	3,
	2,
	1,
	0,
	7,
	5,
	1,
	1,
	0x66,
	0,
	0,
	10,
	30,
	1,
	28,
	1,
	1,
	0x7f,
	0x03,
	0x40,
	0x20,
	0,
	0x20,
	0,
	0x6c,
	0x20,
	1,
	0x6a,
	0x21,
	1,
	0x20,
	0,
	0x41,
	1,
	0x6b,
	0x22,
	0,
	0x0d,
	0,
	0x0b,
	0x20,
	1,
	0x0b,
)
const { f } = new WebAssembly.Instance(new WebAssembly.Module(module)).exports
let sums = 0
for (let n = 1; n < 400; n++) sums = (sums + f(n * 10)) | 0
say('wasm', sums)

const words = new Map()
for (const word of text.split(/[;=]/)) words.set(word, (words.get(word) ?? 0) + 1)
say(
	'sorted',
	[...words].sort(([a], [b]) => (a < b ? -1 : 1)).reduce((hash, [word, count]) => (Math.imul(hash, 31) + word.length * count) | 0, 7),
)
let big = 1n
for (let n = 1n; n < 300n; n++) big = (big * n + 1n) % (2n ** 521n - 1n)
say('big', big.toString(36))
console.log(lines.join('\n'))
