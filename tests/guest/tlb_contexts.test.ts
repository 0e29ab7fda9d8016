/** What the processor remembers of page tables while others are loaded. A translation that it remembers sets no accessed bit: that is how these tests see it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RBX } from '../../src/x86/cpu.ts'
import { MachineMemory, PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { loadCore } from '../isa/core.ts'

const BASE = 0x20_0000
const DATA = BASE + PAGE_SIZE
const [CODE_MFN, DATA_MFN] = [1, 2] as const
const OWN_SLOT = 510
const ACCESSED = 0x20
const DIRTY = 0x40
/** mov rax, [rbx]; hlt; and 16 bytes on: mov [rbx], rax; hlt */
const CODE = [0x48, 0x8b, 0x03, 0xf4]
const STORE = [0x48, 0x89, 0x03, 0xf4]

const core = await loadCore()

/** Versions of the page tables. */
const v = (all: number, low = 1, writes = 1) => ({ all, low, writes })

class Machine {
	readonly memory = new MachineMemory({ ramFrames: 64, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	readonly cpu: Cpu
	/** Where CODE is run. */
	code = BASE

	constructor() {
		this.cpu = Cpu.instantiate(this.memory, 0, core, {
			readTsc: () => 0,
			random32: () => 0,
			protectedWrite: () => false,
			undefinedInstruction() {},
		})
		this.memory.framePage(CODE_MFN).set(CODE)
		this.memory.framePage(CODE_MFN).set(STORE, 16)
		for (let root = 8; root < 64; root += 4) this.makeTables(root)
		this.cpu.setKernelMode(true)
		this.cpu.setField(L.CPU_CODE64, 1)
	}

	/** Four frames from `root`: L4, L3, L2, L1. */
	private makeTables(root: number): void {
		for (let n = 0; n < 3; n++) this.memory.u32[this.memory.frameAddress(root + n) / 4 + (n === 2 ? 2 : 0)] = (root + n + 1) * PAGE_SIZE + 7
		// An upper half of its own.
		this.memory.u32[this.memory.frameAddress(root) / 4 + OWN_SLOT * 2] = (root + 1) * PAGE_SIZE + 7
		this.entry(root, 0, CODE_MFN * PAGE_SIZE + 5)
		for (const page of [1, 2]) this.entry(root, page, DATA_MFN * PAGE_SIZE + 7)
	}
	entry(root: number, index: number, value: number): void {
		this.memory.u32[this.memory.frameAddress(root + 3) / 4 + index * 2] = value
	}

	/** Whether an access to DATA, or what else has an entry of its own there, had to look at the page tables of `root`. */
	looks(root: number, write = false, address = DATA): boolean {
		const at = this.memory.frameAddress(root + 3) / 4 + (Math.floor(address / PAGE_SIZE) & 511) * 2
		this.memory.u32[at] = (this.memory.u32[at] as number) & ~(ACCESSED | DIRTY)
		this.cpu.set(RBX, address)
		this.cpu.rip = this.code + (write ? 16 : 0)
		assert.equal(this.cpu.run(100), L.EXIT_PRIVILEGED)
		return ((this.memory.u32[at] as number) & ACCESSED) !== 0
	}
}

test('translations of a root are there again when it is loaded again under the same version, and not under another, or none', () => {
	const m = new Machine()
	m.cpu.setKernelRoot(8, v(1))
	assert.equal(m.looks(8), true)
	assert.equal(m.looks(8), false)
	m.cpu.setKernelRoot(12, v(1))
	assert.equal(m.looks(12), true)
	m.cpu.setKernelRoot(8, v(1))
	assert.equal(m.looks(8), false, 'the same version')
	m.cpu.setKernelRoot(12, v(2))
	assert.equal(m.looks(12), true, 'another')
	m.cpu.setKernelRoot(12, v(2))
	assert.equal(m.looks(12), false, 'the root that is loaded already')
	m.cpu.setKernelRoot(12)
	assert.equal(m.looks(12), true, 'none')
})

test('the root used longest ago is forgotten when there are more than the processor remembers', () => {
	const m = new Machine()
	const load = (root: number) => {
		m.cpu.setKernelRoot(root, v(1))
		return m.looks(root)
	}
	assert.deepEqual([8, 12, 16, 20, 8, 24, 8, 12].map(load), [true, true, true, true, false, true, false, true])
})

test('a complete flush forgets the roots that are not loaded too, a flush of writable pages at least those', () => {
	for (const flush of [(cpu: Cpu) => cpu.flushTlb(), (cpu: Cpu) => cpu.flushWriteTlb()]) {
		const m = new Machine()
		for (const root of [8, 12]) {
			m.cpu.setKernelRoot(root, v(1))
			m.looks(root)
			m.looks(root, true)
		}
		flush(m.cpu)
		assert.equal(m.looks(12, true), true)
		m.cpu.setKernelRoot(8, v(1))
		assert.equal(m.looks(8, true), true)
	}
})

test('a page that is flushed is looked up again; user roots are remembered apart from the kernel’s', () => {
	const m = new Machine()
	m.cpu.setKernelRoot(8, v(1))
	m.looks(8)
	m.cpu.flushPage(DATA)
	assert.equal(m.looks(8), true)
	m.cpu.setUserRoot(8, v(1))
	m.cpu.setKernelMode(false)
	assert.equal(m.looks(8), true)
	m.cpu.setKernelMode(true)
	assert.equal(m.looks(8), false)
})

test('code that was entered under one root is not run under another that maps the page elsewhere', () => {
	const m = new Machine()
	const other = 3
	m.memory.framePage(other).set([0x90, 0x90, 0xf4])
	m.entry(12, 0, other * PAGE_SIZE + 5)
	for (const [root, end] of [
		[8, 3],
		[12, 2],
		[8, 3],
		[12, 2],
	] as const) {
		m.cpu.setKernelRoot(root, v(1))
		m.cpu.set(RBX, DATA)
		m.cpu.rip = BASE
		assert.equal(m.cpu.run(100), L.EXIT_PRIVILEGED)
		assert.equal(m.cpu.rip, BASE + end)
	}
})

test('under another version of low addresses, or of writing, only those are looked up again', () => {
	const m = new Machine()
	m.memory.u32[m.memory.frameAddress(8) / 4 + 511 * 2] = 9 * PAGE_SIZE + 7
	const [high, low] = [DATA + PAGE_SIZE - 2 ** 39, DATA]
	m.code = BASE - 2 ** 39
	const [read, write] = [false, true]
	const looked = (change: () => void) => {
		for (const at of [high, low]) {
			m.looks(8, write, at)
			m.looks(8, read, at)
		}
		change()
		return [m.looks(8, read, high), m.looks(8, read, low), m.looks(8, write, high), m.looks(8, write, low)]
	}
	m.cpu.setKernelRoot(8, v(1, 1, 1))
	assert.deepEqual(
		looked(() => m.cpu.setKernelRoot(8, v(1, 1, 1))),
		[false, false, false, false],
	)
	assert.deepEqual(
		looked(() => m.cpu.flushStale(v(1, 1, 2))),
		[false, false, true, true],
	)
	assert.deepEqual(
		looked(() => m.cpu.flushStale(v(1, 2, 2))),
		[false, true, false, true],
	)
	assert.deepEqual(
		looked(() => m.cpu.setKernelRoot(8, v(1, 3, 3))),
		[false, true, true, true],
	)
	assert.deepEqual(
		looked(() => m.cpu.flushStale(v(2, 3, 3))),
		[true, true, true, true],
	)
})

test('a new kernel root with the upper half of the one in use knows what that knew of it, and nothing of the lower half', () => {
	const m = new Machine()
	const slot = (root: number, index: number) => m.memory.frameAddress(root) / 4 + index * 2
	const high = DATA + PAGE_SIZE - 2 ** 39
	for (const root of [8, 12, 16]) {
		m.memory.u32[slot(root, OWN_SLOT)] = 0
		m.memory.u32[slot(root, 511)] = (root === 16 ? 17 : 9) * PAGE_SIZE + 7
	}
	m.code = BASE - 2 ** 39
	m.cpu.setKernelRoot(8, v(1))
	m.looks(8, false, high)
	m.looks(8)
	m.cpu.setKernelRoot(12, v(1))
	assert.equal(m.looks(8, false, high), false)
	assert.equal(m.looks(12), true)
	m.cpu.setKernelRoot(8, v(1))
	assert.equal(m.looks(8, false, high), false)
	assert.equal(m.looks(8), true)
	m.cpu.setKernelRoot(16, v(1))
	assert.equal(m.looks(16, false, high), true, 'another upper half')
	m.memory.u32[slot(8, 511)] = 17 * PAGE_SIZE + 7
	m.cpu.setKernelRoot(8, v(1))
	assert.equal(m.looks(16, false, high), false, 'an upper half that has become the same')
})

test('a page that was written is known when it is read, and not the other way round', () => {
	const m = new Machine()
	m.cpu.setKernelRoot(8, v(1))
	assert.equal(m.looks(8, true), true)
	assert.equal(m.looks(8), false)
	assert.equal(m.looks(8, false, DATA + PAGE_SIZE), true)
	assert.equal(m.looks(8, true, DATA + PAGE_SIZE), true)
})

test('a root that its frame is no more is forgotten', () => {
	const m = new Machine()
	for (const root of [8, 12]) {
		m.cpu.setKernelRoot(root, v(1))
		m.looks(root)
	}
	m.cpu.forgetRoot(8)
	m.cpu.setKernelRoot(8, v(1))
	assert.equal(m.looks(8), true)
})
