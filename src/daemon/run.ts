import { mkdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { RecordFiles } from '../platform/node/record_files.ts'
import { savedFilesIn } from '../platform/node/saved_files.ts'
import { newCorePath } from './core_path.ts'
import { Daemon } from './daemon.ts'
import { endOnFault } from './fault.ts'
import type { OpenHost } from './hypervisor_host.ts'
import { takeLock } from './lock.ts'
import { openLog } from './log.ts'
import { openRunDir, type RunDir } from './rundir.ts'
import { daemonSettings } from './settings.ts'
import { readXendConfig, xendConfigFiles } from './xend_config.ts'

/** A daemon process from its first line to its last: never returns. `opener` makes its way to a hypervisor. */
export async function runDaemon(opener: (rundir: RunDir) => OpenHost): Promise<never> {
	const rundir = openRunDir()
	const lock = takeLock(rundir.lock)
	// Another start was quicker; its daemon serves both callers.
	if (lock === undefined) process.exit(0)

	const config = readConfig(rundir)
	const logfile = config.logfile ?? rundir.log
	const log = openLog(logfile, { domains: rundir.domainLogs, level: config.loglevel })
	endOnFault('xend', log)
	for (const warning of config.warnings) log('warning', `${config.file}: ${warning}`)

	const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
	mkdirSync(rundir.state, { recursive: true, mode: 0o700 })
	const stateLock = takeLock(join(rundir.state, 'lock'))
	if (stateLock === undefined) {
		log('critical', `xend ends: the state directory ${rundir.state} is in use by another xend: set XENOTYPE_STATEDIR`)
		process.exit(1)
	}
	const records = new RecordFiles({ managed: config.domainsPath ?? join(rundir.state, 'domains'), others: rundir.records })
	const daemon = new Daemon({
		socket: rundir.socket,
		open: opener(rundir),
		records,
		version,
		log,
		readLog: () => readFile(logfile, 'utf8'),
		corePath: (domain) => newCorePath(join(rundir.state, 'dump'), domain),
		savedFiles: savedFilesIn(join(rundir.state, 'saved')),
		config,
		settings: daemonSettings(rundir, config),
	})
	for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void daemon.end(`got ${signal}`, { domains: 'stop' }))
	process.on('SIGHUP', () => {})
	await daemon.listen()
	log('info', `xend ${version} started: pid ${process.pid}, socket ${rundir.socket}`)
	await daemon.ended
	stateLock[Symbol.dispose]()
	lock[Symbol.dispose]()
	process.exit(0)
}

/** A configuration that means nothing ends the daemon: what it was to do is not known. */
function readConfig(rundir: RunDir): ReturnType<typeof readXendConfig> {
	try {
		return readXendConfig(xendConfigFiles())
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		openLog(rundir.log)('critical', `xend ends: ${error.message}`)
		process.exit(1)
	}
}
