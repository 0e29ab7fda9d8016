import type { DomainEnd, DomainState } from '../xenctrl/interface.ts'
import { type ConfigValues, checkConfig, commandLine, type DomainConfig } from './config.ts'
import type { ShutdownRequest } from './domain_steps.ts'
import type { Sxp } from './sxp.ts'

export type NamedConfig = DomainConfig & { readonly uuid: string }

/**
 * What is being done with a domain: the journal of intent. It is durable before its first step, and every step may be done twice, so
 * that whoever finds a record in one of the passing phases can finish it, or take it back.
 *
 *  - halted      managed, and not running
 *  - suspended   managed, and not running: what it was is in its file (SavedFiles), whole
 *  - building    passing. There may be a domain of the record's uuid in the hypervisor, in any state of being built. A `restart` is begun
 *                anew; what else has begun is taken back, to being suspended if that was a `resume`. `from` is the file of a saved domain,
 *                which is to have the number `wantedDomid` again
 *  - live        running, or paused or suspended as the record says
 *  - saving      passing. Its guest has been asked to suspend, or is suspended, and its file may be there, whole or in part. It is made to
 *                run on; if its hypervisor is gone, it is suspended when `kept` says that the file is one of SavedFiles and it is whole
 *  - preserved   its guest has ended, and it is kept
 *  - restarting  passing. Its guest has ended; when it is gone, the next one is built
 *  - renaming    passing. Its guest has ended; it is to be preserved under the uuid `away`, then the next one is built
 *  - removing    passing. It is to be destroyed; its record goes, or is halted when it is managed
 */
export type Phase =
	| { readonly is: 'halted' }
	| { readonly is: 'suspended' }
	| {
			readonly is: 'building'
			readonly after: 'create' | 'start' | 'restart' | 'restore' | 'resume'
			readonly paused: boolean
			readonly previous?: number
			readonly from?: string
			readonly wantedDomid?: number
	  }
	| {
			readonly is: 'live'
			readonly domid: number
			readonly paused: boolean
			readonly shutdown?: RequestedShutdown
			/** Its guest has suspended itself and stays so, in memory, until it is resumed. */
			readonly suspended?: true
	  }
	| { readonly is: 'saving'; readonly domid: number; readonly kept: boolean }
	| { readonly is: 'preserved'; readonly domid: number; readonly end: DomainEnd }
	| { readonly is: 'restarting'; readonly domid: number; readonly end: DomainEnd }
	| { readonly is: 'renaming'; readonly domid: number; readonly end: DomainEnd; readonly away: string }
	| { readonly is: 'removing'; readonly domid: number; readonly why: Removal }

/** A shutdown that was asked for, and when: seconds since 1970. */
export interface RequestedShutdown {
	readonly request: ShutdownRequest
	readonly since_s: number
}

/** Why a domain goes. */
export interface Removal {
	readonly reason: DomainEnd['reason'] | 'destroyed'
	readonly detail?: string | undefined
	readonly refusedRestart?: boolean
	/** It was a preserved one, whose end has been told. */
	readonly preserved?: boolean
}

/** What is kept of a domain, on disk: plain data. */
export interface DomainRecord {
	readonly version: 1
	/** The configuration's variables, name and uuid among them. */
	readonly values: ConfigValues
	/** Made by `xm new`: it outlives its domain, and its domain's host. */
	readonly managed: boolean
	readonly phase: Phase
	/** The hypervisor that it lives in; XenInfo.bootId. */
	readonly bootId: string
	/** Of the domain that runs or ran last, in seconds since 1970; 0 before. */
	readonly startTime_s: number
	/** How many times this configuration was restarted by an exit action. */
	readonly restartCount: number
}

/** A domain with its record, as the toolstack holds it. Its record is replaced only once the new one is durable. */
export interface ManagedEntry {
	readonly record: DomainRecord
	readonly config: NamedConfig
}

export function configOf(record: DomainRecord): NamedConfig {
	return checkConfig(record.values).config as NamedConfig
}

/** It has no domain, and nothing is being done about that. */
export function isAtRest({ phase }: DomainRecord): boolean {
	return phase.is === 'halted' || phase.is === 'suspended'
}

/** The number of the domain that a record is of; undefined when there is none, or none that is complete. */
export function domidOf({ phase }: DomainRecord): number | undefined {
	return 'domid' in phase ? phase.domid : undefined
}

