import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon, until } from '../../tests/support/daemon.ts'
import { runXm } from './main.ts'

async function withConfig(text = "kernel = '/boot/vmlinuz'\nmemory = 64\n"): Promise<TestDaemon> {
	const xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest'), text)
	return xend
}

test('xm without a command prints the short help and exits 1', async () => {
	await using xend = await TestDaemon.start()
	const { status, out } = await xend.xm([])
	assert.equal(status, 1)
	assert.match(
		out,
		/^Usage: xm <subcommand> \[args\]\n\nControl, list, and manipulate Xen guest instances\.\n\nCommon 'xm' commands:\n\n console {13} /,
	)
	assert(out.endsWith("For a complete list of subcommands run 'xm help'.\n"))
})

test('xm help prints every command and exits 0', async () => {
	await using xend = await TestDaemon.start()
	for (const words of [['help'], ['--help'], ['-h']]) {
		const { status, out } = await xend.xm(words)
		assert.equal(status, 0)
		assert.match(out, /\n block-attach {9}\w/)
	}
})

test('a command with --help prints its usage and exits 1', async () => {
	await using xend = await TestDaemon.start()
	const { status, out } = await xend.xm(['dmesg', '--help'])
	assert.equal(status, 1)
	assert.match(out, /^Usage: xm dmesg \[-c\|--clear\]\n\n.*\n {2}-c, --clear {20}\w/)
})

test('an unknown command exits 1', async () => {
	await using xend = await TestDaemon.start()
	for (const words of [['frobnicate'], ['help', 'frobnicate']]) {
		const { status, err } = await xend.xm(words)
		assert.equal(err, 'Error: Subcommand frobnicate not found!\n')
		assert.equal(status, 1)
	}
})

test('too few or too many arguments are counted in the words of xm', async () => {
	await using xend = await TestDaemon.start()
	assert.deepEqual(await xend.xm(['pause']), {
		status: 1,
		err: "Error: 'xm pause' requires 1 argument.\n\n",
		out: "Usage: xm pause <Domain>\n\nStop a domain's processors.\n",
	})
	assert.equal((await xend.xm(['destroy', '-q'])).err, "Error: 'xm destroy' requires 1 argument.\n\n")
	assert.equal((await xend.xm(['console'])).err, "Error: 'xm console' requires between 1 and 2 arguments.\n\n")
	assert.equal((await xend.xm(['shutdown'])).err, 'Error: No domain parameter given\n')
	assert.equal((await xend.xm(['shutdown', '-HR', 'x'])).err, "Error: Can't specify halt and reboot\n")
})

test('a domain that does not exist exits 3', async () => {
	await using xend = await TestDaemon.start()
	for (const command of ['pause', 'destroy', 'console', 'list', 'domid', 'shutdown']) {
		assert.deepEqual(await xend.xm([command, 'nobody']), { status: 3, out: '', err: "Error: Domain 'nobody' does not exist.\n" }, command)
	}
})

test('xm create makes a domain of a file and of words, named after the file', async () => {
	await using xend = await withConfig()
	assert.deepEqual(await xend.xm(['create', 'guest']), {
		status: 0,
		out: 'Using config file "./guest".\nStarted domain guest (id=1)\n',
		err: '',
	})
	const { out } = await xend.xm(['create', '-q', 'guest', 'name=two', 'memory=32', 'extra=console=hvc0 x=y'])
	assert.equal(out, '')
	assert.deepEqual(
		xend.xen.domainsMade.map(({ name, spec }) => [name, spec.memory_kib / 1024, spec.commandLine, spec.kernel]),
		[
			['guest', 64, '', '/boot/vmlinuz'],
			['two', 32, 'console=hvc0 x=y', '/boot/vmlinuz'],
		],
	)
	const again = await xend.xm(['create', 'guest'])
	assert.deepEqual([again.status, again.err], [1, "Error: VM name 'guest' already exists as domain 1\n"])
})

test('xm create -p leaves the domain paused', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-p', 'guest'])
	assert.match((await xend.xm(['list', 'guest'])).out, /--p---/)
	await xend.xm(['unpause', 'guest'])
	assert.match((await xend.xm(['list', '1'])).out, /-b----/)
})

