import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from '../abi/errno.ts'
import * as X from '../abi/xen.ts'
import { CPU_ATTENTION } from '../x86/core/layout.ts'
import { R11, RAX, RCX, RDI, RSI } from '../x86/cpu.ts'
import { enterHypercall } from './hypercall.ts'
import { HYPERCALL_PREEMPTED } from './hypercall_row.ts'
import { dispatch, hypercallCount, hypercallTable } from './hypercall_table.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'
import { CB_UNKNOWN_HYPERCALLS, controlWord } from './vcpu_shared.ts'

const LIST = 0x3000

test('every hypercall number of xen.h is in the table, by its name', () => {
	for (const [name, number] of Object.entries(X)) {
		if (!name.startsWith('__HYPERVISOR_') || typeof number !== 'number') continue
		const row = hypercallTable[number]
		assert.ok(row, `${name} is missing`)
		if (!name.includes('_arch_')) assert.equal(row.name, name.slice('__HYPERVISOR_'.length))
	}
})

test('every row and sub-operation answers: a handler, or the errno of its refusal', () => {
	for (const row of hypercallTable) {
		if (!row) continue
		assert.equal(row.status === 'implemented', row.handler !== undefined, row.name)
		for (const subop of Object.values(row.subops ?? {}))
			assert.ok(subop.status === 'implemented' || subop.errno, `${row.name} ${subop.name}`)
	}
})

test('dispatch() returns -ENOSYS for a number that no header names and counts it', () => {
	const vcpu = testVcpu(testDomain())
	assert.equal(dispatch(vcpu, 11, hypercallArgs()), -XEN_ENOSYS)
	assert.equal(dispatch(vcpu, 4096, hypercallArgs()), -XEN_ENOSYS)
	assert.equal(vcpu.domain.machine.u32[controlWord(vcpu.domain, CB_UNKNOWN_HYPERCALLS)], 2)
})

test('enterHypercall() takes the number from RAX and leaves RIP in RCX and RFLAGS in R11', () => {
	const vcpu = testVcpu(testDomain())
	vcpu.cpu.rip = 0x1002
	vcpu.cpu.rflags = 0x246
	vcpu.cpu.set(RAX, X.__HYPERVISOR_stack_switch)
	vcpu.cpu.set(RDI, 0xe02b)
	vcpu.cpu.set(RSI, -0x4000)
	enterHypercall(vcpu)
	assert.deepEqual([vcpu.cpu.get(RAX), vcpu.cpu.get(RCX), vcpu.cpu.get(R11)], [0, 0x1002, 0x246])
	assert.equal(vcpu.traps.kernelSp, -0x4000)
	assert.equal(hypercallCount(vcpu.domain, X.__HYPERVISOR_stack_switch), 1)
	vcpu.cpu.setHalves(RAX, X.__HYPERVISOR_stack_switch, 1)
	enterHypercall(vcpu)
	assert.equal(vcpu.cpu.get(RAX), -XEN_ENOSYS)
})

function writeCalls(vcpu: ReturnType<typeof testVcpu>, calls: readonly (readonly number[])[]): void {
	const at = (vcpu.domain.machine.frameBase + LIST) / 8
	calls.forEach(([op = 0, ...args], n) => {
		const entry = vcpu.domain.machine.u64.subarray(at + n * 8, at + n * 8 + 8)
		entry.fill(0n)
		entry[0] = BigInt(op)
		entry.set(
			args.map((value) => BigInt.asUintN(64, BigInt(value))),
			2,
		)
	})
}
const result = (vcpu: ReturnType<typeof testVcpu>, n: number) =>
	BigInt.asIntN(64, vcpu.domain.machine.u64[(vcpu.domain.machine.frameBase + LIST) / 8 + n * 8 + 1] as bigint)

test('multicall serves each entry and writes its own result', () => {
	const vcpu = testVcpu(testDomain())
	writeCalls(vcpu, [
		[X.__HYPERVISOR_stack_switch, 0xe02b, 0x5000],
		[X.__HYPERVISOR_set_segment_base, 9, 0],
		[99],
		[X.__HYPERVISOR_multicall, LIST, 1],
	])
	assert.equal(dispatch(vcpu, X.__HYPERVISOR_multicall, hypercallArgs(LIST, 4)), 0)
	assert.deepEqual(
		[result(vcpu, 0), result(vcpu, 1), result(vcpu, 2), result(vcpu, 3)],
		[0n, -BigInt(XEN_EINVAL), -BigInt(XEN_ENOSYS), -BigInt(XEN_EINVAL)],
	)
	assert.equal(vcpu.traps.kernelSp, 0x5000)
})

test('multicall stops for pending work and goes on where it stopped', () => {
	const vcpu = testVcpu(testDomain())
	writeCalls(vcpu, [
		[X.__HYPERVISOR_fpu_taskswitch, 1],
		[X.__HYPERVISOR_stack_switch, 0xe02b, 0x5000],
	])
	const attention = (vcpu.cpu.state + CPU_ATTENTION) >>> 2
	vcpu.domain.machine.u32[attention] = 1
	const args = hypercallArgs(LIST, 2)
	assert.equal(dispatch(vcpu, X.__HYPERVISOR_multicall, args), HYPERCALL_PREEMPTED)
	assert.deepEqual([args[0], args[2]], [LIST + 64, 1])
	vcpu.domain.machine.u32[attention] = 0
	assert.equal(dispatch(vcpu, X.__HYPERVISOR_multicall, args), 0)
	assert.equal(vcpu.traps.kernelSp, 0x5000)
})

test('multicall is -EFAULT when its list cannot be read', () => {
	const vcpu = testVcpu(testDomain())
	assert.equal(dispatch(vcpu, X.__HYPERVISOR_multicall, hypercallArgs(2 ** 46, 1)), -XEN_EFAULT)
})
