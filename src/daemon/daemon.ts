import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { totalmem } from 'node:os'
import { UserError } from '../base/errors.ts'
import { checkWritable } from '../platform/node/output_file.ts'
import { isAtRest } from '../toolstack/domain_record.ts'
import { Lifecycle } from '../toolstack/lifecycle.ts'
import type { Log } from '../toolstack/log_level.ts'
import type { RecordStore } from '../toolstack/record_store.ts'
import type { SavedFiles } from '../toolstack/save_restore.ts'
import type { HostInfo } from './api.ts'
import { createApiServer } from './api_server.ts'
import { DomainConsoles } from './domain_consoles.ts'
import { freeMemory_kib } from './free_memory.ts'
import type { HostLink, OpenHost } from './hypervisor_host.ts'
import type { XendConfig } from './xend_config.ts'

interface CoreOf {
	readonly name: string
	readonly domid: number
}

export interface DaemonOptions {
	readonly socket: string
	readonly open: OpenHost
	readonly records: RecordStore
	readonly version: string
	readonly log: Log
	/** The newest of its log files, for `xm log`. */
	readonly readLog?: () => Promise<string>
	/** Where a core of a domain goes when nobody says so. Without it there are no cores but those whose place is named. */
	readonly corePath?: (domain: CoreOf) => Promise<string>
	/** Files of suspended managed domains. */
	readonly savedFiles?: SavedFiles
	/** What xend-config.sxp says of domains. Without it the host keeps no memory back, and a core is written only where on_crash says so. */
	readonly config?: Pick<XendConfig, 'consoleLimit_bytes' | 'dom0MinMemory_kib' | 'dumpCrashed'>
	/** For `xm info -c`. */
	readonly settings?: HostInfo
	/** Without domains and callers for this long, it ends by itself. */
	readonly idleExit_s?: number
}

export interface EndOptions {
	/** What becomes of the domains: they run on by themselves, or as their on_xend_stop says, or are destroyed. */
	readonly domains: 'leave' | 'stop' | 'destroy'
}

const REATTACH_MS = [0, 200, 1000, 5000]

