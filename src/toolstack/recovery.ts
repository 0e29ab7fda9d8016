/**
 * What a toolstack does before anything else when it meets a hypervisor and a store: its predecessor may have been killed between any two
 * steps, and guests, or the hypervisor itself, may have ended while nobody watched. Afterwards every domain of the hypervisor has a
 * record that says so, and every record its domain.
 */
import type { DomainState } from '../xenctrl/interface.ts'
import { ensureNodes, type Host, isLost, removeDomain, sweepStore } from './domain_steps.ts'
import type { Entry } from './domain_table.ts'
import type { Lifecycle } from './lifecycle.ts'
import { keepSuspended } from './save_restore.ts'
import { writeDom0Tree } from './xenstore_tree.ts'

/** Rejects when hypervisor or store are lost meanwhile: it is to be done again then. */
export async function recover(lifecycle: Lifecycle, host: Host): Promise<void> {
	const { table, options } = lifecycle
	if ((await host.store.read('/local/domain/0/name')) === undefined) await writeDom0Tree(host.store, { memory_kib: options.dom0Memory_kib })
	const states = await host.xen.domains()
	const known = new Set(table.entries().flatMap(({ uuid, record: { phase } }) => (phase.is === 'renaming' ? [uuid, phase.away] : [uuid])))
	for (const state of states) if (!known.has(state.uuid)) await removeUnknown(lifecycle, host, state)
	await sweepStore(host, states)
	const recoveries = table.entries().map((entry) =>
		table
			.exclusive(entry, () => recoverDomain(lifecycle, host, entry, states))
			.catch((error) => {
				if (isLost(error)) throw error
				lifecycle.work.failed(entry, error)
			}),
	)
	for (const result of await Promise.allSettled(recoveries)) if (result.status === 'rejected') throw result.reason
	await sweepStore(host, await host.xen.domains())
}

async function recoverDomain(lifecycle: Lifecycle, host: Host, entry: Entry, states: readonly DomainState[]): Promise<void> {
	if (entry.gone) return
	const { phase, bootId, startTime_s } = entry.record
	const state = states.find(({ uuid }) => uuid === entry.uuid)
	const elsewhere = bootId !== host.bootId
	switch (phase.is) {
		case 'halted':
			if (state !== undefined) await removeDomain(host, entry.uuid, state.domid)
			return
		case 'suspended':
			if (state !== undefined) await removeDomain(host, entry.uuid, state.domid)
			return
		case 'building':
			if (phase.after !== 'restart') {
				lifecycle.work.say('warning', `The creation of domain ${entry.config.name} was cut off: it is taken back.`, entry)
				return lifecycle.work.takeBack(host, entry)
			}
			if (elsewhere) return lifecycle.work.lost(entry)
			await removeDomain(host, entry.uuid)
			return lifecycle.work.continueBuilding(host, entry)
		case 'restarting':
			return elsewhere ? lifecycle.work.lost(entry) : lifecycle.work.continueRestart(host, entry)
		case 'renaming':
			return elsewhere ? lifecycle.work.lost(entry) : lifecycle.work.continueRenaming(host, entry)
		case 'removing':
			return lifecycle.work.continueRemoval(host, entry)
		case 'saving':
			if (state === undefined) {
				if (!(await keepSuspended(lifecycle, host, entry))) await lifecycle.work.lost(entry)
				return
			}
			lifecycle.work.say('warning', `The saving of domain ${entry.config.name} was cut off: it goes on.`, entry)
			await ensureNodes(host, entry.config, state, startTime_s, lifecycle.options.consoleLimit_bytes)
			await lifecycle.work.goOn(host, entry)
			if (state.end !== undefined) await lifecycle.exits.guestEnded(host, entry, state.domid, state.end)
			return
		case 'preserved':
			return state === undefined ? lifecycle.work.lost(entry) : undefined
		case 'live':
			if (state === undefined) return lifecycle.work.lost(entry)
			await ensureNodes(host, entry.config, state, startTime_s, lifecycle.options.consoleLimit_bytes)
			if (state.end !== undefined) return lifecycle.exits.guestEnded(host, entry, state.domid, state.end)
			if (state.paused !== phase.paused) await (phase.paused ? host.xen.pause(state.domid) : host.xen.unpause(state.domid))
			if (entry.record.managed) await lifecycle.options.savedFiles?.remove(entry.uuid)
			lifecycle.work.armShutdown(entry)
	}
}

/** No record names it, so nobody could ever use it; but if records were unreadable, it may be one of those. */
async function removeUnknown(lifecycle: Lifecycle, host: Host, { uuid, domid }: DomainState): Promise<void> {
	if (lifecycle.table.unreadable.length > 0)
		return lifecycle.work.say('warning', `Domain ${domid} (${uuid}) has no record: it is left alone.`)
	lifecycle.work.say('warning', `Domain ${domid} (${uuid}) has no record: it is destroyed.`)
	await removeDomain(host, uuid, domid)
}
