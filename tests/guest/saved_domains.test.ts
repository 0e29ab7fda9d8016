import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildCore } from '../../scripts/build_core.ts'
import { SHUTDOWN_crash } from '../../src/abi/sched.ts'
import { start_info } from '../../src/abi/start_info.ts'
import { arch_shared_info, cpu_user_regs, shared_info, vcpu_guest_context } from '../../src/abi/xen.ts'
import { UserError } from '../../src/base/errors.ts'
import * as R from '../../src/migration/records.ts'
import { hostClock } from '../../src/platform/node/host_clock.ts'
import { Cpu, RDX } from '../../src/x86/cpu.ts'
import { Domain } from '../../src/xen/domain.ts'
import { Hypervisor } from '../../src/xen/hypervisor.ts'
import { DomainCrashed, VcpuContext } from '../../src/xen/vcpu.ts'
import { cpuHost, startVcpu } from '../../src/xen/vcpu_start.ts'
import type { PreparedThread } from '../../src/xen/vcpu_threads.ts'
import type { DomainState, XenEvent } from '../../src/xenctrl/interface.ts'
import { LocalXen } from '../../src/xenctrl/local_xen.ts'
import { SUSPENDER } from '../support/tiny_kernel.ts'
import { testHypervisor } from './tiny_guest.ts'

// Domains of a few instructions that suspend themselves, saved and restored; and files that nobody should have made.

const uuid = (n: number) => `00000000-0000-0000-0000-0000000000${String(n).padStart(2, '0')}`
const restoration = (n: number) => ({ uuid: uuid(n), vcpus: 1, maxMemory_kib: 4096, path: '/f' })

/** A hypervisor whose files are in `files`. */
function xenOf(hypervisor: Hypervisor, files: Map<string, Uint8Array>): LocalXen {
	return new LocalXen({
		hypervisor,
		readImage: async () => SUSPENDER.slice(),
		bootId: 'boot',
		async createFile(path) {
			const pieces: Uint8Array[] = []
			return {
				write: async (bytes) => void pieces.push(bytes.slice()),
				finish: async () => void files.set(path, new Uint8Array(Buffer.concat(pieces))),
				abandon: async () => {},
			}
		},
		async openFile(path) {
			const bytes = files.get(path)
			if (bytes === undefined) throw new UserError(`Unable to read file ${path}`)
			let at = 0
			return { read: async (length) => bytes.slice(at, (at += length)), close: async () => {} }
		},
	})
}

function shutDown(xen: LocalXen): Promise<Extract<XenEvent, { type: 'shutdown' }>> {
	return new Promise((resolve) => {
		const stop = xen.onEvent((event) => {
			if (event.type !== 'shutdown') return
			stop()
			resolve(event)
		})
	})
}

/** A domain that has suspended itself; what Linux tells of its table of frames is told for it. */
async function suspended(xen: LocalXen): Promise<DomainState> {
	const state = await xen.createDomain({ uuid: uuid(1), vcpus: 1, memory_kib: 4096, maxMemory_kib: 4096, kernel: '/k', commandLine: '' })
	const { machine, layout } = xen.control(state.domid)!.domain
	const startInfo = new DataView(machine.memory.buffer, machine.frameAddress(state.storeMfn - 1))
	const arch = new DataView(machine.memory.buffer, machine.frameAddress(layout.sharedInfoMfn) + shared_info.at.arch)
	arch.setBigUint64(arch_shared_info.at.max_pfn, 1024n, true)
	arch.setBigUint64(arch_shared_info.at.p2m_cr3, startInfo.getBigUint64(start_info.at.pt_base, true), true)
	arch.setBigUint64(arch_shared_info.at.p2m_vaddr, startInfo.getBigUint64(start_info.at.mfn_list, true), true)
	const end = shutDown(xen)
	await xen.unpause(state.domid)
	assert.equal((await end).end.reason, 'suspend')
	return state
}

