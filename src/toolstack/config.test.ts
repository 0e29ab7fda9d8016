import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkConfig, commandLine, overrideValue } from './config.ts'

const base = { name: 'web', kernel: '/boot/vmlinuz' }

test('checkConfig() fills in the defaults of xmdomain.cfg', () => {
	const { config, warnings } = checkConfig(base)
	assert.deepEqual(config, {
		name: 'web',
		uuid: undefined,
		kernel: '/boot/vmlinuz',
		ramdisk: undefined,
		root: '',
		extra: '',
		memory_mib: 128,
		maxmem_mib: 128,
		vcpus: 1,
		on_poweroff: 'destroy',
		on_reboot: 'restart',
		on_crash: 'restart',
		on_xend_start: 'ignore',
		on_xend_stop: 'ignore',
		translation_cache: true,
	})
	assert.deepEqual(warnings, [])
})

test('checkConfig() takes numbers written as strings', () => {
	assert.equal(checkConfig({ ...base, memory: '256' }).config.memory_mib, 256)
})

test('checkConfig() names the nearest known variable for an unknown one', () => {
	assert.throws(() => checkConfig({ ...base, memroy: 5 }), /unknown variable 'memroy': the nearest known one is 'memory'/)
	assert.throws(() => checkConfig({ ...base, kernal: 'x' }), /nearest known one is 'kernel'/)
})

test('checkConfig() says what a value must be', () => {
	assert.throws(() => checkConfig({ ...base, memory: 'lots' }), /memory = 'lots' is not valid: it must be a whole number/)
	assert.throws(() => checkConfig({ ...base, memory: 100_000 }), /memory = 100000 is not valid: it must be from 4 to 3840 MiB/)
	assert.throws(() => checkConfig({ ...base, memory: 64, maxmem: 32 }), /it must be at least memory \(64 MiB\)/)
	assert.throws(() => checkConfig({ ...base, vcpus: 2 }), /vcpus = 2 is not valid: it must be 1 for now/)
	assert.throws(
		() => checkConfig({ ...base, on_crash: 'explode' }),
		/must be one of destroy, restart, preserve, rename-restart, coredump-destroy/,
	)
	assert.throws(() => checkConfig({ ...base, uuid: '1-2' }), /uuid = '1-2' is not valid/)
	assert.throws(() => checkConfig({ ...base, disk: 'phy:a' }), /it must be a list/)
	assert.throws(() => checkConfig({ name: 'x' }), /no kernel is named/)
	assert.throws(() => checkConfig({ ...base, name: '' }), /Missing VM Name/)
	for (const name of ['7', 'a b', 'a/b', 'x'.repeat(65)]) assert.throws(() => checkConfig({ ...base, name }), /Invalid VM Name/)
})

test('checkConfig() refuses devices that are not supported and accepts that there are none', () => {
	assert.throws(
		() => checkConfig({ ...base, disk: ['phy:vg/root,xvda,w'] }),
		/disk = \['phy:vg\/root,xvda,w'\] cannot be honoured: block devices/,
	)
	assert.throws(() => checkConfig({ ...base, vif: [''] }), /network devices are not supported yet/)
	assert.deepEqual(checkConfig({ ...base, disk: [], vif: [], bootloader: '' }).warnings, [])
})

test('checkConfig() warns about known variables that have no effect', () => {
	const { warnings, config } = checkConfig({ ...base, pae: 1, cpus: '0-3', on_crash: 'coredump-restart' })
	assert.equal(warnings.length, 2)
	assert.match(warnings[0]!, /^pae = 1 has no effect: /)
	assert.equal(config.on_crash, 'coredump-restart')
})

test("checkConfig() knows the variables of xm's first and last years too", () => {
	const first = 'ssidref lapic cdrom hda ne2000 audio macaddr vbd_backend autorestart'.split(' ')
	const last = 'description superpages memory_sharing parallel monitor_path tsc_native'.split(' ')
	const given = Object.fromEntries([...first, ...last].map((name) => [name, '1']))
	assert.equal(checkConfig({ ...base, ...given }).warnings.length, first.length + last.length)
	assert.throws(() => checkConfig({ ...base, vusb: ['usbver=2'] }), /vusb = .* cannot be honoured: there are no physical devices/)
})

test('restart stands for the three exit actions that are not given', () => {
	const actions = (values: object) => {
		const { config, warnings } = checkConfig({ ...base, ...values })
		assert.deepEqual(warnings, [])
		return [config.on_poweroff, config.on_reboot, config.on_crash]
	}
	assert.deepEqual(actions({ restart: 'onreboot' }), ['destroy', 'restart', 'destroy'])
	assert.deepEqual(actions({ restart: 'always', on_crash: 'preserve' }), ['restart', 'restart', 'preserve'])
	assert.deepEqual(actions({ restart: 'never' }), ['destroy', 'destroy', 'destroy'])
	assert.throws(() => actions({ restart: 'sometimes' }), /restart = 'sometimes' is not valid: it must be one of onreboot, always, never/)
})

test('checkConfig() refuses an HVM guest in the words of xend', () => {
	assert.throws(() => checkConfig({ ...base, builder: 'hvm' }), /^ConfigValueError: HVM guest support is unavailable/)
})

test('commandLine() puts root= before extra', () => {
	assert.equal(commandLine({ root: '/dev/xvda1 ro', extra: 'single' }), 'root=/dev/xvda1 ro single')
	assert.equal(commandLine({ root: '', extra: '' }), '')
})

test('overrideValue() makes a list of a word for a list variable', () => {
	assert.deepEqual(overrideValue('disk', 'phy:a,b,w'), ['phy:a,b,w'])
	assert.deepEqual(overrideValue('disk', ''), [])
	assert.equal(overrideValue('memory', '64'), '64')
})

test("checkConfig() takes xl's variables for the same", () => {
	const { config, warnings } = checkConfig({
		name: 'web',
		type: 'pv',
		kernel: '/k',
		cmdline: 'console=hvc0 root=/dev/xvda',
		extra: 'x',
		maxvcpus: 1,
		pool: 'Pool-0',
	})
	assert.equal(commandLine(config), 'console=hvc0 root=/dev/xvda')
	assert.deepEqual(warnings, ["pool = 'Pool-0' has no effect: domains are scheduled by the host"])
	assert.throws(() => checkConfig({ name: 'web', type: 'pvh', kernel: '/k' }), /type = 'pvh' cannot be honoured: only paravirtual guests/)
	assert.throws(() => checkConfig({ name: 'web', kernel: '/k', maxvcpus: 4 }), /maxvcpus = 4 is not valid: it must be 1 for now/)
})
