import { UserError } from '../base/errors.ts'
import { later } from '../base/timer.ts'
import type { DomainEnd, DomainState } from '../xenctrl/interface.ts'
import type { DomainConfig } from './config.ts'
import { domainInfo, domidOf, type LiveDomainInfo, type Removal } from './domain_record.ts'
import { buildDomain, type Host, isLost, removeDomain, renameAway, resumeDomain, withdrawSuspend } from './domain_steps.ts'
import type { DomainTable, Entry } from './domain_table.ts'
import { checkFreeMemory, type HostMemory } from './free_memory.ts'
import type { DomainEvent } from './lifecycle_events.ts'
import type { Log } from './log_level.ts'

/** A guest that does not end within this time of being asked to is destroyed. */
export const SHUTDOWN_TIMEOUT_S = 300

export interface DomainWorkOptions extends HostMemory {
	/** Seconds since 1970. */
	readonly now_s: () => number
	/** What the console of a domain that is built keeps of its output. */
	readonly consoleLimit_bytes?: number
	readonly log: Log
	readonly emit: (event: DomainEvent) => void
	/** The time of a shutdown that was asked for is over. */
	readonly onShutdownDue: (entry: Entry, domid: number) => void
}

/**
 * What is done with a domain, phase by phase (see Phase): each method begins where a record says that it stands, whoever had come that
 * far, and makes the next phase durable before it takes the next step. The caller holds the domain's lane.
 */
export class DomainWork {
	private readonly table: DomainTable
	private readonly options: DomainWorkOptions
	private readonly shutdownTimers = new Map<string, () => void>()

	constructor(table: DomainTable, options: DomainWorkOptions) {
		this.table = table
		this.options = options
	}

	/** From the phase `building` on. Leaves nothing behind when it fails, unless hypervisor or store are lost. */
	async build(host: Host, entry: Entry): Promise<LiveDomainInfo> {
		const { phase } = entry.record
		if (phase.is !== 'building') throw new TypeError(`not building: ${phase.is}`)
		const startTime_s = this.options.now_s()
		const { paused, from, wantedDomid } = phase
		const { consoleLimit_bytes } = this.options
		let state: DomainState
		try {
			state = await buildDomain(host, entry.config, startTime_s, { consoleLimit_bytes, from, wantedDomid })
			const live = { is: 'live', domid: state.domid, paused } as const
			await this.table.save(entry, { phase: live, bootId: host.bootId, startTime_s })
		} catch (error) {
			if (!isLost(error)) await this.takeBack(host, entry)
			throw error
		}
		this.say('info', `Domain ${entry.config.name} (${state.domid}) ${from === undefined ? 'created' : `restored from ${from}`}.`, entry)
		this.options.emit({ type: 'created', name: entry.config.name, domid: state.domid })
		if (!paused) await host.xen.unpause(state.domid)
		const { domid } = state
		return { ...domainInfo(entry, (await host.xen.domains()).find((now) => now.domid === domid) ?? state), domid }
	}

	/** What was being built goes, with the record if it was made for it. */
	async takeBack(host: Host, entry: Entry): Promise<void> {
		await removeDomain(host, entry.uuid)
		await this.drop(entry)
	}

	/** A live domain, or one that was being saved, is to run on if it is suspended. */
	async goOn(host: Host, entry: Entry, options: { readonly paused?: boolean } = {}): Promise<void> {
		const domid = domidOf(entry.record)
		if (domid === undefined) throw notRunning(entry)
		await withdrawSuspend(host, domid)
		if (options.paused) await host.xen.pause(domid)
		const { phase } = entry.record
		if (phase.is === 'live' && phase.suspended) await this.table.save(entry, { phase: { is: 'live', domid, paused: phase.paused } })
		const wasSuspended = await resumeDomain(host, domid)
		if (phase.is === 'saving') await this.table.save(entry, { phase: { is: 'live', domid, paused: options.paused === true } })
		if (wasSuspended) this.say('info', `Domain ${entry.config.name} (${domid}) goes on.`, entry)
	}

