import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UserError } from '../base/errors.ts'
import { openRunDir, type RunDir } from '../daemon/rundir.ts'
import { DaemonUnreachable, XendClient } from './client.ts'

const START_TIMEOUT_MS = 30_000
const DAEMON = fileURLToPath(new URL('../daemon/main.ts', import.meta.url))

/** A client of this user's daemon, which is started when it is not running. `started` says whether this call started it. */
export async function connect(rundir: RunDir = openRunDir(), program = DAEMON): Promise<{ client: XendClient; started: boolean }> {
	const client = new XendClient(rundir.socket)
	if (await isUp(client)) return { client, started: false }
	const started = await startDaemon(rundir, client, program)
	return { client, started }
}

async function isUp(client: XendClient): Promise<boolean> {
	try {
		await client.daemon()
		return true
	} catch (error) {
		if (error instanceof DaemonUnreachable) return false
		throw error
	}
}

/**
 * Starts the daemon detached and waits until it answers. Several clients may do so at once: the lock lets one daemon live, the others
 * leave with status 0, and every client finds the one that lives.
 */
async function startDaemon(rundir: RunDir, client: XendClient, program: string): Promise<boolean> {
	const log = openSync(rundir.log, 'a', 0o600)
	const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
		cwd: '/',
		detached: true,
		stdio: ['ignore', log, log],
		env: { ...process.env, XENOTYPE_RUNDIR: rundir.path },
	})
	closeSync(log)
	let exitCode: number | null | undefined
	child.on('exit', (code) => {
		exitCode = code
	})
	child.on('error', () => {
		exitCode = null
	})
	child.unref()
	const deadline = Date.now() + START_TIMEOUT_MS
	while (Date.now() < deadline) {
		if (await isUp(client)) return (await client.daemon()).pid === child.pid
		if (exitCode !== undefined && exitCode !== 0)
			throw new UserError(`xend did not start:\n${lastLines(rundir.log)}`, { code: 'unreachable' })
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
	throw new UserError(`xend did not answer within ${START_TIMEOUT_MS / 1000} s; its log is ${rundir.log}`, { code: 'unreachable' })
}

function lastLines(path: string): string {
	return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-12).join('\n')
}
