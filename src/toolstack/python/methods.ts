import { PythonError } from './errors.ts'
import { braceFormat } from './format.ts'
import type { Limits } from './limits.ts'
import { comparison, position } from './operators.ts'
import { Callable, compare, Dict, equal, iterate, List, Tuple, typeName, type Value } from './values.ts'

type Arguments = readonly Value[]
type Method<T> = (self: T, args: Arguments, limits: Limits) => Value

/** The bound method `name` of a string, list, tuple or dictionary; undefined when it has none of that name. */
export function methodOf(object: Value, name: string, limits: Limits): Callable | undefined {
	const bind = <T>(methods: Readonly<Record<string, Method<T>>>, self: T) => {
		const method = Object.hasOwn(methods, name) ? methods[name] : undefined
		return method && new Callable(name, (args) => method(self, args, limits))
	}
	if (typeof object === 'string') {
		if (name === 'format') return new Callable(name, (args, keywords) => braceFormat(object, args, keywords))
		return bind(STRING, object)
	}
	if (object instanceof List) {
		if (name === 'sort') return new Callable(name, (_args, keywords) => sortInPlace(object, keywords))
		return bind(LIST, object) ?? bind(SEQUENCE, object)
	}
	if (object instanceof Tuple) return bind(SEQUENCE, object)
	return object instanceof Dict ? bind(DICT, object) : undefined
}

const text = (args: Arguments, n: number, what = 'argument'): string => {
	const value = args[n]
	if (typeof value !== 'string') {
		throw new PythonError('TypeError', `the ${what} must be a string${value === undefined ? '' : `, not ${typeName(value)}`}`)
	}
	return value
}
const count = (args: Arguments, n: number, fallback: number): number => {
	const value = args[n]
	if (value === undefined || value === null) return fallback
	if (typeof value !== 'bigint') throw new PythonError('TypeError', `a count must be an integer, not ${typeName(value)}`)
	return Number(value)
}
const list = (items: Iterable<Value>) => new List([...items])

const SPACE = ' \t\n\r\f\v'
function strip(self: string, args: Arguments, left: boolean, right: boolean): string {
	const set = args[0] === undefined || args[0] === null ? SPACE : text(args, 0)
	let from = 0
	let to = self.length
	while (left && from < to && set.includes(self[from]!)) from++
	while (right && to > from && set.includes(self[to - 1]!)) to--
	return self.slice(from, to)
}

function split(self: string, args: Arguments): List {
	const limit = count(args, 1, -1)
	const most = limit < 0 ? Number.POSITIVE_INFINITY : limit
	const parts: string[] = []
	if (args[0] === undefined || args[0] === null) {
		let rest = strip(self, [], true, false)
		while (rest !== '') {
			const end = parts.length < most ? rest.search(/[ \t\n\r\f\v]/) : -1
			if (end < 0) {
				parts.push(rest)
				break
			}
			parts.push(rest.slice(0, end))
			rest = strip(rest.slice(end), [], true, false)
		}
		return list(parts)
	}
	const separator = text(args, 0, 'separator')
	if (separator === '') throw new PythonError('ValueError', 'the separator is empty')
	let rest = self
	while (parts.length < most) {
		const at = rest.indexOf(separator)
		if (at < 0) break
		parts.push(rest.slice(0, at))
		rest = rest.slice(at + separator.length)
	}
	return list([...parts, rest])
}

function rsplit(self: string, args: Arguments): List {
	const reversed = (value: string) => [...value].reverse().join('')
	const mirrored = split(reversed(self), typeof args[0] === 'string' ? [reversed(args[0]), ...args.slice(1)] : args)
	return list(mirrored.items.map((part) => reversed(part as string)).reverse())
}

function partition(self: string, separator: string, at: number, whole: 'first' | 'last'): Tuple {
	if (at < 0) return new Tuple(whole === 'first' ? [self, '', ''] : ['', '', self])
	return new Tuple([self.slice(0, at), separator, self.slice(at + separator.length)])
}

