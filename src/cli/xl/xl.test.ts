import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon, until } from '../../../tests/support/daemon.ts'
import { lookUp } from '../lookup.ts'
import { XL_COMMANDS } from './commands.ts'
import { topologyLines, xlInfo } from './host.ts'
import { XL } from './personality.ts'

const GUEST = `kernel = '/gst/vmlinuz-cloud'
ramdisk = '/gst/xen.cpio.gz'
cmdline = 'console=hvc0 earlyprintk=xen mode=xen'
name = 'pvtest'
uuid = '7cf8024a-e646-11f1-940d-9e4b9dc02f2e'
memory = 256
on_crash = 'preserve'
on_reboot = 'destroy'
`

async function withGuest(): Promise<TestDaemon> {
	const xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'guest.cfg'), GUEST)
	return xend
}

test('xl list has the heading and the columns that xl of Xen 4.17 prints', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	const { out } = await xend.xl(['list'])
	const [heading, dom0, guest, ...rest] = out.split('\n')
	assert.equal(heading, 'Name                                        ID   Mem VCPUs\tState\tTime(s)')
	assert.equal(guest, 'pvtest                                       1   256     1     -b----       1.5')
	assert.match(dom0 ?? '', /^Domain-0 {37}0 [\d ]{5} [\d ]{5} {5}r----- {2}[\d. ]{8}$/)
	assert.deepEqual(rest, [''])
	const verbose = (await xend.xl(['list', '-v', 'pvtest'])).out.split('\n')
	assert.equal(
		verbose[0],
		'Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label',
	)
	assert.equal(
		verbose[1],
		'pvtest                                       1   256     1     -b----       1.5 7cf8024a-e646-11f1-940d-9e4b9dc02f2e        -                -',
	)
	await xend.xl(['pause', 'pvtest'])
	assert.match((await xend.xl(['list', 'pvtest'])).out, / {5}--p--- {2}/)
})

test('xl list shows a crashed domain as shut down with reason 3', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	xend.xen.last.end('crash')
	assert.match((await xend.xl(['list', '-v', 'pvtest'])).out, / {5}---sc- {2}.* {8}3 /)
})

test('xl list -l has the shape of libxl’s JSON, member by member', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	const { out } = await xend.xl(['list', '-l', 'pvtest'])
	// As captured, but for on_soft_reset: a guest that asks for a soft reset is destroyed here, which is libxl's own default.
	assert.equal(
		out,
		`[
    {
        "domid": 1,
        "config": {
            "c_info": {
                "type": "pv",
                "name": "pvtest",
                "domid": 4294967295,
                "uuid": "7cf8024a-e646-11f1-940d-9e4b9dc02f2e",
                "run_hotplug_scripts": "True"
            },
            "b_info": {
                "max_vcpus": 1,
                "avail_vcpus": [
                    0
                ],
                "max_memkb": 262144,
                "target_memkb": 262144,
                "video_memkb": 0,
                "sched_params": {
                    "sched": "credit",
                    "weight": 256,
                    "cap": 0
                },
                "claim_mode": "True",
                "kernel": "/gst/vmlinuz-cloud",
                "cmdline": "console=hvc0 earlyprintk=xen mode=xen",
                "ramdisk": "/gst/xen.cpio.gz",
                "type.pv": {

                },
                "arch_arm": {

                },
                "arch_x86": {
                    "msr_relaxed": "False"
                }
            },
            "on_crash": "preserve"
        }
    }
]

`,
	)
	const all = JSON.parse((await xend.xl(['list', '-l'])).out) as { domid: number; config: object }[]
	assert.deepEqual(
		all.map(({ domid, config }) => [domid, Object.keys(config)]),
		[
			[0, ['c_info', 'b_info']],
			[1, ['c_info', 'b_info', 'on_crash']],
		],
	)
})

test('xl create -n, and xl -N create, print JSON and create nothing', async () => {
	await using xend = await withGuest()
	const { status, out, err } = await xend.xl(['create', '-n', 'guest.cfg'])
	assert.deepEqual([status, err], [0, 'Parsing config from guest.cfg\n'])
	const { domid, config } = JSON.parse(out) as { domid: null; config: { b_info: { kernel: string } } }
	assert.deepEqual([domid, config.b_info.kernel], [null, '/gst/vmlinuz-cloud'])
	assert.equal((await xend.xl(['-N', 'create', 'guest.cfg'])).out, out)
	assert.equal(xend.xen.domainsMade.length, 0)
	assert.deepEqual(await xend.xl(['-N', 'list']), { status: 1, out: '', err: 'command does not implement -N (dryrun) option\n' })
})

