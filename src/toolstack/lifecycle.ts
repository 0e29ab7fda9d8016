import { UserError } from '../base/errors.ts'
import { later } from '../base/timer.ts'
import type { DomainEnd, DomainState, XenEvent } from '../xenctrl/interface.ts'
import { type ConfigValues, checkConfig, type DomainConfig, type ExitAction } from './config.ts'
import {
	type DomainInfo,
	domainInfo,
	domidOf,
	type LiveDomainInfo,
	type ManagedEntry,
	type NamedConfig,
	type Removal,
	zombieInfo,
} from './domain_record.ts'
import {
	buildDomain,
	type Host,
	isLost,
	nameDomain,
	removeDomain,
	renameAway,
	requestShutdown,
	type ShutdownRequest,
} from './domain_steps.ts'
import { DomainTable, type Entry } from './domain_table.ts'
import { type DomainEvent, isDomain0, type Log, NoSuchDomain } from './lifecycle_events.ts'
import type { RecordStore } from './record_store.ts'
import { recover } from './recovery.ts'

export { DOMAIN_0, type DomainEvent, isDomain0, type LogLevel, NoSuchDomain } from './lifecycle_events.ts'

export interface LifecycleOptions {
	readonly records: RecordStore
	readonly newUuid: () => string
	/** Seconds since 1970. */
	readonly now_s: () => number
	readonly freeMemory_kib: () => number
	/** What dom0 has, for its nodes in XenStore. */
	readonly dom0Memory_kib: number
	readonly log: Log
	/** Writes a domain's memory to a file before a coredump-* action goes on. Until it is given no core is written. */
	readonly dumpCore?: (domain: { readonly name: string; readonly domid: number }) => Promise<void>
}

/** A guest that does not end within this time of being asked to is destroyed. */
export const SHUTDOWN_TIMEOUT_S = 300
const MINIMUM_RESTART_TIME_S = 60

/**
 * The life of every domain: create, pause, shut down, and what happens when a guest ends by itself.
 *
 * Domains are known by name or number. Names are unique, also among preserved and halted ones. What an operation has reported is
 * durable; one that is cut off is finished or taken back by the next toolstack (recovery.ts). Operations wait while no hypervisor is attached.
 */
export class Lifecycle {
	readonly options: LifecycleOptions
	readonly table: DomainTable
	private host = Promise.withResolvers<Host>()
	private detached = Promise.withResolvers<void>()
	private readonly listeners = new Set<(event: DomainEvent) => void>()
	private readonly shutdownTimers = new Map<string, () => void>()
	private stopEvents = () => {}
	private loaded = false

