import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EACCES, XEN_EBUSY, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH } from '../../abi/errno.ts'
import * as X from '../../abi/xen.ts'
import { ACCESS_WRITE, CPU_GDT_FRAMES, CPU_LDT_BASE, CPU_LDT_LIMIT } from '../../x86/core/layout.ts'
import { HYPERCALL_PREEMPTED } from '../hypercall_row.ts'
import { setGdtHypercall, updateDescriptorHypercall } from './descriptors.ts'
import { checkMemory } from './mm_check.ts'
import { ARGS_VA, DIRECT_MAP, Fixture, READ_ONLY, READ_WRITE, TABLE } from './mm_fixture.ts'
import { mmuUpdateHypercall } from './mmu_update.ts'
import { mmuextOpHypercall } from './mmuext_op.ts'
import { PTE_ACCESSED, PTE_DIRTY, PTE_PCD, PTE_PRESENT } from './page_tables.ts'
import { updateVaMappingHypercall, updateVaMappingOtherdomainHypercall } from './update_va_mapping.ts'

const sound = (f: Fixture) => assert.deepEqual(checkMemory([f.vcpu]), [])
const va = (mfn: number) => DIRECT_MAP + mfn * 4096

type Update = readonly [ptr: number, lo: number, hi?: number]

/** mmu_update of these requests, *done at ARGS_VA + 2048. */
function mmuUpdate(f: Fixture, updates: readonly Update[], foreigndom = X.DOMID_SELF): number {
	const list = f.args(updates.flatMap(([ptr, lo, hi = 0]) => [ptr, 0, lo, hi]))
	return f.call(mmuUpdateHypercall.handler, list, updates.length, f.args([0xdead], 2048), foreigndom)
}
const done = (f: Fixture) => f.readArg(2048)

type Op = readonly [cmd: number, arg1?: number, arg2?: number]

function mmuext(f: Fixture, ops: readonly Op[], foreigndom = X.DOMID_SELF): number {
	const high = (value: number) => Math.floor(value / 4294967296)
	const list = f.args(ops.flatMap(([cmd, arg1 = 0, arg2 = 0]) => [cmd, 0, arg1, high(arg1), arg2, high(arg2)]))
	return f.call(mmuextOpHypercall.handler, list, ops.length, f.args([0xdead], 2048), foreigndom)
}

const updateVa = (f: Fixture, address: number, entry: number, flags = 0) => f.call(updateVaMappingHypercall.handler, address, entry, flags)

/** Takes a frame out of the direct map and zeroes it. */
function unmap(f: Fixture, ...frames: number[]): void {
	for (const mfn of frames) {
		f.types.zero(mfn)
		assert.equal(updateVa(f, va(mfn), 0, X.UVMF_INVLPG), 0)
	}
}

test('mmu_update writes an L1 entry, and refuses to map a page table writable', () => {
	const f = new Fixture()
	const slot = f.l1 * 4096 + 100 * 8
	assert.equal(mmuUpdate(f, [[slot, 0x5000 | READ_WRITE]]), 0)
	assert.equal(done(f), 1)
	assert.equal(f.types.typeCount(5), 2)
	assert.equal(mmuUpdate(f, [[slot, (f.l2 << 12) | READ_WRITE]]), -XEN_EBUSY)
	assert.equal(f.peek(f.l1, 100) >>> 12, 5, 'the old entry stays')
	assert.equal(mmuUpdate(f, [[slot, (f.l2 << 12) | READ_ONLY]]), 0)
	assert.equal(f.types.typeCount(5), 1)
	sound(f)
})

test('mmu_update stops at the first request that fails and says how many were done', () => {
	const f = new Fixture()
	const slot = (n: number) => f.l1 * 4096 + n * 8
	const updates: Update[] = [
		[slot(100), 0x5000 | READ_ONLY],
		[slot(101), 0x5000 | READ_ONLY],
		[slot(102), 0x5000 | READ_ONLY | PTE_PCD],
		[slot(103), 0x5000 | READ_ONLY],
	]
	assert.equal(mmuUpdate(f, updates), -XEN_EINVAL)
	assert.equal(done(f), 2)
	assert.equal(f.peek(f.l1, 103), 0)
	sound(f)
})

