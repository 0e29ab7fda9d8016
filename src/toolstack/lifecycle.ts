import { UserError } from '../base/errors.ts'
import { type CheckedConfig, type ConfigValues, checkConfig, type DomainConfig, type ExitAction } from './config.ts'
import type { DomainEnd, DomainFactory, ShutdownRequest } from './domain_handle.ts'
import { type DomainInfo, type DomainRecord, domainInfo } from './domain_record.ts'

/**
 * The life of every domain: create, pause, shut down, and what happens when a guest ends by itself.
 *
 * Domains are known by name or number. Names are unique among live domains, preserved ones included. All methods run on one thread;
 * an operation that awaits re-reads the record afterwards.
 */
export class Lifecycle {
	private readonly options: LifecycleOptions
	private readonly records = new Map<number, DomainRecord>()
	/** Names of domains that are being built. */
	private readonly reserved = new Set<string>()
	/** Guests whose end is being acted upon. */
	private ending = 0
	private readonly listeners = new Set<(event: DomainEvent) => void>()

	constructor(options: LifecycleOptions) {
		this.options = options
	}

	/** Creates a domain from a configuration's variables; it runs unless `paused`. */
	async create(values: ConfigValues, options: { paused?: boolean } = {}): Promise<{ domain: DomainInfo; warnings: string[] }> {
		const { config, warnings }: CheckedConfig = checkConfig(values)
		const record = await this.start(config, 0)
		if (options.paused !== true) record.handle.unpause()
		return { domain: domainInfo(record), warnings }
	}

	/** A domain exists, is being built, or is between its end and its restart. */
	get busy(): boolean {
		return this.records.size > 0 || this.reserved.size > 0 || this.ending > 0
	}

	list(): DomainRecord[] {
		return [...this.records.values()].sort((a, b) => a.handle.domid - b.handle.domid)
	}

	/** By name, else by number. Throws NoSuchDomain. */
	find(reference: string): DomainRecord {
		for (const record of this.records.values()) if (record.config.name === reference) return record
		const record = /^\d+$/.test(reference) ? this.records.get(Number(reference)) : undefined
		if (record === undefined) throw new NoSuchDomain(reference)
		return record
	}

	async pause(reference: string): Promise<void> {
		const record = this.findGuest(reference, 'pause')
		await record.handle.pause()
		this.log('info', `Domain ${record.config.name} (${record.handle.domid}) paused.`)
	}

	unpause(reference: string): void {
		const record = this.findGuest(reference, 'unpause')
		record.handle.unpause()
		this.log('info', `Domain ${record.config.name} (${record.handle.domid}) unpaused.`)
	}

	/** Asks the guest to shut down through control/shutdown and returns at once. */
	async shutdown(reference: string, request: ShutdownRequest): Promise<void> {
		if (isDomain0(reference)) throw new UserError('Domain 0 cannot be shutdown')
		const record = this.find(reference)
		this.log('info', `Domain ${record.config.name} (${record.handle.domid}) asked to ${request}.`)
		record.shutdownRequested = request
		await record.handle.requestShutdown(request)
	}

	async destroy(reference: string): Promise<void> {
		await this.remove(this.findGuest(reference, 'destroy'), { reason: 'destroyed' })
	}

	/** The daemon is going away: destroys every domain. */
	async destroyAll(): Promise<void> {
		for (const record of this.list()) await this.remove(record, { reason: 'destroyed' })
	}

	onEvent(listener: (event: DomainEvent) => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	private findGuest(reference: string, verb: string): DomainRecord {
		if (isDomain0(reference)) throw new UserError(`Cannot ${verb} privileged domain ${reference}`)
		return this.find(reference)
	}

	/** Builds a domain, paused, and watches for its end. */
	private async start(config: DomainConfig, restartCount: number): Promise<DomainRecord> {
		this.checkName(config.name)
		this.checkMemory(config)
		this.reserved.add(config.name)
		try {
			const named = { ...config, uuid: config.uuid ?? this.options.newUuid() }
			const handle = await this.options.factory.create(named)
			const record: DomainRecord = {
				config: named,
				handle,
				startTime_s: this.options.now_s(),
				restartCount,
				shutdownRequested: undefined,
				end: undefined,
			}
			this.records.set(handle.domid, record)
			handle.ended.then((end) => this.guestEnded(record, end))
			this.log('info', `Domain ${named.name} (${handle.domid}) created.`)
			this.emit({ type: 'created', name: named.name, domid: handle.domid })
			return record
		} finally {
			this.reserved.delete(config.name)
		}
	}

	private checkName(name: string): void {
		const taken = this.list().find((record) => record.config.name === name)
		if (isDomain0(name)) throw new UserError(`VM name '${name}' already exists as domain 0`, { code: 'name-taken' })
		if (taken !== undefined) throw new UserError(`VM name '${name}' already exists as domain ${taken.handle.domid}`, { code: 'name-taken' })
		if (this.reserved.has(name)) throw new UserError(`VM name '${name}' already exists and is being created`, { code: 'name-taken' })
	}

	private checkMemory(config: DomainConfig): void {
		const need_kib = config.memory_mib * 1024
		const free_kib = this.options.freeMemory_kib()
		if (need_kib <= free_kib) return
		throw new UserError(
			`Not enough free memory and enable-dom0-ballooning is False, so I cannot release any more.  I need ${need_kib} KiB but only have ${Math.floor(free_kib)}.`,
			{ code: 'no-memory' },
		)
	}

	private async guestEnded(record: DomainRecord, end: DomainEnd): Promise<void> {
		const { name } = record.config
		const { domid } = record.handle
		if (this.records.get(domid) !== record) return
		record.end = end
		this.ending++
		if (end.reason === 'crash')
			this.log('warning', `Domain has crashed: name=${name} id=${domid}.${end.detail === undefined ? '' : ` ${end.detail}`}`)
		else this.log('info', `Domain has shutdown: name=${name} id=${domid} reason=${end.reason}.`)
		try {
			await this.act(record, end, exitAction(record.config, end))
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error)
			this.log('error', `Failed to restart domain ${domid}. ${message}`)
			this.emit({ type: 'restart-failed', name, previous: domid, message })
		} finally {
			this.ending--
		}
	}