	/** From the phase `restarting` on. */
	async continueRestart(host: Host, entry: Entry): Promise<void> {
		const { phase, restartCount } = entry.record
		if (phase.is !== 'restarting') throw new TypeError(`not restarting: ${phase.is}`)
		const { domid, end } = phase
		await removeDomain(host, entry.uuid, domid)
		this.say('info', `Domain ${entry.config.name} (${domid}) destroyed.`, entry)
		this.options.emit({ type: 'ended', name: entry.config.name, domid, ...end, preserved: false, restarting: true })
		const next = { is: 'building', after: 'restart', paused: false, previous: domid } as const
		await this.table.save(entry, { phase: next, restartCount: restartCount + 1 })
		await this.continueBuilding(host, entry)
	}

	/** From the phase `renaming` on. */
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

	/** From the phase `building` after a restart on: a failure is told, and is the end of the domain. */
	async continueBuilding(host: Host, entry: Entry): Promise<void> {
		const { phase } = entry.record
		const { name } = entry.config
		const previous = phase.is === 'building' ? (phase.previous ?? 0) : 0
		try {
			this.checkMemory(entry.config)
			const { domid } = await this.build(host, entry)
			this.options.emit({ type: 'restarted', name, domid, previous })
		} catch (error) {
			if (isLost(error)) throw error
			if (!entry.gone && entry.record.phase.is === 'building') await this.takeBack(host, entry)
			const message = error instanceof Error ? error.message : String(error)
			this.say('error', `Failed to restart domain ${previous}. ${message}`, entry)
			this.options.emit({ type: 'restart-failed', name, previous, message })
		}
	}

	/** Destroys the domain. */
	async remove(host: Host, entry: Entry, why: Removal): Promise<void> {
		this.disarmShutdown(entry)
		const domid = domidOf(entry.record)
		if (domid === undefined) throw notRunning(entry)
		await this.table.save(entry, { phase: { is: 'removing', domid, why } })
		await this.continueRemoval(host, entry)
	}

	/** From the phase `removing` on. */
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
		if (why.preserved === true) return this.options.emit({ type: 'destroyed', name, domid })
		const { preserved: _, ...reason } = why
		this.options.emit({ type: 'ended', name, domid, ...reason, preserved: false, restarting: false })
	}

	/** The domain is gone without our doing: the hypervisor that had it has ended. */
	async lost(entry: Entry): Promise<void> {
		const { name } = entry.config
		const domid = domidOf(entry.record)
		const detail = 'the hypervisor has ended'
		this.disarmShutdown(entry)
		this.say('error', `Domain ${name}${domid === undefined ? '' : ` (${domid})`} is gone: ${detail}.`, entry)
		await this.drop(entry)
		if (domid !== undefined)
			this.options.emit({ type: 'ended', name, domid, reason: 'destroyed', detail, preserved: false, restarting: false })
	}

	tellPreserved(entry: Entry, domid: number, end: DomainEnd, restarting: boolean): void {
		this.say('info', `Preserving dead domain ${entry.config.name} (${domid}).`, entry)
		this.options.emit({ type: 'ended', name: entry.config.name, domid, ...end, preserved: true, restarting })
	}

	checkMemory(config: DomainConfig): void {
		checkFreeMemory(this.options, config.memory_mib * 1024)
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
			later(Math.max(0, left_s * 1000), () => this.options.onShutdownDue(entry, domid)),
		)
	}

	disarmShutdown(entry: Entry): void {
		this.shutdownTimers.get(entry.uuid)?.()
		this.shutdownTimers.delete(entry.uuid)
	}

	say(level: Parameters<Log>[0], message: string, entry?: Entry): void {
		this.options.log(level, message, entry?.config.name)
	}

	/** An operation that nobody waits for has failed. */
	failed(entry: Entry, error: unknown): void {
		this.say('error', `Domain ${entry.config.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, entry)
	}

	/** Its domain is gone: so is the record, unless it is managed. */
	private async drop(entry: Entry): Promise<void> {
		const { managed, phase } = entry.record
		const isResumed = phase.is === 'building' && phase.after === 'resume'
		if (managed) await this.table.save(entry, { phase: { is: isResumed ? 'suspended' : 'halted' } })
		else await this.table.forget(entry)
	}

	/** It cannot be destroyed now: its name is free for another, and the next toolstack tries again. */
	private async makeZombie(entry: Entry): Promise<void> {
		const { name } = entry.config
		if (name.startsWith('Zombie-')) return
		await this.table.save(entry, { values: { ...entry.record.values, name: `Zombie-${name}`.slice(0, 64) } })
	}
}

export function notRunning({ config }: Entry): UserError {
	return new UserError(`Domain '${config.name}' is not running`, { code: 'not-running' })
}
