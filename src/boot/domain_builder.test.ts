import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as N from '../abi/elfnote.ts'
import { start_info } from '../abi/start_info.ts'
import { SIF_MOD_START_PFN, SIF_VIRT_P2M_4TOOLS } from '../abi/xen.ts'
import { MachineMemory, PAGE_SIZE } from '../x86/machine_memory.ts'
import { type BuiltDomain, buildDomain, type DomainBuild } from './domain_builder.ts'
import { PT_LOAD, PT_NOTE } from './kernel/elf.ts'
import { makeElf, makeNotes } from './kernel/test_elf.ts'
import { checkDomain } from './test_domain_check.ts'

const BASE = 0xffffffff80000000n
const IDENTITY = { [N.XEN_ELFNOTE_GUEST_OS]: 'linux', [N.XEN_ELFNOTE_XEN_VERSION]: 'xen-3.0', [N.XEN_ELFNOTE_LOADER]: 'generic' }
const HYPERCALL_PFN = 0x202
const CODE = { type: PT_LOAD, paddr: 0x200000n, memorySize: 0x5000n, data: Uint8Array.of(0x90, 0xf4) }
const RAMDISK = Uint8Array.from({ length: 5000 }, (_, i) => i)

/** A kernel as Linux's notes describe it. */
const MODERN = makeElf({
	segments: [
		CODE,
		{
			type: PT_NOTE,
			data: makeNotes({
				...IDENTITY,
				[N.XEN_ELFNOTE_VIRT_BASE]: BASE,
				[N.XEN_ELFNOTE_ENTRY]: BASE + 0x200000n,
				[N.XEN_ELFNOTE_HYPERCALL_PAGE]: BASE + BigInt(HYPERCALL_PFN * PAGE_SIZE),
				[N.XEN_ELFNOTE_INIT_P2M]: 0x8000000000n,
				[N.XEN_ELFNOTE_MOD_START_PFN]: 1n,
			}),
		},
	],
})
/** One that wants all of it in the initial mapping, at 0. */
const PLAIN = makeElf({
	segments: [
		{ ...CODE, paddr: 0n },
		{ type: PT_NOTE, data: makeNotes({ ...IDENTITY, [N.XEN_ELFNOTE_ENTRY]: 0n }) },
	],
})

function build(kernel: Uint8Array, megabytes: number, extra: Partial<DomainBuild> = {}): { machine: MachineMemory; domain: BuiltDomain } {
	const frames = megabytes * 256
	const machine = new MachineMemory({ ramFrames: frames, hypervisorFrames: 4, vcpus: 1, hypervisorBytes: PAGE_SIZE })
	const common = { commandLine: 'console=hvc0 quiet', frames, storePort: 1, consolePort: 2, sharedInfoMfn: frames }
	return { machine, domain: buildDomain({ machine, kernel, ...common, ...extra }) }
}

function startInfo(machine: MachineMemory, domain: BuiltDomain): (name: keyof typeof start_info.at) => number {
	const page = machine.framePage(domain.startInfoMfn)
	const view = new DataView(page.buffer, page.byteOffset, PAGE_SIZE)
	return (name) => {
		const { offset, width } = start_info.fields[name]
		return width === 4 ? view.getUint32(offset, true) : Number(view.getBigInt64(offset, true))
	}
}

function textAt(machine: MachineMemory, domain: BuiltDomain, offset: number): string {
	const bytes = machine.framePage(domain.startInfoMfn).slice(offset)
	return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))
}

