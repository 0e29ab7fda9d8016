import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EBUSY, XEN_EINVAL, XEN_EPERM } from '../../abi/errno.ts'
import { ACCESS_READ, ACCESS_WRITE, FRAME_HOOK } from '../../x86/core/layout.ts'
import { checkMemory } from './mm_check.ts'
import { DIRECT_MAP, Fixture, READ_ONLY, READ_WRITE, TABLE } from './mm_fixture.ts'
import { modEntry, modL1Entry } from './mod_entry.ts'
import { TYPE_L1, TYPE_L2, TYPE_L3, TYPE_L4, TYPE_SEG_DESC, TYPE_WRITABLE } from './page_info.ts'
import {
	M2P_SLOT,
	PTE_DIRTY,
	PTE_GLOBAL,
	PTE_HI_GUEST_KERNEL,
	PTE_HI_NX,
	PTE_PCD,
	PTE_PRESENT,
	PTE_PSE,
	PTE_RW,
	PTE_USER,
} from './page_tables.ts'

const sound = (f: Fixture) => assert.deepEqual(checkMemory([f.vcpu]), [])
const versions = ({ types: { all, low, writes } }: Fixture) => [all, low, writes]

test('adoptInitialTables() validates, pins and installs the L4 and all below it', () => {
	const f = new Fixture()
	for (const [mfn, type] of [
		[f.l4, TYPE_L4],
		[f.l3, TYPE_L3],
		[f.l2, TYPE_L2],
		[f.l1, TYPE_L1],
		[0, TYPE_WRITABLE],
	]) {
		assert.equal(f.types.type(mfn), type)
		assert.ok(f.types.isInUse(mfn))
	}
	assert.equal(f.types.typeCount(f.l4), 2, 'pin and base pointer')
	assert.equal(f.vcpu.mm.kernelRoot, f.l4)
	sound(f)
})

test('adoptInitialTables() refuses tables that map a page table writable, and leaves every count as it was', () => {
	for (const table of ['l4', 'l3', 'l2', 'l1'] as const) {
		const f = new Fixture(64, 48, false)
		f.poke(f.l1, f[table], f[table], READ_WRITE)
		assert.equal(f.vcpu.mm.adoptInitialTables(f.l4), -XEN_EBUSY, table)
		sound(f)
	}
})

test('a validated L4 maps the M2P table, read-only, and nothing else of Xen', () => {
	const f = new Fixture(64, 48, false)
	for (let slot = 256; slot <= 271; slot++) f.poke(f.l4, slot, 5, TABLE)
	assert.equal(f.vcpu.mm.adoptInitialTables(f.l4), 0)
	for (let slot = 257; slot <= 271; slot++) assert.equal(f.peek(f.l4, slot), 0)
	assert.equal(f.peek(f.l4, M2P_SLOT) >>> 12, f.domain.layout.m2pTablesMfn)
	const entry = f.translate(-(2 ** 47) + 9 * 8, ACCESS_READ)
	assert.equal(f.domain.machine.u32[entry >>> 2], 9)
	assert.equal(f.translate(-(2 ** 47) + 9 * 8, ACCESS_WRITE), -1)
	assert.equal(f.domain.machine.u32[f.translate(-(2 ** 47) + 63 * 8, ACCESS_READ) >>> 2], 0xffff_ffff, 'a free frame')
	sound(f)
})

test('getType() gives guest kernel and guest user mappings the flags that Xen does', () => {
	const f = new Fixture()
	const table = 1
	f.vcpu.mm.types.zero(table)
	f.poke(f.l1, table, table, 0)
	f.types.putFromL1((table << 12) | READ_WRITE)
	f.poke(table, 0, 2, PTE_PRESENT)
	f.poke(table, 1, 2, PTE_PRESENT | PTE_USER)
	f.poke(table, 2, 2, PTE_PRESENT | PTE_USER, PTE_HI_GUEST_KERNEL)
	assert.equal(f.types.getPageAndType(table, TYPE_L1), 0)
	const { u32 } = f.domain.machine
	const entry = (n: number) => [u32[f.word(table, n)] & 0xfff, u32[f.word(table, n) + 1]]
	assert.deepEqual(entry(0), [PTE_PRESENT | PTE_USER, PTE_HI_GUEST_KERNEL])
	assert.deepEqual(entry(1), [PTE_PRESENT | PTE_USER | PTE_GLOBAL, 0])
	assert.deepEqual(entry(2), [PTE_PRESENT | PTE_USER, PTE_HI_GUEST_KERNEL])
	f.types.putPageAndType(table)
	sound(f)
})

