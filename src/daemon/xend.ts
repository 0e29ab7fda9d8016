/** The program `xend start|stop|restart|status`: bin/xend runs it. The daemon itself is main.ts. */
import { dirname } from 'node:path'
import { UserError } from '../base/errors.ts'
import { endWithReader } from '../cli/broken_pipe.ts'
import { whileStarting, whileWaiting } from '../cli/progress.ts'
import { unknownTask } from '../cli/unknown_task.ts'
import { DaemonUnreachable, XendClient } from '../sdk/client.ts'
import { connect } from '../sdk/connect.ts'
import type { DaemonInfo } from './api.ts'
import { readPidFile } from './pid_file.ts'
import { isAlive } from './process_state.ts'
import { openRunDir, type RunDir } from './rundir.ts'

const USAGE = `Usage: xend start|stop|restart|status

  start     Start the toolstack's daemon, if it is not running.
  stop      End it. Domains run on, unless their on_xend_stop says otherwise.
  restart   End it and start it again.
  status    Say whether it is running, and where.

Programs of Xenotype start it when they need it, and it ends by itself a minute after the last domain and caller.
`

/** As init scripts have it: not running. */
const NOT_RUNNING = 3

type Print = (line: string) => void

const COMPLAIN: Print = (line) => void process.stderr.write(`${line}\n`)

/** Runs `xend WORDS...` and returns the exit status. */
export async function runXend(words: readonly string[], rundir: RunDir, print: Print, complain: Print = COMPLAIN): Promise<number> {
	const client = new XendClient(rundir.socket)
	switch (words.length === 1 ? words[0] : undefined) {
		case 'start':
			await start(rundir)
			return 0
		case 'stop':
			await stop(client)
			return 0
		case 'restart':
			await stop(client)
			await start(rundir)
			return 0
		case 'status':
			return status(await running(client), rundir, print)
		case 'help':
		case '--help':
		case '-h':
			print(USAGE.trimEnd())
			return 0
		default:
			if (words.length > 0) complain(unknownTask('xend', words))
			print(USAGE.trimEnd())
			return 1
	}
}

async function running(client: XendClient): Promise<DaemonInfo | undefined> {
	try {
		return await client.daemon()
	} catch (error) {
		if (error instanceof DaemonUnreachable) return undefined
		throw error
	}
}

async function start(rundir: RunDir): Promise<void> {
	const terminal = { stderr: process.stderr, complain: COMPLAIN }
	await whileStarting(terminal, 'xend', (report) => connect({ rundir, report }))
}

async function stop(client: XendClient): Promise<void> {
	const info = await running(client)
	if (info === undefined) return
	try {
		await client.stop()
	} catch (error) {
		// Somebody else has stopped it meanwhile.
		if (!(error instanceof DaemonUnreachable)) throw error
	}
	// Domains whose on_xend_stop is shutdown have five minutes.
	const ended = async () => {
		while (isAlive(info.pid)) await new Promise((resolve) => setTimeout(resolve, 50))
	}
	await whileWaiting(process, 'stopping', ended())
}

function status(info: DaemonInfo | undefined, { socket, xenstore, xenstored, hypervisor, log, state }: RunDir, print: Print): number {
	if (info === undefined) {
		print('xend is not running')
		return NOT_RUNNING
	}
	const xenstoredPid = readPidFile(xenstored.pid)
	const rows = [
		['xend is running', `pid ${info.pid}, version ${info.version}, domains ${info.domains}`],
		['its socket', socket],
		['its log', log],
		['managed domains', state],
		['hypervisor', `pid ${info.hypervisorPid}`],
		['its socket', hypervisor.socket],
		['xenstored', xenstoredPid === undefined ? 'not running' : `pid ${xenstoredPid}`],
		['XENSTORED_RUNDIR', dirname(xenstore)],
	]
	for (const [name, value] of rows) print(`${(name as string).padEnd(17)}: ${value}`)
	return 0
}

if (import.meta.main) {
	endWithReader()
	try {
		process.exitCode = await runXend(process.argv.slice(2), openRunDir(), (line) => void process.stdout.write(`${line}\n`))
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		process.stderr.write(`Error: ${error.message}\n`)
		process.exitCode = error.exitCode
	}
}
