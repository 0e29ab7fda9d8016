/**
 * xm save, suspend, restore and resume. A domain is saved in three steps: its guest suspends itself, its file is written, it goes. Until the record says that it goes,
 * whoever finds the record lets the domain run on (Phase); from then on the file is whole and durable. So a domain is never lost, and never there twice.
 */
import { UserError } from '../base/errors.ts'
import { later } from '../base/timer.ts'
import type { DomainEnd } from '../xenctrl/interface.ts'
import { type ConfigValues, checkConfig } from './config.ts'
import type { DomainInfo, LiveDomainInfo, NamedConfig } from './domain_record.ts'
import { type Host, isLost, removeDomain, withdrawSuspend } from './domain_steps.ts'
import type { Entry } from './domain_table.ts'
import { notRunning } from './domain_work.ts'
import type { Lifecycle } from './lifecycle.ts'
import { isDomain0 } from './lifecycle_events.ts'
import { savedConfig, savedConfigOf } from './saved_config.ts'

/** Where the files of suspended managed domains are. */
export interface SavedFiles {
	/** Absolute, in a directory that is there. */
	path(uuid: string): Promise<string>
	/** That there is none is no error. */
	remove(uuid: string): Promise<void>
}

/** How long a guest may take to take the request, and then to suspend; libxl's. */
const SUSPEND_TIMEOUT_S = 60
/** How often the hypervisor is asked, should its event be lost. */
const LOOK_MS = 1000

export interface SaveRequest {
	/** Absolute. */
	readonly path: string
	/** What becomes of the domain; 'destroy' by default. */
	readonly afterwards?: 'destroy' | 'run' | 'pause' | undefined
	/** It is to have its number again when it is restored. */
	readonly keepDomid?: boolean | undefined
	/** Configuration variables for the file, instead of the domain's own. */
	readonly values?: ConfigValues | undefined
}

export interface RestoreRequest {
	/** It stays paused. */
	readonly paused?: boolean | undefined
	/** Configuration variables, instead of those in the file. */
	readonly values?: ConfigValues | undefined
}

/** Saves a running domain to a file, over one that is there. When it resolves, the file is whole and durable. */
export async function saveDomain(lifecycle: Lifecycle, reference: string, request: SaveRequest): Promise<{ readonly size_bytes: number }> {
	if (isDomain0(reference)) throw new UserError(`Cannot save privileged domain ${reference}`)
	const entry = lifecycle.find(reference)
	let size_bytes = 0
	await lifecycle.onDomain(entry, reference, async (host) => {
		const { path, afterwards = 'destroy', keepDomid = false, values } = request
		await lifecycle.options.checkWritable?.(path)
		const config = values === undefined ? entry.config : ownConfig(values, entry)
		size_bytes = await save(lifecycle, host, entry, { path, kept: false, config, keepDomid })
		if (afterwards === 'destroy') await lifecycle.work.remove(host, entry, { reason: 'suspend', detail: `it was saved to ${path}` })
		else await lifecycle.work.goOn(host, entry, { paused: afterwards === 'pause' })
	})
	return { size_bytes }
}

/** Has a domain suspend itself, and stay so in memory: libxl's domain_suspend_only. */
export async function suspendInMemory(lifecycle: Lifecycle, reference: string): Promise<void> {
	if (isDomain0(reference)) throw new UserError(`Cannot suspend privileged domain ${reference}`)
	const entry = lifecycle.find(reference)
	await lifecycle.onDomain(entry, reference, async (host) => {
		const domid = liveDomid(entry)
		await suspendFor(lifecycle, host, entry, false, () =>
			lifecycle.table.save(entry, { phase: { is: 'live', domid, paused: false, suspended: true } }),
		)
		lifecycle.work.say('info', `Domain ${entry.config.name} (${domid}) suspended, in memory.`, entry)
	})
}

/** A domain that is suspended in memory goes on: libxl's domain_resume. */
export async function resumeInMemory(lifecycle: Lifecycle, reference: string): Promise<void> {
	const entry = lifecycle.find(reference)
	await lifecycle.onDomain(entry, reference, async (host) => {
		const { phase } = entry.record
		if (phase.is !== 'live' || !phase.suspended)
			throw new UserError(`Domain '${entry.config.name}' is not suspended in memory`, { code: 'busy' })
		await lifecycle.work.goOn(host, entry)
	})
}

