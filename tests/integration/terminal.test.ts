import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openRunDir } from '../../src/daemon/rundir.ts'
import { connect } from '../../src/sdk/connect.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const FAKE_DAEMON = join(root, 'tests/support/fake_daemon_main.ts')
const noScript = spawnSync('script', ['--version']).status === 0 ? false : 'the command script (package bsdutils) is not installed'

/** Runs a shell command line on a terminal of its own and types at it, each text once the one before it has shown. */
async function onTerminal(
	line: string,
	rundir: string,
	typed: readonly (readonly [after: string, text: string])[],
): Promise<{ status: number | null; out: string }> {
	const child = spawn('script', ['-qec', line, '/dev/null'], { cwd: root, env: { ...process.env, XENOTYPE_RUNDIR: rundir } })
	let out = ''
	let next = 0
	let seen = 0
	child.stdout.on('data', (chunk: Buffer) => {
		out += chunk.toString('utf8')
		const step = typed[next]
		const at = step === undefined ? -1 : out.indexOf(step[0], seen)
		if (at < 0) return
		seen = at + step![0].length
		next++
		child.stdin.write(step![1])
	})
	const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
	return { status, out }
}

test('xm console on a terminal: Ctrl-] detaches, the domain runs on, the terminal is as it was', {
	skip: noScript,
	timeout: 60_000,
}, async () => {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	const rundir = openRunDir({ XENOTYPE_RUNDIR: join(directory, 'run') })
	const { client } = await connect({ rundir, program: FAKE_DAEMON })
	try {
		writeFileSync(join(directory, 'web'), "kernel = '/k'\n")
		await client.create({ values: { name: 'web', kernel: '/k' } })
		const { status, out } = await onTerminal('stty -a; echo START; bin/xm console web; echo status=$?; stty -a', rundir.path, [
			['Attached', 'typed\x1dnot typed'],
		])
		assert.equal(status, 0)
		assert.match(out, /Detached; 'web' runs on\.\r?\n/)
		assert.match(out, /status=0/)
		const [before, after] = out.split('START').map((part) => /(-?icanon).*?(-?echo)\b/s.exec(part)?.slice(1))
		assert.deepEqual(after, before)
		assert.equal((await client.list()).length, 2)
	} finally {
		await client.stop()
		rmSync(directory, { recursive: true, force: true })
	}
})
