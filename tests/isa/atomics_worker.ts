// One vCPU of atomics.test.ts: runs the code at `code`, with RSI = `data` and EDI = `rounds`, until its INT3.

import assert from 'node:assert/strict'
import { workerData } from 'node:worker_threads'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RDI, RSI } from '../../src/x86/cpu.ts'
import { MachineMemory, type MachineShape } from '../../src/x86/machine_memory.ts'

export interface AtomicsWork {
	readonly core: WebAssembly.Module
	readonly memory: WebAssembly.Memory
	readonly shape: MachineShape
	readonly vcpu: number
	readonly root: number
	readonly code: number
	readonly data: number
	readonly rounds: number
	/** Host address of an i32, 0 at first: workers begin when as many as there are vCPUs have come. */
	readonly barrier: number
}

const BREAKPOINT = 3

const work = workerData as AtomicsWork
const machine = new MachineMemory(work.shape, work.memory)
const cpu = Cpu.instantiate(machine, work.vcpu, work.core, {
	readTsc: () => 0,
	random32: () => 0,
	protectedWrite: () => false,
	undefinedInstruction: () => undefined,
})
cpu.setKernelRoot(work.root)
cpu.setUserRoot(work.root)
cpu.setKernelMode(false)
cpu.setField(L.CPU_CODE64, 1)
cpu.rflags = 0x202
cpu.rip = work.code
cpu.set(RSI, work.data)
cpu.set(RDI, work.rounds)
Atomics.add(machine.i32, work.barrier / 4, 1)
while (Atomics.load(machine.i32, work.barrier / 4) < work.shape.vcpus);
let exit: number
do exit = cpu.run(1_000_000)
while (exit === L.EXIT_BUDGET)
assert.equal(exit, L.EXIT_EXCEPTION)
assert.equal(cpu.field(L.CPU_EXC_VECTOR), BREAKPOINT)
