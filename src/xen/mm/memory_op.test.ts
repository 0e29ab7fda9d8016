import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EACCES, XEN_EFAULT, XEN_EINVAL, XEN_ENOMEM, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH } from '../../abi/errno.ts'
import * as M from '../../abi/memory.ts'
import { DOMID_SELF } from '../../abi/xen.ts'
import { ACCESS_READ } from '../../x86/core/layout.ts'
import { HYPERCALL_PREEMPTED } from '../hypercall_row.ts'
import { memoryOpHypercall } from './memory_op.ts'
import { checkMemory } from './mm_check.ts'
import { ARGS_VA, DIRECT_MAP, Fixture, READ_WRITE } from './mm_fixture.ts'
import { updateVaMappingHypercall } from './update_va_mapping.ts'

const sound = (f: Fixture) => assert.deepEqual(checkMemory([f.vcpu]), [])
const memoryOp = (f: Fixture, command: number, arg: number) => f.call(memoryOpHypercall.handler, command, arg)
const LIST = 256

/** A reservation structure at ARGS_VA with its list at ARGS_VA + LIST. */
function reserve(
	f: Fixture,
	command: number,
	list: readonly number[],
	order = 0,
	flags = 0,
	domid = DOMID_SELF,
	count = list.length,
): number {
	f.args(
		list.flatMap((value) => [value, 0]),
		LIST,
	)
	return memoryOp(f, command, f.args([ARGS_VA + LIST, 0, count, 0, order, flags, domid, 0]))
}
const listed = (f: Fixture, n: number) => f.readArg(LIST + n * 8)
const unmap = (f: Fixture, mfn: number) => assert.equal(f.call(updateVaMappingHypercall.handler, DIRECT_MAP + mfn * 4096, 0, 2), 0)
const m2p = (f: Fixture, mfn: number) => f.domain.machine.u32[f.translate(-(2 ** 47) + mfn * 8, ACCESS_READ) >>> 2]

test('XENMEM_decrease_reservation frees frames, XENMEM_populate_physmap gives them back where asked', () => {
	const f = new Fixture()
	f.store(DIRECT_MAP + 5 * 4096, 4, 0x55)
	unmap(f, 5)
	unmap(f, 6)
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [5, 6]), 2)
	assert.equal(f.types.currentFrames, 46)
	assert.equal(m2p(f, 5), 0xffff_ffff)
	sound(f)
	assert.equal(reserve(f, M.XENMEM_populate_physmap, [6, 5]), 2)
	assert.deepEqual([listed(f, 0), listed(f, 1)], [6, 5])
	assert.equal(m2p(f, 5), 5)
	assert.equal(f.peek(5, 0), 0, 'what was there is gone')
	assert.equal(f.call(updateVaMappingHypercall.handler, DIRECT_MAP + 5 * 4096, 0x5000 | READ_WRITE, 0), 0)
	sound(f)
})

test('XENMEM_decrease_reservation stops at a frame that is not the guest’s', () => {
	const f = new Fixture()
	unmap(f, 5)
	for (const bad of [60, f.domain.layout.sharedInfoMfn, f.domain.layout.gdtMfn, f.domain.layout.frames, 0xffff_ffff]) {
		assert.equal(reserve(f, M.XENMEM_decrease_reservation, [bad]), 0)
	}
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [5, 60, 6]), 1)
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [7, 7]), 2, 'still mapped: freed with its last mapping')
	sound(f)
	unmap(f, 7)
	assert.ok(f.types.isFree(7))
	sound(f)
})

