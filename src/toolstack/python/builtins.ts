import { PythonError } from './errors.ts'
import type { ConfigHost } from './host.ts'
import type { Limits } from './limits.ts'
import { sorted } from './methods.ts'
import { binary } from './operators.ts'
import {
	asNumber,
	Callable,
	compare,
	Dict,
	ExceptionValue,
	isNumber,
	isSequence,
	iterate,
	type Keywords,
	List,
	repr,
	Tuple,
	toText,
	truth,
	typeName,
	type Value,
} from './values.ts'

type Builtin = (args: readonly Value[], keywords: Keywords) => Value

const EXCEPTIONS =
	'Exception StandardError ValueError TypeError KeyError IndexError NameError AttributeError ZeroDivisionError OSError IOError ImportError RuntimeError AssertionError OverflowError'.split(
		' ',
	)

/** The names that every file knows. */
export function builtins(limits: Limits, host: ConfigHost): Map<string, Value> {
	const functions: Record<string, Builtin> = {
		len: ([value = null]) => {
			if (typeof value === 'string') return BigInt(value.length)
			if (isSequence(value)) return BigInt(value.items.length)
			if (value instanceof Dict) return BigInt(value.entries.size)
			throw new PythonError('TypeError', `a ${typeName(value)} has no length`)
		},
		str: ([value = '']) => toText(value),
		unicode: ([value = '']) => toText(value),
		repr: ([value = null]) => repr(value),
		int: ([value = 0n, radix]) => toInteger(value, radix),
		long: ([value = 0n, radix]) => toInteger(value, radix),
		float: ([value = 0]) => toFloat(value),
		bool: ([value = false]) => truth(value),
		list: ([value]) => new List(value === undefined ? [] : [...iterate(value)]),
		tuple: ([value]) => new Tuple(value === undefined ? [] : [...iterate(value)]),
		dict: ([value], keywords) => toDict(value, keywords),
		range: (args) => range(args, limits),
		xrange: (args) => range(args, limits),
		enumerate: ([value = null, start = 0n]) =>
			new List(iterate(value).map((item, n) => new Tuple([binary('+', BigInt(n), start, limits), item]))),
		zip: (args) => {
			const lists = args.map(iterate)
			const length = lists.length === 0 ? 0 : Math.min(...lists.map((list) => list.length))
			return new List(Array.from({ length }, (_, n) => new Tuple(lists.map((list) => list[n]!))))
		},
		map: ([callee = null, value = null]) => new List(iterate(value).map((item) => callValue(callee, [item]))),
		filter: ([callee = null, value = null]) =>
			new List(iterate(value).filter((item) => truth(callee === null ? item : callValue(callee, [item])))),
		sorted: ([value = null], keywords) => new List(sorted(iterate(value), keywords)),
		reversed: ([value = null]) => new List([...iterate(value)].reverse()),
		min: (args) => extreme(args, (order) => order < 0),
		max: (args) => extreme(args, (order) => order > 0),
		sum: ([value = null, start = 0n]) => iterate(value).reduce((sum: Value, item) => binary('+', sum, item, limits), start),
		any: ([value = null]) => iterate(value).some(truth),
		all: ([value = null]) => iterate(value).every(truth),
		abs: ([value = null]) => {
			const number = numberOf(value, 'abs')
			return number < 0 ? -number : number
		},
		round: ([value = null, digits]) => {
			const factor = 10 ** Number(digits ?? 0n)
			return Math.round(Number(numberOf(value, 'round')) * factor) / factor
		},
		divmod: ([a = null, b = null]) => new Tuple([binary('//', a, b, limits), binary('%', a, b, limits)]),
		pow: ([a = null, b = null]) => binary('**', a, b, limits),
		chr: ([value = null]) => String.fromCodePoint(Number(numberOf(value, 'chr')) & 0xffff),
		ord: ([value = null]) => {
			if (typeof value !== 'string' || value.length !== 1) throw new PythonError('TypeError', 'ord() needs one character')
			return BigInt(value.charCodeAt(0))
		},
		hex: ([value = null]) => radixText(value, 16, '0x'),
		oct: ([value = null]) => radixText(value, 8, '0o'),
		bin: ([value = null]) => radixText(value, 2, '0b'),
		isinstance: ([value = null, type = null]) => isInstance(value, type),
		callable: ([value = null]) => value instanceof Callable,
		print: (args) => {
			host.print(args.map(toText).join(' '))
			return null
		},
	}
	const names = new Map<string, Value>(Object.entries(functions).map(([name, call]) => [name, new Callable(name, call)]))
	for (const name of EXCEPTIONS) names.set(name, new ExceptionValue(name))
	return names
}

