import { builtins, callValue } from './builtins.ts'
import { ConfigError, type Position, PythonError } from './errors.ts'
import type { ConfigHost } from './host.ts'
import { Imports } from './imports.ts'
import { Limits } from './limits.ts'
import { methodOf } from './methods.ts'
import { modules } from './modules.ts'
import { binary, comparison, elementOf, position, sliceOf, unary } from './operators.ts'
import { parse } from './parser.ts'
import { bind, type Scope, Scopes, type Variable } from './scopes.ts'
import type { Clause, Expression, Parameter, Statement } from './syntax.ts'
import { Callable, Dict, ExceptionValue, iterate, List, Namespace, Slots, Tuple, toText, truth, typeName, type Value } from './values.ts'
import { xmVars } from './xm_vars.ts'

/** Exceptions that an `except` of these names catches besides those of its own name. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
	LookupError: ['KeyError', 'IndexError'],
	ArithmeticError: ['ZeroDivisionError', 'OverflowError'],
	OSError: ['IOError'],
	EnvironmentError: ['IOError', 'OSError'],
}
/** The file asks for more than it may have; it cannot catch that. */
const FATAL = new Set(['SyntaxError', 'RuntimeError', 'MemoryError', 'OverflowError'])

/** Leaves a function, or goes on with a loop. */
class Jump {
	readonly kind: 'return' | 'break' | 'continue'
	readonly value: Value
	constructor(kind: Jump['kind'], value: Value = null) {
		this.kind = kind
		this.value = value
	}
}

/**
 * Runs a file in Python's syntax and returns its variables. `given` are variables that it finds when it starts. Throws ConfigError, with the place.
 *
 * It runs nothing but what is written here: no attribute leads from a value to anything of the host's.
 */
export function evaluate(
	source: string,
	file: string,
	host: ConfigHost,
	given: ReadonlyMap<string, Value> = new Map(),
): Map<string, Variable> {
	const globals = new Map<string, Variable>([...given].map(([name, value]) => [name, { value, at: undefined, used: false }]))
	try {
		new Evaluator(host, globals).run(parse(source))
	} catch (error) {
		if (!(error instanceof PythonError)) throw error
		throw new ConfigError(file, error.position ?? { line: 1, column: 1 }, error.message)
	}
	return globals
}

class Evaluator {
	private readonly host: ConfigHost
	private readonly scopes: Scopes
	private readonly limits = new Limits()
	private readonly builtins: Map<string, Value>
	private readonly imports: Imports

	constructor(host: ConfigHost, globals: Scope) {
		this.host = host
		this.scopes = new Scopes(globals)
		this.builtins = builtins(this.limits, host)
		this.imports = new Imports(host, modules(host, this.limits), this.scopes, (text) => this.run(parse(text)))
		this.builtins.set('xm_vars', xmVars(this.scopes))
		this.builtins.set('execfile', new Callable('execfile', ([name = null]) => this.imports.runBeside(toText(name))))
		this.builtins.set('globals', new Callable('globals', () => Dict.of([...this.scopes.globals].map(([name, { value }]) => [name, value]))))
		this.builtins.set('locals', this.builtins.get('globals')!)
	}

	run(statements: readonly Statement[]): void {
		const jump = this.block(statements)
		if (jump !== undefined) throw new PythonError('SyntaxError', `'${jump.kind}' stands outside of what it leaves`)
	}

	// ---- statements -------------------------------------------------------------------------------------------------------

	private block(statements: readonly Statement[]): Jump | undefined {
		for (const statement of statements) {
			const jump = this.placed(statement.at, () => this.statement(statement))
			if (jump !== undefined) return jump
		}
		return undefined
	}

	/** Says of a fault inside where it was, unless that is known better. */
	private placed<T>(at: Position, body: () => T): T {
		try {
			this.limits.step()
			return body()
		} catch (error) {
			if (error instanceof PythonError) error.position ??= at
			throw error
		}
	}

	private statement(statement: Statement): Jump | undefined {
		switch (statement.kind) {
			case 'expression':
				this.value(statement.value)
				return
			case 'assign': {
				const value = this.value(statement.value)
				for (const target of statement.targets) this.assign(target, value, statement.value.at)
				return
			}
			case 'augment':
				return this.augment(statement)
			case 'if':
				return this.block(truth(this.value(statement.test)) ? statement.body : statement.orElse)
			case 'while':
				return this.loop(() => truth(this.value(statement.test)), statement.body, statement.orElse)
			case 'for':
				return this.forLoop(statement)
			case 'def':
				this.scopes.set(statement.name, this.define(statement.name, statement.parameters, statement.body), statement.at)
				return
			case 'return':
				return new Jump('return', statement.value === undefined ? null : this.value(statement.value))
			case 'break':
			case 'continue':
				return new Jump(statement.kind)
			case 'raise':
				throw this.exception(statement.value, statement.message)
			case 'try':
				return this.tryBlock(statement)
			case 'import':
				this.scopes.set(statement.as, this.imports.imported(statement.module, statement.as, statement.at), statement.at)
				return
			case 'from':
				return this.imports.importFrom(statement)
			case 'global':
				this.scopes.declareGlobal(statement.names)
				return
			case 'delete':
				return this.remove(statement.target)
			case 'assert':
				if (truth(this.value(statement.test))) return
				throw new PythonError(
					'AssertionError',
					statement.message === undefined ? 'the assertion does not hold' : toText(this.value(statement.message)),
				)
			case 'print':
				this.host.print(statement.values.map((value) => toText(this.value(value))).join(' '))
				return
			case 'pass':
				return
		}
	}

