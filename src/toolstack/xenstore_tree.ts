/**
 * A domain's nodes in XenStore, as xl writes them for a PV domain without disks and network, and dom0's own.
 *
 * The guest itself fills in `control/feature-poweroff`, `feature-reboot`, `feature-suspend` (with "1") and takes from `control/shutdown`
 * and `control/sysrq`, which is why it owns them; it may write whatever it likes under `data`, `drivers`, `feature`, `attr` and `error`.
 * Everything else in its tree it can only read.
 */
import type { XenstoreClient, XenstoreNodes } from '../xenstore/client.ts'

export interface DomainTree {
	readonly domid: number
	/** Lower case, with hyphens. */
	readonly uuid: string
	readonly name: string
	/** What the guest is to use now, and the most it may ever use. */
	readonly memory_kib: number
	readonly maxMemory_kib: number
	/** One entry a vCPU: whether it is to be online. */
	readonly vcpusOnline: readonly boolean[]
	readonly storePort: number
	readonly storeMfn: number
	readonly consolePort: number
	readonly consoleMfn: number
	/** Bytes of output that the console keeps. */
	readonly consoleLimit_bytes: number
	/** Where a person can open the console; empty when there is no such place. */
	readonly consoleTty: string
	readonly kernel: string
	readonly ramdisk: string | undefined
	readonly cmdline: string | undefined
	/** Since 1970. */
	readonly startTime_s: number
}

/** [path, value, permissions when they are not the parent's]. */
type Entry = readonly [path: string, value: string | number, permissions?: readonly string[]]

/** Writes all of a domain's nodes, in one transaction. */
export async function writeDomainTree(client: XenstoreClient, domain: DomainTree): Promise<void> {
	const entries = [...domainEntries(domain), ...vmEntries(domain), ...consoleEntries(domain), ...libxlEntries(domain)]
	await client.transaction((nodes) => writeEntries(nodes, entries))
}

/**
 * Removes all of a domain's nodes, in one transaction; directories that this leaves empty in dom0's backends go too. Nothing that other domains change is read in
 * the transaction, so many can be removed at once.
 */
export async function removeDomainTree(client: XenstoreClient, { domid, uuid }: Pick<DomainTree, 'domid' | 'uuid'>): Promise<void> {
	const backends = '/local/domain/0/backend'
	const kinds = (await client.ls(backends)) ?? []
	await client.transaction(async (nodes) => {
		for (const kind of kinds) await nodes.rm(`${backends}/${kind}/${domid}`)
		for (const path of [`/libxl/${domid}`, `/vm/${uuid}`, `/local/domain/${domid}`]) await nodes.rm(path)
	})
	for (const path of [...kinds.map((kind) => `${backends}/${kind}`), backends]) await removeIfEmpty(client, path)
}

async function removeIfEmpty(client: XenstoreClient, path: string): Promise<void> {
	const isEmpty = async (nodes: XenstoreNodes) => (await nodes.ls(path))?.length === 0
	if (!(await isEmpty(client))) return
	await client.transaction(async (nodes) => {
		if (await isEmpty(nodes)) await nodes.rm(path)
	})
}

/** Dom0's own nodes and the CPU pool's, once when the store starts. */
export async function writeDom0Tree(client: XenstoreClient, dom0: { readonly memory_kib: number }): Promise<void> {
	await client.transaction((nodes) =>
		writeEntries(nodes, [
			['/local/domain/0/name', 'Domain-0'],
			['/local/domain/0/domid', 0],
			['/local/domain/0/memory/target', dom0.memory_kib],
			['/local/domain/0/memory/static-max', dom0.memory_kib],
			['/local/pool/0/name', 'Pool-0'],
		]),
	)
}

