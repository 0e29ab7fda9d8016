import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openRunDir } from './rundir.ts'
import { runXend } from './xend.ts'

test('xend status says that it is not running with the status of init scripts, and other words get the usage', async () => {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	try {
		const rundir = openRunDir({ XENOTYPE_RUNDIR: directory })
		const lines: string[] = []
		assert.equal(await runXend(['status'], rundir, (line) => lines.push(line)), 3)
		assert.equal(await runXend(['stop'], rundir, (line) => lines.push(line)), 0)
		assert.deepEqual(lines, ['xend is not running'])
		const errors: string[] = []
		for (const words of [[], ['dance'], ['start', 'twice']])
			assert.equal(
				await runXend(
					words,
					rundir,
					(line) => lines.push(line),
					(line) => errors.push(line),
				),
				1,
			)
		assert.deepEqual(
			errors,
			["'xend dance'", "'xend start twice'"].map(
				(what) => `Error: ${what} is not valid: the one word after xend must be start, stop, restart or status`,
			),
		)
		assert.match(lines.at(-1)!, /^Usage: xend start\|stop\|restart\|status\n/)
	} finally {
		rmSync(directory, { recursive: true })
	}
})
