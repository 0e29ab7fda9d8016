import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EBUSY, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM } from '../abi/errno.ts'
import * as P from '../abi/physdev.ts'
import * as V from '../abi/version.ts'
import * as X from '../abi/xen.ts'
import { consoleIoHypercall } from './console_io.ts'
import type { HypercallRow } from './hypercall_row.ts'
import { physdevCompatHypercall, physdevHypercall } from './physdev_op.ts'
import { refusedHypercalls } from './refused_hypercalls.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'
import { versionHypercall } from './version.ts'

function guest() {
	const domain = testDomain()
	const vcpu = testVcpu(domain)
	const view = new DataView(domain.machine.memory.buffer, domain.machine.frameAddress(0), 64 * 4096)
	const call = (row: HypercallRow, ...args: number[]) => row.handler?.(vcpu, hypercallArgs(...args))
	const text = (at: number) => new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at, 1024)).split('\0')[0]
	const put = (at: number, value: string) => new TextEncoder().encodeInto(value, new Uint8Array(view.buffer, view.byteOffset + at))
	return { domain, vcpu, view, call, text, put }
}

test('xen_version says 4.17, the features of a PV domU, and where the hypervisor starts', () => {
	const { call, view, text } = guest()
	assert.equal(call(versionHypercall, V.XENVER_version), 0x4_0011)
	assert.equal(call(versionHypercall, V.XENVER_get_features, 0x1000), 0)
	assert.equal(view.getUint32(0x1004, true), 0x000220f0)
	assert.equal(call(versionHypercall, V.XENVER_platform_parameters, 0x1000), 0)
	assert.equal(view.getBigUint64(0x1000, true), 0xffff_8000_0000_0000n)
	assert.equal(call(versionHypercall, V.XENVER_capabilities, 0x1000), 0)
	assert.equal(text(0x1000), 'xen-3.0-x86_64 ')
	assert.equal(call(versionHypercall, V.XENVER_guest_handle, 0x1000), 0)
	assert.equal(view.getBigUint64(0x1000), 0x0011223344556677n)
})

test('xen_version refuses what real Xen refuses a domU', () => {
	const { call, view, text } = guest()
	assert.equal(call(versionHypercall, V.XENVER_commandline, 0x1000), 0)
	assert.equal(text(0x1000), '<denied>')
	assert.equal(call(versionHypercall, V.XENVER_build_id, 0x1000), -XEN_EPERM)
	view.setUint32(0x1000, 1, true)
	assert.equal(call(versionHypercall, V.XENVER_get_features, 0x1000), -XEN_EINVAL)
	assert.equal(call(versionHypercall, V.XENVER_pagesize, 0), 4096)
	assert.equal(call(versionHypercall, V.XENVER_pagesize, 0x1000), -XEN_EINVAL)
	assert.equal(call(versionHypercall, V.XENVER_extraversion, 0xdead_0000), -XEN_EFAULT)
	assert.equal(call(versionHypercall, 11), -XEN_ENOSYS)
})

test('CONSOLEIO_write logs whole lines, without what is not printable', () => {
	const { call, vcpu, put } = guest()
	put(0x1000, 'Lin\x1b[0mux\tup\nsecond')
	assert.equal(call(consoleIoHypercall, X.CONSOLEIO_write, 19, 0x1000), 0)
	assert.deepEqual(vcpu.lines, ['Lin[0mux\tup\n'])
	put(0x1000, ' half\n')
	assert.equal(call(consoleIoHypercall, X.CONSOLEIO_write, 6, 0x1000), 0)
	assert.deepEqual(vcpu.lines.slice(1), ['second half\n'])
})

test('CONSOLEIO_write breaks long lines and drops lines beyond its allowance', () => {
	const { call, vcpu, put } = guest()
	put(0x1000, 'x'.repeat(1000))
	call(consoleIoHypercall, X.CONSOLEIO_write, 1000, 0x1000)
	assert.deepEqual([vcpu.lines.length, vcpu.lines[0]?.length], [5, 201])
	put(0x1000, '\n'.repeat(4000))
	call(consoleIoHypercall, X.CONSOLEIO_write, 4000, 0x1000)
	assert.equal(vcpu.lines.length, 2000)
	assert.equal(vcpu.console.dropped_lines, 2005)
})

test('CONSOLEIO_write faults on unmapped memory; CONSOLEIO_read and others are -EPERM', () => {
	const { call } = guest()
	assert.equal(call(consoleIoHypercall, X.CONSOLEIO_write, 10, 0x7000_0000), -XEN_EFAULT)
	assert.equal(call(consoleIoHypercall, X.CONSOLEIO_write, 0xffff_ffff, 2 ** 46), -XEN_EFAULT)
	assert.equal(call(consoleIoHypercall, X.CONSOLEIO_read, 10, 0x1000), -XEN_EPERM)
	assert.equal(call(consoleIoHypercall, 9, 10, 0x1000), -XEN_EPERM)
})

test('physdev_op sets IOPL and the I/O bitmap of the calling vCPU', () => {
	const { call, view, vcpu } = guest()
	view.setUint32(0x1000, 1, true)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_set_iopl, 0x1000), 0)
	assert.equal(vcpu.traps.iopl, 0x1000)
	view.setUint32(0x1000, 4, true)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_set_iopl, 0x1000), -XEN_EINVAL)
	view.setBigUint64(0x1000, 0x3000n, true)
	view.setUint32(0x1008, 1024, true)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_set_iobitmap, 0x1000), 0)
	assert.deepEqual([vcpu.traps.ioBitmap, vcpu.traps.ioBitmapPorts], [0x3000, 1024])
	view.setUint32(0x1008, 65537, true)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_set_iobitmap, 0x1000), -XEN_EINVAL)
})

test('physdev_op takes one page for EOI bits, and refuses devices', () => {
	const { call, view, domain } = guest()
	view.setBigUint64(0x1000, 7n, true)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_pirq_eoi_gmfn_v2, 0x1000), 0)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_pirq_eoi_gmfn_v2, 0x1000), -XEN_EBUSY)
	view.setBigUint64(0x1000, BigInt(domain.machine.frames), true)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_pirq_eoi_gmfn_v2, 0x1000), -XEN_EINVAL)
	assert.equal(call(physdevHypercall, P.PHYSDEVOP_map_pirq, 0x1000), -XEN_EPERM)
	assert.equal(call(physdevHypercall, 99, 0x1000), -XEN_ENOSYS)
})

test('physdev_op_compat takes the command and argument from one structure', () => {
	const { call, view, vcpu } = guest()
	view.setUint32(0x1000, P.PHYSDEVOP_set_iopl, true)
	view.setUint32(0x1008, 3, true)
	assert.equal(call(physdevCompatHypercall, 0x1000), 0)
	assert.equal(vcpu.traps.iopl, 0x3000)
})

test('privileged hypercalls are refused with the errno of real Xen', () => {
	const errnoOf = (number: number) => refusedHypercalls.find((row) => row.number === number)?.errno
	assert.equal(errnoOf(X.__HYPERVISOR_sysctl), XEN_EPERM)
	assert.equal(errnoOf(X.__HYPERVISOR_xsm_op), XEN_ENOSYS)
	assert.equal(errnoOf(X.__HYPERVISOR_xenpmu_op), XEN_EOPNOTSUPP)
	assert.ok(refusedHypercalls.every((row) => row.errno !== undefined && row.status !== 'implemented'))
})