export function callValue(callee: Value, args: readonly Value[], keywords: Keywords = new Map()): Value {
	if (callee instanceof Callable) return callee.call(args, keywords)
	if (callee instanceof ExceptionValue && callee.message === undefined) return new ExceptionValue(callee.kind, args.map(toText).join(', '))
	throw new PythonError('TypeError', `a ${typeName(callee)} cannot be called`)
}

function numberOf(value: Value, name: string): bigint | number {
	if (isNumber(value)) return asNumber(value)
	throw new PythonError('TypeError', `${name}() needs a number, not ${typeName(value)}`)
}

function toInteger(value: Value, radix: Value | undefined): bigint {
	if (isNumber(value)) {
		const number = asNumber(value)
		if (typeof number === 'bigint') return number
		if (!Number.isFinite(number)) throw new PythonError('OverflowError', `${number} is no integer`)
		return BigInt(Math.trunc(number))
	}
	if (typeof value !== 'string') throw new PythonError('TypeError', `int() needs a number or a string, not ${typeName(value)}`)
	const base = Number(radix ?? 10n)
	const found = /^\s*([-+]?)(0[xX]|0[oO]|0[bB])?([0-9a-zA-Z]+)\s*$/.exec(value)
	const prefixes: Record<string, number> = { '0x': 16, '0o': 8, '0b': 2 }
	const prefix = found?.[2]?.toLowerCase()
	const actual = base === 0 ? (prefix === undefined ? 10 : prefixes[prefix]!) : base
	const text = prefix !== undefined && prefixes[prefix] !== actual ? `${found![2]}${found![3]}` : (found?.[3] ?? '')
	const digits = [...text].map((c) => Number.parseInt(c, 36))
	if (found === null || digits.length > 1000 || digits.some((digit) => Number.isNaN(digit) || digit >= actual)) {
		throw new PythonError('ValueError', `${repr(value)} is not an integer${actual === 10 ? '' : ` of base ${actual}`}`)
	}
	const magnitude = digits.reduce((sum, digit) => sum * BigInt(actual) + BigInt(digit), 0n)
	return found[1] === '-' ? -magnitude : magnitude
}

function toFloat(value: Value): number {
	if (isNumber(value)) return Number(asNumber(value))
	const number = typeof value === 'string' && value.trim() !== '' && /^[-+\d.eE\s]+$/.test(value) ? Number(value) : Number.NaN
	if (Number.isNaN(number)) throw new PythonError('ValueError', `${repr(value)} is not a number`)
	return number
}

function toDict(value: Value | undefined, keywords: Keywords): Dict {
	const dict = new Dict()
	if (value instanceof Dict) for (const [key, item] of value.entries.values()) dict.set(key, item)
	else if (value !== undefined) {
		for (const pair of iterate(value)) {
			const [key, item] = iterate(pair)
			if (key === undefined || item === undefined) throw new PythonError('ValueError', 'dict() needs pairs')
			dict.set(key, item)
		}
	}
	for (const [key, item] of keywords) dict.set(key, item)
	return dict
}

function range(args: readonly Value[], limits: Limits): List {
	const [a, b, c] = args.map((value) => {
		if (typeof value !== 'bigint' && typeof value !== 'boolean') {
			throw new PythonError('TypeError', `range() needs integers, not ${typeName(value)}`)
		}
		return Number(value)
	})
	if (a === undefined) throw new PythonError('TypeError', 'range() needs its end')
	const [start, stop, step] = b === undefined ? [0, a, 1] : [a, b, c ?? 1]
	if (step === 0) throw new PythonError('ValueError', 'the step of range() cannot be 0')
	const length = Math.max(0, Math.ceil((stop - start) / step))
	limits.size(length)
	return new List(Array.from({ length }, (_, n) => BigInt(start + n * step)))
}

function extreme(args: readonly Value[], better: (order: number) => boolean): Value {
	const items = args.length === 1 ? iterate(args[0]!) : args
	const [first, ...rest] = items
	if (first === undefined) throw new PythonError('ValueError', 'there is nothing to choose from')
	return rest.reduce((best, item) => (better(compare(item, best)) ? item : best), first)
}

function radixText(value: Value, radix: number, prefix: string): string {
	const number = numberOf(value, 'hex')
	if (typeof number !== 'bigint') throw new PythonError('TypeError', 'an integer is needed')
	return `${number < 0n ? '-' : ''}${prefix}${(number < 0n ? -number : number).toString(radix)}`
}

function isInstance(value: Value, type: Value): boolean {
	const types = type instanceof Tuple ? type.items : [type]
	const names = types.map((one) => (one instanceof Callable ? one.name : one instanceof ExceptionValue ? one.kind : typeName(one)))
	return names.some(
		(name) => name === typeName(value) || (name === 'int' && typeof value === 'boolean') || (name === 'long' && typeof value === 'bigint'),
	)
}
