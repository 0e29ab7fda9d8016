import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EBUSY, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM, XEN_ERANGE, XEN_ESRCH } from '../abi/errno.ts'
import * as G from '../abi/grant_table.ts'
import { DOMID_SELF } from '../abi/xen.ts'
import type { Domain } from './domain.ts'
import { takeFrameWrites } from './frame_writes.ts'
import { copyFromGrant, copyToGrant, type MappedGrant, mapGrant, unmapGrant } from './grant_backend.ts'
import { grantReserved } from './grant_entries.ts'
import { isPinnedWritable } from './grant_pin.ts'
import { describeGrants } from './grant_status.ts'
import { grantTableHypercall } from './grant_table.ts'
import { TYPE_L1, TYPE_WRITABLE } from './mm/page_info.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'

const RW = G.GTF_permit_access
const RO = G.GTF_permit_access | G.GTF_readonly

/** A guest with its grant table at hand; frame n is at address n * 4096. */
function guest(overrides = {}) {
	const domain = testDomain(overrides)
	const vcpu = testVcpu(domain)
	const view = new DataView(domain.machine.memory.buffer, domain.machine.frameBase, 256 * 4096)
	const table = new DataView(domain.machine.memory.buffer, domain.machine.frameAddress(domain.layout.grantMfn), 4 * 4096)
	const status = new Uint16Array(domain.machine.memory.buffer, domain.machine.frameAddress(domain.layout.grantStatusMfn), 2048)
	const call = (command: number, address = 0x1000, count = 1) => grantTableHypercall.handler?.(vcpu, hypercallArgs(command, address, count))
	/** Writes a version 1 entry. */
	const grant = (ref: number, flags: number, domid: number, frame: number) => {
		table.setUint32(ref * 8 + 4, frame, true)
		table.setUint32(ref * 8, (domid << 16) | flags, true)
	}
	/** Writes a version 2 entry. */
	const grant2 = (ref: number, flags: number, domid: number, frame: number, pageOff = 0, length = 0) => {
		table.setUint16(ref * 16 + 4, pageOff, true)
		table.setUint16(ref * 16 + 6, length, true)
		table.setBigUint64(ref * 16 + 8, BigInt(frame), true)
		table.setUint32(ref * 16, (domid << 16) | flags, true)
	}
	const flags = (ref: number) => table.getUint16(ref * 8, true)
	const setVersion = (version: number) => {
		view.setUint32(0x1000, version, true)
		return call(G.GNTTABOP_set_version)
	}
	return { domain, vcpu, view, table, status, call, grant, grant2, flags, setVersion }
}

function mapped(domain: Domain, ref: number, readonly: boolean): MappedGrant {
	const result = mapGrant(domain, ref, readonly)
	assert.ok(typeof result !== 'number', `mapGrant() says ${result}`)
	return result
}

test('mapGrant() gives the page and tells the guest that it is read and written; unmapGrant() takes that back', () => {
	const { domain, grant, flags } = guest()
	grant(9, RW, 0, 42)
	const page = mapped(domain, 9, false)
	assert.equal(page.address, domain.machine.frameAddress(42))
	assert.equal(flags(9), RW | G.GTF_reading | G.GTF_writing)
	const again = mapped(domain, 9, true)
	unmapGrant(domain, page)
	assert.equal(flags(9), RW | G.GTF_reading, 'still read')
	unmapGrant(domain, again)
	assert.equal(flags(9), RW)
})

test('mapGrant() returns GNTST_general_error when the entry is not for dom0, is read-only, or grants nothing', () => {
	const { domain, grant, flags } = guest()
	grant(1, RW, 3, 42)
	grant(2, RO, 0, 42)
	grant(3, G.GTF_accept_transfer, 0, 42)
	for (const ref of [1, 2, 3, 4]) assert.equal(mapGrant(domain, ref, false), G.GNTST_general_error)
	assert.equal(flags(2), RO, 'nothing is reported for a refused pin')
	unmapGrant(domain, mapped(domain, 2, true))
})

