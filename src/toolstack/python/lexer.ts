import { type Position, SyntaxFault } from './errors.ts'

export type Token = Position & {
	readonly kind: 'name' | 'number' | 'string' | 'operator' | 'newline' | 'indent' | 'dedent' | 'end'
	/** As written; of a string its value. */
	readonly text: string
	/** Of a number: a bigint for an integer. */
	readonly value?: bigint | number
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[lLjJ]?/y
const STRING = /([bBuUrRfF]{0,2})('''|"""|'|")/y
const OPERATOR = /\*\*=|\/\/=|<<=|>>=|<>|\*\*|\/\/|<<|>>|[<>=!]=|[-+*/%&|^]=|[-+*/%&|^~<>=()[\]{},:.;@`]/y
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', '\\': '\\', "'": "'", '"': '"' }
const TAB = 8

/** Splits a file into tokens, with Python's rules of indentation and line joining. Throws SyntaxFault. */
export function tokenize(text: string): Token[] {
	return new Lexer(text).run()
}

class Lexer {
	private readonly text: string
	private readonly tokens: Token[] = []
	private readonly lineStarts = [0]
	private readonly indents = [0]
	/** Open brackets: inside them line ends mean nothing. */
	private readonly brackets: { readonly open: string; readonly at: number }[] = []
	private at = 0

	constructor(text: string) {
		this.text = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n')
		for (let n = 0; n < this.text.length; n++) if (this.text[n] === '\n') this.lineStarts.push(n + 1)
	}

	run(): Token[] {
		this.startLine()
		while (this.at < this.text.length) this.next()
		const bracket = this.brackets.at(-1)
		if (bracket !== undefined) this.fail(`this '${bracket.open}' has no matching '${CLOSING[bracket.open]}'`, bracket.at)
		this.endLine()
		while (this.indents.length > 1) {
			this.indents.pop()
			this.push('dedent', '')
		}
		this.push('end', '')
		return this.tokens
	}

	private next(): void {
		const { text } = this
		if (/[ \t\f]/.test(text[this.at]!)) {
			this.at++
			return
		}
		if (text[this.at] === '#') {
			while (this.at < text.length && text[this.at] !== '\n') this.at++
			return
		}
		if (text.startsWith('\\\n', this.at)) {
			this.at += 2
			return
		}
		if (text[this.at] === '\n') {
			if (this.brackets.length === 0) this.endLine()
			this.at++
			if (this.brackets.length === 0) this.startLine()
			return
		}
		this.token()
	}

	private token(): void {
		const start = this.at
		const string = this.match(STRING)
		if (string !== undefined) return this.string(string[1]!.toLowerCase(), string[2]!, start)
		const name = this.match(NAME)
		if (name !== undefined) return this.push('name', name[0], start)
		const number = this.match(NUMBER)
		if (number !== undefined) return this.number(number[0], start)
		const operator = this.match(OPERATOR)?.[0]
		if (operator === undefined) this.fail(`${JSON.stringify(this.text[this.at])} is not understood here`)
		if (CLOSING[operator] !== undefined) this.brackets.push({ open: operator, at: start })
		if (operator === ')' || operator === ']' || operator === '}') {
			const open = this.brackets.pop()
			if (open === undefined || CLOSING[open.open] !== operator) this.fail(`'${operator}' closes nothing that was opened`, start)
		}
		this.push('operator', operator, start)
	}

	/** Compares the line's indentation with those around it. Blank lines and lines with a comment alone do not count. */
	private startLine(): void {
		const start = this.at
		let width = 0
		for (; this.at < this.text.length; this.at++) {
			const c = this.text[this.at]
			if (c === ' ') width++
			else if (c === '\t') width += TAB - (width % TAB)
			else if (c === '\f') width = 0
			else break
		}
		const c = this.text[this.at]
		if (c === undefined || c === '\n' || c === '#') return
		const before = this.indents.at(-1)!
		if (width > before) {
			this.indents.push(width)
			this.push('indent', '', start)
		}
		while (width < this.indents.at(-1)!) {
			this.indents.pop()
			this.push('dedent', '', start)
		}
		if (width !== this.indents.at(-1)) this.fail('this indentation matches no line above')
	}

	private endLine(): void {
		const last = this.tokens.at(-1)
		if (last !== undefined && last.kind !== 'newline' && last.kind !== 'indent' && last.kind !== 'dedent') this.push('newline', '')
	}

	private number(text: string, start: number): void {
		if (/[jJ]$/.test(text)) this.fail('complex numbers are not allowed', start)
		const digits = text.replace(/[lL]$/, '')
		if (/^[A-Za-z0-9_]/.test(this.text[this.at] ?? '')) this.fail(`'${digits}${this.text[this.at]}' is not a number`, start)
		if (/^0[xXoObB]/.test(digits)) return this.push('number', text, start, BigInt(digits))
		if (!/^\d+$/.test(digits)) return this.push('number', text, start, Number(digits))
		// Python 2's octal.
		if (/^0[0-9]/.test(digits) && !/^0+$/.test(digits)) {
			if (/[89]/.test(digits)) this.fail(`'${digits}' is not a number: a leading 0 makes it octal`, start)
			return this.push('number', text, start, BigInt(`0o${digits.slice(1)}`))
		}
		this.push('number', text, start, BigInt(digits))
	}

	private string(prefix: string, quote: string, start: number): void {
		if (prefix.includes('f')) this.fail("f-strings are not allowed: use 'text %s' % value", start)
		const raw = prefix.includes('r')
		const parts: string[] = []
		for (;;) {
			const c = this.text[this.at]
			if (c === undefined || (c === '\n' && quote.length === 1)) this.fail(`this string is not closed with ${quote}`, start)
			if (this.text.startsWith(quote, this.at)) break
			this.at++
			if (c !== '\\') parts.push(c)
			else if (raw) parts.push(`\\${this.text[this.at++] ?? ''}`)
			else parts.push(this.escape())
		}
		this.at += quote.length
		this.push('string', parts.join(''), start)
	}

	private escape(): string {
		const code = this.match(/x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})/y)
		if (code !== undefined) return String.fromCharCode(Number.parseInt(code[0].slice(1), 16))
		const octal = this.match(/[0-7]{1,3}/y)
		if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal[0], 8))
		const c = this.text[this.at++] ?? ''
		return c === '\n' ? '' : (ESCAPES[c] ?? `\\${c}`)
	}

	private match(pattern: RegExp): RegExpExecArray | undefined {
		pattern.lastIndex = this.at
		const found = pattern.exec(this.text)
		if (found === null) return undefined
		this.at = pattern.lastIndex
		return found
	}

	private push(kind: Token['kind'], text: string, at = this.at, value?: bigint | number): void {
		this.tokens.push({ kind, text, ...this.position(at), ...(value === undefined ? {} : { value }) })
	}

	private position(at: number): Position {
		let low = 0
		let high = this.lineStarts.length - 1
		while (low < high) {
			const middle = (low + high + 1) >> 1
			if (this.lineStarts[middle]! <= at) low = middle
			else high = middle - 1
		}
		return { line: low + 1, column: at - this.lineStarts[low]! + 1 }
	}

	private fail(message: string, at = this.at): never {
		throw new SyntaxFault(message, this.position(Math.min(at, this.text.length)))
	}
}

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }
