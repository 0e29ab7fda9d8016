import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UserError } from '../base/errors.ts'
import { openRunDir, type RunDir } from '../daemon/rundir.ts'
import { DaemonUnreachable, XendClient } from './client.ts'
import { daemonCommand } from './daemon_command.ts'

/** How long a start that left to another is given before the next one. */
const RETRY_MS = 2000
/** A first start compiles the processor core. */
const START_TIMEOUT_MS = 180_000
const PATIENCE_MS = 3000
const DAEMON = fileURLToPath(new URL('../daemon/main.ts', import.meta.url))

export interface ConnectOptions {
	readonly rundir?: RunDir
	/** The daemon's program, for tests. */
	readonly program?: string
	/** Hears why it takes long. */
	readonly report?: (line: string) => void
}

/** A client of this user's daemon, which is started when it is not running. `started` says whether this call started it. */
export async function connect(options: ConnectOptions = {}): Promise<{ client: XendClient; started: boolean }> {
	const { rundir = openRunDir(), program = DAEMON, report = () => {} } = options
	const client = new XendClient(rundir.socket)
	if (await isUp(client)) return { client, started: false }
	const started = await startDaemon(rundir, client, program, report)
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
 * leave with status 0, and every client finds the one that lives. If that one was just about to end, a later start takes its place.
 */
async function startDaemon(rundir: RunDir, client: XendClient, program: string, report: (line: string) => void): Promise<boolean> {
	let child = spawnDaemon(rundir, program)
	const began = Date.now()
	let spawned = began
	let reported = false
	while (Date.now() < began + START_TIMEOUT_MS) {
		if (await isUp(client)) return (await client.daemon()).pid === child.pid
		if (child.leftToAnother && Date.now() > spawned + RETRY_MS) {
			child = spawnDaemon(rundir, program)
			spawned = Date.now()
		}
		if (child.failed) throw new UserError(`xend did not start:\n${lastLines(rundir.log)}`, { code: 'unreachable' })
		if (!reported && Date.now() > began + PATIENCE_MS) {
			reported = true
			report(`xend is starting; its log is ${rundir.log}`)
		}
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
	throw new UserError(`xend did not answer within ${START_TIMEOUT_MS / 1000} s; its log is ${rundir.log}`, { code: 'unreachable' })
}

function spawnDaemon({ path, log: logPath }: RunDir, program: string): DaemonProcess {
	const log = openSync(logPath, 'a', 0o600)
	const { args, env } = daemonCommand(program, path, process.execArgv, process.env)
	const child = spawn(process.execPath, args, { cwd: '/', detached: true, stdio: ['ignore', log, log], env })
	closeSync(log)
	const started: DaemonProcess = { pid: child.pid, leftToAnother: false, failed: false }
	child.on('exit', (code) => {
		started.leftToAnother = code === 0
		started.failed = code !== 0
	})
	child.on('error', () => {
		started.failed = true
	})
	child.unref()
	return started
}

interface DaemonProcess {
	readonly pid: number | undefined
	leftToAnother: boolean
	failed: boolean
}

function lastLines(path: string): string {
	return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-12).join('\n')
}
