import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { hostTopology } from './host_topology.ts'

function withSystem(files: Readonly<Record<string, string>>, look: (system: string) => void): void {
	const system = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(system, path)), { recursive: true })
		writeFileSync(join(system, path), `${text}\n`)
	}
	look(system)
	rmSync(system, { recursive: true })
}

test('the host’s topology is what its kernel tells of processors that are online and of nodes', () => {
	const files = {
		'cpu/online': '0-1,4',
		'cpu/cpu4/topology/core_id': '2',
		'cpu/cpu4/topology/physical_package_id': '1',
		'node/node0/meminfo': 'Node 0 MemTotal:  2048000 kB\nNode 0 MemFree:  1024000 kB',
		'node/node0/distance': '10 21',
		'node/node0/cpulist': '0-1',
		'node/node1/meminfo': 'Node 1 MemTotal:  1024 kB\nNode 1 MemFree:  512 kB',
		'node/node1/distance': '21 10',
		'node/node1/cpulist': '4',
	}
	withSystem(files, (system) => {
		assert.deepEqual(hostTopology(system), {
			cpus: [
				{ cpu: 0, core: 0, socket: 0, node: 0 },
				{ cpu: 1, core: 1, socket: 0, node: 0 },
				{ cpu: 4, core: 2, socket: 1, node: 1 },
			],
			nodes: [
				{ memory_mib: 2000, freeMemory_mib: 1000, distances: [10, 21] },
				{ memory_mib: 1, freeMemory_mib: 0, distances: [21, 10] },
			],
		})
	})
})

test('a host that tells nothing has one socket and one node with all its memory', () => {
	withSystem({}, (system) => {
		const { cpus, nodes } = hostTopology(system)
		assert(cpus.length > 0 && cpus.every(({ socket, node }) => socket === 0 && node === 0))
		assert.deepEqual([nodes.length, nodes[0]!.distances], [1, [10]])
		assert(nodes[0]!.memory_mib >= nodes[0]!.freeMemory_mib && nodes[0]!.freeMemory_mib > 0)
	})
})