test('xm create -n prints the configuration and creates nothing', async () => {
	await using xend = await withConfig()
	const { out, status } = await xend.xm(['create', '-n', 'guest'])
	assert.equal(status, 0)
	assert.match(out, /\(vm\n {4}\(name guest\)\n {4}\(memory 64\)/)
	assert.equal(xend.xen.domainsMade.length, 0)
})

test('xm create -x and xm new -x print the configuration as XML and make nothing; with -n as both', async () => {
	await using xend = await withConfig()
	const dry = async (...words: string[]) => {
		const { status, out, err } = await xend.xm([...words, 'guest', 'memory=32'])
		assert.deepEqual([status, err], [0, ''])
		return out
	}
	const created = await dry('create', '-qx')
	assert.match(
		created,
		/^<\?xml (.|\n)*<label>guest<\/label>(.|\n)* dynamic_max="33554432"(.|\n)*<other_config key="transient" value="True"\/>\n {2}<\/vm>\n<\/xm>\n$/,
	)
	assert.equal(await dry('new', '-q', '--xmldryrun'), created.replace(/.*transient.*\n/, ''))
	assert.match(await dry('create', '-xn'), /^Using config file "\.\/guest"\.\n\(vm\n(.|\n)*\n\)\n<\?xml /)
	assert.match(
		(await xend.xm(['create', '-x', 'guest', 'on_reboot=preserve'])).err,
		/^Error: on_reboot = 'preserve' cannot be printed as XML/,
	)
	assert.equal(xend.xen.domainsMade.length, 0)
	assert.doesNotMatch((await xend.xm(['list'])).out, /guest/)
})

test('xm create -n prints all that -F reads: nothing of a configuration is lost', async () => {
	const text = `kernel = '/boot/vmlinuz'
memory = 64
on_xend_start = 'start'
on_xend_stop = 'shutdown'
translation_cache = 0
features = 'auto_translated_physmap'
cpus = ['0', '1-2']
cpu_weight = 512
`
	await using xend = await withConfig(text)
	const first = await xend.xm(['create', '-qn', 'guest'])
	assert.match(first.out, /\(on_xend_start start\)\n {4}\(on_xend_stop shutdown\)\n {4}\(translation_cache 0\)/)
	assert.match(first.out, /\(features auto_translated_physmap\)\n {4}\(cpus \(0 1-2\)\)\n {4}\(cpu_weight 512\)/)
	writeFileSync(join(xend.directory, 'dry.sxp'), first.out)
	assert.equal((await xend.xm(['create', '-qn', '-F', 'dry.sxp'])).out, first.out)
})

test('xm create -F takes what -n and xm list --long print, with variables over it', async () => {
	await using xend = await withConfig("kernel = '/boot/vmlinuz'\nmemory = 64\nextra = 'a b'\non_crash = 'preserve'\n")
	const save = async (file: string, ...words: string[]) =>
		writeFileSync(join(xend.directory, file), (await xend.xm(words)).out.replace(/^Using.*\n/, ''))
	await save('dry.sxp', 'create', '-n', 'guest')
	assert.deepEqual((await xend.xm(['create', '-qF', 'dry.sxp'])).err, '')
	await save('long.sxp', 'list', '-l', 'guest')
	assert.deepEqual((await xend.xm(['create', '-q', '--config=long.sxp', 'name=two', 'uuid=', 'memory=32'])).err, '')
	assert.deepEqual(
		xend.xen.domainsMade.map(({ name, spec }) => [name, spec.memory_kib / 1024, spec.commandLine, spec.kernel]),
		[
			['guest', 64, 'a b', '/boot/vmlinuz'],
			['two', 32, 'a b', '/boot/vmlinuz'],
		],
	)
	const fault = async (text: string) => {
		writeFileSync(join(xend.directory, 'bad.sxp'), text)
		return (await xend.xm(['create', '-F', 'bad.sxp'])).err
	}
	assert.equal(await fault('(vm (memry 64))'), "Error: ./bad.sxp:1:12: unknown variable 'memry': the nearest known one is 'memory'\n")
	assert.match(await fault('(vm (device (vbd (uname phy:sda))))'), /^Error: \.\/bad\.sxp:1:13: disk = .* cannot be honoured: block devices/)
	assert.match(await fault('memory 64'), /one configuration was expected/)
	assert.match(await fault(''), /there is no configuration here/)
	assert.match(await fault('(vm (memory (64)))'), /1:13: a value was expected, not a list/)
})

test('xm create knows its other options, and says of each that cannot act why', async () => {
	await using xend = await withConfig()
	assert.match((await xend.xm(['create', '--help_config'])).out, /^access_control {15}must be empty: security labels.*\n(.*\n)*kernel\n/)
	const lines = ['xm create', 'xm new', 'xm start', 'xl create', 'xl restore'].map((line) => line.split(' ') as ['xm' | 'xl', string])
	for (const [program, command] of lines) {
		for (const viewer of ['--vncviewer', '--vncviewer-autopass']) {
			const err = `Error: '${program} ${command} ${viewer}' cannot act: there is no graphical display.\n`
			assert.deepEqual(await xend[program]([command, viewer, 'guest']), { status: 1, out: '', err })
		}
	}
	assert.equal((await xend.xm(['create', '-qs', 'guest'])).status, 0)
})

test('xm create says where in the file a value is wrong', async () => {
	await using xend = await withConfig("kernel = '/k'\nmemory = 'much'\n")
	assert.equal((await xend.xm(['create', 'guest'])).err, "Error: ./guest:2:10: memory = 'much' is not valid: it must be a whole number\n")
	assert.match((await xend.xm(['create', 'absent'])).err, /^Error: Unable to open config file: absent\n$/)
	assert.equal((await xend.xm(['create', 'guest', 'memory=0'])).err, "Error: memory = '0' is not valid: it must be from 4 to 3840 MiB\n")
})

test('xm create warns about variables without effect', async () => {
	await using xend = await withConfig("kernel = '/k'\npae = 1\n")
	assert.match((await xend.xm(['create', 'guest'])).err, /^Warning: pae = 1 has no effect: /)
})

test('xm create -c without a terminal streams the console until poweroff and exits 0', async () => {
	await using xend = await withConfig()
	const { status, out, err } = await xend.xm(['create', '-c', 'guest'], async () => {
		await until('the domain runs', () => xend.xen.domainsMade.length === 1 && !xend.xen.last.paused)
		xend.xen.last.say('Linux version\r\n')
		xend.xen.last.end('poweroff')
	})
	assert.equal(out, 'Using config file "./guest".\nStarted domain guest (id=1)\nLinux version\r\n')
	assert.deepEqual([status, err], [0, ''])
})

test('xm create -c exits 1 with the reason when the guest crashes', async () => {
	await using xend = await withConfig("kernel = '/k'\non_crash = 'destroy'\n")
	const { status, err } = await xend.xm(['create', '-c', 'guest'], async () => {
		await until('the domain runs', () => xend.xen.domainsMade.length === 1 && !xend.xen.last.paused)
		xend.xen.last.end('crash', 'triple fault at ffffffff81000000')
	})
	assert.deepEqual([status, err], [1, "Error: Domain 'guest' has crashed: triple fault at ffffffff81000000\n"])
})

test('xm create -c exits 1 when somebody destroys the domain', async () => {
	await using xend = await withConfig()
	const { status, err } = await xend.xm(['create', '-c', 'guest'], async () => {
		await until('the domain runs', () => xend.xen.domainsMade.length === 1 && !xend.xen.last.paused)
		await xend.client.destroy('guest')
	})
	assert.deepEqual([status, err], [1, "Error: Domain 'guest' was destroyed\n"])
})

test('xm create -c follows a domain through its reboot', async () => {
	await using xend = await withConfig()
	const { status, out } = await xend.xm(['create', '-qc', 'guest'], async () => {
		await until('the domain runs', () => xend.xen.domainsMade.length === 1 && !xend.xen.last.paused)
		xend.xen.last.say('first')
		await xend.client.shutdown('guest', 'reboot')
		xend.xen.last.end('reboot')
		await until('it runs again', () => xend.xen.domainsMade.length === 2 && !xend.xen.last.paused)
		xend.xen.last.say('second')
		xend.xen.last.end('poweroff')
	})
	assert.deepEqual([status, out], [0, 'firstsecond'])
})

test('xm create -c misses nothing of a domain that has restarted and ended before its console is attached', async () => {
	await using xend = await withConfig()
	const attach = xend.client.console.bind(xend.client)
	xend.client.console = async (reference) => {
		if (reference === '2') {
			await until('it runs again', () => xend.xen.domainsMade.length === 2 && !xend.xen.last.paused)
			xend.xen.last.say('second')
			xend.xen.last.end('poweroff')
			await until('it is gone', () => !xend.daemon.lifecycle.busy)
		}
		return attach(reference)
	}
	const { status, out, err } = await xend.xm(['create', '-qc', 'guest'], async () => {
		await until('the domain runs', () => xend.xen.domainsMade.length === 1 && !xend.xen.last.paused)
		xend.xen.last.say('first')
		await xend.client.shutdown('guest', 'reboot')
		xend.xen.last.end('reboot')
	})
	assert.deepEqual([status, out, err], [0, 'firstsecond', ''])
	assert.equal((await xend.xm(['list'])).out.trimEnd().split('\n').length, 2)
	assert.deepEqual(await xend.xm(['console', '2']), { status: 3, out: '', err: "Error: Domain '2' does not exist.\n" })
})

test('xm shutdown -w waits for the end and reports it', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-q', 'guest'])
	const guest = xend.xen.last
	const { status, out } = await xend.xm(['shutdown', '-w', 'guest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		guest.end('poweroff')
	})
	assert.deepEqual([status, out, guest.requests], [0, 'Domain guest terminated\nAll domains terminated\n', ['poweroff']])
})