test('mapGrant() returns GNTST_bad_gntref beyond the table, GNTST_bad_page for a frame that is not the guest’s', () => {
	const { domain, grant, flags } = guest()
	for (const ref of [512, 0xffff_ffff]) assert.equal(mapGrant(domain, ref, true), G.GNTST_bad_gntref)
	for (const frame of [domain.layout.m2pMfn, domain.machine.frames, 0xffff_ffff]) {
		grant(5, RW, 0, frame)
		assert.equal(mapGrant(domain, 5, false), G.GNTST_bad_page)
		assert.equal(flags(5), RW)
	}
})

test('a pinned grant keeps its frame whatever the guest writes, and a second pin counts', () => {
	const { domain, grant } = guest()
	grant(6, RW, 0, 42)
	const page = mapped(domain, 6, true)
	grant(6, RW, 0, 43)
	const second = mapped(domain, 6, true)
	assert.equal(second.mfn, 42)
	unmapGrant(domain, page)
	unmapGrant(domain, second)
	assert.equal(mapped(domain, 6, true).mfn, 43)
})

test('a grant can be pinned 128 times, not more', () => {
	const { domain, grant } = guest()
	grant(6, RW, 0, 42)
	for (let n = 0; n < 128; n++) mapped(domain, 6, true)
	assert.equal(mapGrant(domain, 6, true), G.GNTST_general_error)
})

test('a frame in use as a page table cannot be pinned writable, and a writable pin keeps it from becoming one', () => {
	const { domain, vcpu, grant } = guest()
	const { types } = vcpu.mm
	grant(6, RW, 0, 42)
	assert.equal(types.getPageAndType(42, TYPE_L1), 0)
	assert.equal(mapGrant(domain, 6, false), G.GNTST_general_error)
	unmapGrant(domain, mapped(domain, 6, true))
	types.putPageAndType(42)
	const page = mapped(domain, 6, false)
	assert.ok(isPinnedWritable(domain, 42))
	assert.equal(types.getPageAndType(42, TYPE_L1), -XEN_EINVAL)
	assert.equal(types.getPageAndType(42, TYPE_WRITABLE), 0)
	types.putPageAndType(42)
	unmapGrant(domain, page)
	assert.equal(types.getPageAndType(42, TYPE_L1), 0)
})

test('copyToGrant() and copyFromGrant() move bytes within the page', () => {
	const { domain, grant, view } = guest()
	grant(7, RW, 0, 42)
	assert.equal(copyToGrant(domain, 7, 4094, Uint8Array.of(1, 2)), G.GNTST_okay)
	assert.equal(view.getUint16(42 * 4096 + 4094, true), 0x0201)
	const back = new Uint8Array(2)
	assert.equal(copyFromGrant(domain, 7, 4094, back), G.GNTST_okay)
	assert.deepEqual([...back], [1, 2])
	assert.equal(copyToGrant(domain, 7, 4095, Uint8Array.of(1, 2)), G.GNTST_bad_copy_arg)
	grant(7, RO, 0, 42)
	assert.equal(copyToGrant(domain, 7, 0, Uint8Array.of(1)), G.GNTST_general_error)
})

test('unmapGrant() of a written page has every vCPU drop code that was decoded there, once', () => {
	const { domain, grant } = guest({ vcpus: 2 })
	grant(7, RW, 0, 42)
	unmapGrant(domain, mapped(domain, 7, false))
	takeFrameWrites(domain, 0, () => assert.fail('no code was there'))
	Atomics.or(domain.machine.u8, domain.machine.attributeAddress(42), 1)
	unmapGrant(domain, mapped(domain, 7, true))
	takeFrameWrites(domain, 0, () => assert.fail('it was only read'))
	unmapGrant(domain, mapped(domain, 7, false))
	for (const vcpu of [0, 1]) {
		const frames: number[] = []
		takeFrameWrites(domain, vcpu, (mfn) => frames.push(mfn))
		takeFrameWrites(domain, vcpu, (mfn) => frames.push(mfn))
		assert.deepEqual(frames, [42])
	}
})

