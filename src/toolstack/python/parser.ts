import { ALLOWED, type Position, SyntaxFault } from './errors.ts'
import { type Token, tokenize } from './lexer.ts'
import type { Clause, Expression, Handler, Keyword, Parameter, Statement } from './syntax.ts'

/** Expressions and blocks inside each other at most. */
const MAX_DEPTH = 48
const NOT_NAMES = new Set(
	'and as assert break class continue def del elif else except exec finally for from global if import in is lambda nonlocal not or pass raise return try while with yield async await'.split(
		' ',
	),
)
const CONSTANTS = new Map<string, boolean | null>([
	['True', true],
	['False', false],
	['None', null],
])
const AUGMENTED = new Set(['+=', '-=', '*=', '/=', '//=', '%=', '**=', '&=', '|=', '^=', '<<=', '>>='])
const COMPARISONS = new Set(['<', '>', '<=', '>=', '==', '!=', '<>', 'in', 'is'])
/** Left-associative operators by how tightly they bind, the loosest first. */
const BINARY = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '//', '%']]

/** The statements of a file. Throws SyntaxFault for what is no Python, and for what a configuration file may not hold. */
export function parse(text: string): Statement[] {
	return new Parser(tokenize(text)).file()
}

class Parser {
	private readonly tokens: readonly Token[]
	private next = 0
	private depth = 0

	constructor(tokens: readonly Token[]) {
		this.tokens = tokens
	}

	file(): Statement[] {
		const statements: Statement[] = []
		while (this.token.kind !== 'end') {
			if (this.token.kind === 'indent') this.fail('unexpected indentation')
			statements.push(...this.line())
		}
		return statements
	}

	// ---- statements -------------------------------------------------------------------------------------------------------

	/** One compound statement, or the simple ones of a line. */
	private line(): Statement[] {
		switch (this.token.kind === 'name' ? this.token.text : '') {
			case 'if':
				return [this.deeper(() => this.ifStatement())]
			case 'while':
				return [this.deeper(() => this.whileStatement())]
			case 'for':
				return [this.deeper(() => this.forStatement())]
			case 'def':
				return [this.deeper(() => this.def())]
			case 'try':
				return [this.deeper(() => this.tryStatement())]
		}
		if (this.token.kind === 'operator' && this.token.text === '@') this.refuse('decorators')
		const statements = [this.simple()]
		while (this.take(';')) {
			if (this.token.kind === 'newline' || this.token.kind === 'end') break
			statements.push(this.simple())
		}
		if (this.token.kind === 'newline') this.next++
		else if (this.token.kind !== 'end') this.fail(`${this.here()} is not understood after this statement: ${ALLOWED}`)
		return statements
	}

	private block(): Statement[] {
		this.expect(':')
		if (!this.takeKind('newline')) return this.line()
		if (!this.takeKind('indent')) this.fail('an indented block was expected')
		const statements: Statement[] = []
		while (this.token.kind !== 'dedent' && this.token.kind !== 'end') {
			if (this.token.kind === 'indent') this.fail('unexpected indentation')
			statements.push(...this.line())
		}
		if (this.token.kind === 'dedent') this.next++
		return statements
	}

	private ifStatement(): Statement {
		const at = this.position()
		this.next++
		const test = this.expression()
		const body = this.block()
		if (this.is('elif')) return { kind: 'if', at, test, body, orElse: [this.deeper(() => this.ifStatement())] }
		return { kind: 'if', at, test, body, orElse: this.elseBlock() }
	}

	private elseBlock(): Statement[] {
		return this.take('else') ? this.block() : []
	}

	private whileStatement(): Statement {
		const at = this.position()
		this.next++
		const test = this.expression()
		return { kind: 'while', at, test, body: this.block(), orElse: this.elseBlock() }
	}

