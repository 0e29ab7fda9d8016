import type { Command } from '../command.ts'
import type { OptionSpec } from '../options.ts'
import {
	NO_DISKS,
	NO_DISPLAY,
	NO_LABELS,
	NO_MIGRATION,
	NO_NETWORK,
	NO_PCI,
	NO_SCHEDULER,
	NO_VTPM,
	ONE_VCPU,
	OTHER_SCHEDULER,
} from '../refusals.ts'
import {
	ANY_NUMBER,
	AUTOPASS,
	CPU_LIST,
	CPU_LIST_WORDS,
	expect,
	expectNumber,
	expectSettings,
	FORCE,
	option,
	PCI_ADDRESS,
	PCI_ADDRESS_WORDS,
	type RefusedRow,
	refused,
	refusedRows,
} from '../refused.ts'

const NO_DEVICE = 'it is a device that is not supported yet'
const NO_USB = 'there are no physical USB devices to pass through'
const NO_POOLS = 'all processors are in one pool, Pool-0'
const NO_PSR = "the host's caches are not shared out between domains"
const NO_HVM = 'it is for HVM guests, and only paravirtual guests run here'
const NO_QUOTAS = "XenStore's quotas are the same for all domains, and fixed"

const DOMAIN_OPTION = option('d', 'domain', 'DOMAIN', 'The domain.')
const CPUPOOL_OPTION = option('p', 'cpupool', 'CPUPOOL', 'The pool of processors.')
const DEBUG = option('', 'debug', '', 'Say what is done.')
const SSH = option('s', '', 'COMMAND', 'What reaches the other host, instead of ssh.')
const NO_WAITER = option('e', '', '', 'Leave no process behind to wait for its end.')
const PRESERVE = option('D', '', '', 'Let it have the number there that it has here.')
const SOCKET = option('s', 'socket', 'SOCKET', 'Of which socket: a number or all.')
const DRYRUN = option('n', 'dryrun', '', 'Say what would be done, and do nothing.')

/** A kind of device that a domain's configuration or these commands give it. */
function device(
	name: string,
	what: string,
	attach: { readonly args: string; readonly least: number },
	detach: { readonly args: string; readonly options?: readonly OptionSpec[] } = { args: '<Domain> <DevId>' },
): RefusedRow[] {
	return [
		[`${name}-attach`, attach.args, `Add a ${what} to a domain.`, [attach.least, ANY_NUMBER]],
		[`${name}-list`, '<Domain(s)>', `List a domain's ${what}s.`, [1, ANY_NUMBER]],
		[`${name}-detach`, detach.args, `Remove a ${what} from a domain.`, [2, 2], { options: detach.options ?? [] }],
	]
}

const VIRTUAL_DEVICES: readonly RefusedRow[] = [
	...device('vkb', 'virtual keyboard', { args: '<Domain> <vkb-spec-component(s)>...', least: 2 }),
	...device('vdispl', 'virtual display', {
		args: "<Domain> [backend=<BackDomain>] [be-alloc=<BackAlloc>] [connectors='<Connectors>']",
		least: 1,
	}),
	...device('vsnd', 'virtual sound card', { args: '<Domain> <vsnd-spec-component(s)>...', least: 2 }),
	['channel-list', '<Domain(s)>', "List a domain's channels.", [1, ANY_NUMBER]],
]

const MIGRATION: readonly RefusedRow[] = [
	[
		'migrate',
		'[options] <Domain> <host>',
		'Move a domain to another host.',
		[2, 2],
		{
			options: [
				option('C', '', 'CONFIG', 'The configuration to send, instead of its own.'),
				SSH,
				NO_WAITER,
				DEBUG,
				option('p', '', '', 'Leave it paused there.'),
				PRESERVE,
				option('', 'live', '', 'Let it run on meanwhile.'),
			],
		},
	],
	[
		'migrate-receive',
		'',
		'Receive a domain: for xl itself.',
		[0, 0],
		{ options: [DEBUG, NO_WAITER, option('p', '', '', 'Leave it paused.'), option('r', 'remus', '', 'For Remus.')] },
	],
	[
		'remus',
		'[options] <Domain> [<host>]',
		'Keep a copy of a domain ready on another host.',
		[1, 2],
		{
			options: [
				option('i', '', 'MS', 'Between checkpoints (default 200).'),
				option('b', '', '', 'Send the copy nowhere.'),
				option('u', '', '', 'Without compression.'),
				option('n', '', '', 'Without buffering what it sends to the network.'),
				option('d', '', '', 'Without keeping its disks in step.'),
				option('F', '', '', 'Even where it is unsafe.'),
				option('N', '', 'SCRIPT', 'The script for its network.'),
				SSH,
				NO_WAITER,
			],
			check: ({ options }) => expectNumber('-i', options.get('i'), 1),
		},
	],
]

