import assert from 'node:assert/strict'
import { test } from 'node:test'
import type * as v from 'valibot'
import { CREATE_REQUEST, DEBUG_KEYS_REQUEST, RENAME_REQUEST, SHUTDOWN_REQUEST, STOP_REQUEST } from './api.ts'
import { checkInput } from './request_check.ts'
import { EVENTS_QUERY } from './routes.ts'

test('checkInput() lets through what the schema says, and only that', () => {
	assert.deepEqual(checkInput(STOP_REQUEST, {}), {})
	const request = { values: { name: 'web', vif: [['a', 1], null, true] }, paused: true }
	assert.deepEqual(checkInput(CREATE_REQUEST, request), request)
})

test('checkInput() names the field, its value and what is allowed', () => {
	const cases: [schema: v.GenericSchema, value: unknown, message: string][] = [
		[RENAME_REQUEST, { name: 7 }, 'name = 7: it must be a string'],
		[RENAME_REQUEST, {}, 'name is missing'],
		[RENAME_REQUEST, [], 'the body = []: it must be an object'],
		[RENAME_REQUEST, { name: 'a', nmae: 'b' }, 'nmae is unknown: there are name'],
		[SHUTDOWN_REQUEST, { request: 'explode' }, 'request = "explode": it must be "poweroff", "halt" or "reboot"'],
		[STOP_REQUEST, { ifIdle: 1 }, 'ifIdle = 1: it must be true or false'],
		[DEBUG_KEYS_REQUEST, { keys: 'q'.repeat(65) }, `keys = "${'q'.repeat(65)}": it must have at most 64 characters`],
		[CREATE_REQUEST, { values: { disk: {} } }, 'values.disk = {}: it must be a string, a number, a boolean, null or a list of these'],
		[EVENTS_QUERY, { since: '-1' }, 'since = "-1": it must be the number of an event'],
	]
	for (const [schema, value, message] of cases) {
		assert.throws(() => checkInput(schema, value), { message: `bad request: ${message}`, code: 'bad-request' })
	}
})

test('checkInput() refuses lists in lists without end', () => {
	let value: unknown = 1
	for (let depth = 0; depth < 100_000; depth++) value = [value]
	assert.throws(() => checkInput(CREATE_REQUEST, { values: { name: value } }), /more than 32 levels/)
})
