import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { coverageFile, renderCoverage } from '../../scripts/abi_coverage.ts'
import * as xen from '../../src/abi/xen.ts'
import { hypercallTable } from '../../src/xen/hypercall_table.ts'

test('docs/abi-coverage.md is what scripts/abi_coverage.ts writes', () => {
	assert.equal(readFileSync(coverageFile, 'utf8'), renderCoverage(), 'run: node scripts/abi_coverage.ts')
})

test('every hypercall of xen.h is in the table', () => {
	const named = Object.entries(xen).filter(([name]) => name.startsWith('__HYPERVISOR_'))
	assert.ok(named.length >= 50)
	for (const [name, number] of named) assert.ok(hypercallTable[number as number], name)
})

test('every answer but an implemented one has an errno', () => {
	for (const row of hypercallTable) {
		if (!row) continue
		for (const subop of [row, ...Object.values(row.subops ?? {})]) {
			if (subop.status !== 'implemented') assert.ok((subop.errno ?? 0) > 0, subop.name)
		}
	}
})