test('grantReserved() pre-sets the console and XenStore entries, which survive changes of version while mapped', () => {
	const { domain, flags, setVersion, table, status } = guest()
	grantReserved(domain, G.GNTTAB_RESERVED_CONSOLE, 0, 20)
	grantReserved(domain, G.GNTTAB_RESERVED_XENSTORE, 0, 21)
	const ring = mapped(domain, G.GNTTAB_RESERVED_XENSTORE, false)
	assert.equal(setVersion(2), 0)
	assert.equal(table.getBigUint64(16 + 8, true), 21n)
	assert.equal(status[1], G.GTF_reading | G.GTF_writing)
	assert.equal(mapped(domain, G.GNTTAB_RESERVED_CONSOLE, false).mfn, 20)
	assert.equal(setVersion(1), 0)
	assert.equal(flags(1), RW | G.GTF_reading | G.GTF_writing)
	unmapGrant(domain, ring)
	assert.equal(flags(1), RW)
})

test('describeGrants() prints grants in use as debug key g of Xen does', () => {
	const { domain } = guest()
	assert.equal(describeGrants(domain).at(-1), 'no active grant table entries')
	grantReserved(domain, G.GNTTAB_RESERVED_CONSOLE, 0, 0x42)
	mapped(domain, 0, false)
	assert.deepEqual(describeGrants(domain).slice(2), [
		'grant-table for remote d1 (v1)',
		'  1 frames (4 max), 0 maptrack frames (16 max)',
		'[0x000]      0 0x00042 0x00000001          0 0x000042 0x19',
	])
})

// ---- the hypercall -----------------------------------------------------------------------------------------------------------

test('GNTTABOP_query_size and GNTTABOP_setup_table grow the table and list its frames', () => {
	const { domain, view, call } = guest()
	view.setUint16(0x1000, DOMID_SELF, true)
	assert.equal(call(G.GNTTABOP_query_size), 0)
	assert.deepEqual([view.getUint32(0x1004, true), view.getUint32(0x1008, true), view.getInt16(0x100c, true)], [1, 4, 0])
	view.setUint32(0x1004, 3, true)
	view.setBigUint64(0x1010, 0x2000n, true)
	assert.equal(call(G.GNTTABOP_setup_table), 0)
	assert.equal(view.getInt16(0x1008, true), G.GNTST_okay)
	assert.equal(Number(view.getBigUint64(0x2010, true)), domain.layout.grantMfn + 2)
	assert.equal(mapGrant(domain, 1535, true), G.GNTST_general_error, 'entry 1535 exists')
	view.setUint32(0x1004, 5, true)
	assert.equal(call(G.GNTTABOP_setup_table), 0)
	assert.equal(view.getInt16(0x1008, true), G.GNTST_general_error)
	assert.equal(call(G.GNTTABOP_setup_table, 0x1000, 2), -XEN_EINVAL)
})

test('grant_table_op on another domain answers with a status or an errno', () => {
	const { view, call } = guest()
	view.setUint16(0x1000, 0, true)
	assert.equal(call(G.GNTTABOP_query_size), 0)
	assert.equal(view.getInt16(0x100c, true), G.GNTST_permission_denied)
	assert.equal(call(G.GNTTABOP_get_version), -XEN_EPERM)
	view.setUint16(0x1000, 5, true)
	assert.equal(call(G.GNTTABOP_query_size), 0)
	assert.equal(view.getInt16(0x100c, true), G.GNTST_bad_domain)
	assert.equal(call(G.GNTTABOP_get_version), -XEN_ESRCH)
})

test('grant_table_op checks command, count and addresses', () => {
	const { call } = guest()
	assert.equal(call(G.GNTTABOP_dump_table), -XEN_ENOSYS)
	assert.equal(call(99), -XEN_ENOSYS)
	assert.equal(call(0x1000 | G.GNTTABOP_copy), -XEN_EINVAL)
	assert.equal(call(G.GNTTABOP_copy, 0x1000, -1), -XEN_EINVAL)
	assert.equal(call(G.GNTTABOP_copy, 0x1000, 0), 0)
	assert.equal(call(G.GNTTABOP_copy, 0x7000_0000, 1), -XEN_EFAULT)
	assert.equal(call(G.GNTTABOP_copy, 0x1000, 0x7fff_ffff), -XEN_EFAULT)
})

