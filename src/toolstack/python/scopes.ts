import { type Position, PythonError } from './errors.ts'
import type { Parameter } from './syntax.ts'
import type { Keywords, Value } from './values.ts'

/** A variable of a file after it has run. */
export interface Variable {
	value: Value
	/** Where the value stands that was assigned last; undefined for what was there before the file ran. */
	at: Position | undefined
	/** The file itself has looked at it. */
	used: boolean
}

export type Scope = Map<string, Variable>

/** What names mean where the code that runs stands: in a file, or in a function of one. */
export class Scopes {
	/** Of the file whose code runs. */
	globals: Scope
	/** Of the function being called; undefined at the top. */
	private locals: Scope | undefined
	private globalNames: ReadonlySet<string> = new Set()

	constructor(globals: Scope) {
		this.globals = globals
	}

	lookUp(name: string): Variable | undefined {
		return this.locals?.get(name) ?? this.globals.get(name)
	}

	set(name: string, value: Value, at: Position | undefined): void {
		const scope = this.locals !== undefined && !this.globalNames.has(name) ? this.locals : this.globals
		const old = scope.get(name)
		if (old === undefined) scope.set(name, { value, at, used: false })
		else Object.assign(old, { value, at })
	}

	remove(name: string): boolean {
		return (this.locals ?? this.globals).delete(name)
	}

	/** These are the file's variables, in a function too. */
	declareGlobal(names: readonly string[]): void {
		this.globalNames = new Set([...this.globalNames, ...names])
	}

	/** Runs another file's code. */
	inFile<T>(globals: Scope, body: () => T): T {
		return this.within(globals, undefined, this.globalNames, body)
	}

	/** Runs an expression whose variables are its own. */
	inExpression<T>(body: () => T): T {
		return this.within(this.globals, copyOf(this.locals), this.globalNames, body)
	}

	/** What has a function defined here run later: with its arguments, and with what there is here now. */
	closure<T>(): (given: ReadonlyMap<string, Value>, body: () => T) => T {
		const { globals, locals: outer } = this
		return (given, body) => {
			const locals = copyOf(outer)
			for (const [name, value] of given) locals.set(name, { value, at: undefined, used: true })
			return this.within(globals, locals, new Set(), body)
		}
	}

	private within<T>(globals: Scope, locals: Scope | undefined, globalNames: ReadonlySet<string>, body: () => T): T {
		const before = [this.globals, this.locals, this.globalNames] as const
		;[this.globals, this.locals, this.globalNames] = [globals, locals, globalNames]
		try {
			return body()
		} finally {
			;[this.globals, this.locals, this.globalNames] = before
		}
	}
}

/** What an inner scope assigns stays in it. */
function copyOf(scope: Scope | undefined): Scope {
	return new Map([...(scope ?? [])].map(([name, variable]) => [name, { ...variable }]))
}

/** The values that a call gives a function's parameters. Throws PythonError where they don't fit. */
export function bind(
	name: string,
	parameters: readonly Parameter[],
	fallbacks: readonly (Value | undefined)[],
	args: readonly Value[],
	keywords: Keywords,
): Map<string, Value> {
	if (args.length > parameters.length)
		throw new PythonError('TypeError', `${name}() takes ${parameters.length} arguments, not ${args.length}`)
	const bound = new Map<string, Value>()
	for (const [key, value] of keywords) {
		if (!parameters.some((parameter) => parameter.name === key)) throw new PythonError('TypeError', `${name}() has no parameter '${key}'`)
		bound.set(key, value)
	}
	for (const [n, parameter] of parameters.entries()) {
		const value = args[n] ?? bound.get(parameter.name) ?? fallbacks[n]
		if (value === undefined) throw new PythonError('TypeError', `${name}() is called without '${parameter.name}'`)
		bound.set(parameter.name, value)
	}
	return bound
}