	private async act(record: DomainRecord, end: DomainEnd, action: ExitAction): Promise<void> {
		const restarts = action === 'restart' || action === 'rename-restart'
		if (restarts && this.restartsTooFast(record)) {
			await this.remove(record, { ...end, refusedRestart: true })
		} else if (action === 'restart') {
			await this.remove(record, end, true)
			await this.restart(record, record.config)
		} else if (action === 'rename-restart') {
			const { name, uuid } = record.config
			const away = this.options.newUuid()
			record.config = { ...record.config, name: `Domain-${away}`, uuid: away }
			await record.handle.rename(record.config.name, away)
			this.log('info', `Renaming dead domain ${name} (${record.handle.domid}, ${uuid}) to ${record.config.name} (${away}).`)
			this.preserve(record, end, true)
			await this.restart(record, { ...record.config, name, uuid })
		} else if (action === 'preserve') {
			this.preserve(record, end, false)
		} else {
			await this.remove(record, end)
		}
	}

	private async restart(record: DomainRecord, config: DomainConfig): Promise<void> {
		const next = await this.start(config, record.restartCount + 1)
		next.handle.unpause()
		this.emit({ type: 'restarted', name: config.name, domid: next.handle.domid, previous: record.handle.domid })
	}

	/** A guest that keeps ending within a minute is not started over and over; a restart that somebody asked for is no loop. */
	private restartsTooFast(record: DomainRecord): boolean {
		const elapsed_s = this.options.now_s() - record.startTime_s
		if (record.shutdownRequested !== undefined || elapsed_s >= MINIMUM_RESTART_TIME_S) return false
		this.log(
			'error',
			`VM ${record.config.name} restarting too fast (Elapsed time: ${elapsed_s.toFixed(6)} seconds). Refusing to restart to avoid loops.`,
		)
		return true
	}

	private preserve(record: DomainRecord, end: DomainEnd, restarting: boolean): void {
		this.log('info', `Preserving dead domain ${record.config.name} (${record.handle.domid}).`)
		this.emit({ type: 'ended', name: record.config.name, domid: record.handle.domid, ...end, preserved: true, restarting })
	}

	private async remove(record: DomainRecord, end: RemovalReason, restarting = false): Promise<void> {
		const { name } = record.config
		const { domid } = record.handle
		this.records.delete(domid)
		await record.handle.destroy()
		this.log('info', `Domain ${name} (${domid}) destroyed.`)
		if (record.end !== undefined && end.reason === 'destroyed') return this.emit({ type: 'destroyed', name, domid })
		this.emit({ type: 'ended', name, domid, ...end, preserved: false, restarting })
	}

	private emit(event: DomainEvent): void {
		for (const listener of [...this.listeners]) listener(event)
	}

	private log(level: LogLevel, message: string): void {
		this.options.log(level, message)
	}
}

export type LogLevel = 'debug' | 'info' | 'warning' | 'error'

export interface LifecycleOptions {
	readonly factory: DomainFactory
	readonly newUuid: () => string
	/** Seconds since 1970. */
	readonly now_s: () => number
	readonly freeMemory_kib: () => number
	readonly log: (level: LogLevel, message: string) => void
}

type RemovalReason = { reason: DomainEnd['reason'] | 'destroyed'; detail?: string | undefined; refusedRestart?: boolean }

export type DomainEvent =
	| { type: 'created'; name: string; domid: number }
	/** The guest ended, or was destroyed while it ran. `preserved`: it is still listed. `restarting`: 'restarted' follows, or a failure. */
	| ({ type: 'ended'; name: string; domid: number; preserved: boolean; restarting: boolean } & RemovalReason)
	/** A preserved domain was destroyed. */
	| { type: 'destroyed'; name: string; domid: number }
	| { type: 'restarted'; name: string; domid: number; previous: number }
	| { type: 'restart-failed'; name: string; previous: number; message: string }

/** xend's XendInvalidDomain: exit status 3. */
export class NoSuchDomain extends UserError {
	constructor(reference: string) {
		super(`Domain '${reference}' does not exist.`, { code: 'no-such-domain', exitCode: 3 })
		this.name = 'NoSuchDomain'
	}
}

export const DOMAIN_0 = 'Domain-0'
const MINIMUM_RESTART_TIME_S = 60

export function isDomain0(reference: string): boolean {
	return reference === '0' || reference === DOMAIN_0
}

function exitAction(config: DomainConfig, end: DomainEnd): ExitAction {
	if (end.reason === 'poweroff') return config.on_poweroff
	if (end.reason === 'reboot') return config.on_reboot
	if (end.reason === 'crash' || end.reason === 'watchdog') return config.on_crash
	return 'destroy'
}
