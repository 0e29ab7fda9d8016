import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfigValues, checkConfig } from './config.ts'
import { configXml } from './xenapi_xml.ts'

function xml(values: ConfigValues, transient = true): string {
	const given = { name: 'guest', kernel: '/boot/vmlinuz', ...values }
	return configXml(checkConfig(given).config, given, { transient })
}

test('configXml() prints a whole configuration', () => {
	const values = {
		name: 'web',
		ramdisk: '/boot/initrd.img',
		root: '/dev/ram0 ro',
		extra: 'console=hvc0',
		memory: 64,
		maxmem: 96,
		on_crash: 'coredump-restart',
	}
	assert.equal(
		xml(values),
		`<?xml version="1.0" encoding="UTF-8"?>
<xm>
  <vm is_a_template="false" auto_power_on="false" s3_integrity="0" vcpus_max="1" vcpus_at_startup="1" pool_name="Pool-0" actions_after_shutdown="destroy" actions_after_reboot="restart" actions_after_crash="coredump_and_restart" PCI_bus="" superpages="0">
    <name>
      <label>web</label>
      <description> </description>
    </name>
    <version>0</version>
    <pv kernel="/boot/vmlinuz" bootloader="" ramdisk="/boot/initrd.img" args="root=/dev/ram0 ro console=hvc0" bootloader_args=""/>
    <memory static_min="0" static_max="100663296" dynamic_min="67108864" dynamic_max="67108864"/>
    <vcpu_param key="weight" value="256"/>
    <vcpu_param key="cap" value="0"/>
    <other_config key="transient" value="True"/>
  </vm>
</xm>`,
	)
})

test('configXml() prints variables that have no effect here, and no transient for a managed domain', () => {
	const text = xml({ cpu_weight: 512, cpu_cap: '50', cpus: ['0', '', '1-2'], pool: 'fast' }, false)
	assert.match(text, / pool_name="fast" /)
	assert.deepEqual(text.match(/(?<=<(vcpu_param|other_config) ).*(?=\/>)/g), [
		'key="weight" value="512"',
		'key="cap" value="50"',
		'key="cpumap0" value="0"',
		'key="cpumap2" value="1-2"',
	])
	assert.match(xml({ cpus: '0-3,^1' }), /<vcpu_param key="cpumap0" value="0-3,\^1"\/>/)
})

test('configXml() escapes what means something in XML', () => {
	assert.match(xml({ extra: 'a="<b>" & \'c\'\td é' }), / args="a=&quot;&lt;b&gt;&quot; &amp; 'c'&#9;d é" /)
})

test('configXml() refuses what XML has no words for', () => {
	assert.throws(
		() => xml({ on_poweroff: 'preserve' }),
		/^ConfigValueError: on_poweroff = 'preserve' cannot be printed as XML: .* destroy and restart/,
	)
	assert.throws(() => xml({ on_reboot: 'rename-restart' }), /on_reboot = 'rename-restart' cannot be printed/)
	assert.throws(() => xml({ extra: 'a\u0001b' }), /extra has the character U\+0001/)
})

/** Of Xen's create.dtd: an element's required attributes in its order, with what they may be, and the order of what is in it. */
const CDATA = /^/
const STRUCTURE: Readonly<Record<string, { readonly attributes: Readonly<Record<string, RegExp>>; readonly content: RegExp }>> = {
	xm: { attributes: {}, content: /^(vm )*$/ },
	vm: {
		attributes: {
			is_a_template: CDATA,
			auto_power_on: CDATA,
			s3_integrity: CDATA,
			vcpus_max: CDATA,
			vcpus_at_startup: CDATA,
			pool_name: CDATA,
			actions_after_shutdown: /^(destroy|restart)$/,
			actions_after_reboot: /^(destroy|restart)$/,
			actions_after_crash: /^(destroy|coredump_and_destroy|restart|coredump_and_restart|preserve|rename_restart)$/,
			PCI_bus: CDATA,
			superpages: CDATA,
		},
		content: /^name version (pv|hvm) memory (vcpu_param )*(other_config )*$/,
	},
	name: { attributes: {}, content: /^label description $/ },
	label: { attributes: {}, content: /^#text $/ },
	description: { attributes: {}, content: /^#text $/ },
	version: { attributes: {}, content: /^#text $/ },
	pv: { attributes: { kernel: CDATA, bootloader: CDATA, ramdisk: CDATA, args: CDATA, bootloader_args: CDATA }, content: /^$/ },
	memory: { attributes: { static_min: CDATA, static_max: CDATA, dynamic_min: CDATA, dynamic_max: CDATA }, content: /^$/ },
	vcpu_param: { attributes: { key: CDATA, value: CDATA }, content: /^$/ },
	other_config: { attributes: { key: CDATA, value: CDATA }, content: /^$/ },
}

/** Throws where the document is not well formed or not of that structure. */
function checkStructure(document: string): void {
	const open = [{ name: '', content: '' }]
	const top = () => open.at(-1) as { name: string; content: string }
	const body = document.replace('<?xml version="1.0" encoding="UTF-8"?>\n', '')
	for (const [, space, text, close, name = '', attributes = '', empty] of body.matchAll(
		/(\n *)|([^<>\n]+)|<(\/?)(\w+)((?: \w+="[^"<>]*")*)(\/?)>|(?<unexpected>.)/g,
	)) {
		if (space !== undefined) continue
		if (text !== undefined) top().content += '#text '
		else if (close !== '/') {
			top().content += `${name} `
			open.push({ name, content: '' })
			const given = [...attributes.matchAll(/ (\w+)="([^"]*)"/g)]
			const expected = Object.entries(STRUCTURE[name]?.attributes ?? {})
			assert.deepEqual(
				given.map(([, key]) => key),
				expected.map(([key]) => key),
				name,
			)
			for (const [index, [, , value]] of given.entries()) assert.match(value as string, expected[index]?.[1] as RegExp)
		}
		if (text === undefined && (close === '/' || empty === '/')) {
			const closed = open.pop()
			assert.equal(closed?.name, name)
			assert.match(closed?.content ?? '', STRUCTURE[name]?.content ?? /never/, name)
		}
	}
	assert.deepEqual(open, [{ name: '', content: 'xm ' }])
}

test('configXml() prints documents of the structure that the Xen-API has', () => {
	const all: ConfigValues[] = [{}]
	for (const on_crash of ['destroy', 'restart', 'preserve', 'rename-restart', 'coredump-destroy', 'coredump-restart'])
		all.push({ on_crash })
	for (const action of ['destroy', 'restart']) all.push({ on_poweroff: action, on_reboot: action })
	all.push({ extra: '<&">\'\n', root: '/dev/nfs', ramdisk: '/a b' }, { cpus: '0', cpu_weight: '1', cpu_cap: 200, pool: 'Pool-1' })
	all.push({ memory: 4, maxmem: 3840, features: 'x' }, { restart: 'always' })
	for (const values of all) for (const transient of [true, false]) checkStructure(xml(values, transient))
	assert.throws(() => checkStructure(xml({}).replace(/<version>.*\n/, '')))
	assert.throws(() => checkStructure(xml({}).replace(' PCI_bus=""', '')))
	assert.throws(() => checkStructure(xml({}).replace('</vm>', '')))
})
