// Unmodified kernels, booted with xm as a person would.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { GUEST_READY } from '../../src/boot/guest_init.ts'
import { guests, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

const LINUX = { 'cloud-6.1': '6.1', 'amd64-6.1': '6.1', 'cloud-6.12': '6.12' } as const
const { assets, skip } = await guests(...Object.keys(LINUX), 'grub')
const xend = new PrivateXend()
after(() => xend[Symbol.asyncDispose]())

for (const [name, version] of Object.entries(LINUX)) {
	test(`Linux ${name} boots to user space, says where it is and powers off`, { skip, timeout: PATIENCE_MS }, async () => {
		const config = xend.config(name, assets[name]!, 'console=hvc0 earlyprintk=xen xenotype.mode=show')
		await xend.client.hypervisorLog(true).catch(() => '')
		const { status, out, err } = await xend.xm('create', '-c', config)
		assert.deepEqual([status, err], [0, ''], out)
		const userSpace = out.slice(out.indexOf(GUEST_READY)).replaceAll('\r', '')
		assert.match(userSpace, new RegExp(`^Linux domU ${version.replace('.', '\\.')}\\..* x86_64 GNU/Linux$`, 'm'))
		assert.match(userSpace, /^processor\t: 0\nvendor_id\t: AuthenticAMD\n/m)
		assert.match(userSpace, /\nxen\n\d+\.\d\d \d+\.\d\d\n/)
		assert.match(userSpace, /reboot: .*System halted/)
		const early = (await xend.xm('dmesg')).out
		assert.match(early, /\(XEN\) \(d\d+\) .*Linux version [\s\S]*Hypervisor detected: Xen PV/)
		assert.doesNotMatch(early + out, /WARNING:|BUG:|Call Trace|cut here|Oops|Kernel panic|segfault|general protection|unimplemented opcode/)
	})
}

test('GRUB reaches its prompt, lists devices and memory, and halts the domain', { skip, timeout: PATIENCE_MS }, async () => {
	const grub = xend.start('create', '-c', xend.config('grub', assets.grub!, ''))
	await grub.shown(/GNU GRUB[\s\S]*grub> /)
	const answer = async (command: string, pattern: RegExp) => {
		const from = grub.out.length
		grub.type(`${command}\r`)
		const match = await grub.shown(pattern, from)
		await grub.shown(/grub> $/, from + match.index)
		return match
	}
	await answer('ls', /\(memdisk\) .*\(proc\)|\(proc\) .*\(memdisk\)/)
	const [, free, start, reserved] = await answer(
		'lsmmap',
		/base_addr = 0x0, length = 0x(\w+), available RAM\s+base_addr = 0x(\w+), length = 0x(\w+), reserved RAM/,
	)
	assert.equal(free, start)
	assert.equal(Number.parseInt(start!, 16) + Number.parseInt(reserved!, 16), 256 << 20, 'all of the memory of the domain')
	grub.type('halt\r')
	const { status, err } = await grub.ended
	assert.deepEqual([status, err], [0, ''])
})