	private augment({ target, operator, value: right }: Extract<Statement, { kind: 'augment' }>): undefined {
		const more = this.value(right)
		// xl's configuration files may add to what is not there yet.
		const old = target.kind === 'name' && this.scopes.lookUp(target.name) === undefined && operator === '+' ? undefined : this.value(target)
		if (old instanceof List && operator === '+') old.items = [...old.items, ...iterate(more)]
		else this.assign(target, old === undefined ? more : binary(operator, old, more, this.limits), right.at)
		return undefined
	}

	private loop(goOn: () => boolean, body: readonly Statement[], orElse: readonly Statement[]): Jump | undefined {
		while (goOn()) {
			this.limits.step()
			const jump = this.block(body)
			if (jump?.kind === 'break') return undefined
			if (jump?.kind === 'return') return jump
		}
		return this.block(orElse)
	}

	private forLoop({ target, iterable, body, orElse }: Extract<Statement, { kind: 'for' }>): Jump | undefined {
		const items = iterate(this.value(iterable))
		let next = 0
		return this.loop(
			() => {
				if (next >= items.length) return false
				this.assign(target, items[next++]!, target.at)
				return true
			},
			body,
			orElse,
		)
	}

	private tryBlock({ body, handlers, orElse }: Extract<Statement, { kind: 'try' }>): Jump | undefined {
		let jump: Jump | undefined
		try {
			jump = this.block(body)
		} catch (error) {
			if (!(error instanceof PythonError) || FATAL.has(error.kind)) throw error
			const handler = handlers.find(({ kinds }) => kinds.length === 0 || kinds.some((kind) => catches(kind, error.kind)))
			if (handler === undefined) throw error
			if (handler.name !== undefined) this.scopes.set(handler.name, new ExceptionValue(error.kind, error.message), error.position)
			return this.block(handler.body)
		}
		return jump ?? this.block(orElse)
	}

	private exception(value: Expression | undefined, message: Expression | undefined): PythonError {
		const raised = value === undefined ? new ExceptionValue('RuntimeError') : this.value(value)
		if (typeof raised === 'string') return new PythonError('Exception', raised)
		if (!(raised instanceof ExceptionValue)) throw new PythonError('TypeError', `a ${typeName(raised)} cannot be raised`)
		return new PythonError(raised.kind, message === undefined ? (raised.message ?? raised.kind) : toText(this.value(message)))
	}

	private remove(target: Expression): undefined {
		if (target.kind === 'name') {
			if (!this.scopes.remove(target.name)) throw new PythonError('NameError', `'${target.name}' is not there to delete`)
		} else if (target.kind === 'index') {
			const object = this.value(target.object)
			const index = this.value(target.index)
			if (object instanceof Dict) object.delete(index)
			else if (object instanceof List) {
				const at = position(index, object.items.length)
				if (at !== undefined) object.items.splice(at, 1)
			}
		} else throw new PythonError('TypeError', 'only names and elements can be deleted')
		return undefined
	}

	// ---- names ------------------------------------------------------------------------------------------------------------

	private assign(target: Expression, value: Value, at: Position): void {
		if (target.kind === 'name') return this.scopes.set(target.name, value, at)
		if (target.kind === 'list' || target.kind === 'tuple') {
			const items = iterate(value)
			if (items.length !== target.items.length) {
				throw new PythonError('ValueError', `${items.length} values cannot be assigned to ${target.items.length} names`)
			}
			for (const [n, item] of target.items.entries()) this.assign(item, items[n]!, at)
			return
		}
		if (target.kind !== 'index') throw new PythonError('TypeError', 'attributes cannot be assigned to')
		const object = this.value(target.object)
		const index = this.value(target.index)
		if (object instanceof Dict) object.set(index, value)
		else if (object instanceof List) {
			const at = position(index, object.items.length)
			if (at === undefined) throw new PythonError('IndexError', `the index ${index} is outside: there are ${object.items.length} elements`)
			object.items[at] = value
		} else throw new PythonError('TypeError', `the elements of a ${typeName(object)} cannot be assigned to`)
	}

