import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readPidFile, writePidFile } from './pid_file.ts'

function directoryOf(context: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), 'pid-file-'))
	context.after(() => rmSync(directory, { recursive: true }))
	return directory
}

test('who has a pid file open while the next process writes its own still reads the number before', (context) => {
	const directory = directoryOf(context)
	const path = join(directory, 'pid')
	writeFileSync(path, '4711\n')
	const reader = openSync(path, 'r')
	context.after(() => closeSync(reader))
	writePidFile(path)
	assert.equal(readFileSync(reader, 'utf8'), '4711\n')
	assert.equal(readPidFile(path), process.pid)
	assert.equal(statSync(path).mode & 0o777, 0o600)
	assert.deepEqual(readdirSync(directory), ['pid'])
})

test('a process that is not there has no number', (context) => {
	assert.equal(readPidFile(join(directoryOf(context), 'pid')), undefined)
})
