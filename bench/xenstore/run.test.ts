import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRates } from './run.ts'

test("the client's lines become operations a second", () => {
	assert.deepEqual(parseRates('write 1000 500000000\nread 10 1000000000\n'), [
		{ name: 'write', perSecond: 2000 },
		{ name: 'read', perSecond: 10 },
	])
	assert.throws(() => parseRates('request of type 2: ENOENT'), /the client said 'request of type 2: ENOENT'/)
})