test('mmu_update with MMU_PT_UPDATE_PRESERVE_AD keeps accessed and dirty', () => {
	const f = new Fixture()
	f.store(va(5), 4, 1)
	const slot = f.l1 * 4096 + 5 * 8
	mmuUpdate(f, [[slot + X.MMU_PT_UPDATE_PRESERVE_AD, 0x5000 | READ_WRITE]])
	assert.equal(f.peek(f.l1, 5) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY)
	mmuUpdate(f, [[slot, 0x5000 | READ_WRITE]])
	assert.equal(f.peek(f.l1, 5) & (PTE_ACCESSED | PTE_DIRTY), 0)
	sound(f)
})

test('mmu_update of L2 to L4 takes and drops whole tables; Xen slots are refused with -EINVAL', () => {
	const f = new Fixture()
	unmap(f, 1)
	f.poke(1, 0, 2, READ_WRITE)
	assert.equal(mmuUpdate(f, [[f.l2 * 4096 + 9 * 8, 0x1000 | TABLE]]), 0)
	assert.equal(f.types.typeCount(2), 2)
	assert.equal(mmuUpdate(f, [[f.l2 * 4096 + 9 * 8, 0]]), 0)
	assert.equal(f.types.typeCount(2), 1)
	for (const slot of [256, 258, 271]) assert.equal(mmuUpdate(f, [[f.l4 * 4096 + slot * 8, 0]]), -XEN_EINVAL)
	assert.equal(mmuUpdate(f, [[f.l4 * 4096 + 255 * 8, 0]]), 0)
	assert.equal(mmuUpdate(f, [[f.l4 * 4096 + 255 * 8, (f.l2 << 12) | TABLE]]), -XEN_EINVAL)
	sound(f)
})

test('mmu_update writes plain memory as it is, and not a descriptor page', () => {
	const f = new Fixture()
	assert.equal(mmuUpdate(f, [[3 * 4096 + 16, 0xffff_ffff, 0xffff_ffff]]), 0)
	assert.equal(f.peek(3, 2), 0xffff_ffff)
	unmap(f, 2)
	assert.equal(f.call(setGdtHypercall.handler, f.args([2, 0]), 8), 0)
	assert.equal(mmuUpdate(f, [[2 * 4096, 0]]), -XEN_EINVAL)
	sound(f)
})

test('mmu_update refuses frames that are not the guest’s, wild pointers and unknown commands', () => {
	const f = new Fixture()
	const { layout } = f.domain
	for (const mfn of [60, layout.gdtMfn, layout.m2pMfn, layout.m2pTablesMfn, layout.frames, 0xf_ffff]) {
		assert.equal(mmuUpdate(f, [[mfn * 4096, 0]]), -XEN_EINVAL)
		assert.equal(mmuUpdate(f, [[mfn * 4096 + X.MMU_MACHPHYS_UPDATE, 0]]), -XEN_EINVAL)
	}
	const high = f.args([0, 0x1000, 0, 0])
	assert.equal(f.call(mmuUpdateHypercall.handler, high, 1, 0, X.DOMID_SELF), -XEN_EINVAL)
	for (const cmd of [4, 5, 6, 7]) assert.equal(mmuUpdate(f, [[3 * 4096 + cmd, 0]]), -XEN_ENOSYS)
	assert.equal(f.call(mmuUpdateHypercall.handler, 0x123000, 1, 0, X.DOMID_SELF), -XEN_EFAULT)
	assert.equal(f.call(mmuUpdateHypercall.handler, -(2 ** 47), 1, 0, X.DOMID_SELF), -XEN_EFAULT, 'the hypervisor’s range')
	assert.equal(f.call(mmuUpdateHypercall.handler, [0, 0x1234_5678], 1, 0, X.DOMID_SELF), -XEN_EFAULT, 'not canonical')
	assert.equal(mmuUpdate(f, []), 0)
	sound(f)
})

