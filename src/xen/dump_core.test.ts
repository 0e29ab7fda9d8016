import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { cpu_user_regs, VGCF_in_kernel, vcpu_guest_context } from '../abi/xen.ts'
import { Domain } from './domain.ts'
import { coreFile } from './dump_core.ts'
import { initialiseMemory } from './mm/memory.ts'
import { PageInfo } from './mm/page_info.ts'

const FRAMES = 24

/** 24 frames that each begin with their number; PFNs 20 up are those of other frames, and frame 5 was given back. */
function testDomain(): Domain {
	const uuid = '00000000-0000-0000-0000-000000000001'
	const domain = new Domain({ domid: 1, uuid, vcpus: 1, maxFrames: 32, maxPorts: 64, maxGrantFrames: 1 })
	initialiseMemory(domain, FRAMES)
	const pages = new PageInfo(domain, { flushTlb() {}, flushWriteTlb() {}, flushStale() {}, forgetRoot() {}, invalidateFrame() {} })
	for (let mfn = 0; mfn < FRAMES; mfn++) domain.machine.u32[domain.machine.frameAddress(mfn) >>> 2] = 0x1000 + mfn
	for (let mfn = 20; mfn < FRAMES; mfn++) pages.setM2p(mfn, 43 - mfn, 0)
	pages.dropAllocation(5)
	return domain
}

function writeCore(domain: Domain, context = new Uint8Array(5168).fill(7)): Buffer {
	return Buffer.concat([...coreFile(domain, [context])].map((piece) => Buffer.from(piece)))
}

function sections(core: Buffer): Map<string, Buffer> {
	const header = (n: number) => {
		const at = Number(core.readBigUInt64LE(40)) + n * core.readUInt16LE(58)
		const offset = Number(core.readBigUInt64LE(at + 24))
		return { name: core.readUInt32LE(at), contents: core.subarray(offset, offset + Number(core.readBigUInt64LE(at + 32))) }
	}
	const names = header(core.readUInt16LE(62)).contents
	const all = Array.from({ length: core.readUInt16LE(60) - 1 }, (_, n) => header(n + 1))
	return new Map(all.map(({ name, contents }) => [names.toString('latin1', name, names.indexOf(0, name)), contents]))
}

test('a core has the sections of the dump-core format, with every page that the domain has under its PFN', () => {
	const found = sections(writeCore(testDomain()))
	assert.deepEqual([...found.keys()], ['.note.Xen', '.xen_prstatus', '.xen_shared_info', '.xen_pages', '.xen_p2m', '.shstrtab'])
	const pages = found.get('.xen_pages')!
	const p2m = found.get('.xen_p2m')!
	assert.equal(pages.length, (FRAMES - 1) * 4096)
	assert.equal(p2m.length, (FRAMES - 1) * 16)
	for (let n = 0; n < FRAMES - 1; n++) {
		const [pfn, mfn] = [p2m.readBigUInt64LE(n * 16), p2m.readBigUInt64LE(n * 16 + 8)].map(Number) as [number, number]
		assert.equal(pfn, mfn < 20 ? mfn : 43 - mfn)
		assert.equal(pages.readUInt32LE(n * 4096), 0x1000 + mfn)
	}
	assert.deepEqual(found.get('.xen_prstatus'), Buffer.alloc(5168, 7))
})

test('the notes of a core say what it is, how many pages it has and which Xen wrote it', () => {
	const notes = sections(writeCore(testDomain())).get('.note.Xen')!
	const found: [type: number, contents: Buffer][] = []
	for (let at = 0; at < notes.length; at += 16 + notes.readUInt32LE(at + 4)) {
		assert.equal(notes.toString('latin1', at + 12, at + 16), 'Xen\0')
		found.push([notes.readUInt32LE(at + 8), notes.subarray(at + 16, at + 16 + notes.readUInt32LE(at + 4))])
	}
	assert.deepEqual(
		found.map(([type, { length }]) => [type, length]),
		[
			[0x2000000, 0],
			[0x2000001, 32],
			[0x2000002, 1280],
			[0x2000003, 8],
		],
	)
	const header = found[1]![1]
	assert.deepEqual(
		[0, 8, 16, 24].map((at) => header.readBigUInt64LE(at)),
		[0xf00febedn, 1n, 23n, 4096n],
	)
	const version = found[2]![1]
	assert.deepEqual([version.readBigUInt64LE(0), version.readBigUInt64LE(8), version.readBigUInt64LE(1272)], [4n, 17n, 4096n])
})

