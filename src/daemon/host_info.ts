import { availableParallelism, hostname, machine, release, totalmem, version } from 'node:os'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import { DOMAIN_0 } from '../toolstack/lifecycle.ts'
import type { HypervisorInfo } from '../xen/hypervisor.ts'
import type { DomainVcpus, HostInfo } from './api.ts'
import { freeMemory_kib } from './free_memory.ts'
import { hostTopology } from './host_topology.ts'

const MIB = 1024 * 1024

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
	const { cpus, nodes } = hostTopology()
	const sockets = new Set(cpus.map(({ socket }) => socket)).size
	const cores = new Set(cpus.map(({ socket, core }) => `${socket}:${core}`)).size
	const cpusOf = (node: number) => ranges(cpus.filter((cpu) => cpu.node === node).map(({ cpu }) => cpu))
	const ofNodes = (value: (node: number) => string) => nodes.map((_, node) => `node${node}:${value(node)}`).join(' ')
	const free_mib = Math.floor(freeMemory_kib() / 1024)
	return [
		['host', hostname()],
		['release', release()],
		['version', version()],
		['machine', machine()],
		['nr_cpus', String(cpus.length)],
		['nr_nodes', String(nodes.length)],
		['cores_per_socket', String(Math.max(1, Math.floor(cores / sockets)))],
		['threads_per_core', String(Math.max(1, Math.floor(cpus.length / cores)))],
		['cpu_mhz', (xen.cpu_khz / 1000).toFixed(3)],
		['hw_caps', xen.hw_caps],
		['virt_caps', xen.virt_caps],
		['total_memory', String(Math.floor(totalmem() / MIB))],
		['free_memory', String(free_mib)],
		['node_to_cpu', ofNodes(cpusOf)],
		['node_to_memory', ofNodes((node) => String(nodes.length === 1 ? free_mib : nodes[node]?.freeMemory_mib))],
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

/** Ascending numbers as a list such as `0-3,8`. */
function ranges(numbers: readonly number[]): string {
	const parts: [number, number][] = []
	for (const number of numbers) {
		const last = parts.at(-1)
		if (last !== undefined && last[1] === number - 1) last[1] = number
		else parts.push([number, number])
	}
	return parts.map(([low, high]) => (low === high ? String(low) : `${low}-${high}`)).join(',')
}