test('mmu_update names only the caller: -EPERM for dom0, -ESRCH for others, I/O memory for DOMID_IO', () => {
	const f = new Fixture()
	const slot = f.l1 * 4096 + 100 * 8
	assert.equal(mmuUpdate(f, [[slot, 0]], 0), -XEN_EPERM)
	assert.equal(mmuUpdate(f, [[slot, 0]], 3), -XEN_ESRCH)
	assert.equal(mmuUpdate(f, [[slot, 0]], f.domain.domid), -XEN_ESRCH)
	assert.equal(mmuUpdate(f, [[slot, 0]], ((f.domain.domid + 1) << 16) | X.DOMID_SELF), 0)
	assert.equal(mmuUpdate(f, [[slot, 0]], (4 << 16) | X.DOMID_SELF), -XEN_ESRCH)
	assert.equal(mmuUpdate(f, [[slot, 0x5000 | READ_ONLY]], X.DOMID_IO), -XEN_EBUSY)
	assert.equal(mmuUpdate(f, [[slot, 0xfee0_0000 | READ_ONLY]], X.DOMID_IO), -XEN_EPERM)
	sound(f)
})

test('mmu_update stops for other work and goes on where it stopped', () => {
	const f = new Fixture()
	const updates: Update[] = []
	for (let n = 0; n < 100; n++) updates.push([f.l1 * 4096 + (100 + n) * 8, 0x5000 | READ_ONLY])
	f.vcpu.timers.nextDeadline_ns = 0
	assert.equal(mmuUpdate(f, updates), HYPERCALL_PREEMPTED)
	const first = done(f)
	assert.ok(first > 0 && first < 100)
	f.vcpu.timers.nextDeadline_ns = Number.POSITIVE_INFINITY
	assert.equal(mmuUpdateHypercall.handler?.(f.vcpu, f.lastArgs), 0)
	assert.equal(done(f), 100)
	assert.equal(f.types.count(5), 2 + 100)
	sound(f)
})

test('MMU_MACHPHYS_UPDATE sets the entry that the guest reads', () => {
	const f = new Fixture()
	assert.equal(mmuUpdate(f, [[9 * 4096 + X.MMU_MACHPHYS_UPDATE, 0x77, 0]]), 0)
	const entry = f.translate(-(2 ** 47) + 9 * 8, 0)
	assert.equal(f.domain.machine.u32[entry >>> 2], 0x77)
})

test('update_va_mapping changes the entry that maps the address, and flushes as asked', () => {
	const f = new Fixture()
	assert.ok(f.translate(va(5), ACCESS_WRITE) > 0)
	assert.equal(updateVa(f, va(5), 0x6000 | READ_ONLY), 0)
	assert.ok(f.tlb.has(va(5) / 4096), 'UVMF_NONE flushes nothing')
	assert.equal(updateVa(f, va(5), 0x6000 | READ_ONLY, X.UVMF_INVLPG | X.UVMF_LOCAL), 0)
	assert.ok(!f.tlb.has(va(5) / 4096))
	assert.equal(f.translate(va(5), ACCESS_WRITE), -1)
	for (const flags of [X.UVMF_TLB_FLUSH, X.UVMF_TLB_FLUSH | X.UVMF_ALL]) {
		const before = f.flushes
		assert.equal(updateVa(f, va(5), 0x6000 | READ_ONLY, flags), 0)
		assert.equal(f.flushes, before + 1)
	}
	sound(f)
})

test('update_va_mapping reads a bitmap of vCPUs', () => {
	const f = new Fixture()
	const flags = (bits: number) => f.args([bits, 0], 1024) | X.UVMF_TLB_FLUSH
	const before = f.flushes
	assert.equal(updateVa(f, va(5), 0x6000 | READ_ONLY, flags(2)), 0)
	assert.equal(f.flushes, before)
	assert.equal(updateVa(f, va(5), 0x6000 | READ_ONLY, flags(1)), 0)
	assert.equal(f.flushes, before + 1)
	assert.equal(updateVa(f, va(5), 0x7000 | READ_ONLY, 0x100 | X.UVMF_INVLPG), -XEN_EFAULT)
	assert.equal(f.peek(f.l1, 5) >>> 12, 7, 'the entry is changed even so')
	sound(f)
})

