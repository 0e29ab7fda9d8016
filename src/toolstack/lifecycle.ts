import { UserError } from '../base/errors.ts'
import type { DomainState, XenEvent } from '../xenctrl/interface.ts'
import { type ConfigValues, checkConfig, type DomainConfig } from './config.ts'
import {
	type DomainInfo,
	domainInfo,
	domidOf,
	isAtRest,
	type LiveDomainInfo,
	type ManagedEntry,
	type Phase,
	zombieInfo,
} from './domain_record.ts'
import { type Host, isLost, nameDomain, removeDomain, requestShutdown, type ShutdownRequest } from './domain_steps.ts'
import { DomainTable, type Entry } from './domain_table.ts'
import { DomainWork, notRunning, SHUTDOWN_TIMEOUT_S } from './domain_work.ts'
import { ExitActions, type ExitActionsOptions } from './exit_actions.ts'
import type { HostMemory } from './free_memory.ts'
import { type DomainEvent, isDomain0, NoSuchDomain } from './lifecycle_events.ts'
import type { Log } from './log_level.ts'
import type { RecordStore } from './record_store.ts'
import { recover } from './recovery.ts'
import { discardSuspended, resumeManaged, type SavedFiles, suspendManaged } from './save_restore.ts'

export { DOMAIN_0, type DomainEvent, isDomain0, NoSuchDomain } from './lifecycle_events.ts'

export interface LifecycleOptions extends ExitActionsOptions, HostMemory {
	readonly records: RecordStore
	/** What the console of a domain that is built keeps of its output; CONSOLE_LIMIT_BYTES without it. */
	readonly consoleLimit_bytes?: number
	/** What dom0 has, for its nodes in XenStore. */
	readonly dom0Memory_kib: number
	/** Files of suspended managed domains; without it none can be suspended. */
	readonly savedFiles?: SavedFiles
	/** Whether a file can be made at an absolute path: a UserError that says why not, before a guest suspends itself in vain. */
	readonly checkWritable?: (path: string) => Promise<void>
	/** How long a guest may take to suspend itself; 60 s by default. */
	readonly suspendTimeout_s?: number
	readonly log: Log
}

/**
 * The life of every domain: create, pause, shut down, and what happens when a guest ends by itself.
 *
 * Domains are known by name or number. Names are unique, also among preserved and halted ones. What an operation has reported is
 * durable; one that is cut off is finished or taken back by the next toolstack (recovery.ts). Operations wait while no hypervisor is attached.
 */
export class Lifecycle {
	readonly options: LifecycleOptions
	readonly table: DomainTable
	readonly work: DomainWork
	readonly exits: ExitActions
	private host = Promise.withResolvers<Host>()
	private detached = Promise.withResolvers<void>()
	private readonly listeners = new Set<(event: DomainEvent) => void>()
	private stopEvents = () => {}
	private loaded = false

	constructor(options: LifecycleOptions) {
		this.options = options
		this.table = new DomainTable(options.records)
		this.work = new DomainWork(this.table, {
			...options,
			emit: (event) => this.emit(event),
			onShutdownDue: (entry, domid) => void this.shutdownExpired(entry, domid).catch((error) => this.work.failed(entry, error)),
		})
		this.exits = new ExitActions(this.table, this.work, options)
		this.host.promise.catch(() => {})
	}

	// ---- the hypervisor -----------------------------------------------------------------------------------------------------

	/** Takes up work with a hypervisor and a store: first finishes what was begun, and acts on what has happened meanwhile. */
	async attach(host: Host): Promise<void> {
		this.stopEvents()
		this.stopEvents = host.xen.onEvent((event) => this.onXenEvent(host, event))
		const first = !this.loaded
		if (first) await this.table.load(this.options.log)
		this.loaded = true
		await recover(this, host)
		this.host.resolve(host)
		if (first) void this.startWithXend()
	}

	/** The hypervisor or the store is gone; operations wait for the next attach(). */
	detach(): void {
		this.stopEvents()
		this.stopEvents = () => {}
		this.renewHost()
		this.detached.resolve()
		this.detached = Promise.withResolvers<void>()
	}

