// Regions that go on in another page: what may happen to that page between two runs, and in the middle of one.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { RAX, RDI, RDX, RSP } from '../../src/x86/cpu.ts'
import { PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { loadCore } from './core.ts'
import { CODE, LEAF, LOOP, RegionGuest, STACK } from './region_guest.ts'

/** Pages that far from one another share a place in the code TLB. */
const CODE_TLB_SPAN = 512 * PAGE_SIZE
const NO_EXECUTE = 0x8000_0000
const BREAKPOINT = 3
const PAGE_FAULT = 14

/** 1: nop; add eax, 0x01000001; dec ecx; jnz 1b; int3: three bytes in one page, and the rest in the next. */
const [ACROSS, BEHIND] = ['90 0501', '000001 ffc9 75f6 cc']

let core: WebAssembly.Module
before(async () => {
	core = await loadCore()
})

class Guest extends RegionGuest {
	constructor() {
		super(core)
	}
}

/** A loop that calls the page behind, where one is added to RAX. */
function callingGuest(): Guest {
	const guest = new Guest()
	// 1: call LEAF; dec ecx; jnz 1b; int3
	guest.place(20, 0xf00, 'e8fb000000 ffc9 75f7 cc')
	guest.place(21, 0, '83c001 c3')
	return guest
}

test('a call of a function in another page and its return stay inside', () => {
	const guest = callingGuest()
	assert.equal(guest.run(), 10)
	assert.equal(guest.vector, BREAKPOINT)
	assert.equal(guest.wasInterpreted(21, 0), false)
})

test('a region does not begin with an instruction that runs into the next page', () => {
	const guest = new Guest()
	guest.place(20, 0xffd, ACROSS)
	guest.place(21, 0, BEHIND)
	guest.cpu.rip = CODE + 0xffe
	assert.equal(guest.translator.translateHere(), false)
})

test('an instruction may run into the next page', () => {
	const guest = new Guest()
	guest.place(20, 0xffd, ACROSS)
	guest.place(21, 0, BEHIND)
	assert.equal(guest.run(CODE + 0xffd), 0x0a00_000a)
	assert.equal(guest.wasInterpreted(21, 3), false)
})

test('a further page that is mapped to another frame runs what is there', () => {
	const guest = callingGuest()
	guest.place(23, 0, '83c002 c3')
	assert.equal(guest.run(), 10)
	guest.map(LEAF, 23)
	assert.equal(guest.run(), 20)
	guest.map(LEAF, 21)
	assert.equal(guest.run(), 10)
	assert.equal(guest.translator.statistics.regions, 1)
})

for (const tier of ['interpreted', 'translated'] as const)
	test(`a page whose place in the code TLB another has taken is flushed all the same (${tier})`, () => {
		const guest = callingGuest()
		const other = LEAF + CODE_TLB_SPAN
		const run = (entry: number) => guest.run(entry, tier === 'translated')
		guest.place(23, 0, '83c002 c3')
		guest.place(24, 0, '83c003 cc')
		guest.map(other, 24)
		assert.equal(run(LOOP), 10)
		assert.equal(run(other), 3)
		guest.map(LEAF, 23)
		assert.equal(run(LOOP), 20)
	})

test('a further page that is not there faults at its first instruction', () => {
	const guest = callingGuest()
	guest.run()
	for (const [frame, flags, error] of [
		[0, 0, 0x14],
		[21, NO_EXECUTE, 0x15],
	] as const) {
		guest.map(LEAF, frame, flags)
		guest.run()
		assert.deepEqual([guest.vector, guest.cpu.field(L.CPU_EXC_ERROR)], [PAGE_FAULT, error])
		assert.deepEqual([guest.cpu.rip, guest.cpu.wide(L.CPU_CR2)], [LEAF, LEAF])
		assert.equal(guest.cpu.get(RSP), STACK + 0x800 - 8)
	}
})

test('the second half of an instruction that is not there faults at the instruction', () => {
	const guest = new Guest()
	guest.place(20, 0xffd, ACROSS)
	guest.place(21, 0, BEHIND)
	guest.run(CODE + 0xffd)
	guest.map(LEAF, 0)
	guest.run(CODE + 0xffd)
	assert.deepEqual([guest.vector, guest.cpu.rip, guest.cpu.wide(L.CPU_CR2)], [PAGE_FAULT, CODE + 0xffe, LEAF])
})

test('a write to a further page is seen by the next instruction that is run there', () => {
	const guest = new Guest()
	// 1: call LEAF; mov [rdi], dl; dec ecx; jnz 1b; int3
	guest.place(20, 0xf00, 'e8fb000000 8817 ffc9 75f5 cc')
	guest.place(21, 0, '83c001 c3')
	guest.cpu.set(RDI, LEAF + 2)
	guest.cpu.set(RDX, 3)
	assert.equal(guest.run(), 1 + 9 * 3)
})

test('a region whose further page was written to is made anew', () => {
	const guest = callingGuest()
	guest.run()
	guest.place(21, 0, '83c005 c3')
	// The first run finds out.
	assert.equal(guest.run(), 50)
	assert.equal(guest.run(), 50)
	assert.equal(guest.translator.statistics.regions, 2)
	guest.place(21, 0, '83c001 c3')
	assert.equal(guest.run(), 10)
	guest.run()
	assert.equal(guest.translator.statistics.regions, 2, 'the first region serves again')
})

test('a fault in a further page is precise', () => {
	const guest = callingGuest()
	// add eax, 1; mov edx, [rip + 0x100000]; ret
	guest.place(21, 0, '83c001 8b1500001000 c3')
	guest.run()
	assert.deepEqual([guest.vector, guest.cpu.rip, guest.cpu.wide(L.CPU_CR2)], [PAGE_FAULT, LEAF + 3, LEAF + 9 + 0x10_0000])
	assert.equal(guest.cpu.get(RAX), 1)
})

test('the core executes an instruction of a further page where that is', () => {
	const guest = callingGuest()
	// add eax, 1; lea rbx, [rip]; enter 0, 0; leave; ret
	guest.place(21, 0, '83c001 488d1d00000000 c8000000 c9 c3')
	assert.equal(guest.run(), 10)
	assert.equal(guest.cpu.get(3), LEAF + 10)
})

test('an access that begins in the page before the one just looked up takes its bytes from both', () => {
	const guest = new Guest()
	const DATA = 0x60_0000
	// Frames that are the other way round, so that what is before the second page in memory is not the first.
	guest.map(DATA, 25)
	guest.map(DATA + PAGE_SIZE, 24)
	guest.machine.framePage(25).fill(1)
	guest.machine.framePage(24).fill(2)
	guest.machine.framePage(23).fill(3)
	// 1: mov edx, [rdi+4]; mov eax, [rdi]; dec ecx; jnz 1b; int3
	guest.place(20, 0xf00, '8b5704 8b07 ffc9 75f7 cc')
	guest.cpu.set(RDI, DATA + PAGE_SIZE - 2)
	assert.equal(guest.run(), 0x02020101)
})

test('compatibility code that a region returns to is not taken for the 64-bit code at the same address', () => {
	const guest = new Guest()
	const [CODE32, GDT_FRAME] = [0x23, 24]
	const gdt = guest.machine.frameAddress(GDT_FRAME)
	guest.machine.u64[(gdt + (CODE32 & ~7)) / 8] = 0x00cf_fb00_0000_ffffn
	guest.cpu.setField(L.CPU_GDT_FRAMES, gdt)
	guest.cpu.setField(L.CPU_GDT_LIMIT, PAGE_SIZE - 1)
	// push CODE32; push LEAF; retfq
	guest.place(20, 0xf00, '6a23 6800104000 48cb')
	// A REX prefix and NOP, or INC EAX and NOP; int3
	guest.place(21, 0, '4090 cc')
	assert.equal(guest.run(LEAF, false), 0)
	assert.equal(guest.run(), 1)
	assert.deepEqual([guest.vector, guest.cpu.rip], [BREAKPOINT, LEAF + 3])
})