	constructor(options: LifecycleOptions) {
		this.options = options
		this.table = new DomainTable(options.records)
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
		return this.table.entries().some(({ record }) => record.phase.is !== 'halted')
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
		const entry = this.enter(values, config, { phase, managed: false })
		const domain = await this.table.exclusive(entry, async () => {
			await this.saveFirst(entry)
			return this.build(host, entry)
		})
		return { domain, warnings }
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
			if (entry.record.phase.is !== 'halted') throw new UserError(`Domain '${name}' is already running`, { code: 'busy' })
			this.checkMemory(entry.config)
			const phase = { is: 'building', after: 'start', paused: options.paused === true } as const
			await this.table.save(entry, { phase, restartCount: 0 })
			return this.build(host, entry)
		})
	}

	suspend(reference: string): Promise<void> {
		this.findManaged(reference)
		return Promise.reject(new UserError('a domain cannot be saved yet, so it cannot be suspended', { code: 'not-built' }))
	}

	resume(reference: string): Promise<void> {
		const { config } = this.findManaged(reference)
		return Promise.reject(new UserError(`Domain '${config.name}' is not suspended`, { code: 'busy' }))
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
			if (phase.is !== 'live') throw notRunning(entry)
			this.say('info', `Domain ${entry.config.name} (${phase.domid}) asked to ${request}.`, entry)
			await this.table.save(entry, { phase: { ...phase, shutdown: { request, since_s: this.options.now_s() } } })
			await requestShutdown(host, phase.domid, request)
			this.armShutdown(entry)
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
			this.say('info', `Domain ${from} renamed to ${name}.`, entry)
			this.emit({ type: 'renamed', name, domid: domid ?? null, from })
		})
	}

	/** Ends the domain's guest at once and builds the domain anew. Throws UserError when that fails: then it is gone. */
	async reset(reference: string): Promise<void> {
		const entry = this.findGuest(reference, 'reset')
		await this.onDomain(entry, reference, async (host) => {
			const { phase } = entry.record
			if (phase.is !== 'live' && phase.is !== 'preserved') throw notRunning(entry)
			this.disarmShutdown(entry)
			this.say('info', `Domain ${entry.config.name} (${phase.domid}) is reset.`, entry)
			let failure: string | undefined
			const stop = this.onEvent((event) => {
				if (event.type === 'restart-failed' && event.name === entry.config.name) failure = event.message
			})
			await this.table.save(entry, { phase: { is: 'restarting', domid: phase.domid, end: { reason: 'reboot', detail: 'it was reset' } } })
			await this.continueRestart(host, entry).finally(stop)
			if (failure !== undefined) throw new UserError(failure, { code: 'restart-failed' })
		})
	}

	async destroy(reference: string): Promise<void> {
		if (isDomain0(reference)) throw new UserError(`Cannot destroy privileged domain ${reference}`)
		const entry = this.findIfThere(reference)
		if (entry === undefined) return this.destroyZombie(reference)
		await this.onDomain(entry, reference, async (host) => {
			if (entry.record.phase.is === 'halted') throw notRunning(entry)
			await this.remove(host, entry, { reason: 'destroyed', preserved: entry.record.phase.is === 'preserved' })
		}).catch((error) => {
			// It has ended by itself meanwhile.
			if (!entry.gone || !(error instanceof NoSuchDomain)) throw error
		})
	}

	/** Destroys every domain. */
	async destroyAll(): Promise<void> {
		for (const entry of this.table.entries()) {
			if (entry.record.phase.is === 'halted') continue
			const host = await this.host.promise
			await this.table.exclusive(entry, async () => {
				const { phase } = entry.record
				if (!entry.gone && 'domid' in phase) await this.remove(host, entry, { reason: 'destroyed', preserved: phase.is === 'preserved' })
			})
		}
	}

	/** The daemon is told to stop: shuts down the domains that are to stop with it, and waits until they have. */
	async stopWithXend(): Promise<void> {
		const ends = this.table
			.entries()
			.filter(({ config, record }) => config.on_xend_stop === 'shutdown' && record.phase.is === 'live')
			.map(async ({ config }) => {
				const ended = this.nextEnd(config.name)
				await this.shutdown(config.name, 'poweroff')
				await ended
			})
		await Promise.allSettled(ends)
	}

	// ---- what recovery.ts continues -----------------------------------------------------------------------------------------

	/** From the phase `building` on. Leaves nothing behind when it fails, unless hypervisor or store are lost. Lane held. */
	async build(host: Host, entry: Entry): Promise<LiveDomainInfo> {
		const { phase } = entry.record
		if (phase.is !== 'building') throw new TypeError(`not building: ${phase.is}`)
		const startTime_s = this.options.now_s()
		const { paused } = phase
		let state: DomainState
		try {
			state = await buildDomain(host, entry.config, startTime_s)
			const live = { is: 'live', domid: state.domid, paused } as const
			await this.table.save(entry, { phase: live, bootId: host.bootId, startTime_s })
		} catch (error) {
			if (!isLost(error)) await this.takeBack(host, entry)
			throw error
		}
		this.say('info', `Domain ${entry.config.name} (${state.domid}) created.`, entry)
		this.emit({ type: 'created', name: entry.config.name, domid: state.domid })
		if (!paused) await host.xen.unpause(state.domid)
		const { domid } = state
		return { ...domainInfo(entry, (await host.xen.domains()).find((now) => now.domid === domid) ?? state), domid }
	}

	/** What was being built goes, with the record if it was made for it. Lane held. */
	async takeBack(host: Host, entry: Entry): Promise<void> {
		await removeDomain(host, entry.uuid)
		await this.drop(entry)
	}

	/** From the phase `restarting` on. Lane held. */
	async continueRestart(host: Host, entry: Entry): Promise<void> {
		const { phase, restartCount } = entry.record
		if (phase.is !== 'restarting') throw new TypeError(`not restarting: ${phase.is}`)
		const { domid, end } = phase
		await removeDomain(host, entry.uuid, domid)
		this.say('info', `Domain ${entry.config.name} (${domid}) destroyed.`, entry)
		this.emit({ type: 'ended', name: entry.config.name, domid, ...end, preserved: false, restarting: true })
		const next = { is: 'building', after: 'restart', paused: false, previous: domid } as const
		await this.table.save(entry, { phase: next, restartCount: restartCount + 1 })
		await this.continueBuilding(host, entry)
	}

	/** From the phase `renaming` on. Lane held. */
	async continueRenaming(host: Host, entry: Entry): Promise<void> {
		const { phase, values, restartCount } = entry.record
		if (phase.is !== 'renaming') throw new TypeError(`not renaming: ${phase.is}`)
		const { domid, end, away } = phase
		const { name } = entry.config
		const awayName = `Domain-${away}`
		await renameAway(host, domid, entry.uuid, { uuid: away, name: awayName })
		const kept =
			this.table.get(away) ??
			this.table.add({
				...entry.record,
				managed: false,
				values: { ...values, name: awayName, uuid: away },
				phase: { is: 'preserved', domid, end },
			})
		await this.table.save(kept)
		this.say('info', `Renaming dead domain ${name} (${domid}, ${entry.uuid}) to ${awayName} (${away}).`, entry)
		this.tellPreserved(kept, domid, end, true)
		const next = { is: 'building', after: 'restart', paused: false, previous: domid } as const
		await this.table.save(entry, { phase: next, restartCount: restartCount + 1 })
		await this.continueBuilding(host, entry)
	}

	/** From the phase `building` after a restart on: a failure is told, and is the end of the domain. Lane held. */
	async continueBuilding(host: Host, entry: Entry): Promise<void> {
		const { phase } = entry.record
		const { name } = entry.config
		const previous = phase.is === 'building' ? (phase.previous ?? 0) : 0
		try {
			this.checkMemory(entry.config)
			const { domid } = await this.build(host, entry)
			this.emit({ type: 'restarted', name, domid, previous })
		} catch (error) {
			if (isLost(error)) throw error
			if (!entry.gone && entry.record.phase.is === 'building') await this.takeBack(host, entry)
			const message = error instanceof Error ? error.message : String(error)
			this.say('error', `Failed to restart domain ${previous}. ${message}`, entry)
			this.emit({ type: 'restart-failed', name, previous, message })
		}
	}

	/** From the phase `removing` on. Lane held. */
	async continueRemoval(host: Host, entry: Entry): Promise<void> {
		const { phase } = entry.record
		if (phase.is !== 'removing') throw new TypeError(`not removing: ${phase.is}`)
		const { domid, why } = phase
		try {
			await removeDomain(host, entry.uuid, domid)
		} catch (error) {
			if (!isLost(error)) await this.makeZombie(entry)
			throw error
		}
		const { name } = entry.config
		await this.drop(entry)
		this.say('info', `Domain ${name} (${domid}) destroyed.`, entry)
		if (why.preserved === true) return this.emit({ type: 'destroyed', name, domid })
		const { preserved: _, ...reason } = why
		this.emit({ type: 'ended', name, domid, ...reason, preserved: false, restarting: false })
	}

	/** The guest has ended: does what its configuration says. Does nothing when that is known already. Lane held. */
	async guestEnded(host: Host, entry: Entry, domid: number, end: DomainEnd): Promise<void> {
		const { phase } = entry.record
		if (entry.gone || phase.is !== 'live' || phase.domid !== domid) return
		this.disarmShutdown(entry)
		const { name } = entry.config
		const detail = end.detail === undefined ? '' : ` ${end.detail}`
		if (end.reason === 'crash') this.say('warning', `Domain has crashed: name=${name} id=${domid}.${detail}`, entry)
		else this.say('info', `Domain has shutdown: name=${name} id=${domid} reason=${end.reason}.`, entry)
		await this.act(host, entry, domid, end, exitAction(entry.config, end))
	}

	/** The domain is gone without our doing: the hypervisor that had it has ended. Lane held. */
	async lost(entry: Entry): Promise<void> {
		const { name } = entry.config
		const domid = domidOf(entry.record)
		const detail = 'the hypervisor has ended'
		this.disarmShutdown(entry)
		this.say('error', `Domain ${name}${domid === undefined ? '' : ` (${domid})`} is gone: ${detail}.`, entry)
		await this.drop(entry)
		if (domid !== undefined) this.emit({ type: 'ended', name, domid, reason: 'destroyed', detail, preserved: false, restarting: false })
	}

	/** Destroys a live domain's guest if it does not end in the time that is left to it. */
	armShutdown(entry: Entry): void {
		this.disarmShutdown(entry)
		const { phase } = entry.record
		if (phase.is !== 'live' || phase.shutdown === undefined) return
		const left_s = phase.shutdown.since_s + SHUTDOWN_TIMEOUT_S - this.options.now_s()
		const { domid } = phase
		this.shutdownTimers.set(
			entry.uuid,
			later(Math.max(0, left_s * 1000), () => void this.shutdownExpired(entry, domid).catch((error) => this.failed(entry, error))),
		)
	}

	say(level: Parameters<Log>[0], message: string, entry?: Entry): void {
		this.options.log(level, message, entry?.config.name)
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
			.exclusive(entry, () => this.guestEnded(host, entry, event.domid, event.end))
			.catch((error) => isLost(error) || this.failed(entry, error))
	}

	/** An operation that nobody waits for has failed. */
	failed(entry: Entry, error: unknown): void {
		this.say('error', `Domain ${entry.config.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, entry)
	}

	private async act(host: Host, entry: Entry, domid: number, end: DomainEnd, action: ExitAction): Promise<void> {
		if (action === 'coredump-destroy' || action === 'coredump-restart') {
			await this.dumpCore(entry, domid)
			return this.act(host, entry, domid, end, action === 'coredump-destroy' ? 'destroy' : 'restart')
		}
		const restarts = action === 'restart' || action === 'rename-restart'
		if (restarts && this.restartsTooFast(entry)) return this.remove(host, entry, { ...end, refusedRestart: true })
		if (action === 'restart') {
			await this.table.save(entry, { phase: { is: 'restarting', domid, end } })
			return this.continueRestart(host, entry)
		}
		if (action === 'rename-restart') {
			await this.table.save(entry, { phase: { is: 'renaming', domid, end, away: this.options.newUuid() } })
			return this.continueRenaming(host, entry)
		}
		if (action === 'destroy') return this.remove(host, entry, end)
		await this.table.save(entry, { phase: { is: 'preserved', domid, end } })
		this.tellPreserved(entry, domid, end, false)
	}

	private async dumpCore(entry: Entry, domid: number): Promise<void> {
		const { dumpCore } = this.options
		const { name } = entry.config
		if (dumpCore === undefined)
			return this.say('warning', `No core of domain ${name} (${domid}) is written: core dumps are not built yet.`, entry)
		try {
			await dumpCore({ name, domid })
		} catch (error) {
			this.say(
				'error',
				`Writing the core of domain ${name} (${domid}) failed: ${error instanceof Error ? error.message : String(error)}`,
				entry,
			)
		}
	}

	private tellPreserved(entry: Entry, domid: number, end: DomainEnd, restarting: boolean): void {
		this.say('info', `Preserving dead domain ${entry.config.name} (${domid}).`, entry)
		this.emit({ type: 'ended', name: entry.config.name, domid, ...end, preserved: true, restarting })
	}

	private async remove(host: Host, entry: Entry, why: Removal): Promise<void> {
		this.disarmShutdown(entry)
		const domid = domidOf(entry.record)
		if (domid === undefined) throw notRunning(entry)
		await this.table.save(entry, { phase: { is: 'removing', domid, why } })
		await this.continueRemoval(host, entry)
	}

	/** A guest that keeps ending within a minute is not started over and over; a restart that somebody asked for is no loop. */
	private restartsTooFast(entry: Entry): boolean {
		const { phase, startTime_s } = entry.record
		const elapsed_s = this.options.now_s() - startTime_s
		if ((phase.is === 'live' && phase.shutdown !== undefined) || elapsed_s >= MINIMUM_RESTART_TIME_S) return false
		const why = `restarting too fast (Elapsed time: ${elapsed_s.toFixed(6)} seconds). Refusing to restart to avoid loops.`
		this.say('error', `VM ${entry.config.name} ${why}`, entry)
		return true
	}

	private async setPaused(entry: Entry, reference: string, paused: boolean): Promise<void> {
		await this.onDomain(entry, reference, async ({ xen }) => {
			const { phase } = entry.record
			const domid = domidOf(entry.record)
			if (domid === undefined) throw notRunning(entry)
			if (phase.is === 'live' && phase.paused !== paused) await this.table.save(entry, { phase: { ...phase, paused } })
			await (paused ? xen.pause(domid) : xen.unpause(domid))
			this.say('info', `Domain ${entry.config.name} (${domid}) ${paused ? 'paused' : 'unpaused'}.`, entry)
		})
	}

	/** Runs an operation on the domain that `reference` meant when it was looked up. */
	private async onDomain(entry: Entry, reference: string, work: (host: Host) => Promise<void>): Promise<void> {
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
			this.say('info', `Domain shutdown timeout expired: name=${entry.config.name} id=${domid}`, entry)
			await this.remove(host, entry, { reason: 'destroyed', detail: `it did not shut down within ${SHUTDOWN_TIMEOUT_S} s` })
		})
	}

	private disarmShutdown(entry: Entry): void {
		this.shutdownTimers.get(entry.uuid)?.()
		this.shutdownTimers.delete(entry.uuid)
	}

	/** Takes a new record into the table, if its name, uuid and memory can be had. */
	private enter(values: ConfigValues, config: DomainConfig, { phase, managed }: Pick<Entry['record'], 'phase' | 'managed'>): Entry {
		this.table.checkName(config.name)
		if (config.uuid !== undefined) this.table.checkUuid(config.uuid)
		if (phase.is === 'building') this.checkMemory(config)
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

	/** Its domain is gone: so is the record, unless it is managed. */
	private async drop(entry: Entry): Promise<void> {
		if (entry.record.managed) await this.table.save(entry, { phase: { is: 'halted' } })
		else await this.table.forget(entry)
	}

	/** It cannot be destroyed now: its name is free for another, and the next toolstack tries again. */
	private async makeZombie(entry: Entry): Promise<void> {
		const { name } = entry.config
		if (name.startsWith('Zombie-')) return
		await this.table.save(entry, { values: { ...entry.record.values, name: `Zombie-${name}`.slice(0, 64) } })
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
		this.say('info', `Domain ${zombie.info.name} (${zombie.state.domid}) destroyed.`)
	}

	private checkMemory(config: DomainConfig | NamedConfig): void {
		const need_kib = config.memory_mib * 1024
		const free_kib = this.options.freeMemory_kib()
		if (need_kib <= free_kib) return
		throw new UserError(
			`Not enough free memory and enable-dom0-ballooning is False, so I cannot release any more.  I need ${need_kib} KiB but only have ${Math.floor(free_kib)}.`,
			{ code: 'no-memory' },
		)
	}

	private async startWithXend(): Promise<void> {
		for (const { config, record } of this.table.entries()) {
			if (!record.managed || record.phase.is !== 'halted' || config.on_xend_start !== 'start') continue
			await this.startManaged(config.name).catch((error) => {
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

	private emit(event: DomainEvent): void {
		for (const listener of [...this.listeners]) listener(event)
	}
}

function notRunning({ config }: Entry): UserError {
	return new UserError(`Domain '${config.name}' is not running`, { code: 'not-running' })
}

function exitAction(config: DomainConfig, end: DomainEnd): ExitAction {
	if (end.reason === 'poweroff') return config.on_poweroff
	if (end.reason === 'reboot') return config.on_reboot
	if (end.reason === 'crash' || end.reason === 'watchdog') return config.on_crash
	return 'destroy'
}
