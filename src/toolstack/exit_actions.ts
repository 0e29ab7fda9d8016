import type { DomainEnd } from '../xenctrl/interface.ts'
import type { DomainConfig, ExitAction } from './config.ts'
import type { Host } from './domain_steps.ts'
import type { DomainTable, Entry } from './domain_table.ts'
import type { DomainWork } from './domain_work.ts'

const MINIMUM_RESTART_TIME_S = 60

export interface ExitActionsOptions {
	readonly newUuid: () => string
	/** Seconds since 1970. */
	readonly now_s: () => number
	/** Writes the core of every domain that crashes, whatever its on_crash. */
	readonly dumpCrashed?: boolean
	/** Writes a domain's memory to a file before a coredump-* action goes on. Until it is given no core is written. */
	readonly dumpCore?: ((domain: { readonly name: string; readonly domid: number }) => Promise<void>) | undefined
}

/** What happens when a guest ends by itself: on_poweroff, on_reboot and on_crash. The caller holds the domain's lane. */
export class ExitActions {
	private readonly table: DomainTable
	private readonly work: DomainWork
	private readonly options: ExitActionsOptions

	constructor(table: DomainTable, work: DomainWork, options: ExitActionsOptions) {
		this.table = table
		this.work = work
		this.options = options
	}

	/** The guest has ended: does what its configuration says. Does nothing when that is known already. */
	async guestEnded(host: Host, entry: Entry, domid: number, end: DomainEnd): Promise<void> {
		const { phase } = entry.record
		if (entry.gone || phase.is !== 'live' || phase.domid !== domid) return
		// Who has asked for it holds the lane until it is dealt with; so this one was not asked for, or not any more.
		if (end.reason === 'suspend') return phase.suspended ? undefined : this.work.goOn(host, entry)
		this.work.disarmShutdown(entry)
		const { name } = entry.config
		const detail = end.detail === undefined ? '' : ` ${end.detail}`
		if (end.reason === 'crash') this.work.say('warning', `Domain has crashed: name=${name} id=${domid}.${detail}`, entry)
		else this.work.say('info', `Domain has shutdown: name=${name} id=${domid} reason=${end.reason}.`, entry)
		const action = exitAction(entry.config, end)
		if (this.options.dumpCrashed && end.reason === 'crash' && !action.startsWith('coredump-')) await this.dumpCore(entry, domid)
		await this.act(host, entry, domid, end, action)
	}

	private async act(host: Host, entry: Entry, domid: number, end: DomainEnd, action: ExitAction): Promise<void> {
		if (action === 'coredump-destroy' || action === 'coredump-restart') {
			await this.dumpCore(entry, domid)
			return this.act(host, entry, domid, end, action === 'coredump-destroy' ? 'destroy' : 'restart')
		}
		const restarts = action === 'restart' || action === 'rename-restart'
		if (restarts && this.restartsTooFast(entry)) return this.work.remove(host, entry, { ...end, refusedRestart: true })
		if (action === 'restart') {
			await this.table.save(entry, { phase: { is: 'restarting', domid, end } })
			return this.work.continueRestart(host, entry)
		}
		if (action === 'rename-restart') {
			await this.table.save(entry, { phase: { is: 'renaming', domid, end, away: this.options.newUuid() } })
			return this.work.continueRenaming(host, entry)
		}
		if (action === 'destroy') return this.work.remove(host, entry, end)
		await this.table.save(entry, { phase: { is: 'preserved', domid, end } })
		this.work.tellPreserved(entry, domid, end, false)
	}

	private async dumpCore(entry: Entry, domid: number): Promise<void> {
		const { dumpCore } = this.options
		const { name } = entry.config
		if (dumpCore === undefined)
			return this.work.say('warning', `No core of domain ${name} (${domid}) is written: core dumps are not built yet.`, entry)
		try {
			await dumpCore({ name, domid })
		} catch (error) {
			this.work.say(
				'error',
				`Writing the core of domain ${name} (${domid}) failed: ${error instanceof Error ? error.message : String(error)}`,
				entry,
			)
		}
	}

	/** A guest that keeps ending within a minute is not started over and over; a restart that somebody asked for is no loop. */
	private restartsTooFast(entry: Entry): boolean {
		const { phase, startTime_s } = entry.record
		const elapsed_s = this.options.now_s() - startTime_s
		if ((phase.is === 'live' && phase.shutdown !== undefined) || elapsed_s >= MINIMUM_RESTART_TIME_S) return false
		const why = `restarting too fast (Elapsed time: ${elapsed_s.toFixed(6)} seconds). Refusing to restart to avoid loops.`
		this.work.say('error', `VM ${entry.config.name} ${why}`, entry)
		return true
	}
}

function exitAction(config: DomainConfig, end: DomainEnd): ExitAction {
	if (end.reason === 'poweroff') return config.on_poweroff
	if (end.reason === 'reboot') return config.on_reboot
	if (end.reason === 'crash' || end.reason === 'watchdog') return config.on_crash
	return 'destroy'
}