test('update_va_mapping returns -EINVAL where no L1 table is', () => {
	const f = new Fixture()
	for (const address of [0, 0x1000, va(0) + 2 ** 21, va(0) + 2 ** 30, -4096, -(2 ** 47), -(2 ** 47) + 2 ** 39, 2 ** 47, 2 ** 52]) {
		assert.equal(updateVa(f, address, 0x6000 | READ_ONLY), -XEN_EINVAL, address.toString(16))
	}
	assert.equal(updateVa(f, va(5), (f.l1 << 12) | READ_WRITE), -XEN_EBUSY)
	sound(f)
})

test('update_va_mapping_otherdomain names only the caller', () => {
	const f = new Fixture()
	const call = (domid: number) => f.call(updateVaMappingOtherdomainHypercall.handler, va(5), 0x6000 | READ_ONLY, 0, domid)
	assert.deepEqual([call(0), call(3), call(X.DOMID_IO), call(X.DOMID_SELF)], [-XEN_EPERM, -XEN_ESRCH, -XEN_EBUSY, 0])
	sound(f)
})

test('mmuext_op pins and unpins tables of each level', () => {
	const f = new Fixture()
	unmap(f, 1, 2, 3, 4)
	f.poke(4, 0, 3, TABLE)
	f.poke(3, 0, 2, TABLE)
	f.poke(2, 0, 1, TABLE)
	f.poke(1, 0, 5, READ_WRITE)
	assert.equal(mmuext(f, [[X.MMUEXT_PIN_L4_TABLE, 4]]), 0)
	assert.equal(mmuext(f, [[X.MMUEXT_PIN_L4_TABLE, 4]]), -XEN_EINVAL, 'pinned already')
	assert.equal(mmuext(f, [[X.MMUEXT_PIN_L3_TABLE, 4]]), -XEN_EINVAL)
	assert.equal(
		mmuext(f, [
			[X.MMUEXT_PIN_L3_TABLE, 3],
			[X.MMUEXT_PIN_L2_TABLE, 2],
			[X.MMUEXT_PIN_L1_TABLE, 1],
		]),
		0,
	)
	sound(f)
	assert.equal(f.types.typeCount(5), 2)
	assert.equal(
		mmuext(
			f,
			[4, 3, 2, 1].map((mfn) => [X.MMUEXT_UNPIN_TABLE, mfn]),
		),
		0,
	)
	assert.equal(f.types.typeCount(5), 1)
	assert.equal(mmuext(f, [[X.MMUEXT_UNPIN_TABLE, 4]]), -XEN_EINVAL, 'not pinned')
	for (const mfn of [60, f.domain.layout.gdtMfn, f.domain.layout.frames, 2 ** 33]) {
		assert.equal(mmuext(f, [[X.MMUEXT_PIN_L1_TABLE, mfn]]), -XEN_EINVAL)
		assert.equal(mmuext(f, [[X.MMUEXT_UNPIN_TABLE, mfn]]), -XEN_EINVAL)
	}
	sound(f)
})

