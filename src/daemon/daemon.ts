import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { collectGarbageSoon } from '../platform/node/collect_garbage.ts'
import { domainInfo } from '../toolstack/domain_record.ts'
import { Lifecycle, type LogLevel } from '../toolstack/lifecycle.ts'
import { createApiServer } from './api_server.ts'
import { DomainConsoles } from './domain_consoles.ts'
import { domain0, freeMemory_kib, hostInfo } from './host_info.ts'
import type { HypervisorHost } from './hypervisor_host.ts'

export interface DaemonOptions {
	readonly socket: string
	readonly host: HypervisorHost
	readonly version: string
	readonly log: (level: LogLevel, message: string) => void
	/** Without domains and callers for this long, it ends by itself. */
	readonly idleExit_s?: number
}

/** xend: the lifecycle behind the API, on the run directory's socket. The caller holds the lock file. */
export class Daemon {
	readonly lifecycle: Lifecycle
	/** Resolves when the daemon has ended and everything it had is freed. */
	readonly ended: Promise<void>
	private readonly options: DaemonOptions
	private readonly server: Server
	private readonly startTime_s = Date.now() / 1000
	private resolveEnded: () => void = () => {}
	private idleTimer: NodeJS.Timeout | undefined
	private openRequests = 0
	private ending = false

	constructor(options: DaemonOptions) {
		this.options = options
		this.ended = new Promise((resolve) => {
			this.resolveEnded = resolve
		})
		this.lifecycle = new Lifecycle({
			factory: options.host.factory,
			newUuid: randomUUID,
			now_s: () => Date.now() / 1000,
			freeMemory_kib,
			log: options.log,
		})
		this.lifecycle.onEvent((event) => {
			this.rearmIdle()
			// Not before whoever emits it has let go of the domain.
			if (event.type !== 'created') setImmediate(collectGarbageSoon)
		})
		this.server = createApiServer({
			lifecycle: this.lifecycle,
			consoles: new DomainConsoles(this.lifecycle),
			version: options.version,
			domain0: () => domain0(this.lifecycle.list().map(domainInfo), this.startTime_s),
			hostInfo: () => hostInfo(options.host.info()),
			hypervisorLog: (clear) => options.host.log(clear),
			stop: () => void this.end('asked to stop'),
			touched: (openRequests) => {
				this.openRequests = openRequests
				this.rearmIdle()
			},
		})
	}

	/** Listens. A socket left by a daemon that died is removed: holding the lock says that nobody else listens. */
	async listen(): Promise<void> {
		rmSync(this.options.socket, { force: true })
		const umask = process.umask(0o077)
		await new Promise<void>((resolve, reject) => {
			this.server.once('error', reject)
			this.server.listen(this.options.socket, resolve)
		})
		process.umask(umask)
		this.rearmIdle()
	}

	/** Destroys every domain and ends. */
	async end(why: string): Promise<void> {
		if (this.ending) return this.ended
		this.ending = true
		clearTimeout(this.idleTimer)
		const domains = this.lifecycle.list().length
		this.options.log('info', `xend ends: ${why}.${domains === 0 ? '' : ` Destroying ${domains} domain${domains === 1 ? '' : 's'}.`}`)
		this.server.close()
		await this.lifecycle.destroyAll()
		this.server.closeIdleConnections()
		await this.options.host.close()
		setImmediate(() => this.server.closeAllConnections())
		this.resolveEnded()
	}

	private rearmIdle(): void {
		clearTimeout(this.idleTimer)
		if (this.ending) return
		const seconds = this.options.idleExit_s ?? 60
		this.idleTimer = setTimeout(() => {
			if (this.openRequests > 0 || this.lifecycle.busy) this.rearmIdle()
			else void this.end(`no domain for ${seconds} s`)
		}, seconds * 1000)
	}
}