test('GNTTABOP_set_version refuses unknown versions, used grants, and entries that version 1 cannot hold', () => {
	const { domain, grant, grant2, setVersion, view, call } = guest()
	assert.equal(setVersion(3), -XEN_EINVAL)
	assert.equal(view.getUint32(0x1000, true), 1, 'the version in effect is written back')
	grant(8, RO, 0, 42)
	const page = mapped(domain, 8, true)
	assert.equal(setVersion(2), -XEN_EBUSY)
	unmapGrant(domain, page)
	assert.equal(setVersion(2), 0)
	grant2(2, RW, 0, 2 ** 33)
	assert.equal(setVersion(1), -XEN_ERANGE)
	view.setUint16(0x1004, DOMID_SELF, true)
	view.setUint32(0x1000, 1, true)
	view.setBigUint64(0x1008, 0x2000n, true)
	assert.equal(call(G.GNTTABOP_get_status_frames), 0)
	assert.equal(Number(view.getBigUint64(0x2000, true)), domain.layout.grantStatusMfn)
})

test('version 2: the status word reports access, and sub-page grants can be copied but not mapped', () => {
	const { domain, grant2, setVersion, status, table } = guest()
	setVersion(2)
	grant2(10, RW, 0, 42)
	const page = mapped(domain, 10, false)
	assert.equal(status[10], G.GTF_reading | G.GTF_writing)
	assert.equal(table.getUint16(160, true), RW, 'the entry itself stays as the guest wrote it')
	unmapGrant(domain, page)
	assert.equal(status[10], 0)
	grant2(11, RW | G.GTF_sub_page, 0, 42, 512, 16)
	assert.equal(mapGrant(domain, 11, true), G.GNTST_general_error)
	assert.equal(copyToGrant(domain, 11, 512, new Uint8Array(16)), G.GNTST_okay)
	assert.equal(copyToGrant(domain, 11, 511, new Uint8Array(2)), G.GNTST_general_error)
	assert.equal(copyToGrant(domain, 11, 520, new Uint8Array(16)), G.GNTST_general_error)
	grant2(12, G.GTF_transitive, 0, 0)
	assert.equal(copyFromGrant(domain, 12, 0, new Uint8Array(1)), G.GNTST_general_error)
})

test('GNTTABOP_copy copies between frames and own grants, and checks frames, ranges and domains', () => {
	const { view, call, grant } = guest()
	const copy = (from: [number, number, number], to: [number, number, number], length: number, flags: number) => {
		for (const [at, [unit, domid, offset]] of [
			[0x1000, from],
			[0x1010, to],
		] as const) {
			view.setBigUint64(at, BigInt(unit), true)
			view.setUint16(at + 8, domid, true)
			view.setUint16(at + 10, offset, true)
		}
		view.setUint16(0x1020, length, true)
		view.setUint16(0x1022, flags, true)
		return call(G.GNTTABOP_copy) || view.getInt16(0x1024, true)
	}
	view.setUint32(40 * 4096, 0xcafe_f00d, true)
	assert.equal(copy([40, DOMID_SELF, 0], [41, DOMID_SELF, 8], 4, 0), G.GNTST_okay)
	assert.equal(view.getUint32(41 * 4096 + 8, true), 0xcafe_f00d)
	grant(20, RW, 1, 42)
	assert.equal(copy([40, DOMID_SELF, 0], [20, DOMID_SELF, 0], 4, G.GNTCOPY_dest_gref), G.GNTST_okay)
	assert.equal(view.getUint32(42 * 4096, true), 0xcafe_f00d)
	assert.equal(copy([40, 0, 0], [41, DOMID_SELF, 0], 4, 0), G.GNTST_permission_denied)
	assert.equal(copy([20, 7, 0], [41, DOMID_SELF, 0], 4, G.GNTCOPY_source_gref), G.GNTST_bad_domain)
	assert.equal(copy([20, 0, 0], [41, DOMID_SELF, 0], 4, G.GNTCOPY_source_gref), G.GNTST_general_error)
	assert.equal(copy([40, DOMID_SELF, 4090], [41, DOMID_SELF, 0], 8, 0), G.GNTST_bad_copy_arg)
	assert.equal(copy([2 ** 40, DOMID_SELF, 0], [41, DOMID_SELF, 0], 8, 0), G.GNTST_bad_page)
})