test('mmuext_op switches base pointers and drops the old one’s references', () => {
	const f = new Fixture()
	unmap(f, 1, 2)
	const { u8 } = f.domain.machine
	u8.copyWithin(f.domain.machine.frameAddress(1), f.domain.machine.frameAddress(f.l4), f.domain.machine.frameAddress(f.l4) + 4096)
	assert.equal(
		mmuext(f, [
			[X.MMUEXT_NEW_BASEPTR, 1],
			[X.MMUEXT_NEW_USER_BASEPTR, 2],
		]),
		0,
	)
	assert.deepEqual([f.vcpu.mm.kernelRoot, f.vcpu.mm.userRoot], [1, 2])
	assert.equal(f.types.typeCount(f.l4), 1)
	sound(f)
	assert.equal(f.peek(2, 256), 0, 'the user’s L4 does not map the M2P table')
	assert.equal(mmuext(f, [[X.MMUEXT_NEW_BASEPTR, f.l3]]), -XEN_EINVAL)
	assert.equal(mmuext(f, [[X.MMUEXT_NEW_BASEPTR, 0]]), -XEN_EINVAL)
	assert.equal(mmuext(f, [[X.MMUEXT_NEW_USER_BASEPTR, f.l1]]), -XEN_EINVAL)
	assert.deepEqual([f.vcpu.mm.kernelRoot, f.vcpu.mm.userRoot], [1, 2])
	assert.equal(
		mmuext(f, [
			[X.MMUEXT_NEW_BASEPTR, f.l4],
			[X.MMUEXT_NEW_USER_BASEPTR, 0],
			[X.MMUEXT_UNPIN_TABLE, f.l4],
		]),
		0,
	)
	assert.equal(f.types.typeCount(1) + f.types.typeCount(2), 0)
	sound(f)
})

test('mmuext_op flushes', () => {
	const f = new Fixture()
	const mask = ARGS_VA + 1024
	const flushes = (op: Op) => {
		f.types.renewVersion(false)
		f.translate(va(5), 0)
		f.translate(va(6), 0)
		assert.equal(mmuext(f, [op]), 0)
		return [f.tlb.has(va(5) / 4096), f.tlb.has(va(6) / 4096)]
	}
	assert.deepEqual(flushes([X.MMUEXT_TLB_FLUSH_LOCAL]), [false, false])
	assert.deepEqual(flushes([X.MMUEXT_TLB_FLUSH_ALL]), [false, false])
	assert.deepEqual(flushes([X.MMUEXT_INVLPG_LOCAL, va(5)]), [false, true])
	assert.deepEqual(flushes([X.MMUEXT_INVLPG_ALL, va(5) + 8]), [false, true])
	f.args([1, 0], 1024)
	assert.deepEqual(flushes([X.MMUEXT_TLB_FLUSH_MULTI, 0, mask]), [false, false])
	assert.deepEqual(flushes([X.MMUEXT_INVLPG_MULTI, va(5), mask]), [false, true])
	f.args([2, 0], 1024)
	assert.deepEqual(flushes([X.MMUEXT_TLB_FLUSH_MULTI, 0, mask]), [true, true])
	assert.equal(mmuext(f, [[X.MMUEXT_TLB_FLUSH_MULTI, 0, 0x100]]), -XEN_EINVAL)
	assert.equal(
		mmuext(f, [
			[X.MMUEXT_INVLPG_LOCAL, 2 ** 47],
			[X.MMUEXT_INVLPG_ALL, -(2 ** 47)],
		]),
		0,
	)
})

test('mmuext_op clears and copies pages of memory only', () => {
	const f = new Fixture()
	f.store(va(5), 4, 0x55)
	assert.equal(
		mmuext(f, [
			[X.MMUEXT_COPY_PAGE, 6, 5],
			[X.MMUEXT_CLEAR_PAGE, 5],
		]),
		0,
	)
	assert.deepEqual([f.peek(6, 0), f.peek(5, 0)], [0x55, 0])
	for (const mfn of [f.l1, f.l4, 60, f.domain.layout.m2pMfn, f.domain.layout.frames]) {
		assert.equal(mmuext(f, [[X.MMUEXT_CLEAR_PAGE, mfn]]), -XEN_EINVAL)
		assert.equal(mmuext(f, [[X.MMUEXT_COPY_PAGE, mfn, 5]]), -XEN_EINVAL)
	}
	assert.equal(mmuext(f, [[X.MMUEXT_COPY_PAGE, 5, f.domain.layout.gdtMfn]]), -XEN_EINVAL)
	assert.equal(mmuext(f, [[X.MMUEXT_COPY_PAGE, 5, f.l1]]), 0, 'the guest may read its page tables')
	sound(f)
})