/** A domain as the API and the tables show it. */
export interface DomainInfo {
	readonly name: string
	/** Null for a managed domain that is halted or suspended. */
	readonly domid: number | null
	readonly uuid: string
	readonly memory_mib: number
	readonly maxmem_mib: number
	readonly vcpus: number
	/** Six characters: r b p s c d, or '-'; empty for a managed domain that is halted, and `---s--` for one that is suspended. */
	readonly state: string
	readonly cpuTime_s: number
	readonly startTime_s: number
	readonly restartCount: number
}

export type LiveDomainInfo = DomainInfo & { readonly domid: number }

const FLAGS = ['running', 'blocked', 'paused', 'shutdown', 'crashed', 'dying'] as const

/** The six state letters. A crashed domain shows 'c' alone, as Xen's control library has it. */
export function stateFlags(state: Pick<DomainState, (typeof FLAGS)[number]>): string {
	const shown = state.crashed ? { ...state, shutdown: false } : state
	return FLAGS.map((flag) => (shown[flag] ? flag[0] : '-')).join('')
}

/** `state` is undefined for a domain that the hypervisor does not have. */
export function domainInfo({ record, config }: ManagedEntry, state: DomainState | undefined): DomainInfo {
	return {
		name: config.name,
		domid: state?.domid ?? null,
		uuid: config.uuid,
		memory_mib: state === undefined ? config.memory_mib : Math.round(state.memory_kib / 1024),
		maxmem_mib: config.maxmem_mib,
		vcpus: state?.onlineVcpus ?? config.vcpus,
		state: state === undefined ? (record.phase.is === 'suspended' ? '---s--' : '') : stateFlags(state),
		cpuTime_s: state?.cpuTime_s ?? 0,
		startTime_s: record.startTime_s,
		restartCount: record.restartCount,
	}
}

/** A domain that the hypervisor has, and no record. */
export function zombieInfo(state: DomainState): DomainInfo {
	return {
		name: `Zombie-${state.uuid}`,
		domid: state.domid,
		uuid: state.uuid,
		memory_mib: Math.round(state.memory_kib / 1024),
		maxmem_mib: Math.round(state.memory_kib / 1024),
		vcpus: state.onlineVcpus,
		state: stateFlags(state),
		cpuTime_s: state.cpuTime_s,
		startTime_s: 0,
		restartCount: 0,
	}
}

/** Variables of paravirtual guests that have no effect here: a printed configuration has them where they are given. */
const WITHOUT_EFFECT = [
	'features',
	'target',
	'machine_address_size',
	'suppress_spurious_page_faults',
	'cpu',
	'cpus',
	'cpu_cap',
	'cpu_weight',
]

/** The configuration part of a domain's S-expression: what `xm create -n` prints. `values` are the variables that `config` was made of. */
export function configSxp(config: DomainConfig, values: ConfigValues): Sxp[] {
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
		['on_xend_start', config.on_xend_start],
		['on_xend_stop', config.on_xend_stop],
		...ownSxp(config),
		['vcpus', config.vcpus],
		...withoutEffect(values),
		...(config.uuid === undefined ? [] : [['uuid', config.uuid]]),
		['image', image],
	]
}

function withoutEffect(values: ConfigValues): Sxp[] {
	return WITHOUT_EFFECT.flatMap((key) => {
		const value = values[key] ?? ''
		return String(value) === '' ? [] : [[key, Array.isArray(value) ? value.map(String) : String(value)]]
	})
}

/** Variables of our own, where they are not as in Xen. */
function ownSxp({ translation_cache }: DomainConfig): Sxp[] {
	return translation_cache ? [] : [['translation_cache', 0]]
}

/** A domain's S-expression: what `xm list --long` prints. */
export function domainSxp(entry: ManagedEntry, state: DomainState | undefined): Sxp {
	const { config, record } = entry
	const info = domainInfo(entry, state)
	const image: Sxp[] = ['linux', ['kernel', config.kernel]]
	if (config.ramdisk !== undefined) image.push(['ramdisk', config.ramdisk])
	image.push(['args', commandLine(config)])
	const live: Sxp[] =
		state === undefined
			? [['status', record.phase.is === 'suspended' ? 3 : 0]]
			: [
					['status', record.phase.is === 'live' ? 2 : 0],
					['state', info.state],
					['store_mfn', state.storeMfn],
					['console_mfn', state.consoleMfn],
				]
	return [
		'domain',
		...(state === undefined ? [] : [['domid', state.domid]]),
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
		['on_xend_start', config.on_xend_start],
		['on_xend_stop', config.on_xend_stop],
		...ownSxp(config),
		['start_time', record.startTime_s.toFixed(2)],
		['cpu_time', info.cpuTime_s.toFixed(9)],
		['online_vcpus', info.vcpus],
		['image', image],
		...live,
	]
}
