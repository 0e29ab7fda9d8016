import type { Position } from './errors.ts'

/** Where a node starts in its file. */
interface At {
	readonly at: Position
}

export type Expression = At &
	(
		| { readonly kind: 'constant'; readonly value: string | bigint | number | boolean | null }
		| { readonly kind: 'name'; readonly name: string }
		| { readonly kind: 'list' | 'tuple'; readonly items: readonly Expression[] }
		| { readonly kind: 'dict'; readonly items: readonly (readonly [key: Expression, value: Expression])[] }
		| { readonly kind: 'unary'; readonly operator: '-' | '+' | '~' | 'not'; readonly operand: Expression }
		| { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
		| { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
		/** A chain: a < b <= c. */
		| { readonly kind: 'compare'; readonly first: Expression; readonly rest: readonly (readonly [operator: string, operand: Expression])[] }
		| { readonly kind: 'conditional'; readonly test: Expression; readonly yes: Expression; readonly no: Expression }
		| { readonly kind: 'attribute'; readonly object: Expression; readonly name: string }
		| { readonly kind: 'index'; readonly object: Expression; readonly index: Expression }
		| { readonly kind: 'slice'; readonly object: Expression; readonly bounds: readonly (Expression | undefined)[] }
		| {
				readonly kind: 'call'
				readonly callee: Expression
				readonly arguments: readonly Expression[]
				readonly keywords: readonly Keyword[]
		  }
		| {
				readonly kind: 'comprehension'
				readonly of: 'list' | 'generator'
				readonly element: Expression
				readonly clauses: readonly Clause[]
		  }
		| { readonly kind: 'lambda'; readonly parameters: readonly Parameter[]; readonly body: Expression }
	)

export interface Keyword {
	readonly name: string
	readonly value: Expression
}

/** `for target in iterable if condition ...` of a comprehension. */
export interface Clause {
	readonly target: Expression
	readonly iterable: Expression
	readonly conditions: readonly Expression[]
}

export interface Parameter {
	readonly name: string
	readonly fallback: Expression | undefined
}

export type Statement = At &
	(
		| { readonly kind: 'expression'; readonly value: Expression }
		| { readonly kind: 'assign'; readonly targets: readonly Expression[]; readonly value: Expression }
		| { readonly kind: 'augment'; readonly target: Expression; readonly operator: string; readonly value: Expression }
		| {
				readonly kind: 'if' | 'while'
				readonly test: Expression
				readonly body: readonly Statement[]
				readonly orElse: readonly Statement[]
		  }
		| {
				readonly kind: 'for'
				readonly target: Expression
				readonly iterable: Expression
				readonly body: readonly Statement[]
				readonly orElse: readonly Statement[]
		  }
		| { readonly kind: 'def'; readonly name: string; readonly parameters: readonly Parameter[]; readonly body: readonly Statement[] }
		| { readonly kind: 'return'; readonly value: Expression | undefined }
		| { readonly kind: 'raise'; readonly value: Expression | undefined; readonly message: Expression | undefined }
		| {
				readonly kind: 'try'
				readonly body: readonly Statement[]
				readonly handlers: readonly Handler[]
				readonly orElse: readonly Statement[]
		  }
		| { readonly kind: 'import'; readonly module: string; readonly as: string }
		/** `names` is '*' for everything. */
		| { readonly kind: 'from'; readonly module: string; readonly names: '*' | readonly (readonly [name: string, as: string])[] }
		| { readonly kind: 'global'; readonly names: readonly string[] }
		| { readonly kind: 'delete'; readonly target: Expression }
		| { readonly kind: 'assert'; readonly test: Expression; readonly message: Expression | undefined }
		| { readonly kind: 'print'; readonly values: readonly Expression[] }
		| { readonly kind: 'break' | 'continue' | 'pass' }
	)

export interface Handler {
	/** Names of exceptions; empty for all. */
	readonly kinds: readonly string[]
	readonly name: string | undefined
	readonly body: readonly Statement[]
}