/** Suspends a managed domain to the file that xend keeps of it. */
export async function suspendManaged(lifecycle: Lifecycle, entry: Entry, reference: string): Promise<void> {
	await lifecycle.onDomain(entry, reference, async (host) => {
		const domid = liveDomid(entry)
		const files = savedFiles(lifecycle)
		// Should the hypervisor be lost, a file that is there is this one.
		await files.remove(entry.uuid)
		await save(lifecycle, host, entry, { path: await files.path(entry.uuid), kept: true, config: entry.config, keepDomid: false })
		await lifecycle.table.save(entry, { phase: { is: 'suspended' } })
		await removeDomain(host, entry.uuid, domid)
		const { name } = entry.config
		lifecycle.work.say('info', `Domain ${name} (${domid}) suspended.`, entry)
		lifecycle.emit({ type: 'ended', name, domid, reason: 'suspend', preserved: false, restarting: false })
	})
}

/** Brings a suspended managed domain back; it runs unless `paused`. */
export async function resumeManaged(
	lifecycle: Lifecycle,
	entry: Entry,
	{ paused = false }: { readonly paused?: boolean | undefined },
): Promise<LiveDomainInfo> {
	const host = await lifecycle.attached()
	return lifecycle.table.exclusive(entry, async () => {
		if (entry.gone || entry.record.phase.is !== 'suspended')
			throw new UserError(`Domain '${entry.config.name}' is not suspended`, { code: 'busy' })
		lifecycle.work.checkMemory(entry.config)
		const files = savedFiles(lifecycle)
		const from = await files.path(entry.uuid)
		await lifecycle.table.save(entry, { phase: { is: 'building', after: 'resume', paused, from } })
		const domain = await lifecycle.work.build(host, entry)
		await files.remove(entry.uuid)
		return domain
	})
}

/**
 * Brings a saved domain back from its file, which stays as it is. A halted managed domain that it is of is that domain again. With variables that say nothing of its
 * uuid it is another domain, if the one that was saved is there.
 */
export async function restoreDomain(
	lifecycle: Lifecycle,
	path: string,
	{ paused = false, values: given }: RestoreRequest = {},
): Promise<{ domain: LiveDomainInfo; warnings: string[] }> {
	const host = await lifecycle.attached()
	const saved = savedConfigOf(path, await host.xen.savedConfig(path))
	const isTaken = lifecycle.table.entries().some(({ uuid, record }) => uuid === saved.uuid && record.phase.is !== 'halted')
	const values = given === undefined ? saved.values() : { uuid: isTaken ? '' : saved.uuid, ...given }
	const { config, warnings } = checkConfig(values)
	const common = { is: 'building', after: 'restore', paused, from: path } as const
	const phase = saved.domid === undefined || given !== undefined ? common : { ...common, wantedDomid: saved.domid }
	const halted = lifecycle.table
		.entries()
		.find(({ uuid, record }) => uuid === config.uuid && record.managed && record.phase.is === 'halted')
	if (halted === undefined) return { domain: await lifecycle.createEntry(host, values, config, phase), warnings }
	const domain = await lifecycle.table.exclusive(halted, async () => {
		if (halted.gone || halted.record.phase.is !== 'halted')
			throw new UserError(`Domain '${halted.config.name}' is already running`, { code: 'busy' })
		lifecycle.work.checkMemory(halted.config)
		await lifecycle.table.save(halted, { phase, restartCount: 0, ...(given && { values: { ...values, uuid: halted.uuid } }) })
		return lifecycle.work.build(host, halted)
	})
	return { domain, warnings }
}

/** Whether a domain that was being saved when its hypervisor was lost is in the file that is kept of it. It is suspended then. */
export async function keepSuspended(lifecycle: Lifecycle, host: Host, entry: Entry): Promise<boolean> {
	const { phase } = entry.record
	const { savedFiles } = lifecycle.options
	if (phase.is !== 'saving' || !phase.kept || savedFiles === undefined) return false
	try {
		await host.xen.savedConfig(await savedFiles.path(entry.uuid))
	} catch (error) {
		if (isLost(error)) throw error
		return false
	}
	await lifecycle.table.save(entry, { phase: { is: 'suspended' } })
	const { name } = entry.config
	lifecycle.work.say('warning', `The hypervisor was lost, but domain ${name} (${phase.domid}) had been suspended.`, entry)
	lifecycle.emit({ type: 'ended', name, domid: phase.domid, reason: 'suspend', preserved: false, restarting: false })
	return true
}