	private forStatement(): Statement {
		const at = this.position()
		this.next++
		const target = this.target()
		this.expect('in')
		const iterable = this.expressions()
		return { kind: 'for', at, target, iterable, body: this.block(), orElse: this.elseBlock() }
	}

	private def(): Statement {
		const at = this.position()
		this.next++
		const name = this.name('the name of a function')
		this.expect('(')
		const parameters = this.parameters(')')
		this.expect(')')
		return { kind: 'def', at, name, parameters, body: this.block() }
	}

	private parameters(end: string): Parameter[] {
		const parameters: Parameter[] = []
		while (!this.is(end)) {
			if (this.is('*') || this.is('**')) this.refuse('parameters with * or **')
			const name = this.name('the name of a parameter')
			parameters.push({ name, fallback: this.take('=') ? this.expression() : undefined })
			if (!this.take(',')) break
		}
		return parameters
	}

	private tryStatement(): Statement {
		const at = this.position()
		this.next++
		const body = this.block()
		const handlers: Handler[] = []
		while (this.take('except')) handlers.push(this.handler())
		const orElse = this.elseBlock()
		if (this.is('finally')) this.refuse("'finally'")
		if (handlers.length === 0) this.fail("'try' needs 'except'")
		return { kind: 'try', at, body, handlers, orElse }
	}

	private handler(): Handler {
		const kinds: string[] = []
		let name: string | undefined
		if (!this.is(':')) {
			const many = this.take('(')
			do kinds.push(this.dotted('the name of an exception'))
			while (many && this.take(','))
			if (many) this.expect(')')
			if (this.take('as') || this.take(',')) name = this.name('a name')
		}
		return { kinds, name, body: this.block() }
	}

	private simple(): Statement {
		const at = this.position()
		const word = this.token.kind === 'name' ? this.token.text : ''
		switch (word) {
			case 'pass':
			case 'break':
			case 'continue':
				this.next++
				return { kind: word, at }
			case 'import':
				return this.importStatement(at)
			case 'from':
				return this.fromStatement(at)
			case 'return':
				this.next++
				return { kind: 'return', at, value: this.atEnd() ? undefined : this.expressions() }
			case 'raise':
				return this.raise(at)
			case 'global': {
				this.next++
				const names = [this.name('a name')]
				while (this.take(',')) names.push(this.name('a name'))
				return { kind: 'global', at, names }
			}
			case 'del':
				this.next++
				return { kind: 'delete', at, target: this.target() }
			case 'assert': {
				this.next++
				const test = this.expression()
				return { kind: 'assert', at, test, message: this.take(',') ? this.expression() : undefined }
			}
			case 'print':
				if (!this.isAfter('(') && !this.isAfter('=')) return this.print(at)
				break
			case 'class':
			case 'with':
			case 'exec':
			case 'yield':
			case 'async':
			case 'await':
			case 'nonlocal':
				this.refuse(`'${word}'`)
		}
		return this.assignment(at)
	}

	private assignment(at: Position): Statement {
		const first = this.expressions()
		const { token } = this
		if (token.kind === 'operator' && AUGMENTED.has(token.text)) {
			this.checkTarget(first)
			if (first.kind === 'list' || first.kind === 'tuple') this.fail(`'${token.text}' needs one name, attribute or element before it`)
			this.next++
			return { kind: 'augment', at, target: first, operator: token.text.slice(0, -1), value: this.expressions() }
		}
		const chain = [first]
		while (this.take('=')) chain.push(this.expressions())
		const value = chain.pop()!
		if (chain.length === 0) return { kind: 'expression', at, value }
		for (const target of chain) this.checkTarget(target)
		return { kind: 'assign', at, targets: chain, value }
	}

	private importStatement(at: Position): Statement {
		this.next++
		const statements = [this.importOne(at)]
		while (this.take(',')) statements.push(this.importOne(at))
		if (statements.length === 1) return statements[0]!
		const test: Expression = { kind: 'constant', at, value: true }
		return { kind: 'if', at, test, body: statements, orElse: [] }
	}

