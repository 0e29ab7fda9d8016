import { fileURLToPath } from 'node:url'
import { UserError } from '../base/errors.ts'
import { openRunDir, type RunDir } from '../daemon/rundir.ts'
import { startProcess } from '../daemon/start_process.ts'
import { DaemonUnreachable, XendClient } from './client.ts'

/** From src/sdk, and from dist/sdk in a package. */
const DAEMON = fileURLToPath(new URL('../../src/daemon/main.ts', import.meta.url))

export interface ConnectOptions {
	readonly rundir?: RunDir
	/** The daemon's program, for tests. */
	readonly program?: string
	/** Hears why it takes long. */
	readonly report?: (line: string) => void
}

/**
 * A client of this user's daemon, which is started when it is not running: now, and whenever a later call finds it gone, for it ends by itself
 * when it has no domain and no caller for a while. `started` says whether this call started it.
 */
export async function connect(options: ConnectOptions = {}): Promise<{ client: XendClient; started: boolean }> {
	const { rundir = openRunDir(), program = DAEMON, report = () => {} } = options
	const probe = new XendClient(rundir.socket)
	const revive = async () => !(await isUp(probe)) && startDaemon(rundir, probe, program, report)
	const started = await revive()
	return { client: new XendClient(rundir.socket, { revive }), started }
}

/** A client of this user's daemon where one runs. */
export async function connectRunning(rundir = openRunDir()): Promise<XendClient | undefined> {
	const client = new XendClient(rundir.socket)
	return (await isUp(client)) ? client : undefined
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

async function startDaemon(rundir: RunDir, client: XendClient, program: string, report: (line: string) => void): Promise<boolean> {
	const attempt = async () => ((await isUp(client)) ? client.daemon() : undefined)
	try {
		const { started } = await startProcess({ name: 'xend', program, rundir, log: rundir.log, attempt, pidOf: ({ pid }) => pid, report })
		return started
	} catch (error) {
		if (error instanceof UserError) throw error
		throw new UserError((error as Error).message, { code: 'unreachable' })
	}
}
