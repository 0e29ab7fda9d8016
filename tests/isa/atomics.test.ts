// Two vCPUs at the same bytes, each in a thread of its own.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { MachineMemory } from '../../src/x86/machine_memory.ts'
import type { AtomicsWork } from './atomics_worker.ts'
import { loadCore } from './core.ts'

const CODE = 0x40_0000
const DATA = 0x40_1000
const DATA_FRAME = 21
const ROUNDS = 200_000
const USER = 7

/**
 * mov rax, [rsi]; mov rdx, [rsi + 8]
 * 1: lea rbx, [rax + 1]; lea rcx, [rdx + 1]; lock cmpxchg16b [rsi]; jnz 1b; dec edi; jnz start; int3
 */
const COUNT_BOTH = '488b06 488b5608 488d5801 488d4a01 f0480fc70e 75f1 ffcf 75e6 cc'

function map(machine: MachineMemory, va: number, frame: number): void {
	const view = new DataView(machine.memory.buffer)
	const entry = (table: number, shift: number) => machine.frameAddress(table) + (Math.floor(va / 2 ** shift) % 512) * 8
	for (const [level, shift] of [39, 30, 21].entries()) view.setUint32(entry(level + 1, shift), ((level + 2) << 12) | USER, true)
	view.setUint32(entry(4, 12), (frame << 12) | USER, true)
}

test('LOCK CMPXCHG16B of two vCPUs loses no update and tears none', async () => {
	const core = await loadCore()
	const machine = new MachineMemory({ ramFrames: 32, hypervisorFrames: 0, vcpus: 2, hypervisorBytes: 0 })
	map(machine, CODE, DATA_FRAME - 1)
	map(machine, DATA, DATA_FRAME)
	machine.framePage(DATA_FRAME - 1).set(Buffer.from(COUNT_BOTH.replaceAll(' ', ''), 'hex'))
	const data = machine.frameAddress(DATA_FRAME)
	const { memory, shape } = machine
	const work = { core, memory, shape, root: 1, code: CODE, data: DATA, rounds: ROUNDS, barrier: data + 64 }
	const ends = [0, 1].map(async (vcpu) => {
		const workerData = { ...work, vcpu } satisfies AtomicsWork
		const worker = new Worker(new URL('./atomics_worker.ts', import.meta.url), { workerData })
		const [code] = await once(worker, 'exit')
		return code as number
	})
	assert.deepEqual(await Promise.all(ends), [0, 0])
	assert.deepEqual([...machine.u64.subarray(data / 8, data / 8 + 2)], [BigInt(2 * ROUNDS), BigInt(2 * ROUNDS)])
})
