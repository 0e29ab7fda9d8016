import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { daemonCommand } from './daemon_command.ts'
import type { RunDir } from './rundir.ts'
import { readStartNote } from './start_note.ts'

/** How long a start that left to another is given before the next one. */
const RETRY_MS = 2000
/** A first start compiles the processor core. */
const START_TIMEOUT_MS = 180_000
const PATIENCE_MS = 3000
const POLL_MS = 10

export interface ProcessStart<T> {
	/** As it is called in messages. */
	readonly name: string
	readonly program: string
	readonly rundir: Pick<RunDir, 'path' | 'state' | 'startNote'>
	readonly log: string
	/** Undefined as long as it is not up. */
	readonly attempt: () => Promise<T | undefined>
	/** Which process answered, where several callers may start it at once. */
	readonly pidOf?: (result: T) => number
	/** Hears why it takes long, and again when that changes. */
	readonly report?: (line: string) => void
}

/**
 * Starts one of our processes detached, its output in its log, and waits until it answers. Several may do so at once: the process's lock
 * lets one of them live, the others leave with status 0, and everybody finds the one that lives. If that one was just about to end, a
 * later start takes its place. A process of ours that is not the one that answers has left when this resolves: one that came to the lock
 * later still could find it free, and nobody would know of the daemon that it became. Throws Error with the end of what it has logged when
 * it does not come up.
 */
export async function startProcess<T>(start: ProcessStart<T>): Promise<{ readonly result: T; readonly started: boolean }> {
	const { name, log, attempt, pidOf, report = () => {} } = start
	const logged = lengthOf(log)
	let child = spawnProcess(start)
	const began = Date.now()
	let spawned = began
	let reported: string | undefined
	while (Date.now() < began + START_TIMEOUT_MS) {
		const result = await attempt()
		if (result !== undefined) {
			const started = pidOf === undefined || pidOf(result) === child.pid
			if (started || child.leftToAnother || child.failed) return { result, started }
		}
		if (child.leftToAnother && Date.now() > spawned + RETRY_MS) {
			child = spawnProcess(start)
			spawned = Date.now()
		}
		if (child.failed) throw new Error(`${name} did not start:${linesFrom(log, logged)}`)
		const late = Date.now() > began + PATIENCE_MS ? `${name} is starting; its log is ${log}` : undefined
		const why = readStartNote(start.rundir.startNote) ?? reported ?? late
		if (why !== undefined && why !== reported) report(why)
		reported = why
		await new Promise((resolve) => setTimeout(resolve, POLL_MS))
	}
	throw new Error(`${name} did not answer within ${START_TIMEOUT_MS / 1000} s; its log is ${log}`)
}

interface StartedProcess {
	readonly pid: number | undefined
	leftToAnother: boolean
	failed: boolean
}

function spawnProcess({ program, rundir, log: logPath }: Pick<ProcessStart<unknown>, 'program' | 'rundir' | 'log'>): StartedProcess {
	const log = openSync(logPath, 'a', 0o600)
	const { args, env } = daemonCommand(program, rundir.path, process.execArgv, process.env)
	const child = spawn(process.execPath, args, {
		cwd: '/',
		detached: true,
		stdio: ['ignore', log, log],
		env: { ...env, XENOTYPE_STATEDIR: rundir.state },
	})
	closeSync(log)
	const started: StartedProcess = { pid: child.pid, leftToAnother: false, failed: false }
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

function lengthOf(path: string): number {
	return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** The last of what was logged since the log had so many bytes; the whole log, where it has begun anew. */
function linesFrom(path: string, bytes: number): string {
	const log = readFileSync(path)
	const lines = log
		.subarray(bytes > log.length ? 0 : bytes)
		.toString('utf8')
		.trimEnd()
		.split('\n')
		.slice(-12)
		.join('\n')
	return lines === '' ? ` it has written nothing to its log, ${path}: the disk may be full` : `\n${lines}`
}
