import { UserError } from '../base/errors.ts'

/** What a configuration file can say: Python's strings, numbers, True/False, None, and lists (or tuples) of them. */
export type ConfigValue = string | number | boolean | null | ConfigValue[]

export interface Assignment {
	readonly value: ConfigValue
	/** Where the value stands, counted from 1. */
	readonly line: number
	readonly column: number
}

/** A configuration file's fault: `file:line:column: what is wrong and what is allowed`. */
export class ConfigError extends UserError {
	readonly line: number
	readonly column: number

	constructor(file: string, line: number, column: number, message: string) {
		super(`${file}:${line}:${column}: ${message}`, { code: 'config' })
		this.name = 'ConfigError'
		this.line = line
		this.column = column
	}
}

/**
 * Reads a domain configuration file: Python's assignment statements with literal values. The last assignment to a name wins.
 * `file` only names it in errors. Throws ConfigError.
 */
export function parseConfig(text: string, file: string): Map<string, Assignment> {
	return new Parser(text, file).file()
}

const STATEMENTS =
	'a configuration file holds `name = value` lines, where a value is a string, a number, True, False, None, or a list of these'
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', '\\': '\\', "'": "'", '"': '"' }
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /0[xX][0-9a-fA-F]+|0[oO]?[0-7]+(?![0-9.])|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const STRING_START = /([bBuUrR]{0,2})('''|"""|'|")/y
const MAX_DEPTH = 32

class Parser {
	private readonly text: string
	private readonly file_: string
	private at = 0

	constructor(text: string, file: string) {
		this.text = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n')
		this.file_ = file
	}

	file(): Map<string, Assignment> {
		const assignments = new Map<string, Assignment>()
		for (;;) {
			this.skipBlank(true)
			if (this.at >= this.text.length) return assignments
			if (this.take(';')) continue
			const lineStart = this.text.lastIndexOf('\n', this.at - 1) + 1
			if (/^[ \t]+$/.test(this.text.slice(lineStart, this.at))) this.fail('unexpected indentation: every assignment starts its line')
			const name = this.match(NAME)
			if (name === undefined) this.fail(`${this.here()} is not understood here: ${STATEMENTS}`)
			this.skipBlank(false)
			if (!this.take('=') || this.text[this.at] === '=') this.fail(`'${name}' is not followed by '=': ${STATEMENTS}`)
			this.skipBlank(false)
			const start = this.at
			const value = this.value(0)
			this.skipBlank(false)
			const next = this.text[this.at]
			if (next !== undefined && next !== '\n' && next !== ';') {
				this.fail(`${this.here()} is not understood after the value of '${name}': expressions are not supported yet; ${STATEMENTS}`)
			}
			assignments.set(name, { value, ...this.position(start) })
		}
	}

	private value(depth: number): ConfigValue {
		if (depth > MAX_DEPTH) this.fail(`lists are nested deeper than ${MAX_DEPTH}`)
		const c = this.text[this.at]
		if (c === '[' || c === '(') return this.list(c === '[' ? ']' : ')', depth)
		const strings = this.strings(depth > 0)
		if (strings !== undefined) return strings
		const negative = this.take('-')
		const number = this.match(NUMBER)
		if (number !== undefined) return (negative ? -1 : 1) * toNumber(number)
		const start = this.at
		const word = negative ? undefined : this.match(NAME)
		if (word === 'True') return true
		if (word === 'False') return false
		if (word === 'None') return null
		this.at = start
		if (word !== undefined) this.fail(`'${word}' is not a value: strings are quoted, as in '${word}'`)
		this.fail(`${this.here()} is not a value: a value is a string, a number, True, False, None, or a list of these`)
	}

	/** A list, or a tuple in parentheses; `(x)` is x, as in Python. */
	private list(close: string, depth: number): ConfigValue {
		const open = this.at
		const items: ConfigValue[] = []
		let comma = false
		this.at++
		for (;;) {
			this.skipBlank(true)
			if (this.at >= this.text.length) this.fail(`this '${this.text[open]}' has no matching '${close}'`, open)
			if (this.take(close)) return close === ')' && items.length === 1 && !comma ? (items[0] as ConfigValue) : items
			if (items.length > 0 && !comma) this.fail(`${this.here()} stands where ',' or '${close}' was expected`)
			items.push(this.value(depth + 1))
			this.skipBlank(true)
			comma = this.take(',')
		}
	}

	/** One or more adjacent string literals, joined. */
	private strings(inBrackets: boolean): string | undefined {
		let value: string | undefined
		for (;;) {
			const resume = this.at
			this.skipBlank(inBrackets && value !== undefined)
			STRING_START.lastIndex = this.at
			const start = STRING_START.exec(this.text)
			if (start === null) {
				this.at = resume
				return value
			}
			this.at = STRING_START.lastIndex
			value = (value ?? '') + this.stringBody(start[2] as string, /[rR]/.test(start[1] as string), start.index)
		}
	}

	private stringBody(quote: string, raw: boolean, start: number): string {
		let value = ''
		for (;;) {
			const c = this.text[this.at]
			if (c === undefined || (c === '\n' && quote.length === 1)) this.fail(`this string is not closed with ${quote}`, start)
			if (this.take(quote)) return value
			this.at++
			if (c !== '\\') value += c
			else if (raw) value += `\\${this.text[this.at++] ?? ''}`
			else value += this.escape()
		}
	}

	private escape(): string {
		const code = this.match(/x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})/y)
		if (code !== undefined) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
		const octal = this.match(/[0-7]{1,3}/y)
		if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
		const c = this.text[this.at++] ?? ''
		return c === '\n' ? '' : (ESCAPES[c] ?? `\\${c}`)
	}

	/** Skips spaces, comments and joined lines; new lines as well where they mean nothing. */
	private skipBlank(newLines: boolean): void {
		const blank = newLines ? /(?:\s|\\\n|#[^\n]*)*/y : /(?:[ \t\f]|\\\n|#[^\n]*)*/y
		this.match(blank)
	}

	private match(pattern: RegExp): string | undefined {
		pattern.lastIndex = this.at
		const found = pattern.exec(this.text)
		if (found === null) return undefined
		this.at = pattern.lastIndex
		return found[0]
	}

	private take(what: string): boolean {
		if (!this.text.startsWith(what, this.at)) return false
		this.at += what.length
		return true
	}

	private here(): string {
		if (this.at >= this.text.length) return 'the end of the file'
		const rest = this.text.slice(this.at, this.at + 40)
		return rest.startsWith('\n') ? 'the end of the line' : `'${/^(?:\w+|.)/s.exec(rest)?.[0]}'`
	}

	private position(at: number): { line: number; column: number } {
		const before = this.text.slice(0, at)
		return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') }
	}

	private fail(message: string, at = this.at): never {
		const { line, column } = this.position(Math.min(at, this.text.length))
		throw new ConfigError(this.file_, line, column, message)
	}
}

function toNumber(text: string): number {
	if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8)
	return Number(text)
}