	private importOne(at: Position): Statement {
		const module = this.dotted('the name of a module')
		return { kind: 'import', at, module, as: this.take('as') ? this.name('a name') : module.split('.')[0]! }
	}

	private fromStatement(at: Position): Statement {
		this.next++
		const module = this.dotted('the name of a module')
		this.expect('import')
		if (this.take('*')) return { kind: 'from', at, module, names: '*' }
		const parenthesis = this.take('(')
		const names: [string, string][] = []
		do {
			if (parenthesis && this.is(')')) break
			const name = this.name('a name')
			names.push([name, this.take('as') ? this.name('a name') : name])
		} while (this.take(','))
		if (parenthesis) this.expect(')')
		return { kind: 'from', at, module, names }
	}

	private raise(at: Position): Statement {
		this.next++
		const value = this.atEnd() ? undefined : this.expression()
		return { kind: 'raise', at, value, message: this.take(',') ? this.expression() : undefined }
	}

	private print(at: Position): Statement {
		this.next++
		if (this.is('>>')) this.refuse("'print >>'")
		const values: Expression[] = []
		while (!this.atEnd()) {
			values.push(this.expression())
			if (!this.take(',')) break
		}
		return { kind: 'print', at, values }
	}

	// ---- expressions ------------------------------------------------------------------------------------------------------

	/** One expression, or a tuple without parentheses. */
	private expressions(): Expression {
		const at = this.position()
		const first = this.expression()
		if (!this.is(',')) return first
		const items = [first]
		while (this.take(',')) {
			if (this.atEnd() || this.is('=') || this.is(')') || this.is(']') || this.is(':')) break
			items.push(this.expression())
		}
		return { kind: 'tuple', at, items }
	}

	private expression(): Expression {
		return this.deeper(() => {
			if (this.is('lambda')) return this.lambda()
			const yes = this.or()
			if (!this.is('if')) return yes
			this.next++
			const test = this.or()
			this.expect('else')
			return { kind: 'conditional', at: yes.at, test, yes, no: this.expression() }
		})
	}

	private lambda(): Expression {
		const at = this.position()
		this.next++
		const parameters = this.parameters(':')
		this.expect(':')
		return { kind: 'lambda', at, parameters, body: this.expression() }
	}

	private or(): Expression {
		let left = this.and()
		while (this.take('or')) left = { kind: 'or', at: left.at, left, right: this.and() }
		return left
	}

	private and(): Expression {
		let left = this.not()
		while (this.take('and')) left = { kind: 'and', at: left.at, left, right: this.not() }
		return left
	}

	private not(): Expression {
		const at = this.position()
		if (this.take('not')) return { kind: 'unary', at, operator: 'not', operand: this.deeper(() => this.not()) }
		return this.comparison()
	}

	private comparison(): Expression {
		const first = this.binary(0)
		const rest: [string, Expression][] = []
		for (;;) {
			let operator = COMPARISONS.has(this.token.text) && this.token.kind !== 'string' ? this.token.text : ''
			if (this.is('not') && this.isAfter('in')) operator = 'not'
			if (operator === '') break
			this.next++
			if (operator === 'not') {
				this.next++
				operator = 'not in'
			} else if (operator === 'is' && this.take('not')) operator = 'is not'
			else if (operator === '<>') operator = '!='
			rest.push([operator, this.binary(0)])
		}
		return rest.length === 0 ? first : { kind: 'compare', at: first.at, first, rest }
	}

	private binary(level: number): Expression {
		const operators = BINARY[level]
		if (operators === undefined) return this.unary()
		let left = this.binary(level + 1)
		while (this.token.kind === 'operator' && operators.includes(this.token.text)) {
			const operator = this.token.text
			this.next++
			left = { kind: 'binary', at: left.at, operator, left, right: this.binary(level + 1) }
		}
		return left
	}