const SCHEDULER: readonly RefusedRow[] = [
	[
		'vcpu-pin',
		'[option] <Domain> <VCPU|all> <Hard affinity|-|all> <Soft affinity|-|all>',
		'Set which CPUs a virtual processor may use.',
		[3, 4],
		{
			options: [option('f', 'force', '', 'Even where the guest has pinned it.')],
			check({ positional: [, vcpu, ...affinities] }) {
				expect('VCPU', vcpu, /^(all|\d{1,5})$/, 'all or a number')
				for (const cpus of affinities) if (cpus !== '-') expect('CPUs', cpus, CPU_LIST, `-, ${CPU_LIST_WORDS}`)
			},
		},
	],
]

const OTHER_SCHEDULERS: readonly RefusedRow[] = [
	[
		'sched-credit2',
		'[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]] [-s [-r RATELIMIT]] [-p CPUPOOL]',
		"Show or set the credit2 scheduler's parameters.",
		[0, 0],
		{
			options: [
				DOMAIN_OPTION,
				option('w', 'weight', 'WEIGHT', 'Its share.'),
				option('c', 'cap', 'CAP', 'The most, in percent of a processor.'),
				option('s', 'schedparam', '', "The scheduler's own parameters."),
				option('r', 'ratelimit_us', 'US', 'How long a vCPU runs at least.'),
				CPUPOOL_OPTION,
			],
		},
	],
	[
		'sched-rtds',
		'[-d <Domain> [-v[=VCPUID/all]] [-p[=PERIOD]] [-b[=BUDGET]] [-e[=Extratime]]]',
		"Show or set the rtds scheduler's parameters.",
		[0, 0],
		{
			options: [
				DOMAIN_OPTION,
				option('v', 'vcpuid', 'VCPU', 'A number or all.'),
				option('p', 'period', 'US', 'How often it is given its budget.'),
				option('b', 'budget', 'US', 'What it is given.'),
				option('e', 'extratime', '0|1', 'Whether it may have more.'),
				option('c', 'cpupool', 'CPUPOOL', 'The pool of processors.'),
			],
		},
	],
]

const VCPU_SET: RefusedRow = [
	'vcpu-set',
	'[option] <Domain> <vCPUs>',
	'Set how many virtual processors a domain uses.',
	[2, 2],
	{
		options: [option('i', 'ignore-host', '', 'Even more than the host has.')],
		check: ({ positional: [, count] }) => expectNumber('vCPUs', count, 1),
	},
]

function checkPci({ positional: [, address] }: { readonly positional: readonly string[] }): void {
	expect('BDF', address?.split(',')[0]?.split('@')[0], PCI_ADDRESS, PCI_ADDRESS_WORDS)
}

const FORCE_PCI = option('f', 'force', '', 'Without waiting for the guest.')

const PCI: readonly RefusedRow[] = [
	[
		'pci-attach',
		'[options] <Domain> <BDF> [Virtual Slot]',
		'Pass a PCI device to a domain.',
		[2, 3],
		{ options: [FORCE_PCI], check: checkPci },
	],
	['pci-detach', '[options] <Domain> <BDF>', 'Take a PCI device from a domain.', [2, 2], { options: [FORCE_PCI], check: checkPci }],
	['pci-list', '<Domain>', "List a domain's PCI devices.", [1, 1]],
	[
		'pci-assignable-add',
		'[options] <BDF>',
		'Make a PCI device one that can be passed on.',
		[1, 1],
		{ options: [option('q', 'quiet', '', 'Say nothing where it is one already.')] },
	],
	[
		'pci-assignable-remove',
		'[options] <BDF>|NAME',
		'Give a PCI device back to its driver.',
		[1, 1],
		{ options: [option('r', '', '', 'To the driver that it had.')] },
	],
	[
		'pci-assignable-list',
		'[options]',
		'List the PCI devices that can be passed on.',
		[0, 0],
		{ options: [option('n', 'show-names', '', 'With their names.')] },
	],
]

const POOLS: readonly RefusedRow[] = [
	[
		'cpupool-create',
		'[options] [<ConfigFile>] [Variable=value ...]',
		'Make a pool of processors.',
		[0, ANY_NUMBER],
		{ options: [option('f', 'defconfig', 'FILE', 'The configuration file.'), DRYRUN] },
	],
	['cpupool-destroy', '<CPU Pool>', 'Remove a pool of processors.', [1, 1]],
	['cpupool-rename', '<CPU Pool> <new name>', 'Give a pool of processors another name.', [2, 2]],
	['cpupool-cpu-add', '<CPU Pool> <CPU nr>|node:<node nr>', 'Add a processor to a pool.', [2, 2], { check: checkCpu }],
	['cpupool-cpu-remove', '<CPU Pool> <CPU nr>|node:<node nr>', 'Remove a processor from a pool.', [2, 2], { check: checkCpu }],
	['cpupool-migrate', '<Domain> <CPU Pool>', 'Move a domain to another pool.', [2, 2]],
	['cpupool-numa-split', '', 'Make a pool of each node of memory.', [0, 0], { options: [DRYRUN] }],
]