test('getType() refuses each kind of L1 entry that is not allowed and takes its other references back', () => {
	const f = new Fixture()
	const { layout } = f.domain
	const table = freeTable(f)
	for (const [name, mfn, flags, hi, errno] of [
		['cache attributes', 2, READ_ONLY | PTE_PCD, 0, XEN_EINVAL],
		['PAT', 2, READ_ONLY | PTE_PSE, 0, XEN_EINVAL],
		['a frame that is free', 60, READ_ONLY, 0, XEN_EBUSY],
		["Xen's GDT page", layout.gdtMfn, READ_ONLY, 0, XEN_EBUSY],
		['the M2P table', layout.m2pMfn, READ_ONLY, 0, XEN_EBUSY],
		["the M2P's page tables", layout.m2pTablesMfn, READ_ONLY, 0, XEN_EBUSY],
		['a frame beyond the machine', layout.frames, READ_ONLY, 0, XEN_EPERM],
		['the highest frame of the low half', 0xf_ffff, READ_ONLY, 0, XEN_EPERM],
		['a frame above 4 GiB', 2, READ_ONLY, 1, XEN_EPERM],
		['INVALID_MFN', 0xf_ffff, READ_ONLY, 0xf_ffff, XEN_EINVAL],
		['a writable page table', f.l2, READ_WRITE, 0, XEN_EBUSY],
		['itself, writable', table, READ_WRITE, 0, XEN_EBUSY],
	] as const) {
		f.poke(table, 0, 2, READ_WRITE)
		f.poke(table, 511, mfn, flags, hi)
		assert.equal(f.types.getPageAndType(table, TYPE_L1), -errno, name)
		assert.equal(f.types.typeCount(table), 0)
		sound(f)
	}
	f.poke(table, 511, table, READ_ONLY)
	assert.equal(f.types.getPageAndType(table, TYPE_L1), 0, 'itself, read-only')
	sound2(f, table)
})

/** Sound but for one type reference that the test holds. */
function sound2(f: Fixture, mfn: number): void {
	f.types.putPageAndType(mfn)
	sound(f)
}

/** Frame 1, zeroed and not mapped. */
function freeTable(f: Fixture): number {
	f.types.zero(1)
	f.poke(f.l1, 1, 1, 0)
	f.types.putFromL1((1 << 12) | READ_WRITE)
	return 1
}

test('getType() refuses superpages, linear tables and wrong levels in L2 to L4', () => {
	const f = new Fixture()
	const table = freeTable(f)
	for (const [name, type, mfn, flags] of [
		['a 2 MiB page', TYPE_L2, 0, TABLE | PTE_PSE],
		['a 1 GiB page', TYPE_L3, 0, TABLE | PTE_PSE],
		['a data page in use', TYPE_L2, 3, TABLE],
		['an L2 in an L2', TYPE_L2, f.l2, TABLE],
		['an L1 in an L3', TYPE_L3, f.l1, TABLE],
		['an L4 in an L4', TYPE_L4, f.l4, TABLE & ~PTE_RW],
		['itself', TYPE_L4, table, TABLE & ~PTE_RW],
		["the M2P's L3", TYPE_L4, f.domain.layout.m2pTablesMfn, TABLE],
		['a frame that is free', TYPE_L2, 60, TABLE],
	] as const) {
		f.poke(table, 7, mfn, flags)
		assert.equal(f.types.getPageAndType(table, type), -XEN_EINVAL, name)
		sound(f)
	}
})

test('a frame in use as one type cannot be had as another', () => {
	const f = new Fixture()
	for (const [mfn, own] of [
		[f.l4, TYPE_L4],
		[f.l1, TYPE_L1],
		[3, TYPE_WRITABLE],
		[f.domain.layout.sharedInfoMfn, TYPE_WRITABLE],
	]) {
		for (const type of [TYPE_L1, TYPE_L2, TYPE_L3, TYPE_L4, TYPE_SEG_DESC, TYPE_WRITABLE]) {
			assert.equal(f.types.getPageAndType(mfn, type), type === own ? 0 : -XEN_EINVAL)
			if (type === own) f.types.putPageAndType(mfn)
		}
	}
	sound(f)
})

test('putType() of the last reference drops the references of the whole tree', () => {
	const f = new Fixture()
	const [top, middle] = [freeTable(f), 2]
	f.types.zero(middle)
	f.poke(f.l1, middle, middle, 0)
	f.types.putFromL1((middle << 12) | READ_WRITE)
	f.poke(top, 0, middle, TABLE)
	f.poke(top, 511, middle, TABLE)
	f.poke(middle, 5, 3, READ_WRITE)
	assert.equal(f.types.getPageAndType(top, TYPE_L2), 0)
	assert.equal(f.types.typeCount(middle), 2)
	assert.equal(f.types.typeCount(3), 2)
	assert.ok(f.domain.machine.u8[f.domain.machine.attributeAddress(middle)] & FRAME_HOOK)
	f.types.putPageAndType(top)
	assert.equal(f.types.typeCount(middle), 0)
	assert.equal(f.types.typeCount(3), 1)
	assert.ok((f.domain.machine.u8[f.domain.machine.attributeAddress(middle)] & FRAME_HOOK) === 0)
	sound(f)
})

test('a frame that was writable becomes a page table only after its stale translations are gone', () => {
	const f = new Fixture()
	assert.ok(f.store(DIRECT_MAP + 4096, 8, 0), 'the TLB holds frame 1 writable')
	f.poke(f.l1, 1, 1, 0)
	f.types.putFromL1((1 << 12) | READ_WRITE)
	const before = f.flushes
	assert.equal(f.types.getPageAndType(1, TYPE_L1), 0)
	assert.equal(f.flushes, before + 1)
	f.types.putPageAndType(1)
	assert.equal(f.types.getPageAndType(1, TYPE_L1), 0)
	assert.equal(f.flushes, before + 1, 'no second flush without a writable mapping in between')
	sound2(f, 1)
})