test('xl create says what it reads and no more, and takes xl’s options', async () => {
	await using xend = await withGuest()
	assert.deepEqual(await xend.xl(['create', '-e', '-p', 'guest.cfg', 'memory=64']), {
		status: 0,
		out: '',
		err: 'Parsing config from guest.cfg\n',
	})
	assert.match((await xend.xl(['list', 'pvtest'])).out, / 64 {5}1 {5}--p---/)
	assert.equal((await xend.xl(['create', 'absent.cfg'])).status, 2)
})

test('xl vcpu-list, uptime and claims have xl’s columns', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	// The CPU that a vCPU runs on is not known here.
	assert.equal(
		(await xend.xl(['vcpu-list', 'pvtest'])).out,
		'Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)\n' +
			'pvtest                               1     0    -   -b-       1.5  all / all\n',
	)
	assert.match((await xend.xl(['uptime', 'pvtest'])).out, /^Name {32}ID Uptime\npvtest {31}1 {2}0:00:\d\d\n$/)
	assert.equal(
		(await xend.xl(['claims'])).out.split('\n').at(-2),
		'pvtest                                       1   256     1     -b----       1.5     0',
	)
	assert.equal(
		(await xend.xl(['claims'])).out.split('\n')[0],
		'Name                                        ID   Mem VCPUs\tState\tTime(s)  Claimed',
	)
	assert.equal((await xend.xl(['vm-list'])).out.split('\n')[1], `7cf8024a-e646-11f1-940d-9e4b9dc02f2e  1    ${'pvtest'.padEnd(30)}`)
	assert.match(
		(await xend.xl(['cpupool-list'])).out,
		/^Name {15}CPUs {3}Sched {5}Active {3}Domain count\nPool-0 {13}[ \d]{3} {4}credit {7}y {10}2\n$/,
	)
})

test('xl info has xl’s lines in xl’s order', async () => {
	await using xend = await withGuest()
	const { out } = await xend.xl(['info'])
	const names = out
		.trimEnd()
		.split('\n')
		.map((line) => line.slice(0, 23).trimEnd())
	const captured =
		'host release version machine nr_cpus max_cpu_id nr_nodes cores_per_socket threads_per_core cpu_mhz hw_caps virt_caps total_memory free_memory sharing_freed_memory sharing_used_memory outstanding_claims free_cpus xen_major xen_minor xen_extra xen_version xen_caps xen_scheduler xen_pagesize platform_params xen_changeset xen_commandline cc_compiler cc_compile_by cc_compile_domain cc_compile_date build_id xend_config_format'
	assert.deepEqual(names, captured.split(' '))
	assert.match(out, /\nxen_version {12}: 4\.17\.0\n/)
	assert.deepEqual(xlInfo([['nr_cpus', '2']]), [
		['nr_cpus', '2'],
		['max_cpu_id', '1'],
	])
})

// The lines of real Xen 4.17.
test('xl info -n shows processors and nodes of memory behind the memory', async () => {
	const captured = `cpu_topology           :
cpu:    core    socket     node
  0:       0        0        0
  1:       1        0        0
device topology        :
device           node
No device topology data available
numa_info              :
node:    memsize    memfree    distances
   0:      3071       1757      10`
	const cpus = [0, 1].map((cpu) => ({ cpu, core: cpu, socket: 0, node: 0 }))
	const nodes = [{ memory_mib: 3071, freeMemory_mib: 1757, distances: [10] }]
	assert.equal(topologyLines({ cpus, nodes }).join('\n'), captured)
	await using xend = await withGuest()
	assert.match((await xend.xl(['info', '-n'])).out, /\nfree_cpus {14}: 0\ncpu_topology {11}:\n(.*\n)+ {3}0: .* 10\n(.*\n)*xen_major/)
})