/** What a suspended managed domain was goes for good: it is halted. */
export async function discardSuspended(lifecycle: Lifecycle, entry: Entry): Promise<DomainInfo['name']> {
	await lifecycle.table.save(entry, { phase: { is: 'halted' } })
	await lifecycle.options.savedFiles?.remove(entry.uuid)
	return entry.config.name
}

/** From `live` to `saving`, with the domain suspended and its file whole; or the domain runs on, and the error says why. */
async function save(
	lifecycle: Lifecycle,
	host: Host,
	entry: Entry,
	{
		path,
		kept,
		config,
		keepDomid,
	}: { readonly path: string; readonly kept: boolean; readonly config: NamedConfig; readonly keepDomid: boolean },
): Promise<number> {
	const domid = liveDomid(entry)
	const { name } = entry.config
	lifecycle.work.say('info', `Saving domain ${name} (${domid}) to ${path}.`, entry)
	return suspendFor(lifecycle, host, entry, kept, () =>
		host.xen.saveDomain(domid, path, savedConfig(config, keepDomid ? domid : undefined)),
	)
}

/** From `live` to `saving`, with the domain suspended, and what is to be done then done; or the domain runs on, and the error says why. */
async function suspendFor<T>(lifecycle: Lifecycle, host: Host, entry: Entry, kept: boolean, work: () => Promise<T>): Promise<T> {
	const domid = liveDomid(entry)
	await lifecycle.table.save(entry, { phase: { is: 'saving', domid, kept } })
	try {
		await suspendGuest(host, entry, domid, lifecycle.options.suspendTimeout_s ?? SUSPEND_TIMEOUT_S)
		return await work()
	} catch (error) {
		if (isLost(error)) throw error
		await lifecycle.work.goOn(host, entry)
		throw error
	}
}

/** A configuration that says nothing of the domain's uuid is for the domain as it is. */
function ownConfig(values: ConfigValues, { uuid }: Entry): NamedConfig {
	return checkConfig({ uuid, ...values }).config as NamedConfig
}

function liveDomid(entry: Entry): number {
	const { phase } = entry.record
	const { name } = entry.config
	if (phase.is !== 'live') throw notRunning(entry)
	if (phase.paused)
		throw new UserError(`Domain '${name}' is paused: its guest must run to suspend itself; unpause it first`, { code: 'not-running' })
	if (phase.suspended) throw new UserError(`Domain '${name}' is suspended: resume it first`, { code: 'not-running' })
	if (phase.shutdown !== undefined) throw new UserError(`Domain '${name}' is shutting down`, { code: 'busy' })
	return phase.domid
}

function savedFiles(lifecycle: Lifecycle): SavedFiles {
	const { savedFiles } = lifecycle.options
	if (savedFiles === undefined) throw new UserError('suspended domains have no place here: save them to a file', { code: 'no-file' })
	return savedFiles
}

/** Has the guest suspend itself. Throws UserError when it does not, or ends otherwise; then it may still be asked to. */
async function suspendGuest(host: Host, { config: { name } }: Entry, domid: number, timeout_s: number): Promise<void> {
	let end: DomainEnd | undefined
	let wake = () => {}
	const stop = host.xen.onEvent((event) => {
		if (event.type !== 'shutdown' || event.domid !== domid) return
		end = event.end
		wake()
	})
	const ended = async (within_s: number) => {
		const until_ms = Date.now() + within_s * 1000
		while (end === undefined && Date.now() < until_ms) {
			await new Promise<void>((resolve) => {
				wake = resolve
				later(Math.min(LOOK_MS, Math.max(0, until_ms - Date.now())), resolve)
			})
			if (end === undefined) end = (await host.xen.domains()).find((state) => state.domid === domid)?.end
		}
		return end
	}
	try {
		await host.store.write(`/local/domain/${domid}/control/shutdown`, 'suspend')
		if ((await ended(timeout_s)) === undefined) {
			if (await withdrawSuspend(host, domid)) {
				throw new UserError(
					`Domain '${name}' did not answer the request to suspend within ${timeout_s} s: its kernel has not started, or has no handler for it. It runs on`,
					{ code: 'timeout' },
				)
			}
			if ((await ended(timeout_s)) === undefined)
				throw new UserError(`Domain '${name}' took the request to suspend and has not within ${timeout_s * 2} s. It runs on`, {
					code: 'timeout',
				})
		}
	} finally {
		stop()
	}
	const reason = (end as DomainEnd | undefined)?.reason
	if (reason !== 'suspend') throw new UserError(`Domain '${name}' ended instead of being suspended: ${reason}`, { code: 'not-running' })
}