test('a suspended domain goes on where it was: in place as if cancelled, restored in a new one', async () => {
	const files = new Map<string, Uint8Array>()
	const xen = xenOf(await testHypervisor(), files)
	try {
		const { domid, storeMfn } = await suspended(xen)
		await assert.rejects(xen.restoreDomain(restoration(2)), /Unable to read file/)
		assert.equal(await xen.saveDomain(domid, '/f', '{"c_info": "of it"}'), files.get('/f')!.length)
		assert.equal(await xen.savedConfig('/f'), '{"c_info": "of it"}')

		const restored = await xen.restoreDomain(restoration(2))
		assert.deepEqual([restored.paused, restored.storeMfn, restored.memory_kib], [true, storeMfn, 4096])
		const [old, anew] = [domid, restored.domid].map((id) => xen.control(id)!.domain)
		const differing = Array.from({ length: 1024 }, (_, mfn) => mfn).filter(
			(mfn) => Buffer.compare(old!.machine.framePage(mfn), anew!.machine.framePage(mfn)) !== 0,
		)
		assert.deepEqual(differing, [], 'its memory is the same')
		assert.ok(xen.control(restored.domid)!.systemTime_ns <= xen.control(domid)!.systemTime_ns)

		let end = shutDown(xen)
		await xen.unpause(restored.domid)
		assert.deepEqual([(await end).domid, (await end).end.reason], [restored.domid, 'poweroff'], 'its hypercall returns 0')
		end = shutDown(xen)
		assert.equal(await xen.resumeDomain(domid), true)
		assert.deepEqual([(await end).domid, (await end).end.reason], [domid, 'reboot'], 'its hypercall returns 1')
		assert.equal(await xen.resumeDomain(domid), false)
		await assert.rejects(xen.saveDomain(domid, '/f', '{}'), /domain 1 is not suspended/)
	} finally {
		await xen.close()
	}
})

test('a guest that leaves what a file cannot say is not saved, and goes on', async () => {
	const files = new Map<string, Uint8Array>()
	const xen = xenOf(await testHypervisor(), files)
	try {
		const { domid, storeMfn } = await suspended(xen)
		const { machine, layout } = xen.control(domid)!.domain
		const arch = machine.frameAddress(layout.sharedInfoMfn) + shared_info.at.arch
		const m2p = machine.frameAddress(layout.m2pMfn)
		const rdx = machine.vcpuState(0) + RDX * 8
		const l1 = new DataView(machine.memory.buffer, machine.frameAddress(storeMfn - 1)).getBigUint64(start_info.at.pt_base, true)
		const hostile: readonly (readonly [address: number, value: bigint, why: RegExp])[] = [
			[arch + arch_shared_info.at.p2m_cr3, 0n, /does not tell where its table of frames is/],
			[
				arch + arch_shared_info.at.p2m_cr3,
				0x123_4567_8000n,
				/a page table of its table of frames is frame 0x12345678, which is not its own/,
			],
			[arch + arch_shared_info.at.max_pfn, 2n ** 40n, /its table of frames is of 1099511627776 pages/],
			[arch + arch_shared_info.at.max_pfn, 0n, /its table of frames is of 0 pages/],
			[arch + arch_shared_info.at.p2m_vaddr, 2n ** 62n, /its table of frames is at no address/],
			[arch + arch_shared_info.at.p2m_vaddr, 0x7f00_0000_0000n, /its table of frames is not mapped/],
			[rdx, 0xffff_ffff_ffffn, /the start_info that it has named is frame 0xffffffff/],
			[m2p + 8 * 5, 6n, /two of its frames are its page 0x6/],
			[m2p + 8 * 5, 0x400n, /is its page 0x400, beyond its memory/],
			[
				machine.frameAddress(Number(l1 >> 12n) + 3) + 8 * 300,
				(BigInt(layout.sharedInfoMfn) << 12n) | 5n,
				/what entry 300 of a page table of level 1 maps/,
			],
		]
		for (const [address, value, why] of hostile) {
			const kept = machine.u64[address / 8] as bigint
			machine.u64[address / 8] = value
			await assert.rejects(xen.saveDomain(domid, '/f', '{}'), why)
			machine.u64[address / 8] = kept
			assert.deepEqual([...files], [])
		}
		await xen.saveDomain(domid, '/f', '{}')
		assert.equal(await xen.resumeDomain(domid), true)
	} finally {
		await xen.close()
	}
})