test('XENMEM_populate_physmap takes extents, elsewhere when the place is taken, and stops at the limit', () => {
	const f = new Fixture()
	assert.equal(reserve(f, M.XENMEM_populate_physmap, [0x12345], 3), 1)
	const first = listed(f, 0)
	assert.equal(first % 8, 0)
	assert.equal(m2p(f, first + 7), 0x12345 + 7)
	assert.equal(reserve(f, M.XENMEM_populate_physmap, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 8)
	assert.equal(f.types.currentFrames, 64)
	assert.equal(reserve(f, M.XENMEM_increase_reservation, [0]), 0)
	sound(f)
})

test('XENMEM_increase_reservation needs no list, and honours an address width', () => {
	const f = new Fixture()
	assert.equal(memoryOp(f, M.XENMEM_increase_reservation, f.args([0, 0, 2, 0, 0, 0, DOMID_SELF, 0])), 2)
	assert.equal(f.types.currentFrames, 50)
	assert.equal(reserve(f, M.XENMEM_increase_reservation, [0], 0, 17), 0, 'nothing free below 128 KiB')
	assert.equal(reserve(f, M.XENMEM_increase_reservation, [0], 0, 18), 1)
	assert.equal(reserve(f, M.XENMEM_increase_reservation, [0], 0, 12), 0)
	sound(f)
})

test('reservations return the extents done so far for every bad argument', () => {
	const f = new Fixture()
	unmap(f, 5)
	const { u32 } = f.domain.machine
	const start = (n: number) => M.XENMEM_decrease_reservation | (n << M.MEMOP_EXTENT_SHIFT)
	assert.equal(memoryOp(f, start(3), 0x100), 3, 'fault')
	assert.equal(reserve(f, start(1), [5]), 1)
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [5], 10), 0, 'order')
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [5], 0xffff_ffff), 0, 'order')
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [5], 0, 0, 0), 0, 'another domain')
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, [5], 0, 0, DOMID_SELF, 0x400_0000), 0, 'too many extents')
	assert.equal(memoryOp(f, M.XENMEM_decrease_reservation, f.args([0x100, 0, 1, 0, 0, 0, DOMID_SELF, 0])), 0, 'list faults')
	assert.equal(f.call(memoryOpHypercall.handler, [1, 0x10], ARGS_VA), 2 ** 30, 'a start that no list has')
	assert.ok(!f.types.isFree(5) && u32.length > 0)
	sound(f)
})

test('XENMEM_decrease_reservation stops for other work and goes on', () => {
	const f = new Fixture()
	for (let mfn = 0; mfn < 40; mfn++) unmap(f, mfn)
	const list = Array.from({ length: 40 }, (_, n) => n)
	f.vcpu.timers.nextDeadline_ns = 0
	assert.equal(reserve(f, M.XENMEM_decrease_reservation, list), HYPERCALL_PREEMPTED)
	f.vcpu.timers.nextDeadline_ns = Number.POSITIVE_INFINITY
	assert.equal(memoryOpHypercall.handler?.(f.vcpu, f.lastArgs), 40)
	assert.equal(f.types.currentFrames, 8)
	sound(f)
})

/** An exchange structure at ARGS_VA; lists at ARGS_VA + LIST and + 1024. */
function exchange(
	f: Fixture,
	input: readonly number[],
	inOrder: number,
	output: readonly number[],
	outOrder: number,
	outDomid = DOMID_SELF,
) {
	const words = (list: readonly number[]) => list.flatMap((value) => [value, 0])
	f.args(words(input), LIST)
	f.args(words(output), 1024)
	f.args([
		ARGS_VA + LIST,
		0,
		input.length,
		0,
		inOrder,
		0,
		DOMID_SELF,
		0,
		ARGS_VA + 1024,
		0,
		output.length,
		0,
		outOrder,
		0,
		outDomid,
		0,
		0,
		0,
	])
	return memoryOp(f, M.XENMEM_exchange, ARGS_VA)
}
const exchanged = (f: Fixture) => f.readArg(64)

test('XENMEM_exchange swaps small extents for one large one', () => {
	const f = new Fixture()
	for (const mfn of [8, 9, 10, 11]) unmap(f, mfn)
	assert.equal(exchange(f, [8, 9, 10, 11], 0, [8], 2), 0)
	assert.equal(exchanged(f), 4)
	const first = f.readArg(1024)
	assert.equal(first % 4, 0)
	assert.equal(m2p(f, first + 3), 11)
	assert.equal(f.types.currentFrames, 48)
	sound(f)
	assert.equal(exchange(f, [first], 2, [8, 9, 10, 11], 0), 0)
	assert.equal(f.types.currentFrames, 48)
	sound(f)
})

test('XENMEM_exchange leaves everything as it was when a frame is in use or no extent can be had', () => {
	const f = new Fixture(48, 48)
	for (const mfn of [8, 10, 13, 15]) {
		unmap(f, mfn)
		f.domain.machine.u32[f.word(mfn, 0)] = mfn
	}
	assert.equal(exchange(f, [8, 9], 0, [8], 1), -XEN_EINVAL, 'frame 9 is mapped')
	assert.equal(exchange(f, [8, 10, 13, 15], 0, [8], 2), -XEN_ENOMEM, 'not adjacent, and no other frame is free')
	assert.equal(exchanged(f), 0)
	assert.equal(f.peek(10, 0), 10, 'contents stay')
	assert.equal(f.types.currentFrames, 48)
	sound(f)
})