const anyOf =
	(check: (self: string, part: string) => boolean): Method<string> =>
	(self, args) => {
		const parts = args[0] instanceof Tuple ? args[0].items : [args[0] ?? null]
		return parts.some((part) => check(self, text([part], 0)))
	}
const all =
	(pattern: RegExp): Method<string> =>
	(self) =>
		pattern.test(self)
const found = (at: number): bigint => {
	if (at < 0) throw new PythonError('ValueError', 'the text is not found')
	return BigInt(at)
}
const cased = (self: string, up: (c: string) => string, down: (c: string) => string) =>
	self.replace(/[a-zA-Z]+/g, (w) => up(w[0]!) + down(w.slice(1)))

const STRING: Readonly<Record<string, Method<string>>> = {
	strip: (self, args) => strip(self, args, true, true),
	lstrip: (self, args) => strip(self, args, true, false),
	rstrip: (self, args) => strip(self, args, false, true),
	split,
	rsplit,
	splitlines: (self) => list(self === '' ? [] : self.replace(/\n$/, '').split('\n')),
	join: (self, args, limits) => {
		const parts = iterate(args[0] ?? null).map((part) => text([part], 0, 'items'))
		limits.size(parts.reduce((sum, part) => sum + part.length + self.length, 0))
		return parts.join(self)
	},
	replace: (self, args, limits) => {
		const [from, to] = [text(args, 0), text(args, 1)]
		const most = count(args, 2, -1)
		const pieces = from === '' ? ['', ...self, ''] : self.split(from)
		const head = most < 0 ? pieces : pieces.slice(0, most + 1)
		limits.size(self.length + head.length * to.length)
		const tail = most < 0 || pieces.length <= most + 1 ? '' : from + pieces.slice(most + 1).join(from)
		return head.join(to) + tail
	},
	startswith: anyOf((self, part) => self.startsWith(part)),
	endswith: anyOf((self, part) => self.endsWith(part)),
	upper: (self) => self.toUpperCase(),
	lower: (self) => self.toLowerCase(),
	swapcase: (self) => self.replace(/[a-zA-Z]/g, (c) => (c < 'a' ? c.toLowerCase() : c.toUpperCase())),
	capitalize: (self) => self.slice(0, 1).toUpperCase() + self.slice(1).toLowerCase(),
	title: (self) =>
		cased(
			self,
			(c) => c.toUpperCase(),
			(c) => c.toLowerCase(),
		),
	find: (self, args) => BigInt(self.indexOf(text(args, 0))),
	rfind: (self, args) => BigInt(self.lastIndexOf(text(args, 0))),
	index: (self, args) => found(self.indexOf(text(args, 0))),
	rindex: (self, args) => found(self.lastIndexOf(text(args, 0))),
	count: (self, args) => {
		const part = text(args, 0)
		return BigInt(part === '' ? self.length + 1 : self.split(part).length - 1)
	},
	isdigit: all(/^[0-9]+$/),
	isalpha: all(/^\p{L}+$/u),
	isalnum: all(/^[\p{L}\p{N}]+$/u),
	isspace: all(/^\s+$/),
	islower: (self) => /[a-z]/.test(self) && !/[A-Z]/.test(self),
	isupper: (self) => /[A-Z]/.test(self) && !/[a-z]/.test(self),
	zfill: (self, args, limits) => {
		limits.size(count(args, 0, 0))
		const [, sign, digits] = /^([-+]?)(.*)$/s.exec(self)!
		return sign + digits!.padStart(count(args, 0, 0) - sign!.length, '0')
	},
	ljust: (self, args, limits) => padded(self, args, limits, (size, fill) => self.padEnd(size, fill)),
	rjust: (self, args, limits) => padded(self, args, limits, (size, fill) => self.padStart(size, fill)),
	center: (self, args, limits) =>
		padded(self, args, limits, (size, fill) => {
			const room = Math.max(0, size - self.length)
			const left = (room >> 1) + (room & size & 1)
			return fill.repeat(left) + self + fill.repeat(room - left)
		}),
	partition: (self, args) => partition(self, text(args, 0), self.indexOf(text(args, 0)), 'first'),
	rpartition: (self, args) => partition(self, text(args, 0), self.lastIndexOf(text(args, 0)), 'last'),
	expandtabs: (self) => self.replace(/([^\t\n]*)\t/g, (_, before: string) => before.padEnd(before.length + 8 - (before.length % 8))),
}

