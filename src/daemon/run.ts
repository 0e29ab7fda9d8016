import { readFileSync } from 'node:fs'
import { Daemon } from './daemon.ts'
import type { HypervisorHost, HypervisorHostOptions } from './hypervisor_host.ts'
import { takeLock } from './lock.ts'
import { openLog } from './log.ts'
import { openRunDir } from './rundir.ts'

/** A daemon process from its first line to its last: never returns. `open` makes its hypervisor, once it is sure to be the only one. */
export async function runDaemon(open: (options: HypervisorHostOptions) => Promise<HypervisorHost>): Promise<never> {
	const rundir = openRunDir()
	const lock = takeLock(rundir.lock)
	// Another start was quicker; its daemon serves both callers.
	if (lock === undefined) process.exit(0)

	const log = openLog(rundir.log)
	const fatal = (error: unknown) => {
		log('error', `xend ends: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
		process.exit(1)
	}
	process.on('uncaughtException', fatal)
	process.on('unhandledRejection', fatal)

	const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
	const daemon = new Daemon({ socket: rundir.socket, host: await open({ rundir, log }), version, log })
	for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void daemon.end(`got ${signal}`))
	process.on('SIGHUP', () => {})
	await daemon.listen()
	log('info', `xend ${version} started: pid ${process.pid}, socket ${rundir.socket}`)
	await daemon.ended
	lock[Symbol.dispose]()
	process.exit(0)
}
