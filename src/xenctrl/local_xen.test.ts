import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLEEPER } from '../../tests/support/tiny_kernel.ts'
import { UserError } from '../base/errors.ts'
import { Hypervisor } from '../xen/hypervisor.ts'
import type { VcpuThreadEvents } from '../xen/vcpu_threads.ts'
import { LocalXen } from './local_xen.ts'

/** Domain 1, whose vCPU's thread does nothing; what it may say; the files that were made. */
async function setUp(checkStart = () => {}) {
	let vcpu: VcpuThreadEvents | undefined
	const files: string[] = []
	const start = (_: unknown, events: VcpuThreadEvents) => {
		vcpu = events
		return { terminate: async () => events.ended() }
	}
	const hypervisor = new Hypervisor({
		clock: { monotonic_ns: () => 0, wall: () => ({ seconds: 0, nanoseconds: 0 }) },
		threads: { prepare: () => ({ discard() {}, start }) },
	})
	const createFile = async (path: string) => {
		files.push(path)
		return { write: async () => {}, finish: async () => {}, abandon: async () => {} }
	}
	const xen = new LocalXen({ hypervisor, readImage: async () => SLEEPER.slice(), createFile, checkStart, bootId: 'boot' })
	await xen.createDomain(spec(1))
	return { xen, vcpu: vcpu!, files }
}

const spec = (n: number) => ({
	uuid: `00000000-0000-0000-0000-00000000000${n}`,
	vcpus: 1,
	memory_kib: 4096,
	maxMemory_kib: 4096,
	kernel: '/sleeper',
	commandLine: '',
})

const REFUSAL = {
	code: 'cannot-dump',
	message: 'domain 1 has no core: its VCPU 0 does not tell its registers (xm dmesg may say why); nothing was written to /core',
}

test('dumpCore() writes nothing when the vCPU does not answer', async (t) => {
	const { xen, vcpu, files } = await setUp()
	t.mock.timers.enable({ apis: ['setTimeout'] })
	const dumped = assert.rejects(xen.dumpCore(1, '/core', true), REFUSAL)
	t.mock.timers.tick(60_000)
	await dumped
	assert.deepEqual(files, [])
	vcpu.ended()
	await xen.close()
})

test("dumpCore() writes nothing when the vCPU's thread is gone, and lets the domain be as it was", async () => {
	const { xen, vcpu, files } = await setUp()
	await xen.unpause(1)
	vcpu.ended(new Error('broken table'))
	await assert.rejects(xen.dumpCore(1, '/core', false), REFUSAL)
	assert.equal((await xen.domains())[0]!.paused, false)
	assert.deepEqual(files, [])
	await xen.close()
})

test('createDomain() makes no domain that may not be started, and leaves those that are there', async () => {
	let why: Error | undefined
	const { xen, vcpu } = await setUp(() => {
		if (why !== undefined) throw why
	})
	why = new UserError('changed', { code: 'sources-changed' })
	await assert.rejects(xen.createDomain(spec(2)), { code: 'sources-changed' })
	assert.equal((await xen.createDomain(spec(1))).domid, 1, 'it is there')
	assert.equal((await xen.domains()).length, 1)
	vcpu.ended()
	await xen.close()
})
