import { PythonError } from './errors.ts'
import type { Scopes } from './scopes.ts'
import { Callable, Namespace, toText, type Value } from './values.ts'

/** xm's own object for variables of the command line: xm_vars.var(name, use=..., check=...) and xm_vars.check(). */
export function xmVars(scopes: Scopes): Namespace {
	const declared = new Map<string, { readonly use: string; readonly check: Value | undefined }>()
	return new Namespace('xm_vars', [
		[
			'var',
			new Callable('var', ([name = null], keywords) => {
				declared.set(toText(name), { use: toText(keywords.get('use') ?? ''), check: keywords.get('check') })
				const fallback = keywords.get('default')
				if (fallback !== undefined && !scopes.globals.has(toText(name))) scopes.set(toText(name), fallback, undefined)
				return null
			}),
		],
		[
			'check',
			new Callable('check', () => {
				for (const [name, { use, check }] of declared) checkVariable(scopes, name, use, check)
				return null
			}),
		],
	])
}

function checkVariable({ globals }: Scopes, name: string, use: string, check: Value | undefined): void {
	const variable = globals.get(name)
	if (variable === undefined) throw new PythonError('ValueError', `the variable '${name}' must be given, as in ${name}=1: ${use}`)
	variable.used = true
	if (check instanceof Callable) {
		try {
			variable.value = check.call([name, variable.value], new Map())
		} catch (error) {
			if (!(error instanceof PythonError) || error.kind === 'SyntaxError') throw error
			throw new PythonError('ValueError', `${name}=${toText(variable.value)} is not allowed: ${use}`)
		}
	}
}