	private unary(): Expression {
		const at = this.position()
		for (const operator of ['-', '+', '~'] as const) {
			if (this.take(operator)) return { kind: 'unary', at, operator, operand: this.deeper(() => this.unary()) }
		}
		const base = this.primary()
		if (!this.take('**')) return base
		return { kind: 'binary', at, operator: '**', left: base, right: this.deeper(() => this.unary()) }
	}

	private primary(): Expression {
		let object = this.atom()
		for (;;) {
			const { at } = object
			if (this.take('.')) object = { kind: 'attribute', at, object, name: this.name('the name of an attribute') }
			else if (this.take('(')) object = this.call(object)
			else if (this.take('[')) object = this.subscript(object)
			else return object
		}
	}

	private call(callee: Expression): Expression {
		const positional: Expression[] = []
		const keywords: Keyword[] = []
		while (!this.is(')')) {
			if (this.is('*') || this.is('**')) this.refuse('arguments with * or **')
			if (this.token.kind === 'name' && this.isAfter('=')) {
				const name = this.name('a name')
				this.next++
				keywords.push({ name, value: this.expression() })
			} else {
				const element = this.expression()
				positional.push(this.is('for') ? this.comprehension('generator', element) : element)
			}
			if (!this.take(',')) break
		}
		this.expect(')')
		return { kind: 'call', at: callee.at, callee, arguments: positional, keywords }
	}

	private subscript(object: Expression): Expression {
		const bounds: (Expression | undefined)[] = [undefined]
		let slice = false
		while (!this.is(']')) {
			if (this.take(':')) {
				slice = true
				bounds.push(undefined)
			} else bounds[bounds.length - 1] = this.expressions()
		}
		this.expect(']')
		if (slice) return { kind: 'slice', at: object.at, object, bounds }
		const [index] = bounds
		if (index === undefined) this.fail('an index was expected between [ and ]')
		return { kind: 'index', at: object.at, object, index }
	}

	private atom(): Expression {
		const at = this.position()
		const { token } = this
		if (token.kind === 'string') return { kind: 'constant', at, value: this.strings() }
		if (token.kind === 'number') {
			this.next++
			return { kind: 'constant', at, value: token.value! }
		}
		if (token.kind === 'name') {
			if (NOT_NAMES.has(token.text)) this.fail(`'${token.text}' is not understood here: ${ALLOWED}`)
			this.next++
			const constant = CONSTANTS.get(token.text)
			return constant === undefined ? { kind: 'name', at, name: token.text } : { kind: 'constant', at, value: constant }
		}
		if (this.take('(')) return this.parenthesis(at)
		if (this.take('[')) return this.list(at)
		if (this.take('{')) return this.dict(at)
		if (this.is('`')) this.refuse('backquotes')
		this.fail(`${this.here()} is not a value: a value is a string, a number, a list, a dictionary, a name, or an expression of these`)
	}

	private strings(): string {
		let value = ''
		while (this.token.kind === 'string') {
			value += this.token.text
			this.next++
		}
		return value
	}

	private parenthesis(at: Position): Expression {
		if (this.take(')')) return { kind: 'tuple', at, items: [] }
		const first = this.expression()
		if (this.is('for')) {
			const generator = this.comprehension('generator', first)
			this.expect(')')
			return generator
		}
		if (this.take(')')) return first
		const items = [first]
		while (this.take(',')) {
			if (this.is(')')) break
			items.push(this.expression())
		}
		this.expect(')')
		return { kind: 'tuple', at, items }
	}

	private list(at: Position): Expression {
		const items: Expression[] = []
		while (!this.is(']')) {
			items.push(this.expression())
			if (items.length === 1 && this.is('for')) {
				const comprehension = this.comprehension('list', items[0]!)
				this.expect(']')
				return comprehension
			}
			if (!this.take(',')) break
		}
		this.expect(']')
		return { kind: 'list', at, items }
	}