function domainEntries(domain: DomainTree): Entry[] {
	const base = `/local/domain/${domain.domid}`
	const guestOwns = [`n${domain.domid}`]
	return [
		[base, '', guestReads(domain)],
		[`${base}/vm`, `/vm/${domain.uuid}`],
		[`${base}/name`, domain.name],
		...domain.vcpusOnline.map((online, vcpu): Entry => [`${base}/cpu/${vcpu}/availability`, online ? 'online' : 'offline']),
		[`${base}/memory/static-max`, domain.maxMemory_kib],
		[`${base}/memory/target`, domain.memory_kib],
		[`${base}/memory/videoram`, 0],
		[`${base}/device/suspend/event-channel`, '', guestOwns],
		[`${base}/control/shutdown`, '', guestOwns],
		[`${base}/control/feature-poweroff`, '', guestOwns],
		[`${base}/control/feature-reboot`, '', guestOwns],
		[`${base}/control/feature-suspend`, '', guestOwns],
		[`${base}/control/sysrq`, '', guestOwns],
		[`${base}/control/platform-feature-multiprocessor-suspend`, 1],
		[`${base}/control/platform-feature-xs_reset_watches`, 1],
		...['data', 'drivers', 'feature', 'attr', 'error'].map((name): Entry => [`${base}/${name}`, '', guestOwns]),
		[`${base}/domid`, domain.domid],
		[`${base}/store/port`, domain.storePort],
		[`${base}/store/ring-ref`, domain.storeMfn],
	]
}

function vmEntries(domain: DomainTree): Entry[] {
	const vm = `/vm/${domain.uuid}`
	const entries: Entry[] = [
		[vm, '', guestReads(domain)],
		[`${vm}/name`, domain.name],
		[`${vm}/uuid`, domain.uuid],
		[`${vm}/image/ostype`, 'linux'],
		[`${vm}/image/kernel`, domain.kernel],
		[`${vm}/start_time`, domain.startTime_s.toFixed(2)],
	]
	if (domain.ramdisk !== undefined) entries.push([`${vm}/image/ramdisk`, domain.ramdisk])
	if (domain.cmdline !== undefined) entries.push([`${vm}/image/cmdline`, domain.cmdline])
	return entries
}

function consoleEntries(domain: DomainTree): Entry[] {
	const { domid } = domain
	const frontend = `/local/domain/${domid}/console`
	const backend = `/local/domain/0/backend/console/${domid}/0`
	return [
		[frontend, '', guestReads(domain)],
		[`${frontend}/backend`, backend],
		[`${frontend}/backend-id`, 0, [`n${domid}`, 'r0']],
		[`${frontend}/limit`, domain.consoleLimit_bytes],
		[`${frontend}/type`, 'xenconsoled'],
		[`${frontend}/output`, 'pty'],
		[`${frontend}/tty`, domain.consoleTty],
		[`${frontend}/port`, domain.consolePort],
		[`${frontend}/ring-ref`, domain.consoleMfn],
		[backend, '', guestReads(domain)],
		...consoleBackendNodes(domid).map(([name, value]): Entry => [`${backend}/${name}`, value]),
	]
}

/** What only the toolstack reads: its own record of the devices and of what the domain is. */
function libxlEntries({ domid }: DomainTree): Entry[] {
	const device = `/libxl/${domid}/device/console/0`
	return [
		[`${device}/frontend`, `/local/domain/${domid}/console`],
		[`${device}/backend`, `/local/domain/0/backend/console/${domid}/0`],
		...consoleBackendNodes(domid)
			.slice(1)
			.map(([name, value]): Entry => [`${device}/${name}`, value]),
		[`/libxl/${domid}/type`, 'pv'],
		[`/libxl/${domid}/dm-version`, 'qemu_xen'],
	]
}

function consoleBackendNodes(domid: number): [string, string | number][] {
	return [
		['frontend', `/local/domain/${domid}/console`],
		['frontend-id', domid],
		['online', 1],
		['state', 1],
		['protocol', 'vt100'],
	]
}

function guestReads({ domid }: DomainTree): string[] {
	return ['n0', `r${domid}`]
}

async function writeEntries(nodes: XenstoreNodes, entries: readonly Entry[]): Promise<void> {
	for (const [path, value, permissions] of entries) {
		await nodes.write(path, value)
		if (permissions !== undefined) await nodes.setPerms(path, permissions)
	}
}
