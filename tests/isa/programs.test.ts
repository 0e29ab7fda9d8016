// To debug one program: node tests/isa/programs.ts --seed N --programs 1

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nativeUnavailable } from './native.ts'
import { listing, runPrograms } from './programs.ts'

const SEED = Number(process.env.ISA_SEED ?? 1)

test(`eighty random programs end on every tier as on this machine's processor (ISA_SEED=${SEED})`, async (t) => {
	const unavailable = nativeUnavailable()
	if (unavailable) return t.skip(`no real processor to ask: ${unavailable}`)
	await expectNoDifference(true, 80)
})

test(`forty random programs end on every tier as with step() (ISA_SEED=${SEED})`, async () => {
	await expectNoDifference(false, 40)
})

async function expectNoDifference(native: boolean, count: number): Promise<void> {
	const { programs, differences } = await runPrograms({ seed: SEED, programs: count, native, differences: 1 })
	assert.equal(differences.length, 0, differences.map(listing).join('\n'))
	assert.equal(programs, count)
}
