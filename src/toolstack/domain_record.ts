import { commandLine, type DomainConfig } from './config.ts'
import type { DomainEnd, DomainHandle, DomainStatus } from './domain_handle.ts'
import type { Sxp } from './sxp.ts'

/** What the toolstack keeps of a live domain. */
export interface DomainRecord {
	config: DomainConfig & { readonly uuid: string }
	readonly handle: DomainHandle
	/** Seconds since 1970. */
	readonly startTime_s: number
	/** How many times this configuration was restarted by an exit action. */
	readonly restartCount: number
	/** Set while a shutdown that we asked for is under way: its mode. */
	shutdownRequested: string | undefined
	/** How it ended, for a domain that an exit action preserves. */
	end: DomainEnd | undefined
}

/** A domain as the API and the tables show it. */
export interface DomainInfo {
	readonly name: string
	readonly domid: number
	readonly uuid: string
	readonly memory_mib: number
	readonly maxmem_mib: number
	readonly vcpus: number
	/** Six characters: r b p s c d, or '-'. */
	readonly state: string
	readonly cpuTime_s: number
	readonly startTime_s: number
	readonly restartCount: number
}

const FLAGS = ['running', 'blocked', 'paused', 'shutdown', 'crashed', 'dying'] as const

/** The six state letters. A crashed domain shows 'c' alone, as Xen's control library has it. */
export function stateFlags(status: DomainStatus): string {
	const shown = status.crashed ? { ...status, shutdown: false } : status
	return FLAGS.map((flag) => (shown[flag] ? flag[0] : '-')).join('')
}

export function domainInfo(record: DomainRecord): DomainInfo {
	const status = record.handle.status()
	return {
		name: record.config.name,
		domid: record.handle.domid,
		uuid: record.config.uuid,
		memory_mib: Math.round(status.memory_kib / 1024),
		maxmem_mib: record.config.maxmem_mib,
		vcpus: status.onlineVcpus,
		state: stateFlags(status),
		cpuTime_s: status.cpuTime_s,
		startTime_s: record.startTime_s,
		restartCount: record.restartCount,
	}
}

/** The configuration part of a domain's S-expression: what `xm create -n` prints. */
export function configSxp(config: DomainConfig): Sxp[] {
	const image: Sxp[] = ['linux', ['kernel', config.kernel]]
	if (config.ramdisk !== undefined) image.push(['ramdisk', config.ramdisk])
	if (config.root !== '') image.push(['root', config.root])
	if (config.extra !== '') image.push(['args', config.extra])
	return [
		'vm',
		['name', config.name],
		['memory', config.memory_mib],
		['maxmem', config.maxmem_mib],
		['on_poweroff', config.on_poweroff],
		['on_reboot', config.on_reboot],
		['on_crash', config.on_crash],
		['vcpus', config.vcpus],
		...(config.uuid === undefined ? [] : [['uuid', config.uuid]]),
		['image', image],
	]
}

/** A live domain's S-expression: what `xm list --long` prints. */
export function domainSxp(record: DomainRecord): Sxp {
	const { config, handle } = record
	const info = domainInfo(record)
	const image: Sxp[] = ['linux', ['kernel', config.kernel]]
	if (config.ramdisk !== undefined) image.push(['ramdisk', config.ramdisk])
	image.push(['args', commandLine(config)])
	return [
		'domain',
		['domid', handle.domid],
		['on_crash', config.on_crash],
		['uuid', config.uuid],
		['bootloader_args', ''],
		['vcpus', config.vcpus],
		['name', config.name],
		['on_poweroff', config.on_poweroff],
		['on_reboot', config.on_reboot],
		['bootloader', ''],
		['maxmem', config.maxmem_mib],
		['memory', info.memory_mib],
		['features', ''],
		['on_xend_start', 'ignore'],
		['on_xend_stop', 'ignore'],
		['start_time', record.startTime_s.toFixed(2)],
		['cpu_time', info.cpuTime_s.toFixed(9)],
		['online_vcpus', info.vcpus],
		['image', image],
		['status', record.end === undefined ? 2 : 0],
		['state', info.state],
		['store_mfn', handle.storeMfn],
		['console_mfn', handle.consoleMfn],
	]
}
