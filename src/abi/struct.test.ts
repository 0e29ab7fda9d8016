import assert from 'node:assert/strict'
import { test } from 'node:test'
import { struct, u8, u32, u64 } from './struct.ts'
import { cpu_user_regs, shared_info, vcpu_guest_context, vcpu_info } from './xen.ts'

test('struct() gives each field its offset', () => {
	const s = struct('x.h: struct pair', 16, { first: u32(0), second: u64(8) })
	assert.deepEqual({ name: s.name, size: s.size, at: s.at }, { name: 'pair', size: 16, at: { first: 0, second: 8 } })
})

test('struct() refuses fields that overlap', () => {
	assert.throws(() => struct('x.h: struct s', 16, { a: u64(0), b: u32(4) }), /x\.h: struct s: b at 4 overlaps/)
})

test('struct() refuses a field that leaves the structure', () => {
	assert.throws(() => struct('x.h: struct s', 8, { a: u32(0, 'xen', 3) }), /beyond the size of 8/)
})

test('struct() refuses a field that is not aligned to its width', () => {
	assert.throws(() => struct('x.h: struct s', 16, { a: u8(0), b: u64(4) }), /b at 4 is not aligned to 8/)
})

test('sizes and offsets are those that a C compiler prints for the public headers', () => {
	assert.equal(shared_info.size, 3136)
	assert.equal(shared_info.at.wc_version, 3072)
	assert.equal(shared_info.at.arch, 3088)
	assert.equal(vcpu_info.size, 64)
	assert.equal(cpu_user_regs.size, 200)
	assert.equal(vcpu_guest_context.size, 5168)
	assert.equal(vcpu_guest_context.at.event_callback_eip, 5112)
	assert.equal(vcpu_guest_context.at.gs_base_user, 5160)
})