	private define(name: string, parameters: readonly Parameter[], body: readonly Statement[]): Callable {
		const fallbacks = parameters.map(({ fallback }) => fallback && this.value(fallback))
		return this.callable(name, parameters, fallbacks, () => {
			const jump = this.block(body)
			return jump?.kind === 'return' ? jump.value : null
		})
	}

	private callable(name: string, parameters: readonly Parameter[], fallbacks: readonly (Value | undefined)[], body: () => Value): Callable {
		const within = this.scopes.closure<Value>()
		return new Callable(name, (args, keywords) => within(bind(name, parameters, fallbacks, args, keywords), () => this.limits.deeper(body)))
	}

	// ---- expressions ------------------------------------------------------------------------------------------------------

	private value(expression: Expression): Value {
		return this.placed(expression.at, () => this.limits.deeper(() => this.evaluate(expression)))
	}

	private evaluate(expression: Expression): Value {
		switch (expression.kind) {
			case 'constant':
				return expression.value
			case 'name':
				return this.named(expression.name)
			case 'list':
				return new List(expression.items.map((item) => this.value(item)))
			case 'tuple':
				return new Tuple(expression.items.map((item) => this.value(item)))
			case 'dict':
				return Dict.of(expression.items.map(([key, value]) => [this.value(key), this.value(value)]))
			case 'unary': {
				const operand = this.value(expression.operand)
				return expression.operator === 'not' ? !truth(operand) : unary(expression.operator, operand)
			}
			case 'binary':
				return binary(expression.operator, this.value(expression.left), this.value(expression.right), this.limits)
			case 'and':
			case 'or': {
				const left = this.value(expression.left)
				return truth(left) === (expression.kind === 'and') ? this.value(expression.right) : left
			}
			case 'compare': {
				let left = this.value(expression.first)
				for (const [operator, operand] of expression.rest) {
					const right = this.value(operand)
					if (!comparison(operator, left, right)) return false
					left = right
				}
				return true
			}
			case 'conditional':
				return this.value(truth(this.value(expression.test)) ? expression.yes : expression.no)
			case 'attribute':
				return this.attribute(this.value(expression.object), expression.name)
			case 'index':
				return elementOf(this.value(expression.object), this.value(expression.index))
			case 'slice':
				return sliceOf(
					this.value(expression.object),
					expression.bounds.map((bound) => bound && this.value(bound)),
				)
			case 'call': {
				const callee = this.value(expression.callee)
				const args = expression.arguments.map((argument) => this.value(argument))
				const keywords = new Map(expression.keywords.map(({ name, value }) => [name, this.value(value)]))
				return callValue(callee, args, keywords)
			}
			case 'comprehension':
				return this.comprehension(expression.element, expression.clauses)
			case 'lambda': {
				const { parameters, body } = expression
				const fallbacks = parameters.map(({ fallback }) => fallback && this.value(fallback))
				return this.callable('lambda', parameters, fallbacks, () => this.value(body))
			}
		}
	}

	private named(name: string): Value {
		const variable = this.scopes.lookUp(name)
		if (variable !== undefined) {
			variable.used = true
			return variable.value
		}
		const builtin = this.builtins.get(name)
		if (builtin === undefined) throw new PythonError('NameError', `'${name}' is not defined: a text is quoted, as in '${name}'`)
		return builtin
	}

	private attribute(object: Value, name: string): Value {
		const found =
			object instanceof Namespace
				? object.members.get(name)
				: object instanceof Slots && Object.hasOwn(object.members, name)
					? object.members[name]
					: methodOf(object, name, this.limits)
		if (found !== undefined) return found
		const owner = object instanceof Namespace ? `the module '${object.name}'` : `a ${typeName(object)}`
		throw new PythonError('AttributeError', `${owner} has no '${name}' here`)
	}

	/** Its variables are its own. */
	private comprehension(element: Expression, clauses: readonly Clause[]): List {
		const items: Value[] = []
		const run = (depth: number): void => {
			const clause = clauses[depth]
			if (clause === undefined) {
				this.limits.size(items.length >> 6)
				items.push(this.value(element))
				return
			}
			for (const item of iterate(this.value(clause.iterable))) {
				this.limits.step()
				this.assign(clause.target, item, clause.target.at)
				if (clause.conditions.every((condition) => truth(this.value(condition)))) run(depth + 1)
			}
		}
		this.scopes.inExpression(() => run(0))
		return new List(items)
	}
}

function catches(handler: string, kind: string): boolean {
	if (handler === kind || handler === 'Exception' || handler === 'StandardError') return true
	return FAMILIES[handler]?.includes(kind) ?? false
}
