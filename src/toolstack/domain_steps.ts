import { CONSOLE_LIMIT_BYTES, type DomainState, HypervisorGone, type XenControl } from '../xenctrl/interface.ts'
import { type XenstoreClient, XenstoreError } from '../xenstore/client.ts'
import { commandLine } from './config.ts'
import type { NamedConfig } from './domain_record.ts'
import { removeDomainTree, writeDomainTree } from './xenstore_tree.ts'

/** What is written to control/shutdown to end a guest. */
export type ShutdownRequest = 'poweroff' | 'halt' | 'reboot'

/** The hypervisor and the store that a toolstack works with. */
export interface Host {
	readonly xen: XenControl
	readonly store: XenstoreClient
	/** The hypervisor's, XenInfo.bootId. */
	readonly bootId: string
}

/** Hypervisor or store are lost: what was being done stays as it is until they are back. */
export function isLost(error: unknown): boolean {
	return error instanceof HypervisorGone || (error instanceof XenstoreError && error.errno === 'EIO')
}

/*
 * The steps of which every operation on a domain is made. Each may be done twice, and each finishes what an earlier attempt at it has
 * left half done.
 */

/** Builds the domain, paused, writes its nodes and introduces it to the store. `from` is the file of a saved domain that it is to be, under the number `wantedDomid` if that is given. */
export async function buildDomain(
	host: Host,
	config: NamedConfig,
	now_s: number,
	{
		consoleLimit_bytes = CONSOLE_LIMIT_BYTES,
		from,
		wantedDomid,
	}: {
		readonly consoleLimit_bytes?: number | undefined
		readonly from?: string | undefined
		readonly wantedDomid?: number | undefined
	} = {},
): Promise<DomainState> {
	const common = {
		uuid: config.uuid,
		vcpus: config.vcpus,
		maxMemory_kib: config.maxmem_mib * 1024,
		consoleLimit_bytes,
		translationCache: config.translation_cache,
	}
	const image = { kernel: config.kernel, ramdisk: config.ramdisk, commandLine: commandLine(config) }
	const state =
		from === undefined
			? await host.xen.createDomain({ ...common, ...image, memory_kib: config.memory_mib * 1024 })
			: await host.xen.restoreDomain({ ...common, path: from, domid: wantedDomid })
	await writeNodes(host, config, state, now_s, consoleLimit_bytes)
	await host.store.introduceDomain(state.domid, state.storeMfn, state.storePort)
	return state
}

/** Writes the nodes and introduces the domain, unless the store has them. */
export async function ensureNodes(
	host: Host,
	config: NamedConfig,
	state: DomainState,
	startTime_s: number,
	consoleLimit_bytes: number = CONSOLE_LIMIT_BYTES,
): Promise<void> {
	const { domid, storeMfn, storePort } = state
	if ((await host.store.read(`/local/domain/${domid}/domid`)) === undefined)
		await writeNodes(host, config, state, startTime_s, consoleLimit_bytes)
	if (!(await host.store.isDomainIntroduced(domid))) await host.store.introduceDomain(domid, storeMfn, storePort)
	if ((await host.store.read(`/local/domain/${domid}/name`)) !== config.name) await nameDomain(host, domid, config.uuid, config.name)
}

/** Destroys the domain of this uuid, if there is one, and removes its nodes, with those of `domid` if that is another. */
export async function removeDomain(host: Host, uuid: string, domid?: number): Promise<void> {
	const destroyed = await host.xen.destroy(uuid)
	for (const gone of new Set([destroyed ?? domid, domid])) {
		if (gone === undefined) continue
		await host.store.releaseDomain(gone).catch(unlessNotThere)
		await removeDomainTree(host.store, { domid: gone, uuid })
	}
}

export async function nameDomain(host: Host, domid: number, uuid: string, name: string): Promise<void> {
	await host.store.transaction(async (nodes) => {
		await nodes.write(`/vm/${uuid}/name`, name)
		await nodes.write(`/local/domain/${domid}/name`, name)
	})
}

/** Gives the domain another name and uuid, in the hypervisor and in the store; what it was called is free for another. */
export async function renameAway(host: Host, domid: number, old: string, { uuid, name }: { uuid: string; name: string }): Promise<void> {
	await host.xen.setUuid(domid, uuid)
	await host.store.transaction(async (nodes) => {
		await nodes.rm(`/vm/${old}`)
		await nodes.write(`/vm/${uuid}/name`, name)
		await nodes.write(`/vm/${uuid}/uuid`, uuid)
		await nodes.write(`/local/domain/${domid}/name`, name)
		await nodes.write(`/local/domain/${domid}/vm`, `/vm/${uuid}`)
	})
}

export async function requestShutdown({ store }: Host, domid: number, request: ShutdownRequest): Promise<void> {
	await store.write(`/local/domain/${domid}/control/shutdown`, request)
}

/** The guest that has not taken the request to suspend yet is not to find it later. */
export async function withdrawSuspend({ store }: Host, domid: number): Promise<boolean> {
	const path = `/local/domain/${domid}/control/shutdown`
	return store.transaction(async (nodes) => {
		const isWaiting = (await nodes.read(path)) === 'suspend'
		if (isWaiting) await nodes.write(path, '')
		return isWaiting
	})
}

/** A suspended domain goes on where it was. False when it is not suspended. */
export async function resumeDomain({ xen, store }: Host, domid: number): Promise<boolean> {
	if (!(await xen.resumeDomain(domid))) return false
	await store.resumeDomain(domid).catch(unlessNotThere)
	return true
}

/** Removes the nodes of every domain that the hypervisor does not have. */
export async function sweepStore({ store }: Host, present: readonly Pick<DomainState, 'domid' | 'uuid'>[]): Promise<void> {
	const domids = new Set(['0', ...present.map(({ domid }) => String(domid))])
	const uuids = new Set(present.map(({ uuid }) => uuid))
	const stale = new Set<string>()
	for (const path of ['/local/domain', '/libxl']) {
		for (const name of (await store.ls(path)) ?? []) if (!domids.has(name) && /^\d+$/.test(name)) stale.add(name)
	}
	for (const name of stale) {
		const vm = await store.read(`/local/domain/${name}/vm`)
		const uuid = vm?.slice('/vm/'.length) ?? ''
		await store.releaseDomain(Number(name)).catch(unlessNotThere)
		await removeDomainTree(store, { domid: Number(name), uuid: uuids.has(uuid) || uuid === '' ? 'none' : uuid })
	}
	for (const uuid of (await store.ls('/vm')) ?? []) if (!uuids.has(uuid)) await store.rm(`/vm/${uuid}`)
}

function writeNodes(
	{ store }: Host,
	config: NamedConfig,
	state: DomainState,
	startTime_s: number,
	consoleLimit_bytes: number,
): Promise<void> {
	const { domid, storeMfn, storePort, consoleMfn, consolePort } = state
	return writeDomainTree(store, {
		domid,
		uuid: config.uuid,
		name: config.name,
		memory_kib: config.memory_mib * 1024,
		maxMemory_kib: config.maxmem_mib * 1024,
		vcpusOnline: Array.from({ length: config.vcpus }, () => true),
		storePort,
		storeMfn,
		consolePort,
		consoleMfn,
		consoleLimit_bytes,
		consoleTty: '',
		kernel: config.kernel,
		ramdisk: config.ramdisk,
		cmdline: commandLine(config) || undefined,
		startTime_s,
	})
}

function unlessNotThere(error: unknown): void {
	if (!(error instanceof XenstoreError) || error.errno === 'EIO') throw error
}