test('mmuext_op refuses what a domain without devices may not do, and unknown commands', () => {
	const f = new Fixture()
	for (const [cmd, errno] of [
		[X.MMUEXT_FLUSH_CACHE, XEN_EACCES],
		[X.MMUEXT_FLUSH_CACHE_GLOBAL, XEN_EINVAL],
		[X.MMUEXT_MARK_SUPER, XEN_EOPNOTSUPP],
		[X.MMUEXT_UNMARK_SUPER, XEN_EOPNOTSUPP],
		[14, XEN_ENOSYS],
		[21, XEN_ENOSYS],
	]) {
		assert.equal(mmuext(f, [[X.MMUEXT_TLB_FLUSH_LOCAL], [cmd], [X.MMUEXT_TLB_FLUSH_LOCAL]]), -errno)
		assert.equal(done(f), 1)
	}
	assert.equal(mmuext(f, [[X.MMUEXT_TLB_FLUSH_LOCAL]], 0), -XEN_EPERM)
	assert.equal(mmuext(f, [[X.MMUEXT_TLB_FLUSH_LOCAL]], 9), -XEN_ESRCH)
})

test('MMUEXT_SET_LDT sets base and limit, page-aligned and at most 8192 entries', () => {
	const f = new Fixture()
	assert.equal(mmuext(f, [[X.MMUEXT_SET_LDT, va(5), 3]]), 0)
	assert.deepEqual([f.vcpu.cpu.wide(CPU_LDT_BASE), f.vcpu.cpu.field(CPU_LDT_LIMIT)], [va(5), 23])
	for (const [base, entries] of [
		[va(5) + 8, 1],
		[va(5), 8193],
		[-(2 ** 47), 1],
		[2 ** 50, 1],
	]) {
		assert.equal(mmuext(f, [[X.MMUEXT_SET_LDT, base, entries]]), -XEN_EINVAL)
	}
	assert.equal(mmuext(f, [[X.MMUEXT_SET_LDT, 0x123, 0]]), 0)
	assert.deepEqual([f.vcpu.cpu.wide(CPU_LDT_BASE), f.vcpu.cpu.field(CPU_LDT_LIMIT)], [0, 0])
})

const CODE_LOW = 0x0000_ffff
const CODE_DPL0 = 0x00af_9b00
const CODE_DPL3 = 0x00af_fb00
const TSS = 0x0000_8900
const CALL_GATE = 0x0000_8c00

test('set_gdt takes frames as descriptor pages, corrects privilege levels, and refuses system segments', () => {
	const f = new Fixture()
	unmap(f, 2, 3)
	f.domain.machine.u32.set([CODE_LOW, CODE_DPL0], f.word(2, 1))
	assert.equal(f.call(setGdtHypercall.handler, f.args([2, 0, 3, 0]), 513), 0)
	assert.equal(f.domain.machine.u32[f.word(2, 1) + 1], CODE_DPL3)
	assert.equal(f.vcpu.cpu.field(CPU_GDT_FRAMES + 4), f.domain.machine.frameAddress(3))
	assert.equal(f.vcpu.cpu.field(CPU_GDT_FRAMES + 14 * 4), f.domain.machine.frameAddress(f.domain.layout.gdtMfn))
	sound(f)
	assert.equal(updateVa(f, va(2), 0x2000 | READ_WRITE), -XEN_EBUSY, 'a descriptor page cannot be mapped writable')

	unmap(f, 4)
	f.domain.machine.u32.set([0, TSS], f.word(4, 1))
	assert.equal(f.call(setGdtHypercall.handler, f.args([3, 0, 4, 0]), 600), -XEN_EINVAL)
	assert.equal(f.vcpu.cpu.field(CPU_GDT_FRAMES), f.domain.machine.frameAddress(2), 'the old one stays')
	for (const frame of [
		[5, 0],
		[f.l1, 0],
		[60, 0],
		[f.domain.layout.frames, 0],
		[2, 1],
	]) {
		assert.equal(f.call(setGdtHypercall.handler, f.args(frame), 1), -XEN_EINVAL)
	}
	assert.equal(f.call(setGdtHypercall.handler, f.args([2, 0]), 14 * 512 + 1), -XEN_EINVAL)
	assert.equal(f.call(setGdtHypercall.handler, 0x100, 1), -XEN_EFAULT)
	sound(f)
	assert.equal(f.call(setGdtHypercall.handler, 0, 0), 0)
	assert.equal(f.vcpu.cpu.field(CPU_GDT_FRAMES), 0)
	sound(f)
})

