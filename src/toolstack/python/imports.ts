import { ALLOWED, type Position, PythonError, SyntaxFault } from './errors.ts'
import type { ConfigHost } from './host.ts'
import type { Scope, Scopes } from './scopes.ts'
import type { Statement } from './syntax.ts'
import { Namespace } from './values.ts'

/** Other files and modules that a file asks for: those that are known here, and files beside it. */
export class Imports {
	private readonly host: ConfigHost
	private readonly modules: Map<string, Namespace>
	private readonly scopes: Scopes
	private readonly run: (text: string) => void
	private readonly importing = new Set<string>()

	constructor(host: ConfigHost, modules: Map<string, Namespace>, scopes: Scopes, run: (text: string) => void) {
		this.host = host
		this.modules = modules
		this.scopes = scopes
		this.run = run
	}

	/** `import os.path` binds os, `import os.path as p` binds the path. */
	imported(module: string, as: string, at: Position): Namespace {
		const first = module.split('.')[0]!
		return as === first && this.modules.has(first) && this.modules.has(module) ? this.modules.get(first)! : this.module(module, at)
	}

	private module(name: string, at: Position): Namespace {
		const found = this.modules.get(name)
		if (found !== undefined) return found
		const text = this.host.readBeside(`${name}.py`) ?? this.host.readBeside(name)
		if (text === undefined) throw new SyntaxFault(`the module '${name}' is not allowed: ${ALLOWED}`, at)
		const own: Scope = new Map()
		this.scopes.inFile(own, () => this.runText(name, text))
		const module = new Namespace(
			name,
			[...own].map(([key, { value }]) => [key, value] as const),
		)
		this.modules.set(name, module)
		return module
	}

	importFrom({ module, names, at }: Extract<Statement, { kind: 'from' }>): undefined {
		const found = this.module(module, at)
		const pairs = names === '*' ? [...found.members.keys()].map((name) => [name, name] as const) : names
		for (const [name, as] of pairs) {
			const value = found.members.get(name)
			if (value === undefined) throw new PythonError('ImportError', `'${module}' has no '${name}' here`)
			this.scopes.set(as, value, at)
		}
		return undefined
	}

	runBeside(name: string): null {
		const text = this.host.readBeside(name)
		if (text === undefined) throw new PythonError('IOError', `there is no file '${name}' beside the configuration file`)
		this.runText(name, text)
		return null
	}

	private runText(name: string, text: string): void {
		if (this.importing.has(name)) throw new PythonError('RuntimeError', `'${name}' reads itself`)
		this.importing.add(name)
		try {
			this.run(text)
		} catch (error) {
			if (!(error instanceof PythonError)) throw error
			const { line, column } = error.position ?? { line: 1, column: 1 }
			throw new PythonError(error.kind, `in ${name}, line ${line}, column ${column}: ${error.message}`)
		} finally {
			this.importing.delete(name)
		}
	}
}
