import { UserError } from '../base/errors.ts'
import type { ConfigValue } from '../toolstack/config_parser.ts'
import {
	type CreateRequest,
	type DebugKeysRequest,
	type DefineRequest,
	MAX_DEBUG_KEYS,
	type RenameRequest,
	type ShutdownBody,
	type StartRequest,
	type StopRequest,
} from './api.ts'

/** The API's request bodies, checked from what came over the socket. Each throws UserError with code 'bad-request'. */

export function checkCreate(body: unknown): CreateRequest {
	return { ...checkDefine(body), ...checkStart(body) }
}

export function checkDefine(body: unknown): DefineRequest {
	const values = object(object(body).values)
	for (const [key, value] of Object.entries(values)) {
		if (!isConfigValue(value, 0)) throw bad(`values.${key} must be a string, a number, a boolean or a list of these`)
	}
	return { values: values as Record<string, ConfigValue> }
}

export function checkStart(body: unknown): StartRequest {
	const { paused } = object(body)
	if (paused !== undefined && typeof paused !== 'boolean') throw bad('paused must be true or false')
	return paused === undefined ? {} : { paused }
}

export function checkRename(body: unknown): RenameRequest {
	const { name } = object(body)
	if (typeof name !== 'string') throw bad('name must be a string')
	return { name }
}

export function checkShutdown(body: unknown): ShutdownBody {
	const { request } = object(body)
	if (request !== 'poweroff' && request !== 'halt' && request !== 'reboot') throw bad("request must be 'poweroff', 'halt' or 'reboot'")
	return { request }
}

export function checkDebugKeys(body: unknown): DebugKeysRequest {
	const { keys } = object(body)
	if (typeof keys !== 'string' || keys.length > MAX_DEBUG_KEYS) throw bad(`keys must be a string of at most ${MAX_DEBUG_KEYS} characters`)
	return { keys }
}

export function checkStop(body: unknown): StopRequest {
	const { ifIdle, domains = 'stop' } = object(body)
	if (domains !== 'stop' && domains !== 'destroy') throw bad("domains must be 'stop' or 'destroy'")
	return { ifIdle: ifIdle === true, domains }
}

function object(value: unknown): Record<string, unknown> {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('an object was expected')
	return value as Record<string, unknown>
}

function isConfigValue(value: unknown, depth: number): boolean {
	if (Array.isArray(value)) return depth < 32 && value.every((item) => isConfigValue(item, depth + 1))
	return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function bad(message: string): UserError {
	return new UserError(`bad request: ${message}`, { code: 'bad-request' })
}