test('XENMEM_exchange checks its arguments', () => {
	const f = new Fixture()
	unmap(f, 8)
	assert.equal(exchange(f, [8], 10, [8], 10), -XEN_EPERM)
	assert.equal(exchange(f, [8], 0, [8], 1), -XEN_EINVAL)
	assert.equal(exchange(f, [8], 0, [8], 0, 3), -XEN_EINVAL)
	assert.equal(exchange(f, [60], 0, [8], 0), -XEN_EINVAL)
	assert.equal(exchange(f, [f.domain.layout.frames], 0, [8], 0), -XEN_EINVAL)
	assert.equal(memoryOp(f, M.XENMEM_exchange, 0x100), -XEN_EFAULT)
	sound(f)
})

test('memory_op answers queries', () => {
	const f = new Fixture()
	const self = f.args([DOMID_SELF])
	assert.equal(memoryOp(f, M.XENMEM_maximum_ram_page, 0), f.domain.layout.frames)
	assert.equal(memoryOp(f, M.XENMEM_current_reservation, self), 48)
	assert.equal(memoryOp(f, M.XENMEM_maximum_reservation, self), 64)
	f.domain.machine.u32[f.word(f.domain.layout.sharedInfoMfn, 386)] = 48
	assert.equal(memoryOp(f, M.XENMEM_maximum_gpfn, self), 47)
	assert.equal(memoryOp(f, M.XENMEM_current_reservation, f.args([0])), -XEN_EPERM)
	assert.equal(memoryOp(f, M.XENMEM_current_reservation, f.args([3])), -XEN_ESRCH)
	assert.equal(memoryOp(f, M.XENMEM_current_reservation, 0x100), -XEN_EFAULT)
})

test('XENMEM_memory_map has one range of RAM up to the maximum', () => {
	const f = new Fixture()
	assert.equal(memoryOp(f, M.XENMEM_memory_map, f.args([128, 0, ARGS_VA + 512, 0])), 0)
	assert.equal(f.readArg(0), 1)
	assert.deepEqual(
		[0, 4, 8, 12, 16].map((at) => f.readArg(512 + at)),
		[0, 0, 64 * 4096, 0, M.E820_RAM],
	)
	assert.equal(memoryOp(f, M.XENMEM_memory_map, f.args([0, 0, 0x100, 0])), 0, 'no entry wanted')
	assert.equal(memoryOp(f, M.XENMEM_memory_map, f.args([1, 0, 0x100, 0])), -XEN_EFAULT)
})

test('XENMEM_machphys_mapping and XENMEM_machphys_mfn_list describe the M2P table', () => {
	const f = new Fixture()
	assert.equal(memoryOp(f, M.XENMEM_machphys_mapping, f.args([1, 1, 1, 1, 1, 1])), 0)
	assert.deepEqual(
		[0, 4, 8, 12, 16, 20].map((at) => f.readArg(at)),
		[0, 0xffff_8000, 0, 0xffff_8040, 0xffff_ffff, 7],
	)
	assert.equal(memoryOp(f, M.XENMEM_machphys_mfn_list, f.args([16, 0, ARGS_VA + 512, 0, 0, 0])), 0)
	assert.deepEqual([f.readArg(16), f.readArg(512)], [1, f.domain.layout.m2pMfn])
})

test('memory_op refuses what is not for a PV domU', () => {
	const f = new Fixture()
	for (const [command, errno] of [
		[M.XENMEM_add_to_physmap, XEN_EACCES],
		[M.XENMEM_machine_memory_map, XEN_EPERM],
		[M.XENMEM_claim_pages, XEN_EPERM],
		[M.XENMEM_access_op, XEN_ENOSYS],
		[8, XEN_ENOSYS],
		[63, XEN_ENOSYS],
		[M.XENMEM_maximum_ram_page | 64, XEN_EINVAL],
		[M.XENMEM_memory_map | 64, XEN_ENOSYS],
	]) {
		assert.equal(memoryOp(f, command, ARGS_VA), -errno)
	}
	assert.equal(memoryOp(f, M.XENMEM_get_vnumainfo, f.args([DOMID_SELF, 1, 1, 1, 0, 0, 0, 0, 0, 0])), -XEN_EOPNOTSUPP)
	assert.equal(memoryOp(f, M.XENMEM_get_vnumainfo, f.args([DOMID_SELF | 0x10000])), -XEN_EINVAL)
})
