import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { isAlive } from './process_state.ts'

test('isAlive() is true of a process that runs, and false of one that has ended, even before its parent has noticed', async () => {
	assert.equal(isAlive(process.pid), true)
	const child = spawn(process.execPath, ['--eval', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
	const pid = child.pid as number
	assert.equal(isAlive(pid), true)
	child.kill('SIGKILL')
	// Nothing of Node's runs in this loop: nobody has waited for the child.
	for (const end = Date.now() + 5000; isAlive(pid) && Date.now() < end; );
	assert.equal(isAlive(pid), false)
	await new Promise((resolve) => child.on('exit', resolve))
	assert.equal(isAlive(pid), false)
})