test('sched-credit lists weights and caps as real Xen does, and sets none', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	const table = `Name                                ID Weight  Cap
Domain-0                             0    256    0
pvtest                               1    256    0
`
	const pool = 'Cpupool Pool-0: tslice=0ms ratelimit=0us migration-delay=0us\n'
	assert.equal((await xend.xl(['sched-credit'])).out, pool + table)
	assert.equal((await xend.xl(['sched-credit', '-s'])).out, pool)
	assert.equal((await xend.xm(['sched-credit'])).out, table)
	assert.equal((await xend.xm(['sched-credit', '-d', 'pvtest'])).out, table.replace(/Domain-0.*\n/, ''))
	assert.deepEqual(JSON.parse((await xend.xm(['sched-credit', '-d1', '--json'])).out), [{ name: 'pvtest', domid: 1, weight: 256, cap: 0 }])
	const fault = async (program: 'xm' | 'xl', ...words: string[]) => (await xend[program](['sched-credit', ...words])).err.trimEnd()
	assert.equal(await fault('xm', '-w', '512'), 'Error: No domain given.')
	assert.equal(await fault('xl', '-w', '512'), 'Error: Must specify a domain.')
	assert.equal(
		await fault('xm', '-d', 'pvtest', '-w=65536'),
		'Error: Cpu weight out of range, valid values are within range from 1 to 65535',
	)
	assert.equal(
		await fault('xm', '-d', 'pvtest', '-c', '101'),
		'Error: Cpu cap out of range, valid range is from 0 to 100 for specified number of vcpus',
	)
	for (const program of ['xm', 'xl'] as const)
		assert.equal(
			await fault(program, '-d', 'pvtest', '-w', '512'),
			`Error: '${program} sched-credit' cannot act: domains are scheduled by the host.`,
		)
	assert.equal((await xend.xm(['sched-credit', '-d', 'nobody'])).status, 3)
})

test('every listing of xl is to be had as JSON', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	const json = async (...words: string[]) => JSON.parse((await xend.xl([...words, '--json'])).out)
	const uuid = '7cf8024a-e646-11f1-940d-9e4b9dc02f2e'
	assert.deepEqual(await json('vm-list'), [{ uuid, domid: 1, name: 'pvtest' }])
	assert.deepEqual((await json('claims')).at(-1), { name: 'pvtest', domid: 1, claimed_mib: 0 })
	assert.equal((await json('vcpu-list', 'pvtest'))[0].vcpus.length, 1)
	assert.deepEqual((await json('sched-credit')).at(-1), { name: 'pvtest', domid: 1, weight: 256, cap: 0 })
	const [pool] = await json('cpupool-list')
	assert.deepEqual([pool.name, pool.cpus[0], pool.domains], ['Pool-0', 0, 2])
	const info = await json('info', '-n')
	assert.deepEqual([info.xen_scheduler, info.topology.nodes.length > 0], ['credit', true])
	assert.equal((await json('list')).length, 2)
	assert.equal((await json('uptime'))[1].domid, 1)
})

test('xl shutdown -w reports as xl does', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	const guest = xend.xen.last
	const { status, err } = await xend.xl(['shutdown', '-w', 'pvtest'], async () => {
		await until('the guest is asked', () => guest.requests.length === 1)
		guest.end('poweroff')
	})
	assert.deepEqual([status, err], [0, 'Shutting down domain 1\nWaiting for 1 domains\nDomain 1 has been shut down, reason code 0\n'])
	assert.deepEqual(await xend.xl(['shutdown']), { status: 1, out: '', err: 'You must specify -a or a domain id.\n\n' })
	await xend.xl(['create', '-q', 'guest.cfg'])
	assert.equal((await xend.xl(['reboot', '-aF'])).err, 'Rebooting domain 2\n')
	assert.deepEqual(xend.xen.last.requests, ['reboot'])
})

test('xl says of a missing domain what libxl says, and exits 1', async () => {
	await using xend = await withGuest()
	assert.deepEqual(await xend.xl(['pause', 'nobody']), { status: 1, out: '', err: 'nobody is an invalid domain identifier (rc=-6)\n' })
	assert.deepEqual(await xend.xl(['list', '7']), { status: 1, out: '', err: "Error: Domain '7' does not exist.\n" })
	assert.equal((await xend.xl(['domid', 'nobody'])).err, "Can't get domid of domain name 'nobody', maybe this domain does not exist.\n")
	assert.equal((await xend.xl(['domname', '7'])).err, "Can't get domain name of domain id '7', maybe this domain does not exist.\n")
	assert.equal((await xend.xl(['domname', 'x'])).err, 'Invalid domain id.\n\n')
	assert.deepEqual([(await xend.xl(['domid', 'Domain-0'])).out, (await xend.xl(['domname', '0'])).out], ['0\n', 'Domain-0\n'])
})

