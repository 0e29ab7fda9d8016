// The programs on our processor without a kernel, against this host's: a wrong checksum is a wrong processor.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { loadCore } from '../src/platform/node/load_core.ts'
import { runFlat } from './flat_machine.ts'
import { parseLine } from './measurement.ts'
import { buildPrograms, PROGRAMS, runsWithoutKernel } from './programs.ts'

const build = process.arch === 'x64' && process.platform === 'linux' ? buildPrograms(PROGRAMS) : null

if (build === null) test('the programs compute the same on our processor as on this one', { skip: 'needs x86-64 Linux and gcc' })
else {
	const core = await loadCore()
	for (const { name, path } of build.programs.filter(runsWithoutKernel)) {
		test(`${name} computes the same on our processor as on this one`, () => {
			const { status, output, instructions } = runFlat(core, path, ['1'], 60_000)
			assert.equal(status, 0, output)
			assert.ok(instructions > 100_000, `${instructions} instructions`)
			assert.equal(parseLine(output)?.checksum, parseLine(execFileSync(path, ['1'], { encoding: 'utf8' }))?.checksum)
		})
	}
}
