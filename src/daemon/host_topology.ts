import { readdirSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { HostTopology } from './api.ts'
import { freeMemory_kib } from './free_memory.ts'

const SYSTEM = '/sys/devices/system'

/** The host's processors and nodes of memory, as its kernel tells them; a host that tells nothing has one socket and one node. */
export function hostTopology(system = SYSTEM): HostTopology {
	const nodes = readNodes(system)
	const nodeOf = (cpu: number) => Math.max(0, nodes?.findIndex(({ cpus }) => cpus.includes(cpu)) ?? 0)
	const online = listOf(text(`${system}/cpu/online`)) ?? cpus().map((_, cpu) => cpu)
	return {
		cpus: online.map((cpu) => {
			const part = (name: string) => number(text(`${system}/cpu/cpu${cpu}/topology/${name}`))
			return { cpu, core: part('core_id') ?? cpu, socket: Math.max(0, part('physical_package_id') ?? 0), node: nodeOf(cpu) }
		}),
		nodes: nodes?.map(({ cpus: _, ...node }) => node) ?? [
			{ memory_mib: Math.floor(totalmem() / 1048576), freeMemory_mib: Math.floor(freeMemory_kib() / 1024), distances: [10] },
		],
	}
}

function readNodes(system: string): (HostTopology['nodes'][number] & { readonly cpus: readonly number[] })[] | undefined {
	let names: string[]
	try {
		names = readdirSync(`${system}/node`).filter((name) => /^node\d+$/.test(name))
	} catch {
		// No Linux, or one without NUMA.
		return undefined
	}
	if (names.length === 0) return undefined
	names.sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
	return names.map((name) => {
		const meminfo = text(`${system}/node/${name}/meminfo`) ?? ''
		const mib = (key: string) => Math.floor(Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(meminfo)?.[1] ?? 0) / 1024)
		return {
			memory_mib: mib('MemTotal'),
			freeMemory_mib: mib('MemFree'),
			distances: (text(`${system}/node/${name}/distance`) ?? '10').split(/\s+/).map(Number),
			cpus: listOf(text(`${system}/node/${name}/cpulist`)) ?? [],
		}
	})
}

function text(path: string): string | undefined {
	try {
		return readFileSync(path, 'utf8').trim()
	} catch {
		return undefined
	}
}

function number(digits: string | undefined): number | undefined {
	return digits === undefined || !/^-?\d+$/.test(digits) ? undefined : Number(digits)
}

/** The numbers of a kernel's list such as `0-3,8`. */
function listOf(list: string | undefined): number[] | undefined {
	if (list === undefined || list === '') return undefined
	return list.split(',').flatMap((range) => {
		const [low = 0, high = low] = range.split('-').map(Number)
		return Array.from({ length: high - low + 1 }, (_, n) => low + n)
	})
}
