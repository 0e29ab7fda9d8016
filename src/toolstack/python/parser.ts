import { ALLOWED, type Position } from './errors.ts'
import { ExpressionParser } from './expression_parser.ts'
import { tokenize } from './lexer.ts'
import type { Expression, Handler, Statement } from './syntax.ts'

const AUGMENTED = new Set(['+=', '-=', '*=', '/=', '//=', '%=', '**=', '&=', '|=', '^=', '<<=', '>>='])

/** The statements of a file. Throws SyntaxFault for what is no Python, and for what a configuration file may not hold. */
export function parse(text: string): Statement[] {
	return new Parser(tokenize(text)).file()
}

class Parser extends ExpressionParser {
	file(): Statement[] {
		const statements: Statement[] = []
		while (this.token.kind !== 'end') {
			if (this.token.kind === 'indent') this.fail('unexpected indentation')
			statements.push(...this.line())
		}
		return statements
	}

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
}