	/** No hypervisor can be had for now: operations that wait for one reject. */
	despair(error: Error): void {
		this.host.reject(error)
		this.renewHost()
	}

	/** The hypervisor and the store, once there are. */
	attached(): Promise<Host> {
		return this.host.promise
	}

	/** Asks something of the hypervisor, and if it is lost meanwhile, the next one. */
	async ask<T>(question: (host: Host) => Promise<T>): Promise<T> {
		for (;;) {
			const host = await this.host.promise
			const detached = this.detached.promise
			try {
				return await question(host)
			} catch (error) {
				if (!isLost(error)) throw error
			}
			await detached
		}
	}

	/** A domain exists, is being built, or is between its end and its restart. */
	get busy(): boolean {
		return this.table.entries().some(({ record }) => !isAtRest(record))
	}

	// ---- what there is ------------------------------------------------------------------------------------------------------

	/** Every domain with what the hypervisor says of it, by number; managed ones that are halted come last, by name. */
	async list(): Promise<readonly { readonly info: DomainInfo; readonly entry?: ManagedEntry; readonly state?: DomainState }[]> {
		const states = await this.ask(({ xen }) => xen.domains())
		const entries = this.table.entries()
		const present = states.flatMap((state) => {
			const entry = entries.find(({ record, uuid }) => uuid === state.uuid && domidOf(record) === state.domid)
			if (entry !== undefined) return [{ info: domainInfo(entry, state), entry, state }]
			return entries.some(({ uuid }) => uuid === state.uuid) ? [] : [{ info: zombieInfo(state), state }]
		})
		const absent = entries
			.filter(({ record }) => record.managed && !states.some(({ domid }) => domid === domidOf(record)))
			.map((entry) => ({ info: domainInfo(entry, undefined), entry }))
			.sort((a, b) => (a.info.name < b.info.name ? -1 : 1))
		return [...present, ...absent]
	}

	/** By name, else by number. Throws NoSuchDomain. */
	find(reference: string): Entry {
		return this.table.find(reference)
	}