function checkCpu({ positional: [, cpu] }: { readonly positional: readonly string[] }): void {
	expect('CPU', cpu, /^(node:\d{1,5}|\^?\d{1,5}(-\d{1,5})?(,\^?\d{1,5}(-\d{1,5})?)*)$/, 'a list like 0-3,5 or node: and a number')
}

const PSR: readonly RefusedRow[] = [
	[
		'psr-hwinfo',
		'[options]',
		'Show what the processors can share out.',
		[0, 0],
		{
			options: [
				option('m', 'cmt', '', 'What of their use can be watched.'),
				option('a', 'cat', '', 'What of their cache can be shared out.'),
			],
		},
	],
	['psr-cmt-attach', '<Domain>', "Watch a domain's use of the cache.", [1, 1]],
	['psr-cmt-detach', '<Domain>', "Watch a domain's use of the cache no more.", [1, 1]],
	[
		'psr-cmt-show',
		'<PSR-CMT-Type> <Domain>',
		"Show a domain's use of the cache.",
		[1, 2],
		{
			check: ({ positional: [type] }) =>
				expect(
					'The type',
					type,
					/^(cache_occupancy|total_mem_bandwidth|local_mem_bandwidth)$/,
					'cache_occupancy, total_mem_bandwidth or local_mem_bandwidth',
				),
		},
	],
	[
		'psr-cat-set',
		'[options] <Domain> <CBM>',
		"Set a domain's part of the cache.",
		[2, 2],
		{
			options: [
				SOCKET,
				option('l', 'level', 'LEVEL', 'Of which cache: 2 or 3.'),
				option('c', 'code', '', 'For code.'),
				option('d', 'data', '', 'For data.'),
			],
			check: ({ positional: [, mask] }) => expect('CBM', mask, /^(0x)?[0-9a-f]{1,16}$/i, 'a mask in hexadecimal'),
		},
	],
	[
		'psr-cat-show',
		'[options] <Domain>',
		"Show a domain's part of the cache.",
		[0, 1],
		{ options: [option('l', 'level', 'LEVEL', 'Of which cache: 2 or 3.')] },
	],
	['psr-mba-set', '[options] <Domain> <THRTL>', "Set a domain's part of the way to memory.", [2, 2], { options: [SOCKET] }],
	['psr-mba-show', '<Domain>', "Show a domain's part of the way to memory.", [0, 1]],
]

const USB: readonly RefusedRow[] = [
	[
		'usbctrl-attach',
		'<Domain> [type=pv] [version=<version>] [ports=<number>]',
		'Add a USB controller to a domain.',
		[1, 4],
		{ check: ({ positional: [, ...settings] }) => expectSettings(settings, ['type', 'version', 'ports']) },
	],
	['usbctrl-detach', '<Domain> <DevId>', 'Remove a USB controller from a domain.', [2, 2]],
	[
		'usbdev-attach',
		'<Domain> hostbus=<busnum> hostaddr=<devnum> [controller=<DevId> [port=<port>]]',
		'Pass a USB device to a domain.',
		[2, 5],
		{ check: ({ positional: [, ...settings] }) => expectSettings(settings, ['hostbus', 'hostaddr', 'controller', 'port', 'type']) },
	],
	['usbdev-detach', '<Domain> <controller> <port>', 'Take a USB device from a domain.', [3, 3]],
	['usb-list', '<Domain>', "List a domain's USB controllers and devices.", [1, ANY_NUMBER]],
]

const HVM: readonly RefusedRow[] = [
	['cd-insert', '<Domain> <VirtualDevice> <path>', "Insert a CD into a guest's drive.", [3, 3]],
	['cd-eject', '<Domain> <VirtualDevice>', "Take the CD out of a guest's drive.", [2, 2]],
	[
		'button-press',
		'<Domain> <Button>',
		'Press an ACPI button of a domain.',
		[2, 2],
		{ check: ({ positional: [, button] }) => expect('The button', button, /^(power|sleep)$/, 'power or sleep') },
	],
]

