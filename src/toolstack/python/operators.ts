import { PythonError } from './errors.ts'
import { percentFormat } from './format.ts'
import type { Limits } from './limits.ts'
import { asNumber, compare, Dict, equal, isNumber, isSequence, iterate, List, Tuple, typeName, type Value } from './values.ts'

/** `left operator right`, with Python 2's division of integers: it rounds down. */
export function binary(operator: string, left: Value, right: Value, limits: Limits): Value {
	if (isNumber(left) && isNumber(right)) return arithmetic(operator, asNumber(left), asNumber(right), limits)
	if (operator === '%' && typeof left === 'string') {
		limits.step(left.length)
		return percentFormat(left, right)
	}
	if (operator === '+') return concatenate(left, right, limits)
	if (operator === '*') {
		if (isNumber(left)) return repeat(right, left, limits)
		if (isNumber(right)) return repeat(left, right, limits)
	}
	throw new PythonError('TypeError', `'${operator}' cannot take ${typeName(left)} and ${typeName(right)}`)
}

function concatenate(left: Value, right: Value, limits: Limits): Value {
	if (typeof left === 'string' && typeof right === 'string') {
		limits.size(left.length + right.length)
		return left + right
	}
	if (isSequence(left) && isSequence(right) && left.constructor === right.constructor) {
		limits.size(left.items.length + right.items.length)
		const items = [...left.items, ...right.items]
		return left instanceof List ? new List(items) : new Tuple(items)
	}
	const advice = typeof left === 'string' || typeof right === 'string' ? ': str(value) makes a string of a value' : ''
	throw new PythonError('TypeError', `'+' cannot take ${typeName(left)} and ${typeName(right)}${advice}`)
}

function repeat(value: Value, count: Value, limits: Limits): Value {
	const times = typeof count === 'boolean' ? Number(count) : typeof count === 'bigint' ? Number(count) : Number.NaN
	if (Number.isNaN(times) || !(typeof value === 'string' || isSequence(value))) {
		throw new PythonError('TypeError', `'*' cannot take ${typeName(value)} and ${typeName(count)}`)
	}
	const often = Math.max(0, times)
	const length = typeof value === 'string' ? value.length : value.items.length
	limits.size(length * often)
	if (length === 0) return value
	if (typeof value === 'string') return value.repeat(often)
	const items = Array.from({ length: often }, () => value.items).flat()
	return value instanceof List ? new List(items) : new Tuple(items)
}

function arithmetic(operator: string, left: bigint | number, right: bigint | number, limits: Limits): Value {
	if ('/%//'.includes(operator) && Number(right) === 0) throw new PythonError('ZeroDivisionError', 'division by zero')
	if (typeof left === 'bigint' && typeof right === 'bigint') return limits.integer(integers(operator, left, right))
	const [x, y] = [Number(left), Number(right)]
	switch (operator) {
		case '+':
			return x + y
		case '-':
			return x - y
		case '*':
			return x * y
		case '/':
			return x / y
		case '//':
			return Math.floor(x / y)
		case '%': {
			const rest = x % y
			return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest
		}
		case '**':
			return x ** y
		default:
			throw new PythonError('TypeError', `'${operator}' needs integers`)
	}
}

function floorDivide(x: bigint, y: bigint): bigint {
	const quotient = x / y
	return x % y !== 0n && x < 0n !== y < 0n ? quotient - 1n : quotient
}

function integers(operator: string, x: bigint, y: bigint): bigint {
	switch (operator) {
		case '+':
			return x + y
		case '-':
			return x - y
		case '*':
			return x * y
		case '/':
		case '//':
			return floorDivide(x, y)
		case '%':
			return x - y * floorDivide(x, y)
		case '&':
			return x & y
		case '|':
			return x | y
		case '^':
			return x ^ y
		case '>>':
			return x >> y
		case '<<':
			if (y < 0n) throw new PythonError('ValueError', 'a negative shift')
			if (y > 4096n) throw new PythonError('OverflowError', `a shift by ${y} is too large`)
			return x << y
		case '**':
			if (y < 0n) throw new PythonError('ValueError', 'a negative power of an integer is no integer')
			if (y > 4096n) throw new PythonError('OverflowError', `a power of ${y} is too large`)
			return x ** y
		default:
			throw new PythonError('TypeError', `'${operator}' is not for integers`)
	}
}