// ---- files of strangers -----------------------------------------------------------------------------------------------------

const core = await WebAssembly.compile(readFileSync(await buildCore(() => {})))

/** vCPUs that take their contexts, and run no instruction. */
const STARTER: PreparedThread = {
	discard() {},
	start(request, events) {
		const domain = new Domain(request.domain, request.memory)
		let vcpu: VcpuContext | undefined
		const cpu = Cpu.instantiate(
			domain.machine,
			request.vcpu,
			core,
			cpuHost(() => vcpu as VcpuContext),
		)
		vcpu = new VcpuContext(domain, request.vcpu, cpu, hostClock(process.hrtime()), {
			log() {},
			emergencyConsole() {},
			random32: () => 0,
			report() {},
			shutdown() {},
		})
		try {
			startVcpu(vcpu, request.context)
		} catch (error) {
			if (!(error instanceof DomainCrashed)) throw error
			queueMicrotask(() => events.shutdown(SHUTDOWN_crash, error.message))
		}
		queueMicrotask(() => events.ended())
		return { terminate: async () => {} }
	},
}

interface Part {
	readonly type: number
	body: Uint8Array
}

/** A saved domain in its parts: what is before libxc's records, these, and what is behind. */
class SavedFile {
	readonly head: Uint8Array
	readonly parts: Part[] = []
	readonly tail: Uint8Array

	constructor(bytes: Uint8Array) {
		const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
		let at = R.XL_HEADER_SIZE + view.getUint32(R.XL_HEADER_SIZE - 4, true) + R.LIBXL_HEADER_SIZE + R.RECORD_HEADER_SIZE
		at += R.IMAGE_HEADER_SIZE + R.DOMAIN_HEADER_SIZE
		this.head = bytes.slice(0, at)
		for (let type = -1; type !== R.REC_END; ) {
			type = view.getUint32(at, true)
			const length = view.getUint32(at + 4, true)
			this.parts.push({ type, body: bytes.slice(at + 8, at + 8 + length) })
			at += 8 + Math.ceil(length / 8) * 8
		}
		this.tail = bytes.slice(at)
	}

	part(type: number): Part {
		return this.parts.find((part) => part.type === type)!
	}

	/** Of the record's body. */
	view(type: number): DataView {
		const { body } = this.part(type)
		return new DataView(body.buffer, body.byteOffset, body.length)
	}

	bytes(): Uint8Array {
		const records = this.parts.flatMap(({ type, body }) => {
			const header = new Uint8Array(Uint32Array.of(type, body.length).buffer)
			return [header, body, new Uint8Array((8 - (body.length % 8)) % 8)]
		})
		return new Uint8Array(Buffer.concat([this.head, ...records, this.tail]))
	}

	/** Where the page of a PFN is in the body of the first record of pages. */
	page(pfn: number): number {
		const view = this.view(R.REC_PAGE_DATA)
		const count = view.getUint32(0, true)
		let at = 8 + count * 8
		for (let n = 0; n < count; n++) {
			const entry = view.getBigUint64(8 + n * 8, true)
			if (Number(entry & R.PFN_MASK) === pfn) return at
			if (entry >> R.TYPE_SHIFT < 0xdn) at += 4096
		}
		throw new Error(`no page ${pfn}`)
	}
}

