import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SCHEDOP_block, SCHEDOP_shutdown, SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts'
import { __HYPERVISOR_console_io, __HYPERVISOR_sched_op } from '../../src/abi/xen.ts'
import { hypercallCount } from '../../src/xen/hypercall_table.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import { DATA, hypercall, SPIN, startTinyGuest, testHypervisor, whenShutDown } from './tiny_guest.ts'

let hypervisor: Hypervisor
before(async () => {
	hypervisor = await testHypervisor()
})
after(() => hypervisor.close())

const text = new TextEncoder().encode('hello from the guest\n')
const shutdown = () => [...hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, DATA + 0x100), ...SPIN]

test('a guest writes to the hypervisor log and powers off', async () => {
	const code = [...hypercall(__HYPERVISOR_console_io, 0, text.length, DATA), ...shutdown()]
	const control = await startTinyGuest(hypervisor, code, text)
	const end = whenShutDown(control)
	assert.equal(control.info().paused, true)
	control.unpause()
	assert.equal((await end).reason, SHUTDOWN_poweroff)
	assert.match(hypervisor.log.read(), new RegExp(`\\(XEN\\) \\(d${control.domid}\\) hello from the guest`))
	assert.equal(hypercallCount(control.domain, __HYPERVISOR_console_io), 1)
	assert.deepEqual([control.info().shutdown, control.info().crashed], [true, false])
	await control.destroy()
	assert.equal(hypervisor.domain(control.domid), undefined)
})

test('a guest in an endless loop can be paused, resumed and destroyed', async () => {
	const control = await startTinyGuest(hypervisor, SPIN)
	control.unpause()
	await until(() => control.info().running)
	await control.pause()
	const { cpuTime_ns } = control.info()
	await new Promise((resolve) => setTimeout(resolve, 30))
	assert.equal(control.info().cpuTime_ns, cpuTime_ns)
	control.unpause()
	await until(() => control.info().cpuTime_ns > cpuTime_ns)
	await control.destroy()
	assert.equal(hypervisor.domain(control.domid), undefined)
})

test('a guest that blocks uses no time, and is destroyed in its sleep', async () => {
	const control = await startTinyGuest(hypervisor, [...hypercall(__HYPERVISOR_sched_op, SCHEDOP_block), ...SPIN])
	control.unpause()
	await until(() => control.info().blocked)
	await control.destroy()
})

test('a guest that faults without a handler crashes, with its registers in the log', async () => {
	// mov eax, [0x1000]
	const control = await startTinyGuest(hypervisor, [0x8b, 0x04, 0x25, 0x00, 0x10, 0x00, 0x00])
	const end = whenShutDown(control)
	control.unpause()
	const { reason, crashReason } = await end
	assert.equal(reason, SHUTDOWN_crash)
	assert.match(crashReason ?? '', /no handler/)
	assert.match(hypervisor.log.read(), /Unhandled: vec 14, page fault\[0000\]/)
	assert.match(hypervisor.log.read(), /RIP: {4}e033:\[<0000000000200000>\]/)
	assert.equal(control.info().crashed, true)
	await control.destroy()
})

test('a domain whose first page table is not one crashes at its start', async () => {
	const control = await hypervisor.createDomain({ uuid: '00000000-0000-0000-0000-000000000002', vcpus: 1, memory_KiB: 4096 })
	const end = whenShutDown(control)
	control.domain.machine.u32.fill(0xffff_ffff, control.domain.machine.frameAddress(8) / 4, control.domain.machine.frameAddress(9) / 4)
	control.start({ entry: 0, stackPointer: 0, startInfoVa: 0, l4Mfn: 8 })
	assert.match((await end).crashReason ?? '', /initial page tables refused: errno 22/)
	await control.destroy()
})

test('createDomain() refuses what it cannot give', async () => {
	const uuid = '00000000-0000-0000-0000-000000000003'
	await assert.rejects(hypervisor.createDomain({ uuid, vcpus: 2, memory_KiB: 4096 }), /2 vCPUs: only 1 is supported/)
	await assert.rejects(hypervisor.createDomain({ uuid, vcpus: 1, memory_KiB: 1024 }), /at least 4096 KiB/)
	await assert.rejects(hypervisor.createDomain({ uuid, vcpus: 1, memory_KiB: 5 * 1024 * 1024 }), /below 4 GiB/)
})

async function until(condition: () => boolean): Promise<void> {
	for (let tries = 0; !condition(); tries++) {
		assert.ok(tries < 500, 'condition not met in five seconds')
		await new Promise((resolve) => setTimeout(resolve, 10))
	}
}
