import { UserError } from '../../base/errors.ts'

/** A place in a file, counted from 1. */
export interface Position {
	readonly line: number
	readonly column: number
}

/** A configuration file's fault: `file:line:column: what is wrong and what is allowed`. */
export class ConfigError extends UserError {
	readonly line: number
	readonly column: number

	constructor(file: string, { line, column }: Position, message: string) {
		super(`${file}:${line}:${column}: ${message}`, { code: 'config' })
		this.name = 'ConfigError'
		this.line = line
		this.column = column
	}
}

/** What went wrong at a place that is known further out; becomes a ConfigError with the file's name. */
export class PythonError extends Error {
	/** Python's class of the exception: what `except NAME` catches. */
	readonly kind: string
	position: Position | undefined

	constructor(kind: string, message: string, position?: Position) {
		super(message)
		this.name = 'PythonError'
		this.kind = kind
		this.position = position
	}
}

/** The text is no configuration file, or says what configuration files may not. No `except` catches it. */
export class SyntaxFault extends PythonError {
	constructor(message: string, position: Position) {
		super('SyntaxError', message, position)
	}
}

export const ALLOWED =
	'a configuration file may hold assignments, expressions on strings, numbers, lists and dictionaries, if, for, while, simple functions, and import of os, re, string, sys, math or a file beside it'