export function comparison(operator: string, left: Value, right: Value): boolean {
	switch (operator) {
		case '==':
			return equal(left, right)
		case '!=':
			return !equal(left, right)
		case 'is':
			return left === right
		case 'is not':
			return left !== right
		case 'in':
			return contains(right, left)
		case 'not in':
			return !contains(right, left)
	}
	const order = compare(left, right, operator)
	if (operator === '<') return order < 0
	if (operator === '>') return order > 0
	return operator === '<=' ? order <= 0 : order >= 0
}

function contains(container: Value, item: Value): boolean {
	if (typeof container === 'string') {
		if (typeof item !== 'string') throw new PythonError('TypeError', `'in' a string needs a string, not ${typeName(item)}`)
		return container.includes(item)
	}
	if (container instanceof Dict) return container.has(item)
	return iterate(container).some((found) => equal(found, item))
}

export function unary(operator: '-' | '+' | '~', value: Value): Value {
	if (!isNumber(value)) throw new PythonError('TypeError', `'${operator}' needs a number, not ${typeName(value)}`)
	const number = asNumber(value)
	if (operator === '+') return number
	if (operator === '-') return -number
	if (typeof number !== 'bigint') throw new PythonError('TypeError', "'~' needs an integer")
	return ~number
}

/** The place of an element, negative ones from the end; undefined when it is outside. */
export function position(index: Value, length: number): number | undefined {
	if (typeof index !== 'bigint' && typeof index !== 'boolean') {
		throw new PythonError('TypeError', `an index must be an integer, not ${typeName(index)}`)
	}
	const at = Number(index) < 0 ? Number(index) + length : Number(index)
	return at >= 0 && at < length ? at : undefined
}

export function elementOf(object: Value, index: Value): Value {
	if (object instanceof Dict) {
		const found = object.get(index)
		if (found === undefined)
			throw new PythonError('KeyError', `${typeof index === 'string' ? `'${index}'` : index} is not in the dictionary`)
		return found
	}
	if (typeof object !== 'string' && !isSequence(object)) throw new PythonError('TypeError', `a ${typeName(object)} has no elements`)
	const items = typeof object === 'string' ? object : object.items
	const at = position(index, items.length)
	if (at === undefined) throw new PythonError('IndexError', `the index ${index} is outside: there are ${items.length} elements`)
	return items[at]!
}

export function sliceOf(object: Value, bounds: readonly (Value | undefined)[]): Value {
	if (typeof object !== 'string' && !isSequence(object)) throw new PythonError('TypeError', `a ${typeName(object)} has no elements`)
	const items: ArrayLike<Value> & Iterable<Value> = typeof object === 'string' ? object : object.items
	const [start, stop, by] = bounds.map((bound) => {
		if (bound === undefined || bound === null) return undefined
		if (typeof bound !== 'bigint') throw new PythonError('TypeError', `the bounds of a slice must be integers, not ${typeName(bound)}`)
		return Number(bound)
	})
	const step = by ?? 1
	if (step === 0) throw new PythonError('ValueError', 'the step of a slice cannot be 0')
	const { length } = items
	const clamp = (bound: number | undefined, fallback: number) => {
		if (bound === undefined) return fallback
		const at = bound < 0 ? bound + length : bound
		return step > 0 ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1)
	}
	const picked: Value[] = []
	const from = clamp(start, step > 0 ? 0 : length - 1)
	const to = clamp(stop, step > 0 ? length : -1)
	for (let n = from; step > 0 ? n < to : n > to; n += step) picked.push(items[n]!)
	if (typeof object === 'string') return picked.join('')
	return object instanceof List ? new List(picked) : new Tuple(picked)
}
