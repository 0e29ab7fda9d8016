/** The TLBs against a list of what must have been forgotten: random accesses and flushes of pages that meet in the same slots. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RAX, RBX } from '../../src/x86/cpu.ts'
import { MachineMemory, PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { loadCore } from '../isa/core.ts'

const ACCESSED_DIRTY = 0x60
const ACCESSED = 0x20
const CODE_MFN = 1
const DATA_MFN = 2
const [ROOT_A, ROOT_B, FIRST_TABLE] = [4, 5, 6] as const
/** Pages 8 MiB apart have one slot. */
const STRIDE = 2 ** 23
const GROUPS = 6
const HIGH = -(2 ** 39)
/** mov rax, [rbx]; hlt; and 16 bytes on: mov [rbx], rax; hlt */
const [LOAD, STORE] = [
	[0x48, 0x8b, 0x03, 0xf4],
	[0x48, 0x89, 0x03, 0xf4],
]

interface Page {
	readonly address: number
	/** Index in u32 of its L1 entry. */
	readonly entry: number
	/** Whether the processor may know it. */
	reads: boolean
	writes: boolean
}

const core = await loadCore()

/** Two roots with the same tables in both halves; code in the upper one. */
function makeMachine(pagesOfGroup: number): { cpu: Cpu; memory: MachineMemory; pages: Page[]; code: number } {
	const memory = new MachineMemory({ ramFrames: 64, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	const cpu = Cpu.instantiate(memory, 0, core, {
		readTsc: () => 0,
		random32: () => 0,
		protectedWrite: () => false,
		undefinedInstruction() {},
	})
	memory.framePage(CODE_MFN).set(LOAD)
	memory.framePage(CODE_MFN).set(STORE, 16)
	const at = (mfn: number, index: number) => memory.frameAddress(mfn) / 4 + index * 2
	let table = FIRST_TABLE
	const pages: Page[] = []
	for (const [slot, base] of [
		[0, 0],
		[511, HIGH],
	] as const) {
		const [l3, l2] = [table++, table++]
		for (const root of [ROOT_A, ROOT_B]) memory.u32[at(root, slot)] = l3 * PAGE_SIZE + 7
		memory.u32[at(l3, 0)] = l2 * PAGE_SIZE + 7
		for (let group = 0; group < GROUPS; group++) {
			const l1 = table++
			memory.u32[at(l2, group * 4)] = l1 * PAGE_SIZE + 7
			for (let n = 1; n <= pagesOfGroup; n++) {
				memory.u32[at(l1, n)] = DATA_MFN * PAGE_SIZE + 7
				pages.push({ address: base + group * STRIDE + n * PAGE_SIZE, entry: at(l1, n), reads: false, writes: false })
			}
			if (group === 0) memory.u32[at(l1, 0)] = CODE_MFN * PAGE_SIZE + 5
		}
	}
	cpu.setKernelMode(true)
	cpu.setField(L.CPU_CODE64, 1)
	return { cpu, memory, pages, code: HIGH }
}

for (const pagesOfGroup of [3, 200]) {
	test(`nothing is known of a page after it was flushed in any way (${pagesOfGroup * GROUPS * 2} pages)`, () => {
		const { cpu, memory, pages, code } = makeMachine(pagesOfGroup)
		let seed = 1
		const random = (below: number) => {
			seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
			return Math.floor((seed / 2 ** 32) * below)
		}
		let [all, low, writes] = [1, 1, 1]
		let root: number = ROOT_A
		const versions = () => ({ all, low, writes })
		const forget = (which: (page: Page) => boolean, reads: boolean) => {
			for (const page of pages.filter(which)) {
				if (reads) page.reads = false
				page.writes = false
			}
		}
		const isLow = (page: Page) => page.address >= 0
		const flushes = [
			() => {
				const page = pages[random(pages.length)] as Page
				cpu.flushPage(page.address)
				forget((other) => other === page, true)
			},
			() => {
				low++
				cpu.flushStale(versions())
				forget(isLow, true)
			},
			() => {
				writes++
				cpu.flushStale(versions())
				forget(() => true, false)
			},
			() => {
				cpu.flushWriteTlb()
				forget(() => true, false)
			},
			() => {
				all++
				cpu.flushStale(versions())
				forget(() => true, true)
			},
			() => {
				cpu.flushTlb()
				forget(() => true, true)
			},
			() => {
				root = root === ROOT_A ? ROOT_B : ROOT_A
				cpu.setKernelRoot(root, versions())
				forget(isLow, true)
			},
		]
		cpu.setKernelRoot(root, versions())
		let [known, looks] = [0, 0]
		for (let round = 0; round < 300; round++) {
			for (let n = random(pagesOfGroup * 4); n >= 0; n--) {
				const page = pages[random(pages.length)] as Page
				const write = random(2) === 0
				memory.u32[page.entry] = (memory.u32[page.entry] as number) & ~ACCESSED_DIRTY
				cpu.set(RBX, page.address)
				cpu.rip = code + (write ? 16 : 0)
				assert.equal(cpu.run(100), L.EXIT_PRIVILEGED)
				const looked = ((memory.u32[page.entry] as number) & ACCESSED) !== 0
				if (!(write ? page.writes : page.reads))
					assert.equal(looked, true, `${write ? 'write' : 'read'} of ${page.address.toString(16)} in round ${round}`)
				page.reads = true
				if (write) page.writes = true
				if (looked) looks++
				else known++
			}
			flushes[random(flushes.length)]?.()
		}
		assert.ok(known > 100, `${known} accesses without a look, ${looks} with one`)
	})
}

test('a jump goes to the frame that is mapped since the last flush of the page, however many pages of code are known', () => {
	const { cpu, memory, pages, code } = makeMachine(200)
	const frames = [DATA_MFN, DATA_MFN + 1] as const
	const [JUMP_OFFSET, NAME_LENGTH] = [64, 5]
	// jmp rbx; and in each of two frames: mov eax, frame; hlt
	memory.framePage(CODE_MFN).set([0xff, 0xe3], JUMP_OFFSET)
	for (const frame of frames) memory.framePage(frame).set([0xb8, frame, 0, 0, 0, 0xf4])
	let seed = 1
	const random = (below: number) => {
		seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
		return Math.floor((seed / 2 ** 32) * below)
	}
	const generation = () => cpu.field(L.CPU_JUMP_GENERATION)
	cpu.setKernelRoot(ROOT_A, { all: 1, low: 1, writes: 1 })
	const high = pages.filter(({ address }) => address < 0)
	const look = (page: Page) => {
		cpu.set(RBX, page.address)
		cpu.rip = code + JUMP_OFFSET
		assert.equal(cpu.run(100), L.EXIT_PRIVILEGED)
		assert.equal(cpu.rip, page.address + NAME_LENGTH)
		return cpu.lo(RAX)
	}
	let kept = 0
	for (let round = 0; round < 200; round++) {
		const page = high[random(high.length)] as Page
		if (random(2) === 0) look(page)
		for (let n = random(4) * 500; n > 0; n--) look(high[random(high.length)] as Page)
		const before = generation()
		const frame = frames[random(2)] as number
		memory.u32[page.entry] = frame * PAGE_SIZE + 5
		cpu.flushPage(page.address)
		if (generation() === before) kept++
		assert.equal(look(page), frame, `${page.address.toString(16)} in round ${round}`)
	}
	assert.ok(kept > 20, `${kept} flushes kept the jumps`)
})