test('update_descriptor checks the descriptor and the frame', () => {
	const f = new Fixture()
	unmap(f, 2)
	f.call(setGdtHypercall.handler, f.args([2, 0]), 512)
	const update = (address: number, lo: number, hi: number) => f.call(updateDescriptorHypercall.handler, address, [lo, hi])
	assert.equal(update(2 * 4096 + 8, CODE_LOW, CODE_DPL0), 0)
	assert.deepEqual([f.peek(2, 1), f.domain.machine.u32[f.word(2, 1) + 1]], [CODE_LOW, CODE_DPL3])
	assert.equal(update(2 * 4096 + 16, 0, TSS), -XEN_EINVAL)
	assert.equal(update(2 * 4096 + 12, CODE_LOW, CODE_DPL0), -XEN_EINVAL, 'not aligned')
	assert.equal(update(2 * 4096 + 16, (0xe033 << 16) | 0x1000, CALL_GATE), 0, 'a gate to the flat kernel segment')
	assert.equal(update(2 * 4096 + 16, (0xe008 << 16) | 0x1000, CALL_GATE), -XEN_EINVAL, 'a gate to Xen’s own')
	assert.equal(update(5 * 4096, CODE_LOW, CODE_DPL0), 0, 'plain memory')
	for (const mfn of [f.l1, f.l4, 60, f.domain.layout.gdtMfn, f.domain.layout.frames]) {
		assert.equal(update(mfn * 4096, CODE_LOW, CODE_DPL0), -XEN_EINVAL)
	}
	sound(f)
})

test('a write through a read-only mapping of an L1 is checked and done; L2 to L4 fault', () => {
	const f = new Fixture()
	const entry = va(f.l1) + 100 * 8
	assert.ok(f.store(entry, 8, 0x5000 | READ_WRITE))
	assert.equal(f.types.typeCount(5), 2)
	assert.ok(!f.store(entry, 8, (f.l2 << 12) | READ_WRITE), 'a writable page table')
	assert.ok(!f.store(entry, 8, 0xffff_f000 | READ_ONLY))
	assert.ok(!f.store(entry + 1, 4, 0), 'not aligned')
	assert.equal(f.peek(f.l1, 100) >>> 12, 5)
	for (const table of [f.l2, f.l3, f.l4]) assert.ok(!f.store(va(table), 8, 0))
	sound(f)
})

test('narrow writes to an L1 merge with the entry that is there', () => {
	const f = new Fixture()
	const entry = va(f.l1) + 100 * 8
	f.store(entry, 8, 0x5000 | READ_WRITE, 0x8010_0000)
	const value = () => [f.peek(f.l1, 100), f.domain.machine.u32[f.word(f.l1, 100) + 1]]
	assert.ok(f.store(entry, 4, 0x6000 | READ_ONLY))
	assert.deepEqual(value(), [0x6000 | READ_ONLY, 0x8010_0000])
	assert.ok(f.store(entry + 4, 4, 0x0010_0000))
	assert.deepEqual(value(), [0x6000 | READ_ONLY, 0x0010_0000])
	assert.ok(f.store(entry + 1, 1, 0x72))
	assert.deepEqual(value(), [0x7200 | READ_ONLY, 0x0010_0000])
	assert.ok(f.store(entry + 6, 2, 0x8010))
	assert.deepEqual(value(), [0x7200 | READ_ONLY, 0x8010_0000])
	assert.ok(!f.store(entry + 2, 2, 0xffff), 'would name a frame beyond the machine')
	assert.ok(f.store(entry, 1, 0))
	assert.equal(value()[0] & PTE_PRESENT, 0)
	sound(f)
})
