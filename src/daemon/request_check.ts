import * as v from 'valibot'
import { UserError } from '../base/errors.ts'

/** Lists in lists: more can't be a configuration, and would be a burden for whoever looks at it. */
const MAX_DEPTH = 32

/** What a schema makes of what came over the socket. Throws UserError with code 'bad-request' that names the field, its value and what is allowed. */
export function checkInput<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
	if (isDeeperThan(value, MAX_DEPTH)) throw bad(`there are more than ${MAX_DEPTH} levels of lists and objects`)
	if (Array.isArray(value) && 'entries' in schema) throw bad(`the body = ${show(value)}: it must be an object`)
	const { success, output, issues } = v.safeParse(schema, value, { abortEarly: true })
	if (success) return output
	throw bad(sentence(schema, issues[0]))
}

function sentence(schema: v.GenericSchema, issue: v.BaseIssue<unknown>): string {
	const field = v.getDotPath(issue) ?? 'the body'
	if (issue.expected === 'never' && 'entries' in schema) {
		const known = Object.keys(schema.entries as object)
		return `${field} is unknown: ${known.length === 0 ? 'nothing is allowed here' : `there are ${known.join(', ')}`}`
	}
	const isMissing = issue.type.endsWith('object') && issue.received === 'undefined'
	return isMissing ? `${field} is missing` : `${field} = ${show(issue.input)}: it ${demand(issue)}`
}

function demand({ message, type, expected }: v.BaseIssue<unknown>): string {
	if (message.startsWith('must')) return message
	if (type === 'max_length') return `must have at most ${expected?.slice(2)} characters`
	const choices = (expected ?? 'something else').replace(/^\((.*)\)$/, '$1').split(' | ')
	const words = choices.map((choice) => NAMES[choice] ?? choice)
	return `must be ${words.slice(0, -1).join(', ')}${words.length > 1 ? ' or ' : ''}${words.at(-1)}`
}

const NAMES: Readonly<Record<string, string>> = {
	string: 'a string',
	boolean: 'true or false',
	number: 'a number',
	Object: 'an object',
	Array: 'a list',
}

function show(value: unknown): string {
	const text = JSON.stringify(value) ?? String(value)
	return text.length > 100 ? `${text.slice(0, 100)}...` : text
}

/** Without recursion: the value is as deep as a client likes. */
function isDeeperThan(value: unknown, limit: number): boolean {
	let level = [value]
	for (let depth = 0; level.length > 0; depth++) {
		if (depth > limit) return true
		level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
	}
	return false
}

export function bad(message: string): UserError {
	return new UserError(`bad request: ${message}`, { code: 'bad-request' })
}
