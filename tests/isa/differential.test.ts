import assert from 'node:assert/strict'
import { test } from 'node:test'
import { differential } from './differential.ts'
import { nativeUnavailable } from './native.ts'

const SEED = Number(process.env.ISA_SEED ?? 1)

test(`three seconds of random cases come out as on this machine's processor (ISA_SEED=${SEED})`, async (t) => {
	const unavailable = nativeUnavailable()
	if (unavailable) return t.skip(`no real processor to ask: ${unavailable}`)
	const report = await differential({ seed: SEED, seconds: 3 })
	assert.ok(report.cases > 1000, `only ${report.cases} cases ran`)
	assert.equal(report.failed, 0, report.text())
})
