import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, freemem, hostname, machine, release, totalmem, version } from 'node:os'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import { DOMAIN_0 } from '../toolstack/lifecycle.ts'
import type { HypervisorInfo } from '../xen/hypervisor.ts'
import type { DomainVcpus, HostInfo } from './api.ts'

const MIB = 1024 * 1024

/** What domains may still take of this host's memory: the kernel's own estimate where there is one. */
export function freeMemory_kib(): number {
	try {
		const available = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))
		if (available?.[1] !== undefined) return Number(available[1])
	} catch {
		// Not Linux.
	}
	return freemem() / 1024
}

/**
 * Domain 0 is this host: its processors, and the memory that no domain holds. Its time is what the toolstack has used, and what the
 * hypervisor has used for others than guests (`hypervisor_s`): its control half, xenstored, the consoles' backends.
 */
export function domain0(domains: readonly DomainInfo[], startTime_s: number, hypervisor_s: number): DomainInfo {
	const total_mib = Math.floor(totalmem() / MIB)
	const held_mib = domains.reduce((sum, { domid, maxmem_mib }) => sum + (domid === null ? 0 : maxmem_mib), 0)
	return {
		name: DOMAIN_0,
		domid: 0,
		uuid: '00000000-0000-0000-0000-000000000000',
		memory_mib: total_mib - held_mib,
		maxmem_mib: total_mib,
		vcpus: availableParallelism(),
		state: 'r-----',
		cpuTime_s: daemonTime_s() + hypervisor_s,
		startTime_s,
		restartCount: 0,
	}
}

/** All that domain 0 has used is put down to its first processor: which of the host's it was is not known. */
export function domain0Vcpus(hypervisor_s: number): DomainVcpus {
	const count = availableParallelism()
	const own_s = daemonTime_s() + hypervisor_s
	const vcpus = Array.from({ length: count }, (_, n) => ({
		online: true,
		running: n === 0,
		blocked: n > 0,
		cpuTime_s: n === 0 ? own_s : 0,
	}))
	return { name: DOMAIN_0, domid: 0, vcpus }
}

/** What this thread has used. */
function daemonTime_s(): number {
	const { user, system } = process.threadCpuUsage()
	return (user + system) / 1e6
}

/** The lines of `xm info` in xend's order. */
export function hostInfo(xen: HypervisorInfo): HostInfo {
	const nrCpus = cpus().length
	const topology = readTopology(nrCpus)
	return [
		['host', hostname()],
		['release', release()],
		['version', version()],
		['machine', machine()],
		['nr_cpus', String(nrCpus)],
		['nr_nodes', '1'],
		['cores_per_socket', String(topology.coresPerSocket)],
		['threads_per_core', String(topology.threadsPerCore)],
		['cpu_mhz', (xen.cpu_khz / 1000).toFixed(3)],
		['hw_caps', xen.hw_caps],
		['virt_caps', xen.virt_caps],
		['total_memory', String(Math.floor(totalmem() / MIB))],
		['free_memory', String(Math.floor(freeMemory_kib() / 1024))],
		['node_to_cpu', `node0:${nrCpus > 1 ? `0-${nrCpus - 1}` : '0'}`],
		['node_to_memory', `node0:${Math.floor(freeMemory_kib() / 1024)}`],
		['xen_major', String(xen.xen_major)],
		['xen_minor', String(xen.xen_minor)],
		['xen_extra', xen.xen_extra],
		['xen_caps', xen.xen_caps],
		['xen_scheduler', xen.xen_scheduler],
		['xen_pagesize', String(xen.xen_pagesize)],
		['platform_params', xen.platform_params],
		['xen_changeset', xen.xen_changeset],
		['cc_compiler', ''],
		['cc_compile_by', ''],
		['cc_compile_domain', ''],
		['cc_compile_date', ''],
		['xend_config_format', '4'],
	]
}

function readTopology(nrCpus: number): { coresPerSocket: number; threadsPerCore: number } {
	try {
		const base = '/sys/devices/system/cpu/cpu0/topology'
		const threads = countCpus(readFileSync(`${base}/thread_siblings_list`, 'utf8'))
		const socket = countCpus(readFileSync(`${base}/core_siblings_list`, 'utf8'))
		return { coresPerSocket: Math.max(1, Math.round(socket / threads)), threadsPerCore: threads }
	} catch {
		return { coresPerSocket: nrCpus, threadsPerCore: 1 }
	}
}

/** CPUs in a kernel list such as `0-3,8`. */
function countCpus(list: string): number {
	const count = list
		.trim()
		.split(',')
		.map((range) => range.split('-').map(Number))
		.reduce((sum, [low = 0, high = low]) => sum + high - low + 1, 0)
	return Math.max(1, count)
}