test('the last reference to a frame that was given back frees it: zeroed, absent, no M2P entry', () => {
	const f = new Fixture()
	f.store(DIRECT_MAP + 3 * 4096, 4, 0x1234)
	f.types.dropAllocation(3)
	f.types.dropAllocation(3)
	assert.ok(f.types.isOwned(3), 'still mapped')
	f.poke(f.l1, 3, 3, 0)
	f.types.putFromL1((3 << 12) | READ_WRITE)
	f.types.settle()
	assert.ok(f.types.isFree(3))
	assert.equal(f.peek(3, 0), 0)
	assert.equal(f.types.currentFrames, 47)
	assert.equal(f.translate(DIRECT_MAP + 3 * 4096, ACCESS_READ), -1)
	sound(f)
})

test('a frame that a backend may be writing to cannot become a page table or a descriptor page, nor be allocated', () => {
	const f = new Fixture(64, 48)
	const table = freeTable(f)
	const pins = f.domain.at(f.domain.layout.writablePins) >>> 2
	f.domain.machine.u32[pins + table] = 1
	for (const type of [TYPE_L1, TYPE_L2, TYPE_L3, TYPE_L4, TYPE_SEG_DESC]) assert.equal(f.types.getPageAndType(table, type), -XEN_EINVAL)
	assert.equal(f.types.getPageAndType(table, TYPE_WRITABLE), 0)
	f.types.putPageAndType(table)
	f.domain.machine.u32[pins + 50] = 1
	assert.notEqual(f.types.allocate(0, 50, 64), 50)
	sound(f)
})

test('a version of the page tables grows when a present entry loses something, and not when an absent one is filled or rights are gained', () => {
	const f = new Fixture()
	const at = f.word(f.l1, 40)
	const grown = (lo: number, hi = 0) => {
		const before = versions(f)
		assert.equal(modL1Entry(f.types, f.l1, at, lo, hi, false, false), 0)
		return versions(f).map((now, n) => now - (before[n] as number))
	}
	grown(0)
	assert.deepEqual(grown((7 << 12) | READ_ONLY), [0, 0, 0], 'filled')
	assert.deepEqual(grown((7 << 12) | READ_WRITE | PTE_DIRTY), [0, 0, 0], 'writable')
	assert.deepEqual(grown((7 << 12) | READ_WRITE), [0, 0, 1], 'clean')
	assert.deepEqual(grown((7 << 12) | READ_ONLY), [0, 0, 1], 'read-only again')
	assert.deepEqual(grown((8 << 12) | READ_ONLY), [1, 0, 0], 'another frame')
	assert.deepEqual(grown((8 << 12) | READ_ONLY, PTE_HI_NX), [1, 0, 0], 'not executable')
	assert.deepEqual(grown((8 << 12) | READ_WRITE, PTE_HI_NX), [0, 0, 0], 'writable and not executable')
	assert.deepEqual(grown((9 << 12) | READ_ONLY), [1, 0, 0], 'another frame, read-only')
	assert.deepEqual(grown(0), [1, 0, 0], 'gone')
})

test('what is lost in tables that no slot of the upper half leads to is lost at low addresses alone', () => {
	const f = new Fixture()
	const [l1, l2, l3] = [10, 11, 12] as const
	for (const mfn of [l1, l2, l3]) assert.equal(modL1Entry(f.types, f.l1, f.word(f.l1, mfn), (mfn << 12) | READ_ONLY, 0, false, false), 0)
	for (const [table, entry] of [
		[l2, l1],
		[l3, l2],
	] as const) {
		f.poke(table, 0, entry, TABLE)
	}
	const link = (slot: number, lo: number) => modEntry(f.types, TYPE_L4, f.l4, f.word(f.l4, slot), lo, 0, false, false)
	const at = f.word(l1, 0)
	const lost = () => {
		assert.equal(modL1Entry(f.types, l1, at, (7 << 12) | READ_ONLY, 0, false, false), 0)
		const [all, low] = versions(f)
		assert.equal(modL1Entry(f.types, l1, at, 0, 0, false, false), 0)
		const [allNow, lowNow] = versions(f)
		return [allNow! - all!, lowNow! - low!]
	}
	assert.equal(link(0, (l3 << 12) | TABLE), 0)
	assert.deepEqual(lost(), [0, 1])
	assert.equal(link(300, (l3 << 12) | TABLE), 0)
	assert.deepEqual(lost(), [1, 0])
	const [all, low] = versions(f)
	assert.equal(link(0, 0), 0)
	assert.deepEqual(versions(f).slice(0, 2), [all, low! + 1], 'the slot itself')
	assert.equal(link(300, 0), 0)
	assert.equal(f.types.all > all!, true)
	assert.equal(link(0, (l3 << 12) | TABLE), 0)
	assert.deepEqual(lost(), [0, 1], 'taken anew')
	sound(f)
})