function padded(self: string, args: Arguments, limits: Limits, pad: (size: number, fill: string) => string): string {
	const size = count(args, 0, 0)
	limits.size(Math.max(size, self.length))
	const fill = args[1] === undefined ? ' ' : text(args, 1)
	if (fill.length !== 1) throw new PythonError('TypeError', 'what is filled with must be one character')
	return pad(size, fill)
}

const SEQUENCE: Readonly<Record<string, Method<List | Tuple>>> = {
	index: (self, args) => {
		const at = self.items.findIndex((item) => equal(item, args[0] ?? null))
		if (at < 0) throw new PythonError('ValueError', 'the value is not in the list')
		return BigInt(at)
	},
	count: (self, args) => BigInt(self.items.filter((item) => equal(item, args[0] ?? null)).length),
}

const LIST: Readonly<Record<string, Method<List>>> = {
	append: (self, args, limits) => {
		limits.size(self.items.length + 1 > 1024 ? self.items.length + 1 : 0)
		self.items.push(args[0] ?? null)
		return null
	},
	extend: (self, args, limits) => {
		const more = iterate(args[0] ?? null)
		limits.size(self.items.length + more.length)
		self.items = [...self.items, ...more]
		return null
	},
	insert: (self, args, limits) => {
		limits.size(self.items.length + 1)
		self.items.splice(count(args, 0, 0), 0, args[1] ?? null)
		return null
	},
	pop: (self, args) => {
		const at = position(args[0] ?? -1n, self.items.length)
		if (at === undefined) throw new PythonError('IndexError', 'there is no such element to pop')
		return self.items.splice(at, 1)[0]!
	},
	remove: (self, args) => {
		const at = self.items.findIndex((item) => equal(item, args[0] ?? null))
		if (at < 0) throw new PythonError('ValueError', 'the value is not in the list')
		self.items.splice(at, 1)
		return null
	},
	reverse: (self) => {
		self.items.reverse()
		return null
	},
}

function sortInPlace(self: List, keywords: ReadonlyMap<string, Value>): Value {
	self.items = sorted(self.items, keywords)
	return null
}

/** In a new array, stable. Keywords: key, reverse. */
export function sorted(items: readonly Value[], keywords: ReadonlyMap<string, Value>): Value[] {
	const key = keywords.get('key')
	const reverse = keywords.get('reverse') === true
	const keyed = items.map((item) => ({ item, key: key instanceof Callable ? key.call([item], new Map()) : item }))
	keyed.sort((a, b) => (reverse ? -1 : 1) * compare(a.key, b.key))
	return keyed.map(({ item }) => item)
}

const DICT: Readonly<Record<string, Method<Dict>>> = {
	get: (self, args) => self.get(args[0] ?? null) ?? args[1] ?? null,
	keys: (self) => list([...self.entries.values()].map(([key]) => key)),
	values: (self) => list([...self.entries.values()].map(([, value]) => value)),
	items: (self) => list([...self.entries.values()].map(([key, value]) => new Tuple([key, value]))),
	has_key: (self, args) => comparison('in', args[0] ?? null, self),
	copy: (self) => Dict.of(self.entries.values()),
	update: (self, args) => {
		if (!(args[0] instanceof Dict)) throw new PythonError('TypeError', 'update() needs a dictionary')
		for (const [key, value] of args[0].entries.values()) self.set(key, value)
		return null
	},
	setdefault: (self, args) => {
		const key = args[0] ?? null
		if (!self.has(key)) self.set(key, args[1] ?? null)
		return self.get(key)!
	},
	pop: (self, args) => {
		const value = self.get(args[0] ?? null) ?? args[1]
		if (value === undefined) throw new PythonError('KeyError', 'the key is not in the dictionary')
		self.delete(args[0] ?? null)
		return value
	},
}