const LABELS: readonly RefusedRow[] = [
	['getenforce', '', 'Show whether the security policy is enforced.', [0, 0]],
	[
		'setenforce',
		'<1|0|Enforcing|Permissive>',
		'Set whether the security policy is enforced.',
		[1, 1],
		{ check: ({ positional: [mode] }) => expect('The mode', mode, /^(0|1|enforcing|permissive)$/i, '1, 0, Enforcing or Permissive') },
	],
	['loadpolicy', '<policy file>', 'Load a security policy.', [1, 1]],
]

const QUOTAS: readonly RefusedRow[] = [
	[
		'xenstore-quota-get',
		'[options] [<Domain>]',
		"Show XenStore's quotas.",
		[0, 1],
		{ options: [option('g', 'global', '', 'Those of the store.')] },
	],
	[
		'xenstore-quota-set',
		'[options] [<Domain>] <Quota>=<Value>',
		"Set XenStore's quotas.",
		[1, 2],
		{
			options: [option('g', 'global', '', 'Those of the store.')],
			check: ({ positional }) => expect('The quota', positional.at(-1), /^[a-z-]+=\d+$/, 'like nodes=1000'),
		},
	],
]

const VTPM: readonly RefusedRow[] = [
	['vtpm-attach', '<Domain> [uuid=<uuid>] [backend=<BackDomain>]', 'Add a virtual TPM to a domain.', [1, ANY_NUMBER]],
	['vtpm-list', '<Domain(s)>', "List a domain's virtual TPMs.", [1, ANY_NUMBER]],
	['vtpm-detach', '<Domain> <DevId|uuid>', 'Remove a virtual TPM from a domain.', [2, 2]],
]

const OTHERS: readonly (readonly [why: string, row: RefusedRow])[] = [
	[
		'a running domain keeps the configuration that it was made with',
		[
			'config-update',
			'<Domain> <ConfigFile> [options] [vars]',
			"Replace a running domain's saved configuration.",
			[1, ANY_NUMBER],
			{ options: [option('f', 'defconfig', 'FILE', 'The configuration file.'), option('d', 'debug', '', 'Say what is done.')] },
		],
	],
	['domains share no pages of memory', ['sharing', '[Domain]', 'Show how much memory domains share.', [0, 1]]],
	[
		'the hypervisor has no parameters that change while it runs',
		['set-parameters', '<Params>', "Set the hypervisor's parameters.", [1, 1]],
	],
	[
		'every backend runs in domain 0',
		[
			'devd',
			'[options]',
			'Serve devices from a domain of their own.',
			[0, 0],
			{ options: [option('F', '', '', 'In the foreground.'), option('p', 'pidfile', 'FILE', 'Where to write the number of its process.')] },
		],
	],
	[
		'paravirtual guests here have no device model',
		['qemu-monitor-command', '<Domain> <Command>', "Send a command to a domain's device model.", [2, ANY_NUMBER]],
	],
	['it is for ARM hosts', ['dt-overlay', '<add|remove|attach> <.dtbo> [<Domain>]', 'Change the device tree.', [2, 3]]],
]

/** What xl has and is not served here: each is parsed, and says in one sentence why it can't act. */
export const XL_UNBUILT: readonly Command[] = [
	...refusedRows(NO_MIGRATION, MIGRATION),
	...refusedRows(NO_SCHEDULER, SCHEDULER),
	...refusedRows(OTHER_SCHEDULER, OTHER_SCHEDULERS),
	...refusedRows(ONE_VCPU, [VCPU_SET]),
	...refusedRows(NO_DISPLAY, [['vncviewer', '[options] <Domain>', "View a domain's graphical display.", [1, 1], { options: AUTOPASS }]]),
	...refusedRows(
		NO_DISKS,
		device(
			'block',
			'block device',
			{ args: '<Domain> <disk-spec-component(s)>...', least: 2 },
			{ args: '<Domain> <DevId> [--force]', options: [{ ...FORCE, short: '' }] },
		),
	),
	...refusedRows(
		NO_NETWORK,
		device('network', 'network device', {
			args: '<Domain> [type=<type>] [mac=<mac>] [bridge=<bridge>] [ip=<ip>] [script=<script>] [backend=<BackDomain>] [vifname=<name>] [rate=<rate>] [model=<model>]',
			least: 1,
		}),
	),
	...refusedRows(NO_VTPM, VTPM),
	...refusedRows(NO_DEVICE, VIRTUAL_DEVICES),
	...refusedRows(NO_PCI, PCI),
	...refusedRows(NO_USB, USB),
	...refusedRows(NO_POOLS, POOLS),
	...refusedRows(NO_PSR, PSR),
	...refusedRows(NO_HVM, HVM),
	...refusedRows(NO_LABELS, LABELS),
	...refusedRows(NO_QUOTAS, QUOTAS),
	...OTHERS.flatMap(([why, row]) => refusedRows(why, [row])),
].map((row) => refused('xl', row))
