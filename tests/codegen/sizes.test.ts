// Golden sizes of what the translator makes of an instruction: a change for the worse shows in the diff.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FIXTURE, sizes } from './sizes.ts'

test('each instruction is translated to as many bytes as recorded', async () => {
	const recorded = readFileSync(FIXTURE, 'utf8').split('\n')
	const changed = (await sizes()).split('\n').filter((line, i) => line !== recorded[i])
	assert.deepEqual(changed, [], 'if that is meant, renew the fixture: node tests/codegen/sizes.ts')
})
