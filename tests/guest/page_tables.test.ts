// Memory management under the real processor: page tables written by instructions, and translations that must be gone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DOMID_SELF, MMUEXT_PIN_L1_TABLE, UVMF_INVLPG } from '../../src/abi/xen.ts'
import { loadCore } from '../../src/platform/node/load_core.ts'
import { CPU_CODE64, CPU_EXC_ERROR, CPU_EXC_VECTOR, CPU_SELECTORS, EXIT_EXCEPTION } from '../../src/x86/core/layout.ts'
import { RAX, RBX, RCX, RDI } from '../../src/x86/cpu.ts'
import { checkMemory } from '../../src/xen/mm/mm_check.ts'
import { DIRECT_MAP, Fixture, READ_ONLY, READ_WRITE } from '../../src/xen/mm/mm_fixture.ts'
import { mmuextOpHypercall } from '../../src/xen/mm/mmuext_op.ts'
import { TYPE_L1 } from '../../src/xen/mm/page_info.ts'
import { updateVaMappingHypercall } from '../../src/xen/mm/update_va_mapping.ts'

const core = await loadCore()
const va = (mfn: number) => DIRECT_MAP + mfn * 4096
const BREAKPOINT = 3
const PAGE_FAULT = 14
/** Present, write, user: what a refused write reports. */
const WRITE_REFUSED = 7
const CODE = 2
const ARGS = 3

class Guest extends Fixture {
	constructor() {
		super(64, 48, true, core)
		const { cpu } = this.vcpu
		cpu.setField(CPU_CODE64, 1)
		cpu.machine.u16.set([0xe02b, 0xe033, 0xe02b, 0, 0, 0], (cpu.state + CPU_SELECTORS) >>> 1)
	}

	/** Runs instructions and then int3; returns the vector that stopped it, the breakpoint's if all went well. */
	execute(bytes: readonly number[], registers: Readonly<Record<number, number>> = {}): number {
		const { cpu, domain } = this.vcpu
		domain.machine.u8.set([...bytes, 0xcc], domain.machine.frameAddress(CODE))
		cpu.invalidateFrame(CODE)
		for (const [register, value] of Object.entries(registers)) cpu.set(Number(register), value)
		cpu.rip = va(CODE)
		cpu.rflags = 0x202
		for (let turn = 0; turn < 100; turn++) if (cpu.run(1000) === EXIT_EXCEPTION) return cpu.field(CPU_EXC_VECTOR)
		throw new Error('the guest runs on')
	}

	update(address: number, entry: number, flags = 0): number {
		return this.call(updateVaMappingHypercall.handler, address, entry, flags)
	}

	pinL1(mfn: number): number {
		this.domain.machine.u32.set([MMUEXT_PIN_L1_TABLE, 0, mfn, 0, 0, 0], this.word(ARGS, 0))
		return this.call(mmuextOpHypercall.handler, va(ARGS), 1, 0, DOMID_SELF)
	}

	sound(): void {
		assert.deepEqual(checkMemory([this.vcpu]), [])
	}
}

/** mov [rax], rbx */
const STORE = [0x48, 0x89, 0x18]

test('a store to an L1 entry through its read-only mapping maps a page', () => {
	const g = new Guest()
	assert.equal(g.execute(STORE, { [RAX]: va(g.l1) + 100 * 8, [RBX]: 0x5000 | READ_WRITE }), BREAKPOINT)
	assert.equal(g.types.typeCount(5), 2)
	assert.equal(g.execute(STORE, { [RAX]: va(100) + 16, [RBX]: 0x1234 }), BREAKPOINT)
	assert.equal(g.peek(5, 2), 0x1234)
	g.sound()
})

test('a store that would map a page table writable, or go to a higher table, gets #PF', () => {
	const g = new Guest()
	for (const [address, entry] of [
		[va(g.l1) + 100 * 8, (g.l2 << 12) | READ_WRITE],
		[va(g.l1) + 100 * 8, g.domain.layout.frames * 4096 + READ_ONLY],
		[va(g.l2) + 100 * 8, 0],
		[va(g.l3) + 100 * 8, 0],
		[va(g.l4) + 100 * 8, 0],
	]) {
		assert.equal(g.execute(STORE, { [RAX]: address, [RBX]: entry }), PAGE_FAULT)
		assert.equal(g.vcpu.cpu.field(CPU_EXC_ERROR), WRITE_REFUSED)
	}
	g.sound()
})

test('read-modify-write and string instructions on an L1 are checked as well', () => {
	const g = new Guest()
	const entry = va(g.l1) + 100 * 8
	g.execute(STORE, { [RAX]: entry, [RBX]: 0x5000 | READ_WRITE })
	// lock btr dword [rax], 1: the kernel's way to make a page read-only
	assert.equal(g.execute([0xf0, 0x0f, 0xba, 0x30, 0x01], { [RAX]: entry }), BREAKPOINT)
	assert.equal(g.types.typeCount(5), 1)
	// xchg [rax], rbx
	assert.equal(g.execute([0x48, 0x87, 0x18], { [RAX]: entry, [RBX]: 0x6000 | READ_WRITE }), BREAKPOINT)
	assert.equal(g.vcpu.cpu.get(RBX) & 0xfff02f, 0x5005 | (g.vcpu.cpu.get(RBX) & 0x28))
	assert.equal(g.types.typeCount(6), 2)
	// rep stosq of empty entries
	assert.equal(g.execute([0xf3, 0x48, 0xab], { [RAX]: 0, [RDI]: entry, [RCX]: 50 }), BREAKPOINT)
	assert.equal(g.types.typeCount(6), 1)
	// mov word [rax], bx; mov byte [rax+2], bl
	assert.equal(g.execute([0x66, 0x89, 0x18], { [RAX]: entry, [RBX]: 0x7000 | READ_ONLY }), BREAKPOINT)
	assert.equal(g.peek(g.l1, 100) >>> 12, 7)
	g.sound()
})

test('a page that was writable becomes a page table: no stale translation lets a store pass unchecked', () => {
	const g = new Guest()
	assert.equal(g.execute(STORE, { [RAX]: va(10), [RBX]: 0 }), BREAKPOINT, 'the TLB now holds page 10 writable')
	assert.equal(g.update(va(10), 0xa000 | READ_ONLY), 0)
	assert.equal(g.pinL1(10), 0)
	assert.equal(g.types.type(10), TYPE_L1)
	assert.equal(g.execute(STORE, { [RAX]: va(10), [RBX]: (g.l2 << 12) | READ_WRITE }), PAGE_FAULT)
	assert.equal(g.peek(10, 0), 0)
	assert.equal(g.execute(STORE, { [RAX]: va(10), [RBX]: 0x5000 | READ_WRITE }), BREAKPOINT)
	assert.equal(g.types.typeCount(5), 2)
	g.sound()
})

test('UVMF_INVLPG makes a page read-only at once', () => {
	const g = new Guest()
	assert.equal(g.execute(STORE, { [RAX]: va(10), [RBX]: 1 }), BREAKPOINT)
	assert.equal(g.update(va(10), 0xa000 | READ_ONLY, UVMF_INVLPG), 0)
	assert.equal(g.execute(STORE, { [RAX]: va(10), [RBX]: 2 }), PAGE_FAULT)
	assert.equal(g.peek(10, 0), 1)
})