	onEvent(listener: (event: DomainEvent) => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	// ---- operations ---------------------------------------------------------------------------------------------------------

	/** Creates a domain from a configuration's variables; it runs unless `paused`. */
	async create(values: ConfigValues, options: { paused?: boolean } = {}): Promise<{ domain: LiveDomainInfo; warnings: string[] }> {
		const { config, warnings } = checkConfig(values)
		const host = await this.host.promise
		const phase = { is: 'building', after: 'create', paused: options.paused === true } as const
		return { domain: await this.createEntry(host, values, config, phase), warnings }
	}

	/** Takes a new domain into the table, and builds it. */
	async createEntry(
		host: Host,
		values: ConfigValues,
		config: DomainConfig,
		phase: Extract<Phase, { is: 'building' }>,
	): Promise<LiveDomainInfo> {
		const entry = this.enter(values, config, { phase, managed: false })
		return this.table.exclusive(entry, async () => {
			await this.saveFirst(entry)
			return this.work.build(host, entry)
		})
	}

	/** Makes a managed domain, halted; one that is there already, and halted, gets the new configuration. */
	async define(values: ConfigValues): Promise<{ domain: DomainInfo; warnings: string[] }> {
		const { config, warnings } = checkConfig(values)
		const old = this.table.entries().find(({ config: { name, uuid } }) => name === config.name && uuid === (config.uuid ?? uuid))
		if (old?.record.managed === true) {
			await this.table.exclusive(old, async () => {
				if (old.record.phase.is !== 'halted') throw new UserError(`Domain '${config.name}' is not halted.`, { code: 'busy' })
				await this.table.save(old, { values: { ...values, name: config.name, uuid: old.uuid } })
			})
			return { domain: domainInfo(old, undefined), warnings }
		}
		const entry = this.enter(values, config, { phase: { is: 'halted' }, managed: true })
		await this.table.exclusive(entry, () => this.saveFirst(entry))
		this.emit({ type: 'defined', name: config.name })
		return { domain: domainInfo(entry, undefined), warnings }
	}

	/** Removes a managed domain that is halted. */
	async undefine(reference: string): Promise<void> {
		const entry = this.findManaged(reference)
		await this.table.exclusive(entry, async () => {
			if (entry.record.phase.is !== 'halted') throw new UserError('Domain is not halted.', { code: 'busy' })
			await this.table.forget(entry)
			this.emit({ type: 'undefined', name: entry.config.name })
		})
	}

	/** Starts a managed domain that is halted; it runs unless `paused`. */
	async startManaged(reference: string, options: { paused?: boolean } = {}): Promise<LiveDomainInfo> {
		const entry = this.findManaged(reference)
		const host = await this.host.promise
		return this.table.exclusive(entry, async () => {
			const { name } = entry.config
			const { phase: now } = entry.record
			if (now.is === 'suspended') throw new UserError(`Domain '${name}' is suspended: resume it, or destroy what it was`, { code: 'busy' })
			if (now.is !== 'halted') throw new UserError(`Domain '${name}' is already running`, { code: 'busy' })
			this.work.checkMemory(entry.config)
			const phase = { is: 'building', after: 'start', paused: options.paused === true } as const
			await this.table.save(entry, { phase, restartCount: 0 })
			return this.work.build(host, entry)
		})
	}

	/** Suspends a managed domain to the file that is kept of it. */
	async suspend(reference: string): Promise<void> {
		await suspendManaged(this, this.findManaged(reference), reference)
	}

	/** Brings a suspended managed domain back; it runs unless `paused`. */
	async resume(reference: string, options: { paused?: boolean } = {}): Promise<LiveDomainInfo> {
		return resumeManaged(this, this.findManaged(reference), options)
	}

	/** Resolves when its processors have stopped. Pausing what is paused, and unpausing what is not, does nothing. */
	async pause(reference: string): Promise<void> {
		await this.setPaused(this.findGuest(reference, 'pause'), reference, true)
	}

	async unpause(reference: string): Promise<void> {
		await this.setPaused(this.findGuest(reference, 'unpause'), reference, false)
	}

	/** Asks the guest to shut down through control/shutdown and returns at once; if it does not within five minutes, it is destroyed. */
	async shutdown(reference: string, request: ShutdownRequest): Promise<void> {
		if (isDomain0(reference)) throw new UserError('Domain 0 cannot be shutdown')
		const entry = this.find(reference)
		await this.onDomain(entry, reference, async (host) => {
			const { phase } = entry.record
			if (phase.is !== 'live' || phase.suspended) throw notRunning(entry)
			this.work.say('info', `Domain ${entry.config.name} (${phase.domid}) asked to ${request}.`, entry)
			await this.table.save(entry, { phase: { ...phase, shutdown: { request, since_s: this.options.now_s() } } })
			await requestShutdown(host, phase.domid, request)
			this.work.armShutdown(entry)
		})
	}

	async rename(reference: string, name: string): Promise<void> {
		const entry = this.findGuest(reference, 'rename')
		await this.onDomain(entry, reference, async (host) => {
			const from = entry.config.name
			const values = { ...entry.record.values, name }
			checkConfig(values)
			this.table.checkName(name, entry)
			const domid = domidOf(entry.record)
			await this.table.save(entry, { values })
			if (domid !== undefined) await nameDomain(host, domid, entry.uuid, name)
			this.work.say('info', `Domain ${from} renamed to ${name}.`, entry)
			this.emit({ type: 'renamed', name, domid: domid ?? null, from })
		})
	}

	/** Ends the domain's guest at once and builds the domain anew. Throws UserError when that fails: then it is gone. */
	async reset(reference: string): Promise<void> {
		const entry = this.findGuest(reference, 'reset')
		await this.onDomain(entry, reference, async (host) => {
			const { phase } = entry.record
			if (phase.is !== 'live' && phase.is !== 'preserved') throw notRunning(entry)
			this.work.disarmShutdown(entry)
			this.work.say('info', `Domain ${entry.config.name} (${phase.domid}) is reset.`, entry)
			let failure: string | undefined
			const stop = this.onEvent((event) => {
				if (event.type === 'restart-failed' && event.name === entry.config.name) failure = event.message
			})
			await this.table.save(entry, { phase: { is: 'restarting', domid: phase.domid, end: { reason: 'reboot', detail: 'it was reset' } } })
			await this.work.continueRestart(host, entry).finally(stop)
			if (failure !== undefined) throw new UserError(failure, { code: 'restart-failed' })
		})
	}

	async destroy(reference: string): Promise<void> {
		if (isDomain0(reference)) throw new UserError(`Cannot destroy privileged domain ${reference}`)
		const entry = this.findIfThere(reference)
		if (entry === undefined) return this.destroyZombie(reference)
		await this.onDomain(entry, reference, async (host) => {
			if (entry.record.phase.is === 'halted') throw notRunning(entry)
			if (entry.record.phase.is === 'suspended') {
				const name = await discardSuspended(this, entry)
				this.work.say('info', `What domain ${name} was when it was suspended is destroyed.`, entry)
				return
			}
			await this.work.remove(host, entry, { reason: 'destroyed', preserved: entry.record.phase.is === 'preserved' })
		}).catch((error) => {
			// It has ended by itself meanwhile.
			if (!entry.gone || !(error instanceof NoSuchDomain)) throw error
		})
	}

	/** Destroys every domain. */
	async destroyAll(): Promise<void> {
		for (const entry of this.table.entries()) {
			if (isAtRest(entry.record)) continue
			const host = await this.host.promise
			await this.table.exclusive(entry, async () => {
				const { phase } = entry.record
				if (!entry.gone && 'domid' in phase)
					await this.work.remove(host, entry, { reason: 'destroyed', preserved: phase.is === 'preserved' })
			})
		}
	}

	/** The daemon is told to stop: shuts down or suspends the domains that are to stop with it, and waits until they have. */
	async stopWithXend(): Promise<void> {
		const live = this.table.entries().filter(({ record }) => record.phase.is === 'live')
		const ends = live.map(async ({ config: { name, on_xend_stop }, record: { managed } }) => {
			if (on_xend_stop === 'suspend' && managed) return this.suspend(name)
			if (on_xend_stop !== 'shutdown') return
			const ended = this.nextEnd(name)
			await this.shutdown(name, 'poweroff')
			await ended
		})
		for (const [n, { status, reason }] of (await Promise.allSettled(ends)).map((end) => ({ reason: undefined, ...end })).entries()) {
			const { name } = (live[n] as Entry).config
			if (status === 'rejected') this.options.log('error', `Domain ${name} could not be stopped with xend: ${reason}`, name)
		}
	}

	// ---- inside -------------------------------------------------------------------------------------------------------------

	private renewHost(): void {
		this.host = Promise.withResolvers<Host>()
		this.host.promise.catch(() => {})
	}

	private onXenEvent(host: Host, event: XenEvent): void {
		if (event.type !== 'shutdown') return
		const entry = this.table.get(event.uuid)
		if (entry === undefined) return
		this.table
			.exclusive(entry, () => this.exits.guestEnded(host, entry, event.domid, event.end))
			.catch((error) => isLost(error) || this.work.failed(entry, error))
	}

	private async setPaused(entry: Entry, reference: string, paused: boolean): Promise<void> {
		await this.onDomain(entry, reference, async ({ xen }) => {
			const { phase } = entry.record
			const domid = domidOf(entry.record)
			if (domid === undefined) throw notRunning(entry)
			if (phase.is === 'live' && phase.paused !== paused) await this.table.save(entry, { phase: { ...phase, paused } })
			await (paused ? xen.pause(domid) : xen.unpause(domid))
			this.work.say('info', `Domain ${entry.config.name} (${domid}) ${paused ? 'paused' : 'unpaused'}.`, entry)
		})
	}

	/** Runs an operation on the domain that `reference` meant when it was looked up. */
	async onDomain(entry: Entry, reference: string, work: (host: Host) => Promise<void>): Promise<void> {
		const domid = domidOf(entry.record)
		const byNumber = entry.config.name !== reference
		const host = await this.host.promise
		await this.table.exclusive(entry, async () => {
			if (entry.gone || (byNumber && domidOf(entry.record) !== domid)) throw new NoSuchDomain(reference)
			await work(host)
		})
	}

	private async shutdownExpired(entry: Entry, domid: number): Promise<void> {
		const host = await this.host.promise
		await this.table.exclusive(entry, async () => {
			const { phase } = entry.record
			if (entry.gone || phase.is !== 'live' || phase.domid !== domid || phase.shutdown === undefined) return
			this.work.say('info', `Domain shutdown timeout expired: name=${entry.config.name} id=${domid}`, entry)
			await this.work.remove(host, entry, { reason: 'destroyed', detail: `it did not shut down within ${SHUTDOWN_TIMEOUT_S} s` })
		})
	}

	/** Takes a new record into the table, if its name, uuid and memory can be had. */
	private enter(values: ConfigValues, config: DomainConfig, { phase, managed }: Pick<Entry['record'], 'phase' | 'managed'>): Entry {
		this.table.checkName(config.name)
		if (config.uuid !== undefined) this.table.checkUuid(config.uuid)
		if (phase.is === 'building') this.work.checkMemory(config)
		const named = { ...values, name: config.name, uuid: config.uuid ?? this.options.newUuid() }
		return this.table.add({ version: 1, values: named, managed, phase, bootId: '', startTime_s: 0, restartCount: 0 })
	}

	/** Makes a new entry durable, or takes it back. */
	private async saveFirst(entry: Entry): Promise<void> {
		try {
			await this.table.save(entry)
		} catch (error) {
			this.table.discard(entry)
			throw error
		}
	}

	private findGuest(reference: string, verb: string): Entry {
		if (isDomain0(reference)) throw new UserError(`Cannot ${verb} privileged domain ${reference}`)
		return this.find(reference)
	}

	private findManaged(reference: string): Entry {
		const entry = this.find(reference)
		if (entry.record.managed) return entry
		throw new UserError(`Domain '${entry.config.name}' is not managed by xend: it was created, not defined with xm new`, {
			code: 'not-managed',
		})
	}

	private findIfThere(reference: string): Entry | undefined {
		try {
			return this.find(reference)
		} catch (error) {
			if (error instanceof NoSuchDomain) return undefined
			throw error
		}
	}

	/** A domain that the hypervisor has, and no record. */
	private async destroyZombie(reference: string): Promise<void> {
		const host = await this.host.promise
		const zombie = (await this.list()).find(
			({ info, entry }) => entry === undefined && (info.name === reference || String(info.domid) === reference),
		)
		if (zombie?.state === undefined) throw new NoSuchDomain(reference)
		await removeDomain(host, zombie.state.uuid, zombie.state.domid)
		this.work.say('info', `Domain ${zombie.info.name} (${zombie.state.domid}) destroyed.`)
	}

	private async startWithXend(): Promise<void> {
		for (const { config, record } of this.table.entries()) {
			if (!record.managed || !isAtRest(record) || config.on_xend_start !== 'start') continue
			const start = record.phase.is === 'suspended' ? this.resume(config.name) : this.startManaged(config.name)
			await start.catch((error) => {
				this.options.log('error', `Starting domain ${config.name} with xend failed: ${error.message}`, config.name)
			})
		}
	}

	private nextEnd(name: string): Promise<void> {
		return new Promise((resolve) => {
			const stop = this.onEvent((event) => {
				if (event.type !== 'ended' || event.name !== name) return
				stop()
				resolve()
			})
		})
	}

	emit(event: DomainEvent): void {
		for (const listener of [...this.listeners]) listener(event)
	}
}