/** A hypervisor whose vCPUs do not run, a good file, and how restoring another one ends. */
async function setUp() {
	const files = new Map<string, Uint8Array>()
	const maker = xenOf(await testHypervisor(), files)
	try {
		const { domid } = await suspended(maker)
		await maker.saveDomain(domid, '/f', '{}')
	} finally {
		await maker.close()
	}
	const good = files.get('/f')!
	const xen = xenOf(new Hypervisor({ clock: hostClock(process.hrtime()), threads: { prepare: () => STARTER } }), files)
	/** Undefined when it could be restored. */
	const restore = async (bytes: Uint8Array): Promise<string | undefined> => {
		files.set('/f', bytes)
		try {
			await xen.destroy((await xen.restoreDomain(restoration(3))).domid)
			return undefined
		} catch (error) {
			if (!(error instanceof UserError) || error.code !== 'bad-stream') throw error
			assert.deepEqual(await xen.domains(), [], 'nothing is left of it')
			return error.message
		}
	}
	const refused = async (why: RegExp, change: (file: SavedFile) => void) => {
		const file = new SavedFile(good)
		change(file)
		assert.match((await restore(file.bytes())) ?? 'it was restored', why)
	}
	return { good, restore, refused }
}

test('a file that is not as it must be is refused with what is wrong in it', async () => {
	const { good, restore, refused } = await setUp()
	assert.equal(await restore(new SavedFile(good).bytes()), undefined)
	assert.match(
		(await restore(Buffer.from('LinuxGuestRecord'.repeat(8)))) ?? '',
		/^\/f cannot be restored: it is no saved domain of xl's format$/,
	)
	assert.match((await restore(good.subarray(0, 20))) ?? '', /it ends in its header: it is cut short/)
	await refused(/a big-endian machine/, ({ head }) => head.set([1, 2, 3, 4], 32))
	await refused(/mandatory flags are 0x1/, ({ head }) => void (head[36] = 1))
	await refused(/has 4294967295 bytes of optional data/, ({ head }) => head.fill(0xff, 44, 48))
	await refused(/its domain is of type 2: only paravirtual/, ({ head }) => void (head[head.length - 16] = 2))
	await refused(/no record of its vCPU/, ({ parts }) =>
		parts.splice(
			parts.findIndex(({ type }) => type === R.REC_X86_PV_VCPU_BASIC),
			1,
		),
	)
	await refused(/no record of its shared_info/, ({ parts }) =>
		parts.splice(
			parts.findIndex(({ type }) => type === R.REC_SHARED_INFO),
			1,
		),
	)
	await refused(/two records of type 0x7/, (file) => file.parts.unshift(file.part(R.REC_SHARED_INFO)))
	await refused(/before the end of its static data/, ({ parts }) =>
		parts.splice(
			parts.findIndex(({ type }) => type === R.REC_STATIC_DATA_END),
			1,
		),
	)
	await refused(/a record of type 0xe, which means nothing/, ({ parts }) => parts.unshift({ type: 0xe, body: new Uint8Array(0) }))
	await refused(/32 bits with 3 levels/, (file) => file.part(R.REC_X86_PV_INFO).body.set([4, 3]))
	await refused(/it has a vCPU 1/, (file) => file.view(R.REC_X86_PV_VCPU_BASIC).setUint32(0, 1, true))
	await refused(/extended state, which this processor does not have, has 16 bytes/, ({ parts }) =>
		parts.unshift({ type: R.REC_X86_PV_VCPU_XSAVE, body: new Uint8Array(16) }),
	)
	await refused(/clock stands at/, (file) => file.view(R.REC_X86_TSC_INFO).setBigUint64(8, 2n ** 63n, true))
	assert.match(
		(await restore(Buffer.concat([new SavedFile(good).head, Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255)]))) ?? '',
		/has 4294967295 bytes: at most 8388608/,
	)
})