test('GNTTABOP_swap_grant_ref exchanges two entries that are not in use', () => {
	const { domain, view, call, grant, flags } = guest()
	const swap = (one: number, other: number) => {
		view.setUint32(0x1000, one, true)
		view.setUint32(0x1004, other, true)
		return call(G.GNTTABOP_swap_grant_ref) || view.getInt16(0x1008, true)
	}
	grant(3, RO, 0, 42)
	grant(4, RW, 0, 43)
	assert.equal(swap(3, 4), G.GNTST_okay)
	assert.deepEqual([flags(3), flags(4)], [RW, RO])
	assert.equal(swap(3, 512), G.GNTST_bad_gntref)
	mapped(domain, 4, true)
	assert.equal(swap(3, 4), G.GNTST_eagain)
})

test('GNTTABOP_map_grant_ref maps an own grant at a page table entry, and GNTTABOP_unmap_grant_ref removes it', () => {
	const { domain, vcpu, view, call, grant, flags } = guest()
	const map = (address: number, mapFlags: number, ref: number, domid = 1) => {
		view.setBigUint64(0x1000, BigInt(address), true)
		view.setUint32(0x1008, mapFlags, true)
		view.setUint32(0x100c, ref, true)
		view.setUint16(0x1010, domid, true)
		return call(G.GNTTABOP_map_grant_ref) || view.getInt16(0x1012, true)
	}
	const unmap = (address: number, handle: number) => {
		view.setBigUint64(0x1000, BigInt(address), true)
		view.setBigUint64(0x1008, 0n, true)
		view.setUint32(0x1010, handle, true)
		return call(G.GNTTABOP_unmap_grant_ref) || view.getInt16(0x1014, true)
	}
	const pte = 50 * 4096 + 16
	const mode = G.GNTMAP_host_map | G.GNTMAP_contains_pte
	grant(30, RW, 1, 44)
	assert.equal(map(pte, mode, 30), G.GNTST_general_error, 'frame 50 is no page table')
	assert.equal(flags(30), RW)
	assert.equal(vcpu.mm.types.getPageAndType(50, TYPE_L1), 0)
	assert.equal(map(pte + 4, mode, 30), G.GNTST_general_error)
	assert.equal(map(pte, mode, 30), G.GNTST_okay)
	const handle = view.getUint32(0x1014, true)
	assert.equal(view.getBigUint64(0x1018, true), 44n * 4096n)
	assert.equal(view.getUint32(pte, true) >>> 12, 44)
	assert.equal(flags(30), RW | G.GTF_reading | G.GTF_writing)
	assert.equal(unmap(pte, handle + 1), G.GNTST_bad_handle)
	assert.equal(unmap(pte + 8, handle), G.GNTST_general_error, 'another entry')
	assert.equal(unmap(pte, handle), G.GNTST_okay)
	assert.equal(view.getBigUint64(pte, true), 0n)
	assert.equal(flags(30), RW)
	assert.equal(unmap(pte, handle), G.GNTST_bad_handle)
	assert.equal(map(pte, 0, 30), G.GNTST_bad_gntref)
	assert.equal(map(pte, mode, 30, 0), G.GNTST_general_error)
	assert.equal(map(pte, mode, 30, 9), G.GNTST_bad_domain)
	assert.ok(!isPinnedWritable(domain, 44))
})
