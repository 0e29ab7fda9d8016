import { ALLOWED, type Position, SyntaxFault } from './errors.ts'
import type { Clause, Expression, Keyword, Parameter } from './syntax.ts'
import { CONSTANTS, NOT_NAMES, TokenReader } from './token_reader.ts'

const COMPARISONS = new Set(['<', '>', '<=', '>=', '==', '!=', '<>', 'in', 'is'])
/** Left-associative operators by how tightly they bind, the loosest first. */
const BINARY = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '//', '%']]

/** Expressions, and what assignments and functions have of them. */
export class ExpressionParser extends TokenReader {
	/** One expression, or a tuple without parentheses. */
	protected expressions(): Expression {
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

	protected expression(): Expression {
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

	protected lambda(): Expression {
		const at = this.position()
		this.next++
		const parameters = this.parameters(':')
		this.expect(':')
		return { kind: 'lambda', at, parameters, body: this.expression() }
	}

	protected or(): Expression {
		let left = this.and()
		while (this.take('or')) left = { kind: 'or', at: left.at, left, right: this.and() }
		return left
	}

	protected and(): Expression {
		let left = this.not()
		while (this.take('and')) left = { kind: 'and', at: left.at, left, right: this.not() }
		return left
	}

	protected not(): Expression {
		const at = this.position()
		if (this.take('not')) return { kind: 'unary', at, operator: 'not', operand: this.deeper(() => this.not()) }
		return this.comparison()
	}

	protected comparison(): Expression {
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

	protected binary(level: number): Expression {
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

	protected unary(): Expression {
		const at = this.position()
		for (const operator of ['-', '+', '~'] as const) {
			if (this.take(operator)) return { kind: 'unary', at, operator, operand: this.deeper(() => this.unary()) }
		}
		const base = this.primary()
		if (!this.take('**')) return base
		return { kind: 'binary', at, operator: '**', left: base, right: this.deeper(() => this.unary()) }
	}

	protected primary(): Expression {
		let object = this.atom()
		for (;;) {
			const { at } = object
			if (this.take('.')) object = { kind: 'attribute', at, object, name: this.name('the name of an attribute') }
			else if (this.take('(')) object = this.call(object)
			else if (this.take('[')) object = this.subscript(object)
			else return object
		}
	}

	protected call(callee: Expression): Expression {
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

	protected subscript(object: Expression): Expression {
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

	protected atom(): Expression {
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

	protected strings(): string {
		let value = ''
		while (this.token.kind === 'string') {
			value += this.token.text
			this.next++
		}
		return value
	}

	protected parenthesis(at: Position): Expression {
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

	protected list(at: Position): Expression {
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

	protected dict(at: Position): Expression {
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

	protected comprehension(of: 'list' | 'generator', element: Expression): Expression {
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
	protected target(): Expression {
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

	protected checkTarget(target: Expression): void {
		if (target.kind === 'list' || target.kind === 'tuple') for (const item of target.items) this.checkTarget(item)
		else if (target.kind === 'constant' && typeof target.value !== 'string') {
			throw new SyntaxFault(`${String(target.value)} cannot be assigned to`, target.at)
		} else if (target.kind !== 'name' && target.kind !== 'index' && target.kind !== 'attribute') {
			throw new SyntaxFault('this cannot be assigned to: only names and elements can', target.at)
		}
	}

	protected parameters(end: string): Parameter[] {
		const parameters: Parameter[] = []
		while (!this.is(end)) {
			if (this.is('*') || this.is('**')) this.refuse('parameters with * or **')
			const name = this.name('the name of a parameter')
			parameters.push({ name, fallback: this.take('=') ? this.expression() : undefined })
			if (!this.take(',')) break
		}
		return parameters
	}
}
