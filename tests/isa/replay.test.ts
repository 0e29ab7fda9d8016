// Every recorded case must come out of our processor as it came out of the real one.
// To debug one opcode: node tests/isa/replay.ts --only '^ADD ' --examples 3

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { loadCore } from './core.ts'
import { FAMILIES } from './families.ts'
import { type Engine, IsaMachine } from './machine.ts'
import { readCorpus, replay } from './replay.ts'
import { SHAPES } from './shapes.ts'

const ENGINES: readonly Engine[] = ['step', 'run', 'translate']

describe('the recorded corpus', () => {
	let core: WebAssembly.Module
	before(async () => {
		core = await loadCore()
	})

	for (const family of FAMILIES) {
		for (const engine of ENGINES) {
			test(`${family}: ${engine} gives what the real processor gave`, () => {
				const cases = readCorpus(family)
				assert.ok(cases.length > 0, `corpus/${family}.br holds no cases`)
				const report = replay(new IsaMachine(core, engine), cases)
				assert.equal(report.failed, 0, report.text())
			})
		}
	}

	test('holds cases for every row of the opcode table that can be compared', () => {
		const recorded = new Set(FAMILIES.flatMap((family) => readCorpus(family).map(({ case: one }) => one.label)))
		const missing = new Set(SHAPES.map((shape) => shape.label).filter((label) => !recorded.has(label)))
		assert.deepEqual([...missing], [], 'record the corpus again: node tests/isa/record.ts')
	})
})