test('pages and page tables of a file are believed as little as a guest', async () => {
	const { good, refused } = await setUp()
	const file = new SavedFile(good)
	const pages = file.view(R.REC_PAGE_DATA)
	const entries = Array.from({ length: pages.getUint32(0, true) }, (_, n) => pages.getBigUint64(8 + n * 8, true))
	const root = entries.findIndex((entry) => entry >> R.TYPE_SHIFT === 0xcn)
	const l1 = Number(entries.find((entry) => entry >> R.TYPE_SHIFT === 1n)! & R.PFN_MASK)
	const setEntry = (n: number, value: bigint) => (changed: SavedFile) => changed.view(R.REC_PAGE_DATA).setBigUint64(8 + n * 8, value, true)
	const context = 8
	const setContext = (offset: number, value: bigint) => (changed: SavedFile) =>
		changed.view(R.REC_X86_PV_VCPU_BASIC).setBigUint64(context + offset, value, true)

	await refused(/page 0x3fffff, beyond the 4 MiB/, setEntry(0, (0n << 60n) | 0x3f_ffffn))
	await refused(/its page 0x0 comes twice/, setEntry(1, entries[0]!))
	await refused(/is of type 5/, setEntry(0, (5n << 60n) | entries[0]!))
	await refused(/has fewer than it says/, (changed) => {
		changed.part(R.REC_PAGE_DATA).body = changed.part(R.REC_PAGE_DATA).body.slice(0, -8)
	})
	await refused(/is of 4294967295 pages/, (changed) => changed.view(R.REC_PAGE_DATA).setUint32(0, 0xffff_ffff, true))
	await refused(/the kernel's base pointer, frame 0x\w+, breaks a rule/, setEntry(root, (0xbn << 60n) | (entries[root]! & R.PFN_MASK)))
	// A page table that maps itself writable; then one that maps a frame that the domain does not have.
	const setL1 = (value: bigint) => (changed: SavedFile) => changed.view(R.REC_PAGE_DATA).setBigUint64(changed.page(l1) + 8, value, true)
	await refused(/breaks a rule \(entry 1 of the L1 in frame/, setL1((BigInt(l1) << 12n) | 7n))
	await refused(/breaks a rule \(entry 1 of the L1 in frame/, setL1((0x401n << 12n) | 5n))
	await refused(/the kernel's base pointer, frame 0x1,? breaks a rule/, setContext(vcpu_guest_context.at.ctrlreg + 24, 0x1000n))
	await refused(/its start_info is page 0x123456789/, setContext(vcpu_guest_context.at.user_regs + cpu_user_regs.at.rdx, 0x1_2345_6789n))
	await refused(/its GDT is too long/, setContext(vcpu_guest_context.at.gdt_ents, 2n ** 63n))
	await refused(/its GDT breaks a rule/, (changed) => {
		setContext(vcpu_guest_context.at.gdt_ents, 512n)(changed)
		setContext(vcpu_guest_context.at.gdt_frames, BigInt(l1))(changed)
	})
	await refused(
		/its next instruction at 0x8000000000000000 is no address/,
		setContext(vcpu_guest_context.at.user_regs + cpu_user_regs.at.rip, 2n ** 63n),
	)
	await refused(/in user mode without page tables/, setContext(vcpu_guest_context.at.flags, 0n))
})

test('files with bytes changed or missing at random are restored or refused, and harm nothing', async () => {
	const { good, restore } = await setUp()
	let state = 1
	const random = (below: number) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0
		return Math.floor((state / 2 ** 32) * below)
	}
	const outcomes = { restored: 0, refused: 0 }
	for (let n = 0; n < 1000; n++) {
		const file = new SavedFile(good)
		if (n % 5 === 0) file.parts.splice(random(file.parts.length), 1)
		else {
			// Any record is as likely as another, though most bytes are in pages.
			const { body } = file.parts[random(file.parts.length)]!
			for (let times = 0; times < 1 + random(4) && body.length > 0; times++) {
				const at = random(n % 2 === 0 ? body.length : Math.min(body.length, 4096 + 512))
				body[at] = random(2) === 0 ? 0xff : random(256)
			}
		}
		const bytes = n % 7 === 0 ? file.bytes().slice(0, random(good.length)) : file.bytes()
		outcomes[(await restore(bytes)) === undefined ? 'restored' : 'refused']++
	}
	assert.ok(outcomes.refused > 200 && outcomes.restored > 80, JSON.stringify(outcomes))
})
