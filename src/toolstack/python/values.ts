import { PythonError } from './errors.ts'

/** A Python value: an int is a bigint, a float a number. */
export type Value = bigint | number | string | boolean | null | List | Tuple | Dict | Callable | Namespace | ExceptionValue | Slots

export class List {
	items: Value[]
	constructor(items: Value[]) {
		this.items = items
	}
}

export class Tuple {
	readonly items: readonly Value[]
	constructor(items: readonly Value[]) {
		this.items = items
	}
}

/** In order of insertion. Keys are strings, numbers, booleans, None, and tuples of these. */
export class Dict {
	readonly entries = new Map<string, readonly [key: Value, value: Value]>()

	get(key: Value): Value | undefined {
		return this.entries.get(hashOf(key))?.[1]
	}
	set(key: Value, value: Value): void {
		this.entries.set(hashOf(key), [key, value])
	}
	has(key: Value): boolean {
		return this.entries.has(hashOf(key))
	}
	delete(key: Value): boolean {
		return this.entries.delete(hashOf(key))
	}
	static of(entries: Iterable<readonly [Value, Value]>): Dict {
		const dict = new Dict()
		for (const [key, value] of entries) dict.set(key, value)
		return dict
	}
}

export type Keywords = ReadonlyMap<string, Value>

export class Callable {
	readonly name: string
	readonly call: (args: readonly Value[], keywords: Keywords) => Value
	constructor(name: string, call: (args: readonly Value[], keywords: Keywords) => Value) {
		this.name = name
		this.call = call
	}
}

/** A module. */
export class Namespace {
	readonly name: string
	readonly members: ReadonlyMap<string, Value>
	constructor(name: string, members: Iterable<readonly [string, Value]>) {
		this.name = name
		this.members = new Map(members)
	}
}

/** An exception, and its class when `message` is undefined. */
export class ExceptionValue {
	readonly kind: string
	readonly message: string | undefined
	constructor(kind: string, message?: string) {
		this.kind = kind
		this.message = message
	}
}

/** An object with methods only: what re.match() returns. */
export class Slots {
	readonly name: string
	readonly members: Readonly<Record<string, Value>>
	constructor(name: string, members: Readonly<Record<string, Value>>) {
		this.name = name
		this.members = members
	}
}

export const isSequence = (value: Value): value is List | Tuple => value instanceof List || value instanceof Tuple
export const isNumber = (value: Value): value is bigint | number | boolean =>
	typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
/** A bool is an int in arithmetic. */
export const asNumber = (value: bigint | number | boolean): bigint | number => (typeof value === 'boolean' ? BigInt(value) : value)

export function typeName(value: Value): string {
	if (value === null) return 'NoneType'
	if (typeof value === 'bigint') return 'int'
	if (typeof value === 'number') return 'float'
	if (typeof value === 'string') return 'str'
	if (typeof value === 'boolean') return 'bool'
	if (value instanceof List) return 'list'
	if (value instanceof Tuple) return 'tuple'
	if (value instanceof Dict) return 'dict'
	if (value instanceof Namespace) return 'module'
	if (value instanceof Callable) return 'function'
	return value instanceof Slots ? value.name : value.kind
}

export function truth(value: Value): boolean {
	if (isSequence(value)) return value.items.length > 0
	if (value instanceof Dict) return value.entries.size > 0
	if (typeof value === 'object') return value !== null
	return Boolean(value)
}

export function equal(a: Value, b: Value): boolean {
	if (isNumber(a) && isNumber(b)) {
		const [x, y] = [asNumber(a), asNumber(b)]
		// Loose equality compares a bigint with a double exactly.
		// biome-ignore lint/suspicious/noDoubleEquals: see above
		return x == y
	}
	if ((a instanceof List && b instanceof List) || (a instanceof Tuple && b instanceof Tuple)) {
		return a.items.length === b.items.length && a.items.every((item, n) => equal(item, b.items[n]!))
	}
	if (a instanceof Dict && b instanceof Dict) {
		return a.entries.size === b.entries.size && [...a.entries.values()].every(([key, value]) => b.has(key) && equal(value, b.get(key)!))
	}
	return a === b
}

/** Negative, zero or positive; TypeError when Python has no order for them. */
export function compare(a: Value, b: Value, operator = '<'): number {
	if (isNumber(a) && isNumber(b)) {
		const [x, y] = [asNumber(a), asNumber(b)]
		return x < y ? -1 : x > y ? 1 : equal(x, y) ? 0 : Number.NaN
	}
	if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
	if ((a instanceof List && b instanceof List) || (a instanceof Tuple && b instanceof Tuple)) {
		for (let n = 0; n < a.items.length && n < b.items.length; n++) {
			if (!equal(a.items[n]!, b.items[n]!)) return compare(a.items[n]!, b.items[n]!, operator)
		}
		return a.items.length - b.items.length
	}
	throw new PythonError('TypeError', `'${operator}' cannot compare ${typeName(a)} and ${typeName(b)}`)
}

function hashOf(value: Value): string {
	if (value === null || typeof value === 'string') return `${typeof value}:${value}`
	if (isNumber(value)) return `number:${asNumber(value)}`
	if (value instanceof Tuple) return `tuple:${value.items.map((item) => JSON.stringify(hashOf(item))).join()}`
	throw new PythonError('TypeError', `a ${typeName(value)} cannot be a key of a dictionary`)
}

/** The items that a `for` goes through. */
export function iterate(value: Value): readonly Value[] {
	if (typeof value === 'string') return [...value]
	if (isSequence(value)) return value.items
	if (value instanceof Dict) return [...value.entries.values()].map(([key]) => key)
	throw new PythonError('TypeError', `a ${typeName(value)} cannot be gone through`)
}

/** str() */
export function toText(value: Value): string {
	if (typeof value === 'string') return value
	if (value instanceof ExceptionValue) return value.message ?? value.kind
	return repr(value)
}

/** repr() */
export function repr(value: Value, depth = 0): string {
	if (depth > 40) return '...'
	const each = (items: readonly Value[]) => items.map((item) => repr(item, depth + 1)).join(', ')
	if (value === null) return 'None'
	if (typeof value === 'boolean') return value ? 'True' : 'False'
	if (typeof value === 'bigint') return String(value)
	if (typeof value === 'number') return floatText(value)
	if (typeof value === 'string') return quoted(value)
	if (value instanceof List) return `[${each(value.items)}]`
	if (value instanceof Tuple) return value.items.length === 1 ? `(${each(value.items)},)` : `(${each(value.items)})`
	if (value instanceof Dict) {
		return `{${[...value.entries.values()].map(([key, item]) => `${repr(key, depth + 1)}: ${repr(item, depth + 1)}`).join(', ')}}`
	}
	return `<${typeName(value)}>`
}

function quoted(text: string): string {
	const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
	const escaped = text.replace(/[\\'\p{Cc}]/gu, (c) => {
		if (c === "'" && quote === '"') return c
		const short = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', "'": "\\'" }[c]
		return short ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
	})
	return `${quote}${escaped}${quote}`
}

export function floatText(value: number): string {
	if (Number.isNaN(value)) return 'nan'
	if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
	if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
	const exponent = Math.floor(Math.log10(Math.abs(value)))
	const [digits, power] = value.toExponential().split('e') as [string, string]
	if (exponent < -4 || Number(power) >= 16) {
		const sign = power.startsWith('-') ? '-' : '+'
		return `${digits}e${sign}${power.replace(/^[+-]/, '').padStart(2, '0')}`
	}
	const plain = value.toString()
	return plain.includes('.') ? plain : `${plain}.0`
}