test('buildDomain() lays out a kernel with INIT_P2M and MOD_START_PFN, ramdisk and P2M outside the initial mapping', () => {
	const { machine, domain } = build(MODERN, 32, { ramdisk: RAMDISK })
	checkDomain(machine, domain)
	const { layout } = domain
	assert.deepEqual(layout.kernel, { pfn: 0x200, pages: 5 })
	assert.deepEqual([layout.startInfo, layout.store, layout.console], [0x205, 0x206, 0x207])
	assert.equal(layout.mappedPages, 0x400)
	// L4, L3, L2 and two L1s; then L3, L2 and L1 for the P2M after its 16 pages.
	assert.deepEqual(layout.pageTables, { pfn: 0x208, pages: 5 })
	assert.deepEqual(layout.ramdisk, { pfn: 0x400, pages: 2 })
	assert.deepEqual(layout.p2m, { pfn: 0x402, pages: 16 + 3 })
	assert.deepEqual(domain.pageTableMfns, [0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x412, 0x413, 0x414])
	assert.deepEqual(machine.u8.slice(machine.frameAddress(0x400), machine.frameAddress(0x400) + RAMDISK.length), RAMDISK)
	assert.deepEqual([...machine.framePage(0x200).subarray(0, 3)], [0x90, 0xf4, 0])
})

test('buildDomain() fills start_info as libxc does', () => {
	const { machine, domain } = build(MODERN, 32, { ramdisk: RAMDISK })
	const field = startInfo(machine, domain)
	assert.equal(textAt(machine, domain, start_info.at.magic), 'xen-3.0-x86_64')
	assert.equal(textAt(machine, domain, start_info.at.cmd_line), 'console=hvc0 quiet')
	assert.equal(field('nr_pages'), 0x2000)
	assert.equal(field('shared_info'), 0x2000 * PAGE_SIZE)
	assert.equal(field('flags'), SIF_MOD_START_PFN | SIF_VIRT_P2M_4TOOLS)
	assert.deepEqual([field('store_mfn'), field('store_evtchn')], [domain.storeMfn, 1])
	assert.deepEqual([field('console_domU_mfn'), field('console_domU_evtchn')], [domain.consoleMfn, 2])
	assert.equal(field('pt_base'), domain.image.virtBase + domain.l4Mfn * PAGE_SIZE)
	assert.equal(field('nr_pt_frames'), 5)
	assert.equal(field('mfn_list'), 0x8000000000)
	assert.deepEqual([field('mod_start'), field('mod_len')], [0x400, 2 * PAGE_SIZE])
	assert.deepEqual([field('first_p2m_pfn'), field('nr_p2m_frames')], [0x402, 19])
})

test('buildDomain() puts ramdisk and P2M in the initial mapping of a kernel without those notes', () => {
	const { machine, domain } = build(PLAIN, 16, { ramdisk: RAMDISK })
	checkDomain(machine, domain)
	const field = startInfo(machine, domain)
	assert.deepEqual(domain.layout.ramdisk, { pfn: 5, pages: 2 })
	assert.deepEqual(domain.layout.p2m, { pfn: 7, pages: 8 })
	assert.equal(field('flags'), SIF_VIRT_P2M_4TOOLS)
	assert.deepEqual([field('mod_start'), field('mod_len')], [5 * PAGE_SIZE, RAMDISK.length])
	assert.equal(field('mfn_list'), 7 * PAGE_SIZE)
	assert.deepEqual([field('first_p2m_pfn'), field('nr_p2m_frames')], [0, 0])
})

test('buildDomain() fills the hypercall page that the kernel names', () => {
	const { machine } = build(MODERN, 32)
	const stub = machine.framePage(HYPERCALL_PFN).subarray(32 * 24, 32 * 24 + 14)
	assert.equal(Buffer.from(stub).toString('hex'), '514153b8180000000f05415b59c3')
})

test('buildDomain() cuts the command line off at 1023 bytes', () => {
	const { machine, domain } = build(PLAIN, 16, { commandLine: 'x'.repeat(2000) })
	assert.equal(textAt(machine, domain, start_info.at.cmd_line).length, 1023)
	assert.equal(startInfo(machine, domain)('first_p2m_pfn'), 0)
})

test('buildDomain() says how much memory is missing', () => {
	assert.throws(() => build(MODERN, 2), /its kernel needs 2 MiB|its initial mapping needs 4 MiB/)
	assert.throws(() => build(MODERN, 3), /its initial mapping needs 4 MiB, the domain has 3 MiB/)
	assert.throws(() => build(MODERN, 8, { ramdisk: new Uint8Array(8 << 20) }), /its ramdisk .* needs 12 MiB, the domain has 8 MiB/)
})