test('a core has its registers once more as a core of Linux has them', () => {
	const context = new Uint8Array(vcpu_guest_context.size)
	const view = new DataView(context.buffer)
	const { at } = vcpu_guest_context
	const registers = ['r15', 'rax', 'rip', 'rflags', 'rsp'] as const
	for (const name of registers) view.setBigUint64(at.user_regs + cpu_user_regs.at[name], BigInt(cpu_user_regs.at[name]), true)
	view.setUint16(at.user_regs + cpu_user_regs.at.cs, 0xe033, true)
	view.setUint8(at.user_regs + cpu_user_regs.at.saved_upcall_mask, 1)
	view.setUint16(at.user_regs + cpu_user_regs.at.gs, 0x63, true)
	view.setBigUint64(at.fs_base, 1n, true)
	view.setBigUint64(at.gs_base_kernel, 2n, true)
	view.setBigUint64(at.gs_base_user, 3n, true)
	context.fill(0x5a, at.fpu_ctxt, at.fpu_ctxt + 512)
	const shown = (core: Buffer) => {
		const headers = Number(core.readBigUInt64LE(32))
		assert.ok(headers > 192, 'crash looks at the sections')
		assert.equal(core.readUInt32LE(headers), 4, 'PT_NOTE comes first')
		const notes = core.subarray(Number(core.readBigUInt64LE(headers + 8)))
		assert.deepEqual([notes.readUInt32LE(4), notes.readUInt32LE(8), notes.toString('latin1', 12, 16)], [336, 1, 'CORE'])
		assert.deepEqual([notes.readUInt32LE(360), notes.readUInt32LE(364)], [512, 2])
		assert.deepEqual(notes.subarray(376, 888), Buffer.alloc(512, 0x5a))
		return Array.from({ length: 27 }, (_, n) => notes.readBigInt64LE(20 + 112 + n * 8))
	}
	// r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs
	const expected = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0, 0, 0, 0, -1, 128, 0xe033, 144, 152, 0, 1, 3, 0, 0, 0, 0x63].map(BigInt)
	assert.deepEqual(shown(writeCore(testDomain(), context)), expected, 'of a user program')
	view.setUint32(at.flags, VGCF_in_kernel, true)
	assert.deepEqual(shown(writeCore(testDomain(), context)), expected.with(22, 2n), 'of the kernel')
})

test('readelf and gdb open a core, and gdb reads registers and memory from it', (t: TestContext) => {
	if (spawnSync('gdb', ['--version']).error !== undefined) return t.skip('gdb is not installed')
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	try {
		const path = join(directory, 'core')
		writeFileSync(path, writeCore(testDomain()))
		const readelf = spawnSync('readelf', ['-a', path], { encoding: 'utf8' })
		assert.deepEqual([readelf.status, readelf.stderr], [0, ''])
		assert.match(readelf.stdout, /Type: +CORE/)
		const addresses = ['0xffff888000003000', '0xffff888000006000', '0xffffffff80003000', '0xffff888000005000']
		const commands = ['p/x $rip', ...addresses.map((address) => `x/wx ${address}`)].flatMap((command) => ['-ex', command])
		const gdb = spawnSync('gdb', ['-nx', '-batch', '-c', path, ...commands], { encoding: 'utf8' })
		assert.match(gdb.stdout, /\$1 = 0x707070707070707\n/)
		assert.match(gdb.stdout, /0xffff888000003000:\s+0x00001003\n/)
		assert.match(gdb.stdout, /0xffff888000006000:\s+0x00001006\n/, 'beyond the frame that was given back')
		assert.match(gdb.stdout, /0xffffffff80003000:\s+0x00001003\n/, "where Linux's image is")
		assert.match(gdb.stderr, /Cannot access memory at address 0xffff888000005000/)
	} finally {
		rmSync(directory, { recursive: true })
	}
})
