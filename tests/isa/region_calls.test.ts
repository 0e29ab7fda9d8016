// Regions that call others: what may happen until these return, and where to.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { readCounters } from '../../src/x86/counters.ts'
import { RAX, RBX, RCX, RDI, RDX, RSP } from '../../src/x86/cpu.ts'
import { loadCore } from './core.ts'
import { CODE, LEAF, LOOP, RegionGuest, STACK } from './region_guest.ts'

const BREAKPOINT = 3
const PAGE_FAULT = 14

let core: WebAssembly.Module
before(async () => {
	core = await loadCore()
})

/** `loop` at LOOP in frame 20, `leaf` at LEAF in frame 21, each a region of its own, and one where each call of the loop is returned to. RBX is LEAF, and RDX is STACK. */
function callingGuest(loop: string, leaf: string, behind: readonly number[]): RegionGuest {
	const guest = new RegionGuest(core)
	guest.place(20, 0xf00, loop)
	guest.place(21, 0, leaf)
	guest.cpu.set(RBX, LEAF)
	guest.cpu.set(RDX, STACK)
	for (const rip of [LEAF, ...behind.map((offset) => LOOP + offset)]) {
		guest.cpu.rip = rip
		assert.ok(guest.translator.translateHere())
	}
	return guest
}

/** Whether returns of `guest` that leave a region were remembered: how many were, and how many were not. */
function returns(guest: RegionGuest): readonly [number, number] {
	const { returnsRemembered, returnsLookedUp } = readCounters(guest.machine, 0)
	return [returnsRemembered, returnsLookedUp]
}

/** 1: call rbx; dec ecx; jnz 1b; int3 */
const LOOP_CODE = 'ffd3 ffc9 75fa cc'
/** add eax, 1; ret */
const LEAF_CODE = '83c001 c3'

test('returns go to the region behind the call, which is remembered', () => {
	const guest = callingGuest(LOOP_CODE, LEAF_CODE, [2])
	assert.equal(guest.run(), 10)
	assert.equal(guest.vector, BREAKPOINT)
	const [remembered, lookedUp] = returns(guest)
	assert.ok(remembered >= 7, `${remembered} remembered`)
	assert.equal(remembered + lookedUp, 10)
})

test('a function that returns elsewhere gets there', () => {
	// 1: call rbx; dec ecx; dec ecx; jnz 1b; int3, and add qword [rsp], 2; add eax, 1; ret: it leaves out what is behind the call
	const guest = callingGuest('ffd3 ffc9 ffc9 75f8 cc', '48830424 02 83c001 c3', [2, 4])
	assert.equal(guest.run(), 10)
	assert.equal(guest.vector, BREAKPOINT)
	assert.deepEqual(returns(guest), [0, 10])
})

test('a call through a register of a function in the same region returns like others', () => {
	// 1: call rbx; dec ecx; jnz 1b; int3, and test ecx, 1; jnz 1f; call rdi; 1: add eax, 1; ret
	const guest = callingGuest(LOOP_CODE, 'f7c101000000 7502 ffd7 83c001 c3', [2])
	guest.place(21, 0x800, '83c064 c3')
	guest.cpu.set(RDI, LEAF + 0x800)
	assert.equal(guest.run(), 10 + 5 * 100)
	assert.equal(guest.vector, BREAKPOINT)
})

test('what a function changes is what the region behind the call sees', () => {
	// 1: call rbx; jnz 1b; movd edi, xmm1; int3
	const loop = 'ffd3 75fc 660f7ecf cc'
	// add eax, 1; movd xmm1, eax; mov ecx, eax; cmp eax, 20; ret
	const guest = callingGuest(loop, '83c001 660f6ec8 89c1 83f814 c3', [2])
	assert.equal(guest.run(), 20)
	assert.deepEqual([guest.cpu.get(RDI), guest.cpu.get(RCX)], [20, 20])
	assert.ok(returns(guest)[0] >= 17)
})

test('a fault behind the call is precise', () => {
	// 1: call rbx; dec ecx; jnz 1b; mov [rcx], eax
	const guest = callingGuest('ffd3 ffc9 75fa 8901', LEAF_CODE, [2])
	assert.equal(guest.run(), 10)
	assert.deepEqual([guest.vector, guest.cpu.rip, guest.cpu.wide(L.CPU_CR2)], [PAGE_FAULT, LOOP + 6, 0])
})

test('functions that call themselves deeper than returns are remembered come back all the same', () => {
	// call rbx; int3, and dec ecx; jz 1f; call rbx; 1: add eax, 1; ret
	const guest = callingGuest('ffd3 cc', 'ffc9 7402 ffd3 83c001 c3', [])
	guest.cpu.rip = LEAF + 6
	assert.ok(guest.translator.translateHere())
	assert.equal(guest.run(), 10)
	// mov ecx, 400; call rbx; int3
	guest.place(20, 0xf00, 'b990010000 ffd3 cc')
	guest.map(STACK - 0x1000, 23)
	for (let n = 0; n < 2; n++) {
		assert.equal(guest.run(), 400)
		assert.equal(guest.vector, BREAKPOINT)
		assert.equal(guest.cpu.get(RSP), STACK + 0x800)
	}
	const [remembered, lookedUp] = returns(guest)
	assert.ok(remembered >= 200 && lookedUp >= 100, `${remembered} remembered, ${lookedUp} not`)
})

test('stacks that have one place among the remembered returns are told apart', () => {
	// pop rdi; xchg rsp, rdx; push rdi; ret, of stacks 2 KiB apart
	const guest = callingGuest(LOOP_CODE, '83c001 5f 4887d4 57 c3', [2])
	guest.map(STACK + 0x1000, 24)
	guest.cpu.set(RDX, STACK + 0x1000)
	assert.equal(guest.run(), 10)
	assert.equal(guest.vector, BREAKPOINT)
	assert.deepEqual([guest.cpu.get(RSP), guest.cpu.get(RDX)], [STACK + 0x800, STACK + 0x1000])
})

test('code behind the call that the function has written is run as it is then', () => {
	// 1: call rbx; add eax, 1; dec ecx; jnz 1b; int3
	const loop = 'ffd3 83c001 ffc9 75f7 cc'
	// cmp ecx, 5; jne 1f; mov byte [LOOP + 4], 16; 1: ret
	const guest = callingGuest(loop, `83f905 7508 c60425${address(LOOP + 4)}10 c3`, [2])
	assert.equal(guest.run(), 5 + 5 * 16)
	assert.equal(guest.vector, BREAKPOINT)
})

test('a page that is mapped elsewhere between call and return is run as it is then', () => {
	const guest = callingGuest(LOOP_CODE, LEAF_CODE, [2])
	assert.equal(guest.run(), 10)
	// In another frame: call rbx; mov eax, 77; int3
	guest.place(25, 0xf00, 'ffd3 b84d000000 cc')
	guest.map(CODE, 25)
	assert.equal(guest.run(LOOP, false), 77)
	assert.equal(guest.cpu.get(RAX), 77)
})

test('a return address that is pushed over decoded code is called and returned from', () => {
	// mov rsp, LOOP + 0x40; call rbx; int3: the return address goes to the line of the code itself
	const guest = callingGuest(`48c7c4${address(LOOP + 0x40)} ffd3 83c007 cc`, LEAF_CODE, [])
	assert.equal(guest.run(), 8)
	assert.equal(guest.vector, BREAKPOINT)
	assert.equal(guest.cpu.get(RSP), CODE + 0xf40)
})

/** Four bytes, the lowest first. */
function address(value: number): string {
	return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('')
}
