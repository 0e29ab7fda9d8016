import { cpus, totalmem } from 'node:os'
import { type DomainInfo, domainSxp } from '../toolstack/domain_record.ts'
import { isDomain0, NoSuchDomain } from '../toolstack/lifecycle.ts'
import type { Sxp } from '../toolstack/sxp.ts'
import type { DomainDetail, DomainVcpus, Statistics } from './api.ts'
import type { ApiHost } from './api_host.ts'
import { freeMemory_kib } from './free_memory.ts'
import { domain0, domain0Vcpus } from './host_info.ts'

/** Domain 0, then every other. */
export async function domainDetails({ lifecycle, startTime_s }: ApiHost): Promise<DomainDetail[]> {
	const [listed, { dom0Time_s }] = await Promise.all([lifecycle.list(), lifecycle.ask(({ xen }) => xen.info())])
	const infos = listed.map(({ info }) => info)
	const own = domain0(infos, startTime_s, dom0Time_s)
	const others = listed.map(({ info, entry, state }) => ({ ...info, sxp: entry === undefined ? [] : domainSxp(entry, state) }))
	return [{ ...own, sxp: domain0Sxp(own) }, ...others]
}

/** Throws NoSuchDomain. */
export async function domainDetail(host: ApiHost, reference: string): Promise<DomainDetail> {
	const entry = isDomain0(reference) ? undefined : host.lifecycle.find(reference)
	const found = (await domainDetails(host)).find(({ uuid, domid }) => (entry === undefined ? domid === 0 : uuid === entry.uuid))
	if (found === undefined) throw new NoSuchDomain(reference)
	return found
}

/** Domain 0's, then every other's. */
export async function domainVcpus({ lifecycle }: ApiHost): Promise<DomainVcpus[]> {
	const [listed, { dom0Time_s }] = await Promise.all([lifecycle.list(), lifecycle.ask(({ xen }) => xen.info())])
	const others = listed.map(({ info: { name, domid, vcpus }, state }) => ({
		name,
		domid,
		vcpus: [
			...(state?.vcpuStates ?? Array.from({ length: vcpus }, () => ({ online: false, running: false, blocked: false, cpuTime_s: 0 }))),
		],
	}))
	return [domain0Vcpus(dom0Time_s), ...others]
}

function domain0Sxp(info: DomainInfo): Sxp {
	return [
		'domain',
		['domid', 0],
		['on_crash', 'restart'],
		['uuid', info.uuid],
		['bootloader_args', ''],
		['vcpus', info.vcpus],
		['name', info.name],
		['on_poweroff', 'destroy'],
		['on_reboot', 'restart'],
		['bootloader', ''],
		['maxmem', info.maxmem_mib],
		['memory', info.memory_mib],
		['cpu_time', info.cpuTime_s.toFixed(9)],
		['online_vcpus', info.vcpus],
		['image', ['linux', ['kernel', '']]],
		['status', 2],
		['state', info.state],
	]
}

/** What the host's processors have done since it was started. */
function pcpus(): Statistics['host']['pcpus'] {
	return cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({ busy_s: (user + nice + sys + irq) / 1000, idle_s: idle / 1000 }))
}

/** What the host and its domains use, all taken at once. */
export async function statistics({ lifecycle }: ApiHost): Promise<Statistics> {
	const [listed, xen] = await Promise.all([lifecycle.list(), lifecycle.ask(({ xen }) => xen.info())])
	const present = listed.flatMap(({ info, state }) => (state === undefined ? [] : [{ info, state }]))
	const own = domain0(
		present.map(({ info }) => info),
		0,
		xen.dom0Time_s,
	)
	const others = present.map(({ info: { name, state: flags, cpuTime_s }, state: { domid, memory_kib, maxMemory_kib, vcpuStates } }) => ({
		name,
		domid,
		state: flags,
		cpuTime_s,
		memory_kib,
		maxMemory_kib,
		vcpus: vcpuStates.map(({ online, cpuTime_s }) => ({ online, cpuTime_s })),
	}))
	const { name, state, cpuTime_s, memory_mib } = own
	const vcpus = domain0Vcpus(xen.dom0Time_s).vcpus.map(({ online, cpuTime_s }) => ({ online, cpuTime_s }))
	const host = { memory_kib: Math.floor(totalmem() / 1024), freeMemory_kib: Math.floor(freeMemory_kib()), cpus: vcpus.length }
	return {
		version: `${xen.xen_major}.${xen.xen_minor}${xen.xen_extra}`,
		time_s: performance.now() / 1000,
		host: { ...host, cpu_mhz: Math.round(xen.cpu_khz / 1000), pcpus: pcpus() },
		domains: [{ name, domid: 0, state, cpuTime_s, memory_kib: memory_mib * 1024, maxMemory_kib: null, vcpus }, ...others],
	}
}
