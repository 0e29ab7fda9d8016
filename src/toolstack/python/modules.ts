import { callValue } from './builtins.ts'
import { PythonError } from './errors.ts'
import type { ConfigHost } from './host.ts'
import type { Limits } from './limits.ts'
import { methodOf } from './methods.ts'
import { Callable, Dict, type Keywords, List, Namespace, repr, Slots, Tuple, typeName, type Value } from './values.ts'

type Builtin = (args: readonly Value[], keywords: Keywords) => Value

/** Text that a regular expression is tried on, and its own, at most. */
const MAX_REGULAR = 4096

const functions = (table: Readonly<Record<string, Builtin>>): [string, Value][] =>
	Object.entries(table).map(([name, call]) => [name, new Callable(name, call)])
const text = (value: Value | undefined, what: string): string => {
	if (typeof value !== 'string') throw new PythonError('TypeError', `${what} needs a string, not ${typeName(value ?? null)}`)
	return value
}

/** The modules that a file may import, by name. */
export function modules(host: ConfigHost, limits: Limits): Map<string, Namespace> {
	const path = new Namespace('os.path', pathModule(host))
	const found = [
		new Namespace('os', osModule(host, path)),
		path,
		new Namespace('re', reModule()),
		new Namespace('string', stringModule(limits)),
	]
	found.push(
		new Namespace('sys', [
			['platform', host.uname[0]!.toLowerCase()],
			['argv', new List(['xm'])],
			['version', '2'],
		]),
	)
	found.push(new Namespace('math', mathModule()))
	return new Map(found.map((module) => [module.name, module]))
}

