import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { buildDomain } from '../../src/boot/domain_builder.ts'
import { checkDomain } from '../../src/boot/test_domain_check.ts'
import { cachedGuestAsset, type GuestAsset } from '../../src/platform/node/guest_assets.ts'
import { MachineMemory, PAGE_SIZE } from '../../src/x86/machine_memory.ts'

async function build(guest: GuestAsset, megabytes: number) {
	const frames = megabytes * 256
	const machine = new MachineMemory({ ramFrames: frames, hypervisorFrames: 4, vcpus: 1, hypervisorBytes: PAGE_SIZE })
	const kernel = await readFile(guest.kernel)
	const ramdisk = guest.ramdisk === null ? undefined : await readFile(guest.ramdisk)
	const ports = { storePort: 1, consolePort: 2, sharedInfoMfn: frames }
	return { machine, domain: buildDomain({ machine, kernel, ramdisk, commandLine: 'console=hvc0', frames, ...ports }) }
}

const cloud = await cachedGuestAsset('cloud-6.1')
test("buildDomain() puts Debian's cloud kernel where real Xen put it", { skip: cloud === null && 'not in the cache' }, async () => {
	const { machine, domain } = await build(cloud!, 256)
	checkDomain(machine, domain)
	const { layout } = domain
	// As xl create's log has it, Xen 4.17.7, 256 MiB.
	assert.deepEqual(layout.kernel, { pfn: 0x1000, pages: 0x2e00 })
	assert.deepEqual([layout.startInfo, layout.store, layout.console], [0x3e00, 0x3e01, 0x3e02])
	assert.deepEqual(layout.pageTables, { pfn: 0x3e03, pages: 0x23 })
	assert.equal(layout.bootStack, 0x3e26)
	assert.equal(layout.ramdisk?.pfn, 0x4000)
	assert.equal(layout.p2mVa, 0x8000000000)
})

const grub = await cachedGuestAsset('grub')
test('buildDomain() loads GRUB at virtual address 0', { skip: grub === null && 'not in the cache' }, async () => {
	const { machine, domain } = await build(grub!, 64)
	checkDomain(machine, domain)
	assert.equal(domain.entry, 0)
	assert.equal(domain.layout.p2mVa, domain.layout.p2m.pfn * PAGE_SIZE)
})

for (const name of ['amd64-6.1', 'cloud-6.12']) {
	const guest = await cachedGuestAsset(name)
	test(`buildDomain() loads ${name}`, { skip: guest === null && 'not in the cache' }, async () => {
		const { machine, domain } = await build(guest!, 256)
		checkDomain(machine, domain)
		assert.equal(domain.layout.kernel.pfn, 0x1000)
	})
}
