import { UserError } from '../base/errors.ts'
import type { ConfigValue } from '../toolstack/config_parser.ts'
import { type CreateRequest, type DebugKeysRequest, MAX_DEBUG_KEYS, type ShutdownBody, type StopRequest } from './api.ts'

/** The API's request bodies, checked from what came over the socket. Each throws UserError with code 'bad-request'. */

export function checkCreate(body: unknown): CreateRequest {
	const { values, paused } = object(body)
	const checked = object(values)
	for (const [key, value] of Object.entries(checked)) {
		if (!isConfigValue(value, 0)) throw bad(`values.${key} must be a string, a number, a boolean or a list of these`)
	}
	if (paused !== undefined && typeof paused !== 'boolean') throw bad('paused must be true or false')
	return { values: checked as Record<string, ConfigValue>, ...(paused === undefined ? {} : { paused }) }
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