function osModule(host: ConfigHost, path: Namespace): [string, Value][] {
	const environment = Dict.of(Object.entries(host.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
	return [
		['path', path],
		['environ', environment],
		['sep', '/'],
		['name', 'posix'],
		...functions({
			getenv: ([name, fallback = null]) => environment.get(text(name, 'os.getenv()')) ?? fallback,
			uname: () => new Tuple([...host.uname]),
			getcwd: () => host.cwd,
		}),
	]
}

function normalise(path: string): string {
	const absolute = path.startsWith('/')
	const parts: string[] = []
	for (const part of path.split('/')) {
		if (part === '' || part === '.') continue
		if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
		else if (part !== '..' || !absolute) parts.push(part)
	}
	return (absolute ? '/' : '') + parts.join('/') || '.'
}

function join(parts: readonly string[]): string {
	return parts.reduce((path, part) => (part.startsWith('/') ? part : path === '' || path.endsWith('/') ? path + part : `${path}/${part}`))
}

function splitPath(path: string): [string, string] {
	const at = path.lastIndexOf('/') + 1
	const head = path.slice(0, at)
	return [/^\/*$/.test(head) ? head : head.replace(/\/+$/, ''), path.slice(at)]
}

function splitExtension(path: string): [string, string] {
	const [, name] = splitPath(path)
	const dot = name.lastIndexOf('.')
	if (dot <= 0 || /^\.+$/.test(name.slice(0, dot + 1))) return [path, '']
	const extension = name.slice(dot)
	return [path.slice(0, path.length - extension.length), extension]
}

function pathModule(host: ConfigHost): [string, Value][] {
	const absolute = (path: string) => normalise(join([host.cwd, path]))
	const kind = (value: Value | undefined, name: string) => host.pathKind(absolute(text(value, name)))
	return [
		['sep', '/'],
		...functions({
			join: (args) => join(args.map((arg) => text(arg, 'os.path.join()'))),
			exists: ([path]) => kind(path, 'os.path.exists()') !== undefined,
			isfile: ([path]) => kind(path, 'os.path.isfile()') === 'file',
			isdir: ([path]) => kind(path, 'os.path.isdir()') === 'directory',
			isabs: ([path]) => text(path, 'os.path.isabs()').startsWith('/'),
			basename: ([path]) => splitPath(text(path, 'os.path.basename()'))[1],
			dirname: ([path]) => splitPath(text(path, 'os.path.dirname()'))[0],
			split: ([path]) => new Tuple(splitPath(text(path, 'os.path.split()'))),
			splitext: ([path]) => new Tuple(splitExtension(text(path, 'os.path.splitext()'))),
			abspath: ([path]) => absolute(text(path, 'os.path.abspath()')),
			realpath: ([path]) => absolute(text(path, 'os.path.realpath()')),
			normpath: ([path]) => normalise(text(path, 'os.path.normpath()')),
			expanduser: ([path]) => text(path, 'os.path.expanduser()').replace(/^~(?=\/|$)/, host.env.HOME ?? '~'),
			expandvars: ([path]) =>
				text(path, 'os.path.expandvars()').replace(/\$(?:(\w+)|\{(\w+)\})/g, (whole, a, b) => host.env[a ?? b] ?? whole),
		}),
	]
}

/** Python's expressions are JavaScript's for what configuration files do, but for the spelling of named groups and ends. */
function regular(pattern: Value | undefined, flags: Value | undefined, extra = ''): RegExp {
	const source = text(pattern, 're')
	if (source.length > MAX_REGULAR) throw new PythonError('ValueError', `a regular expression of ${source.length} characters is too long`)
	const translated = source
		.replace(/\(\?P</g, '(?<')
		.replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
		.replace(/\\A/g, '^')
		.replace(/\\Z/g, '$')
	try {
		return new RegExp(translated, `${extra}${typeof flags === 'bigint' && flags & 2n ? 'i' : ''}`)
	} catch {
		throw new PythonError('ValueError', `${repr(source)} is not a regular expression`)
	}
}

function subject(value: Value | undefined): string {
	const found = text(value, 're')
	if (found.length > MAX_REGULAR) throw new PythonError('ValueError', `a regular expression is tried on at most ${MAX_REGULAR} characters`)
	return found
}

function matchObject(match: RegExpExecArray | null): Value {
	if (match === null) return null
	const group = (key: Value = 0n) => {
		const found = typeof key === 'string' ? match.groups?.[key] : match[Number(key)]
		if (found === undefined && (typeof key === 'string' ? !(key in (match.groups ?? {})) : Number(key) >= match.length)) {
			throw new PythonError('IndexError', 'there is no such group')
		}
		return found ?? null
	}
	return new Slots('match', {
		group: new Callable('group', (args) => (args.length > 1 ? new Tuple(args.map(group)) : group(args[0]))),
		groups: new Callable('groups', () => new Tuple(match.slice(1).map((part) => part ?? null))),
		start: new Callable('start', () => BigInt(match.index)),
		end: new Callable('end', () => BigInt(match.index + match[0].length)),
	})
}

function replacement(to: Value | undefined): (match: RegExpExecArray) => string {
	if (to instanceof Callable) return (match) => text(callValue(to, [matchObject(match)]), 'the replacement')
	const pattern = text(to, 're.sub()')
	return (match) =>
		pattern.replace(/\\(?:(\d+)|g<(\w+)>|(n)|(.))/gs, (_, number, name, newline, other) => {
			if (newline !== undefined) return '\n'
			if (other !== undefined) return other
			return (number !== undefined ? match[Number(number)] : /^\d+$/.test(name) ? match[Number(name)] : match.groups?.[name]) ?? ''
		})
}

function reModule(): [string, Value][] {
	return [
		['I', 2n],
		['IGNORECASE', 2n],
		...functions({
			search: ([pattern, where, flags]) => matchObject(regular(pattern, flags).exec(subject(where))),
			match: ([pattern, where, flags]) => matchObject(regular(pattern, flags, 'y').exec(subject(where))),
			findall: ([pattern, where, flags]) =>
				new List(
					[...subject(where).matchAll(regular(pattern, flags, 'g'))].map((match) =>
						match.length > 2 ? new Tuple(match.slice(1).map((part) => part ?? '')) : (match.at(-1) ?? ''),
					),
				),
			sub: ([pattern, to, where, most = 0n]) => {
				const replace = replacement(to)
				let left = most === 0n ? Number.POSITIVE_INFINITY : Number(most)
				const source = subject(where)
				let result = ''
				let from = 0
				for (const match of source.matchAll(regular(pattern, undefined, 'g'))) {
					if (left-- <= 0) break
					result += source.slice(from, match.index) + replace(match)
					from = match.index + match[0].length
				}
				return result + source.slice(from)
			},
			split: ([pattern, where]) =>
				new List(
					subject(where)
						.split(regular(pattern, undefined))
						.map((part) => part ?? null),
				),
			escape: ([value]) => text(value, 're.escape()').replace(/[^A-Za-z0-9_]/g, '\\$&'),
		}),
	]
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz'

/** Python 2's: the methods of strings as functions. */
function stringModule(limits: Limits): [string, Value][] {
	const upper = LOWER.toUpperCase()
	const method =
		(name: string): Builtin =>
		([self, ...args]) =>
			callValue(methodOf(text(self, `string.${name}()`), name, limits)!, args)
	const names = 'split replace strip lstrip rstrip upper lower capitalize find rfind index count zfill ljust rjust center'.split(' ')
	return [
		['letters', LOWER + upper],
		['ascii_letters', LOWER + upper],
		['lowercase', LOWER],
		['ascii_lowercase', LOWER],
		['uppercase', upper],
		['ascii_uppercase', upper],
		['digits', '0123456789'],
		['hexdigits', '0123456789abcdefABCDEF'],
		...functions({
			...Object.fromEntries(names.map((name) => [name, method(name)])),
			join: ([items = null, separator = ' ']) => callValue(methodOf(text(separator, 'string.join()'), 'join', limits)!, [items]),
			atoi: ([value]) => {
				if (!/^\s*[-+]?\d+\s*$/.test(text(value, 'string.atoi()'))) throw new PythonError('ValueError', `${repr(value!)} is not an integer`)
				return BigInt((value as string).trim())
			},
		}),
	]
}

function mathModule(): [string, Value][] {
	const number = (value: Value | undefined) => Number(typeof value === 'bigint' || typeof value === 'number' ? value : Number.NaN)
	const whole = (value: number) => {
		if (!Number.isFinite(value)) throw new PythonError('ValueError', 'a number is needed')
		return BigInt(value)
	}
	return [
		['pi', Math.PI],
		...functions({
			floor: ([value]) => whole(Math.floor(number(value))),
			ceil: ([value]) => whole(Math.ceil(number(value))),
			sqrt: ([value]) => Math.sqrt(number(value)),
			log: ([value]) => Math.log(number(value)),
		}),
	]
}
