import { PythonError } from './errors.ts'
import { asNumber, Dict, floatText, isNumber, repr, Tuple, toText, typeName, type Value } from './values.ts'

const CONVERSION = /%(?:\((?<key>[^)]*)\))?(?<flags>[-+ #0]*)(?<width>\*|\d+)?(?:\.(?<precision>\*|\d+))?[hlL]?(?<type>.|$)/gs
/** Of a conversion: what a width or precision may be. */
const MAX_WIDTH = 4096

/** `text % value`, as Python's "printf-style String Formatting" has it. */
export function percentFormat(text: string, value: Value): string {
	const values = value instanceof Tuple ? [...value.items] : [value]
	let used = 0
	const next = (): Value => {
		if (used >= values.length) throw new PythonError('TypeError', 'there are more % conversions than values')
		return values[used++]!
	}
	const number = (found: string | undefined): number | undefined => {
		if (found === undefined) return undefined
		const size = found === '*' ? Number(integer(next(), '*')) : Number(found)
		if (Math.abs(size) > MAX_WIDTH) throw new PythonError('ValueError', `a width of ${size} is not allowed: at most ${MAX_WIDTH}`)
		return size
	}
	let keyed = false
	const result = text.replace(CONVERSION, (...match) => {
		const { key, flags, width, precision, type } = match.at(-1) as Record<string, string | undefined>
		if (type === '%') return '%'
		const total = number(width) ?? 0
		const digits = number(precision)
		let item: Value
		if (key === undefined) item = next()
		else {
			keyed = true
			if (!(value instanceof Dict)) throw new PythonError('TypeError', '%(name) needs a dictionary after %')
			const found = value.get(key)
			if (found === undefined) throw new PythonError('KeyError', repr(key))
			item = found
		}
		return pad(convert(type!, item, flags!, digits), total, flags!, type!)
	})
	if (!keyed && used < values.length && !(value instanceof Dict)) {
		throw new PythonError('TypeError', 'there are more values than % conversions')
	}
	return result
}

function integer(value: Value, type: string): bigint {
	if (isNumber(value)) {
		const found = asNumber(value)
		if (typeof found === 'bigint') return found
		if (Number.isFinite(found)) return BigInt(Math.trunc(found))
	}
	throw new PythonError('TypeError', `%${type} needs a number, not ${typeName(value)}`)
}

function double(value: Value, type: string): number {
	if (isNumber(value)) return Number(asNumber(value))
	throw new PythonError('TypeError', `%${type} needs a number, not ${typeName(value)}`)
}

function convert(type: string, item: Value, flags: string, precision: number | undefined): string {
	const signed = (text: string) =>
		text.startsWith('-') ? text : flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text
	const digits = (found: bigint, radix: number, prefix = '') => {
		const text = (found < 0n ? -found : found).toString(radix).padStart(precision ?? 0, '0')
		return signed(`${found < 0n ? '-' : ''}${flags.includes('#') ? prefix : ''}${text}`)
	}
	switch (type) {
		case 's':
			return toText(item).slice(0, precision)
		case 'r':
			return repr(item).slice(0, precision)
		case 'c':
			if (typeof item === 'string' && item.length === 1) return item
			return String.fromCodePoint(Number(integer(item, type)) & 0xffff)
		case 'd':
		case 'i':
		case 'u':
			return digits(integer(item, type), 10)
		case 'x':
			return digits(integer(item, type), 16, '0x')
		case 'X':
			return digits(integer(item, type), 16, '0X').toUpperCase()
		case 'o':
			return digits(integer(item, type), 8, '0o')
		case 'f':
		case 'F':
			return signed(fixed(double(item, type), precision ?? 6))
		case 'e':
		case 'E': {
			const text = exponent(double(item, type), precision ?? 6)
			return signed(type === 'E' ? text.toUpperCase() : text)
		}
		case 'g':
		case 'G': {
			const text = general(double(item, type), precision ?? 6)
			return signed(type === 'G' ? text.toUpperCase() : text)
		}
		case '':
			throw new PythonError('ValueError', 'the text ends inside a % conversion: a percent sign is written %%')
		default:
			throw new PythonError('ValueError', `%${type} is no conversion: allowed are %s %r %d %i %u %x %X %o %c %e %f %g and %%`)
	}
}

function pad(text: string, width: number, flags: string, type: string): string {
	if (flags.includes('-') || width < 0) return text.padEnd(Math.abs(width))
	if (!flags.includes('0') || 'src'.includes(type)) return text.padStart(width)
	const [, sign, rest] = /^([-+ ]?(?:0[xXo])?)(.*)$/s.exec(text)!
	return sign + rest!.padStart(width - sign!.length, '0')
}

const finite = (value: number) => (Number.isFinite(value) ? undefined : floatText(value))

function fixed(value: number, precision: number): string {
	const special = finite(value)
	if (special !== undefined) return special
	if (Math.abs(value) >= 1e21) return `${BigInt(value)}${precision > 0 ? `.${'0'.repeat(precision)}` : ''}`
	const places = Math.min(precision, 100)
	// Exactly between two: Python takes the even one, toFixed() the one further from zero.
	const scaled = value * 10 ** places
	if (places <= 20 && Number.isInteger(value * 2 ** (places + 1)) && Math.abs(scaled % 1) === 0.5) {
		const even = 2 * Math.round(scaled / 2)
		return (even / 10 ** places).toFixed(places)
	}
	return value.toFixed(places)
}
const exponent = (value: number, precision: number) =>
	finite(value) ?? value.toExponential(Math.min(precision, 100)).replace(/e([+-])(\d)$/, 'e$10$2')

function general(value: number, precision: number): string {
	const special = finite(value)
	if (special !== undefined) return special
	const significant = Math.max(precision, 1)
	const power = value === 0 ? 0 : Number(value.toExponential(significant - 1).split('e')[1])
	if (power < -4 || power >= significant) {
		return exponent(value, significant - 1).replace(/\.?0+e/, 'e')
	}
	const text = value.toFixed(Math.min(Math.max(significant - 1 - power, 0), 100))
	return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

const FIELD = /\{\{|\}\}|\{(?<name>[^{}:!]*)(?:!(?<conversion>[rs]))?(?::(?<spec>[^{}]*))?\}|[{}]/g
const SPEC =
	/^(?:(?<fill>.)?(?<align>[<>^=]))?(?<sign>[-+ ]?)(?<alternate>#?)(?<zero>0?)(?<width>\d*)(?:\.(?<precision>\d+))?(?<type>[sdxXofFeEgG]?)$/

/** str.format() with names and numbers as fields; no attributes or elements of them. */
export function braceFormat(text: string, args: readonly Value[], keywords: ReadonlyMap<string, Value>): string {
	let automatic = 0
	return text.replace(FIELD, (...match) => {
		const whole = match[0] as string
		if (whole === '{{' || whole === '}}') return whole[0]!
		const { name, conversion, spec } = match.at(-1) as Record<string, string | undefined>
		if (name === undefined) throw new PythonError('ValueError', `a single '${whole}' in a format: write '${whole}${whole}'`)
		if (!/^\w*$/.test(name)) throw new PythonError('ValueError', `'{${name}}' is not allowed: a field is a name, a number or nothing`)
		const item = /^\d*$/.test(name) ? args[name === '' ? automatic++ : Number(name)] : keywords.get(name)
		if (item === undefined) throw new PythonError(/^\d*$/.test(name) ? 'IndexError' : 'KeyError', `nothing is given for '{${name}}'`)
		return braceField(conversion === 'r' ? repr(item) : conversion === 's' ? toText(item) : item, spec ?? '')
	})
}

function braceField(item: Value, spec: string): string {
	if (spec === '') return toText(item)
	const found = SPEC.exec(spec)?.groups
	if (found === undefined) throw new PythonError('ValueError', `'${spec}' is not understood in a format`)
	const { fill, align, sign, alternate, zero, width, precision, type } = found as Record<string, string>
	const size = Number(width ?? 0)
	if (size > MAX_WIDTH) throw new PythonError('ValueError', `a width of ${size} is not allowed: at most ${MAX_WIDTH}`)
	const numeric = isNumber(item)
	const conversion = type || (numeric ? (typeof asNumber(item) === 'number' ? (precision ? 'g' : 's') : 'd') : 's')
	const text = convert(conversion, item, `${sign}${alternate}`, precision === undefined ? undefined : Number(precision))
	const filler = fill ?? (zero ? '0' : ' ')
	const side = align ?? (zero && numeric ? '=' : numeric ? '>' : '<')
	if (side === '<') return text.padEnd(size, filler)
	if (side === '>') return text.padStart(size, filler)
	if (side === '=') {
		const [, head, rest] = /^([-+ ]?)(.*)$/s.exec(text)!
		return head + rest!.padStart(size - head!.length, filler)
	}
	const left = Math.max(0, (size - text.length) >> 1)
	return text.padStart(text.length + left, filler).padEnd(size, filler)
}