test('xl destroy spares domain 0', async () => {
	await using xend = await withGuest()
	await xend.xl(['create', '-q', 'guest.cfg'])
	assert.match((await xend.xl(['destroy', '0'])).err, /^Not destroying domain 0; use -f to force\./)
	assert.match((await xend.xl(['destroy', '-f', '0'])).err, /Cannot destroy privileged domain 0/)
	assert.deepEqual(await xend.xl(['destroy', 'pvtest']), { status: 0, out: '', err: '' })
	assert.equal(xend.xen.live.length, 0)
})

test('xl’s own rules of words: any unique beginning, help with status 0, counts of arguments with status 2', async () => {
	await using xend = await withGuest()
	assert.equal(XL.lookUp('unp')?.command.name, 'unpause')
	assert.equal(XL.lookUp('i')?.command.name, 'info', 'one letter is enough')
	assert.equal(XL.lookUp('dom'), undefined)
	assert.deepEqual(await xend.xl(['frobnicate']), { status: 1, out: '', err: 'command not implemented\n' })
	const { status, out, err } = await xend.xl(['pause'])
	assert.deepEqual([status, err], [2, "'xl pause' requires at least 1 argument.\n\n"])
	assert.match(out, /^Usage: xl \[-vtTf\] pause <Domain>\n/)
	assert.equal((await xend.xl(['list', '--help'])).status, 0)
	assert.equal((await xend.xl([])).status, 1)
	assert.match(
		(await xend.xl(['help'])).out,
		/^Usage xl \[-vfNtT\] <subcommand> \[args\]\n\nxl full list of subcommands:\n\n create {14}\w/,
	)
	assert.deepEqual([(await xend.xl(['-vvv', 'domid', 'Domain-0'])).out, (await xend.xl(['-y'])).err], ['0\n', 'unknown global option\n'])
})

test('every command of xl stands in its table once', () => {
	assert.equal(new Set(XL_COMMANDS.map(({ name }) => name)).size, XL_COMMANDS.length)
	assert.equal(lookUp('save', XL_COMMANDS)?.command.name, 'save')
})

test('xl save keeps the number with -D, and both save and restore take a configuration file', async () => {
	await using xend = await withGuest()
	writeFileSync(join(xend.directory, 'other.cfg'), GUEST.replace('pvtest', 'other').replace(/^uuid.*$/m, ''))
	await xend.xl(['create', '-q', 'guest.cfg'])
	assert.deepEqual(await xend.xl(['save', '-D', 'pvtest', 'kept']), { status: 0, out: '', err: '' })
	await xend.xl(['create', '-q', 'other.cfg', 'name=second'])
	// The file is the hypervisor's, which may be on another host.
	assert.equal((await xend.xl(['restore', 'kept'])).err, '')
	assert.equal((await xend.xl(['domid', 'pvtest'])).out, '1\n')
	await xend.xl(['save', '-c', 'pvtest', 'kept', 'other.cfg'])
	assert.match([...xend.xen.files.values()].at(-1) ?? '', /"name": "other"/)
	assert.equal((await xend.xl(['restore', 'other.cfg', 'kept'])).err, '')
	assert.equal((await xend.xl(['domid', 'other'])).out, '3\n')
	assert.match((await xend.xl(['save', 'other', 'absent/file'])).err, /Unable to create file .*absent\/file: no such file or directory/)
})

test('xl create and xl restore refuse to view a display in one sentence, with status 1', async () => {
	await using xend = await withGuest()
	for (const command of ['create', 'restore'])
		for (const [letter, name] of [
			['-V', 'vncviewer'],
			['-A', 'vncviewer-autopass'],
		] as const) {
			const { status, out, err } = await xend.xl([command, letter, 'guest.cfg'])
			assert.deepEqual([status, out, err], [1, '', `Error: 'xl ${command} --${name}' cannot act: there is no graphical display.\n`])
		}
})