	private dict(at: Position): Expression {
		const items: [Expression, Expression][] = []
		while (!this.is('}')) {
			const key = this.expression()
			if (!this.is(':')) this.refuse('sets')
			this.next++
			items.push([key, this.expression()])
			if (this.is('for')) this.refuse('dictionary comprehensions')
			if (!this.take(',')) break
		}
		this.expect('}')
		return { kind: 'dict', at, items }
	}

	private comprehension(of: 'list' | 'generator', element: Expression): Expression {
		const clauses: Clause[] = []
		while (this.take('for')) {
			const target = this.target()
			this.expect('in')
			const iterable = this.or()
			const conditions: Expression[] = []
			while (this.take('if')) conditions.push(this.or())
			clauses.push({ target, iterable, conditions })
		}
		return { kind: 'comprehension', at: element.at, of, element, clauses }
	}

	/** What a `for` or `del` assigns to: names and elements, also several. */
	private target(): Expression {
		const at = this.position()
		const items = [this.primary()]
		let many = false
		while (this.take(',')) {
			many = true
			if (this.is('in')) break
			items.push(this.primary())
		}
		const target: Expression = many ? { kind: 'tuple', at, items } : items[0]!
		this.checkTarget(target)
		return target
	}

	private checkTarget(target: Expression): void {
		if (target.kind === 'list' || target.kind === 'tuple') for (const item of target.items) this.checkTarget(item)
		else if (target.kind === 'constant' && typeof target.value !== 'string') {
			throw new SyntaxFault(`${String(target.value)} cannot be assigned to`, target.at)
		} else if (target.kind !== 'name' && target.kind !== 'index' && target.kind !== 'attribute') {
			throw new SyntaxFault('this cannot be assigned to: only names and elements can', target.at)
		}
	}

	// ---- tokens -----------------------------------------------------------------------------------------------------------

	private get token(): Token {
		return this.tokens[this.next]!
	}

	private position(): Position {
		const { line, column } = this.token
		return { line, column }
	}

	/** Whether the next token is this operator or word. */
	private is(text: string): boolean {
		const { kind, text: found } = this.token
		return found === text && (kind === 'operator' || kind === 'name')
	}

	private isAfter(text: string): boolean {
		const after = this.tokens[this.next + 1]
		return after?.text === text && (after.kind === 'operator' || after.kind === 'name')
	}

	private take(text: string): boolean {
		if (!this.is(text)) return false
		this.next++
		return true
	}

	private takeKind(kind: Token['kind']): boolean {
		if (this.token.kind !== kind) return false
		this.next++
		return true
	}

	private expect(text: string): void {
		if (!this.take(text)) this.fail(`${this.here()} stands where '${text}' was expected`)
	}

	private name(what: string): string {
		const { kind, text } = this.token
		if (kind !== 'name' || NOT_NAMES.has(text) || CONSTANTS.has(text)) this.fail(`${this.here()} stands where ${what} was expected`)
		this.next++
		return text
	}

	private dotted(what: string): string {
		let name = this.name(what)
		while (this.take('.')) name += `.${this.name(what)}`
		return name
	}

	private atEnd(): boolean {
		return this.token.kind === 'newline' || this.token.kind === 'end' || this.is(';')
	}

	private deeper<T>(parse: () => T): T {
		if (++this.depth > MAX_DEPTH) this.fail(`this is nested deeper than ${MAX_DEPTH}`)
		const result = parse()
		this.depth--
		return result
	}

	private here(): string {
		const { kind, text } = this.token
		if (kind === 'end') return 'the end of the file'
		if (kind === 'newline') return 'the end of the line'
		if (kind === 'indent' || kind === 'dedent') return 'a change of indentation'
		return kind === 'string' ? 'a string' : `'${text}'`
	}

	private refuse(what: string): never {
		this.fail(`${what} is not allowed: ${ALLOWED}`)
	}

	private fail(message: string): never {
		throw new SyntaxFault(message, this.position())
	}
}