test('xm shutdown -a asks every domain but domain 0, and reboot -w waits for the restart', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-q', 'guest'])
	await xend.xm(['create', '-q', 'guest', 'name=two'])
	await xend.xm(['shutdown', '-a'])
	assert.deepEqual(
		xend.xen.domainsMade.map((domain) => domain.requests),
		[['poweroff'], ['poweroff']],
	)
	const { out } = await xend.xm(['reboot', '-w', 'two'], async () => {
		await until('the guest is asked', () => xend.xen.last.requests.length === 2)
		xend.xen.last.end('reboot')
	})
	assert.equal(out, 'Domain two rebooted\nAll domains rebooted\n')
})

test('xm list, domid, domname, info and dmesg print what the daemon says', async () => {
	await using xend = await withConfig()
	await xend.xm(['create', '-q', 'guest'])
	const lines = (await xend.xm(['list'])).out.trimEnd().split('\n')
	assert.equal(lines.length, 3)
	assert.equal(lines[2], 'guest                                        1    64     1     -b----      1.5')
	assert.equal((await xend.xm(['domid', 'guest'])).out, '1\n')
	assert.equal((await xend.xm(['domname', '1'])).out, 'guest\n')
	assert.equal((await xend.xm(['domname', '0'])).out, 'Domain-0\n')
	assert.match(
		(await xend.xm(['info'])).out,
		/^host {19}: .*\nrelease .*\n(.*\n)*xen_major {14}: 4\nxen_minor .*\n(.*\n)*xend_config_format {5}: 4\n$/,
	)
	assert.equal((await xend.xm(['dmesg', '-c'])).out, '(XEN) hello\n')
	assert.equal((await xend.xm(['dmesg'])).out, '')
	assert.deepEqual(await xend.xm(['debug-keys', 'qh']), { status: 0, out: '', err: '' })
	assert.equal((await xend.xm(['dmesg', '-c'])).out, '(XEN) keys qh\n')
	assert.match((await xend.xm(['debug-keys', 'q'.repeat(65)])).err, /keys = "q+": it must have at most 64 characters/)
	assert.equal((await xend.xm(['debug-keys'])).status, 1)
	assert.match((await xend.xm(['list', '-l', 'guest'])).out, /^\(domain\n {4}\(domid 1\)\n(.*\n)*\)\n$/)
	assert.equal((await xend.xm(['list', '--state=paused'])).out.split('\n').length, 2)
	assert.match((await xend.xm(['list', '--state=paused', 'guest'])).err, /You may specify either a state or a particular VM, but not both/)
})

test('a daemon’s refusal is followed by the usage', async () => {
	await using xend = await TestDaemon.start()
	const { status, out, err } = await xend.xm(['destroy', '0'])
	assert.deepEqual([status, err], [1, 'Error: Cannot destroy privileged domain 0\n'])
	assert.match(out, /^Usage: xm destroy <Domain>/)
})

test('-q keeps what a start of the daemon shows to itself', async () => {
	await using xend = await TestDaemon.start()
	const asked: unknown[] = []
	const program: typeof runXm = (words, context) => {
		const connect: typeof context.connect = (options) => {
			asked.push(options?.quiet ?? false)
			return context.connect(options)
		}
		return runXm(words, { ...context, connect })
	}
	await xend.run(program, ['destroy', '-q', 'nobody'])
	await xend.run(program, ['destroy', 'nobody'])
	assert.deepEqual(asked, [true, false])
})
