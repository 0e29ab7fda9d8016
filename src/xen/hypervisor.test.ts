import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../abi/sched.ts'
import { shared_info, VIRQ_DEBUG } from '../abi/xen.ts'
import { Hypervisor } from './hypervisor.ts'
import { shutdownDomain } from './shutdown.ts'
import { CB_DYING, controlWord, VS_VIRQ_REQUESTS, vcpuWord } from './vcpu_shared.ts'
import type { VcpuStart, VcpuThreadEvents } from './vcpu_threads.ts'

const CONTEXT = { entry: 0, stackPointer: 0, startInfoVa: 0, l4Mfn: 0 }
const CONFIG = { uuid: '00112233-4455-6677-8899-aabbccddeeff', vcpus: 1, memory_KiB: 4096 }

/** A hypervisor whose vCPU threads do nothing; what they were started with, and their way back; which were prepared and discarded. */
function setUp() {
	const threads: { request: VcpuStart; events: VcpuThreadEvents; terminated: boolean }[] = []
	const [prepared, discarded]: string[][] = [[], []]
	let released = 0
	const hypervisor = new Hypervisor({
		onReleased: () => {
			released++
		},
		clock: { monotonic_ns: () => 5_000_000_000, wall: () => ({ seconds: 1_800_000_000, nanoseconds: 250_000_000 }) },
		threads: {
			prepare(domid, vcpu) {
				const name = `d${domid}v${vcpu}`
				prepared!.push(name)
				return {
					discard: () => void discarded!.push(name),
					start(request, events) {
						const thread = { request, events, terminated: false }
						threads.push(thread)
						return {
							async terminate() {
								thread.terminated = true
								events.ended()
							},
						}
					},
				}
			},
		},
	})
	return { hypervisor, threads, prepared: prepared!, discarded: discarded!, released: () => released }
}

test('createDomain() makes a paused domain with its memory and a domid that is not used again soon', async () => {
	const { hypervisor } = setUp()
	const first = await hypervisor.createDomain(CONFIG)
	assert.deepEqual(
		{ domid: first.domid, paused: first.info().paused, frames: first.info().currentFrames, max: first.info().maxFrames },
		{ domid: 1, paused: true, frames: 1024, max: 1024 },
	)
	await first.destroy()
	assert.equal((await hypervisor.createDomain(CONFIG)).domid, 2)
	assert.deepEqual(
		hypervisor.domains().map((control) => control.domid),
		[2],
	)
	await hypervisor.close()
	assert.deepEqual(hypervisor.domains(), [])
})

test("a vCPU's thread is prepared with its domain, and discarded with a domain that was not started", async () => {
	const { hypervisor, threads, prepared, discarded, released } = setUp()
	const [first, second] = [await hypervisor.createDomain(CONFIG), await hypervisor.createDomain(CONFIG)]
	assert.deepEqual(prepared, ['d1v0', 'd2v0'])
	first.start(CONTEXT)
	await second.destroy()
	assert.equal(released(), 1, 'its memory too')
	assert.deepEqual(discarded, ['d2v0'])
	threads[0]?.events.ended()
	await hypervisor.close()
	assert.deepEqual(discarded, ['d2v0'])
})

test('createDomain() gives the domid that is asked for, unless it is in use or reserved', async () => {
	const { hypervisor } = setUp()
	assert.equal((await hypervisor.createDomain({ ...CONFIG, domid: 2 })).domid, 2)
	assert.equal((await hypervisor.createDomain(CONFIG)).domid, 1)
	assert.equal((await hypervisor.createDomain(CONFIG)).domid, 3)
	await assert.rejects(hypervisor.createDomain({ ...CONFIG, domid: 2 }), /domain number 2 is in use/)
	for (const domid of [0, 1.5, 0x7ff0]) await assert.rejects(hypervisor.createDomain({ ...CONFIG, domid }), /must be from 1 to 32751/)
	await hypervisor.close()
})

test('the wall clock in shared_info is that of system time 0', async () => {
	const { hypervisor } = setUp()
	const { domain } = await hypervisor.createDomain(CONFIG)
	const view = new DataView(domain.machine.memory.buffer, domain.machine.frameAddress(domain.layout.sharedInfoMfn))
	assert.equal(view.getUint32(shared_info.at.wc_sec, true), 1_799_999_995)
	assert.equal(view.getUint32(shared_info.at.wc_nsec, true), 250_000_000)
	assert.equal(view.getUint32(shared_info.at.wc_version, true) % 2, 0)
	await hypervisor.close()
})

test('pauses nest, and unpause() says when there is nothing to undo', async () => {
	const { hypervisor } = setUp()
	const control = await hypervisor.createDomain(CONFIG)
	await control.pause()
	assert.equal(control.unpause(), true)
	assert.equal(control.info().paused, true)
	assert.equal(control.unpause(), true)
	assert.equal(control.info().paused, false)
	assert.equal(control.unpause(), false)
	await hypervisor.close()
})

test('a vCPU thread that dies of a host exception crashes only its domain, with the error in the log', async () => {
	const { hypervisor, threads } = setUp()
	const control = await hypervisor.createDomain(CONFIG)
	const other = await hypervisor.createDomain(CONFIG)
	control.start(CONTEXT)
	const ends: unknown[] = []
	control.onShutdown((...end) => ends.push(end))
	threads[0]?.events.ended(new Error('broken table'))
	assert.deepEqual(ends, [[SHUTDOWN_crash, 'host exception: broken table']])
	assert.equal(control.info().crashed, true)
	assert.match(hypervisor.log.read(), /\(XEN\) d1v0 host exception: Error: broken table/)
	assert.equal(other.info().shutdown, false)
	await hypervisor.close()
})

test('onShutdown() tells once, and at once a listener that comes later', async () => {
	const { hypervisor, threads } = setUp()
	const control = await hypervisor.createDomain(CONFIG)
	control.start(CONTEXT)
	const ends: number[] = []
	control.onShutdown((reason) => ends.push(reason))
	shutdownDomain(control.domain, SHUTDOWN_poweroff)
	threads[0]?.events.shutdown(SHUTDOWN_poweroff)
	control.shutdown(SHUTDOWN_crash)
	assert.deepEqual(ends, [SHUTDOWN_poweroff])
	control.onShutdown((reason) => ends.push(reason + 100))
	await Promise.resolve()
	assert.deepEqual(ends, [SHUTDOWN_poweroff, SHUTDOWN_poweroff + 100])
	await hypervisor.close()
})

test('destroy() asks the thread to end, and stops one that does not', async () => {
	const { hypervisor, threads } = setUp()
	const control = await hypervisor.createDomain(CONFIG)
	control.start(CONTEXT)
	const death = control.destroy()
	assert.equal(control.info().dying, true)
	assert.equal(control.domain.machine.u32[controlWord(control.domain, CB_DYING)], 1)
	await death
	assert.equal(threads[0]?.terminated, true)
	assert.equal(hypervisor.domain(control.domid), undefined)
})

test('sendVirq() leaves the VIRQ for the vCPU to raise', async () => {
	const { hypervisor } = setUp()
	const control = await hypervisor.createDomain(CONFIG)
	control.sendVirq(0, VIRQ_DEBUG)
	assert.equal(control.domain.machine.u32[vcpuWord(control.domain, 0, VS_VIRQ_REQUESTS)], 1 << VIRQ_DEBUG)
	await hypervisor.close()
})
