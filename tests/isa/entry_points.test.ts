// Entry points by the ten thousands: what is found again, and when everything is decoded anew.

import assert from 'node:assert/strict'
import { before, beforeEach, test } from 'node:test'
import { readCounters } from '../../src/x86/counters.ts'
import { Cpu, type RegionExports } from '../../src/x86/cpu.ts'
import { MachineMemory, PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { loadCore } from './core.ts'

const RET = 0xc3
const FRAMES = 256

let core: WebAssembly.Module
let machine: MachineMemory
let cpu: Cpu
let regions: RegionExports
before(async () => {
	core = await loadCore()
})

beforeEach(() => {
	machine = new MachineMemory({ ramFrames: FRAMES, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	machine.u8.fill(RET, machine.frameAddress(0), machine.frameAddress(FRAMES))
	const host = { readTsc: () => 0, random32: () => 0, protectedWrite: () => false, undefinedInstruction: () => undefined }
	cpu = Cpu.instantiate(machine, 0, core, host)
	regions = cpu.regions!
})

/** Enters code at so many addresses, one behind the other. */
function enter(addresses: number): void {
	for (let physical = 0; physical < addresses; physical++) regions.enterAt(physical)
}

test('many entry points are found again', () => {
	const entered = 400_000
	enter(entered)
	const before = readCounters(machine, 0)
	enter(entered)
	const { traces, arenaEmptied } = readCounters(machine, 0)
	assert.deepEqual([before.traces, traces, arenaEmptied], [entered, entered, 0])
	assert.equal(regions.isEntry(entered), 0)
})

test('entry points of code that was written are gone, those of other code are not', () => {
	const written = 3
	enter(90_000)
	cpu.invalidateFrame(written)
	enter(written * PAGE_SIZE)
	for (let physical = (written + 1) * PAGE_SIZE; physical < 200_000; physical++) regions.enterAt(physical)
	assert.equal(regions.isEntry(written * PAGE_SIZE), 0)
	assert.equal(regions.isEntry(written * PAGE_SIZE - 1), 1)
	assert.equal(regions.isEntry(80_000), 1)
})

test('everything is forgotten when there are too many', () => {
	enter(FRAMES * PAGE_SIZE)
	assert.equal(readCounters(machine, 0).arenaEmptied, 1)
	assert.equal(regions.isEntry(0), 0)
	assert.equal(regions.isEntry(FRAMES * PAGE_SIZE - 1), 1)
})