/** xend: the lifecycle behind the API, on the run directory's socket. The caller holds the lock file. */
export class Daemon {
	readonly lifecycle: Lifecycle
	/** Resolves when the daemon has ended; domains may run on. */
	readonly ended: Promise<void>
	private readonly options: DaemonOptions
	private readonly server: Server
	/** Consoles too, which the server forgets once they are upgraded. */
	private readonly connections = new Set<Socket>()
	private link: HostLink | undefined
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
			records: options.records,
			newUuid: randomUUID,
			now_s: () => Date.now() / 1000,
			freeMemory_kib: () => Math.max(0, freeMemory_kib() - (options.config?.dom0MinMemory_kib ?? 0)),
			...(options.config && {
				keptMemory_kib: options.config.dom0MinMemory_kib,
				consoleLimit_bytes: options.config.consoleLimit_bytes,
				dumpCrashed: options.config.dumpCrashed,
			}),
			...(options.savedFiles && { savedFiles: options.savedFiles }),
			checkWritable,
			dom0Memory_kib: Math.floor(totalmem() / 1024),
			dumpCore: async (domain) => {
				const { xen } = await this.lifecycle.attached()
				await xen.dumpCore(domain.domid, await this.corePath(domain), false)
			},
			log: options.log,
		})
		this.lifecycle.onEvent(() => this.rearmIdle())
		this.server = createApiServer({
			lifecycle: this.lifecycle,
			consoles: new DomainConsoles(this.lifecycle),
			version: options.version,
			readLog: options.readLog ?? (() => Promise.resolve('')),
			settings: options.settings ?? [],
			corePath: (domain) => this.corePath(domain),
			startTime_s: Date.now() / 1000,
			stop: (domains) => void this.end('asked to stop', { domains }),
			touched: (openRequests) => {
				this.openRequests = openRequests
				this.rearmIdle()
			},
		})
		this.server.on('connection', (socket) => {
			this.connections.add(socket)
			socket.on('close', () => this.connections.delete(socket))
		})
	}

	/** Takes up work with the hypervisor, then listens. A socket left by a daemon that died is removed: holding the lock says that nobody else listens. */
	async listen(): Promise<void> {
		const link = await this.attach()
		void this.stayAttached(link)
		rmSync(this.options.socket, { force: true })
		const umask = process.umask(0o077)
		await new Promise<void>((resolve, reject) => {
			this.server.once('error', reject)
			this.server.listen(this.options.socket, resolve)
		})
		process.umask(umask)
		this.rearmIdle()
	}

	/** Ends the daemon, and the hypervisor with it when that has no domain any more. */
	async end(why: string, { domains }: EndOptions): Promise<void> {
		if (this.ending) return this.ended
		this.ending = true
		clearTimeout(this.idleTimer)
		const { lifecycle, server } = this
		const count = lifecycle.table.entries().filter(({ record }) => !isAtRest(record)).length
		const fate = { leave: 'runs on', stop: 'stops or runs on', destroy: 'is destroyed' }[domains]
		this.options.log('info', `xend ends: ${why}.${count === 0 ? '' : ` Domains: ${count}, each ${fate}.`}`)
		server.close()
		await Promise.race([this.settleDomains(domains), this.link?.lost])
		server.closeIdleConnections()
		await this.link?.close({ stop: true })
		setImmediate(() => {
			for (const socket of this.connections) socket.destroySoon()
		})
		this.resolveEnded()
	}

	/** Clients whose connections are open. */
	get clients(): number {
		return this.connections.size
	}

	private async settleDomains(domains: EndOptions['domains']): Promise<void> {
		try {
			if (domains === 'stop') await this.lifecycle.stopWithXend()
			if (domains === 'destroy') await this.lifecycle.destroyAll()
		} catch (error) {
			this.options.log('error', `Not every domain is dealt with: ${error instanceof Error ? error.message : String(error)}`)
		}
	}

	private async corePath(domain: CoreOf): Promise<string> {
		const { corePath } = this.options
		if (corePath === undefined) throw new UserError('a core has no place here unless it is given one', { code: 'no-file' })
		return corePath(domain)
	}

	private async attach(): Promise<HostLink> {
		const link = await this.options.open()
		try {
			await this.lifecycle.attach(link)
		} catch (error) {
			await link.close({ stop: false })
			throw error
		}
		this.link = link
		return link
	}

	/** Whenever hypervisor or store are lost, goes on with the next. */
	private async stayAttached(first: HostLink): Promise<void> {
		let link = first
		for (;;) {
			await link.lost
			if (this.ending) return
			this.options.log('critical', 'The connection to the hypervisor or to XenStore is lost.')
			this.lifecycle.detach()
			await link.close({ stop: false })
			const next = await this.reattach()
			if (next === undefined) return
			link = next
		}
	}

	private async reattach(): Promise<HostLink | undefined> {
		for (let attempt = 0; !this.ending; attempt++) {
			await new Promise((resolve) => setTimeout(resolve, REATTACH_MS[Math.min(attempt, REATTACH_MS.length - 1)]))
			try {
				const link = await this.attach()
				this.options.log('info', `Attached to the hypervisor again (${link.bootId}).`)
				return link
			} catch (error) {
				const message = `The hypervisor cannot be had: ${error instanceof Error ? error.message : String(error)}`
				this.options.log('error', message)
				if (attempt > 0) this.lifecycle.despair(new UserError(message, { code: 'hypervisor-gone' }))
			}
		}
		return undefined
	}

	private rearmIdle(): void {
		clearTimeout(this.idleTimer)
		if (this.ending) return
		const seconds = this.options.idleExit_s ?? 60
		this.idleTimer = setTimeout(() => {
			if (this.openRequests > 0 || this.lifecycle.busy) this.rearmIdle()
			else void this.end(`no domain for ${seconds} s`, { domains: 'leave' })
		}, seconds * 1000)
	}
}
