import { ALLOWED, type Position, SyntaxFault } from './errors.ts'
import type { Token } from './lexer.ts'

/** Expressions and blocks inside each other at most. */
const MAX_DEPTH = 48
/** Words of the language, which name nothing. */
export const NOT_NAMES = new Set(
	'and as assert break class continue def del elif else except exec finally for from global if import in is lambda nonlocal not or pass raise return try while with yield async await'.split(
		' ',
	),
)
/** Words that stand for values. */
export const CONSTANTS = new Map<string, boolean | null>([
	['True', true],
	['False', false],
	['None', null],
])

/** Where a parser is in a file's tokens, and what it says when they are not what it needs. */
export class TokenReader {
	private readonly tokens: readonly Token[]
	protected next = 0
	private depth = 0

	constructor(tokens: readonly Token[]) {
		this.tokens = tokens
	}

	protected get token(): Token {
		return this.tokens[this.next]!
	}

	protected position(): Position {
		const { line, column } = this.token
		return { line, column }
	}

	/** Whether the next token is this operator or word. */
	protected is(text: string): boolean {
		const { kind, text: found } = this.token
		return found === text && (kind === 'operator' || kind === 'name')
	}

	protected isAfter(text: string): boolean {
		const after = this.tokens[this.next + 1]
		return after?.text === text && (after.kind === 'operator' || after.kind === 'name')
	}

	protected take(text: string): boolean {
		if (!this.is(text)) return false
		this.next++
		return true
	}

	protected takeKind(kind: Token['kind']): boolean {
		if (this.token.kind !== kind) return false
		this.next++
		return true
	}

	protected expect(text: string): void {
		if (!this.take(text)) this.fail(`${this.here()} stands where '${text}' was expected`)
	}

	protected name(what: string): string {
		const { kind, text } = this.token
		if (kind !== 'name' || NOT_NAMES.has(text) || CONSTANTS.has(text)) this.fail(`${this.here()} stands where ${what} was expected`)
		this.next++
		return text
	}

	protected dotted(what: string): string {
		let name = this.name(what)
		while (this.take('.')) name += `.${this.name(what)}`
		return name
	}

	protected atEnd(): boolean {
		return this.token.kind === 'newline' || this.token.kind === 'end' || this.is(';')
	}

	protected deeper<T>(parse: () => T): T {
		if (++this.depth > MAX_DEPTH) this.fail(`this is nested deeper than ${MAX_DEPTH}`)
		const result = parse()
		this.depth--
		return result
	}

	protected here(): string {
		const { kind, text } = this.token
		if (kind === 'end') return 'the end of the file'
		if (kind === 'newline') return 'the end of the line'
		if (kind === 'indent' || kind === 'dedent') return 'a change of indentation'
		return kind === 'string' ? 'a string' : `'${text}'`
	}

	protected refuse(what: string): never {
		this.fail(`${what} is not allowed: ${ALLOWED}`)
	}

	protected fail(message: string): never {
		throw new SyntaxFault(message, this.position())
	}
}
