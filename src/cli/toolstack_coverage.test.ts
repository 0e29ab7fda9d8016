import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { coverageFile, renderCoverage } from '../../scripts/toolstack_coverage.ts'

test('docs/toolstack-coverage.md is what scripts/toolstack_coverage.ts writes', () => {
	assert.equal(readFileSync(coverageFile, 'utf8'), renderCoverage(), 'run node scripts/toolstack_coverage.ts')
})

test('whatever does not work says why', () => {
	for (const line of renderCoverage().split('\n')) assert.doesNotMatch(line, /^\| .* \| (refused|warned) \|\s*\|$/)
})
