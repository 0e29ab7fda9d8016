import type { Command } from './command.ts'
import type { ParsedArguments } from './options.ts'
import {
	NO_DISKS,
	NO_DISPLAY,
	NO_LABELS,
	NO_MIGRATION,
	NO_NETWORK,
	NO_PCI,
	NO_SCHEDULER,
	NO_SCSI,
	NO_VNET,
	NO_VTPM,
	ONE_VCPU,
	OTHER_SCHEDULER,
} from './refusals.ts'
import {
	AUTOPASS,
	CPU_LIST,
	CPU_LIST_WORDS,
	expect,
	expectNumber,
	expectSettings,
	FORCE,
	LONG,
	option,
	PCI_ADDRESS,
	PCI_ADDRESS_WORDS,
	type RefusedRow,
	refused,
	refusedRows,
} from './refused.ts'

/** Of block-attach and block-configure. */
const BLOCK_ARGS = '<Domain> <BackDev> <FrontDev> <Mode> [BackDomain]'

function checkBlock({ positional: [, , , mode] }: ParsedArguments): void {
	expect('Mode', mode, /^(r|w|w!)$/, 'r, w or w!')
}

const VIF_SETTINGS = ['type', 'mac', 'bridge', 'ip', 'script', 'backend', 'vifname', 'rate', 'model', 'accel']

function checkVif({ positional: [, ...settings] }: ParsedArguments): void {
	expectSettings(settings, VIF_SETTINGS)
	for (const setting of settings) {
		expect('MAC address', /^mac=(.*)$/s.exec(setting)?.[1], /^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i, 'like 00:16:3e:01:02:03')
		expect('type', /^type=(.*)$/s.exec(setting)?.[1], /^(netfront|ioemu)$/, 'netfront or ioemu')
	}
}

function checkSedf({ options }: ParsedArguments): void {
	for (const name of ['period', 'slice', 'latency']) expectNumber(`--${name}`, options.get(name), 0)
	expect('--extra', options.get('extra'), /^[01]$/, '0 or 1')
	expect('--weight', options.get('weight'), /^\d+(\.\d*)?$/, 'a number')
}

/** What a label may be put on. */
const LABELLED = '{dom <ConfigFile>|res <Resource>|mgt <domain>|vif-idx <domain>}'

function checkLabelled(kind: string | undefined): void {
	expect('The kind', kind, /^(dom|res|mgt|vif-\d+)$/, 'dom, res, mgt or vif- and a number')
}

function checkPci({ positional: [, device, slot] }: ParsedArguments): void {
	expect('The PCI device', device, PCI_ADDRESS, PCI_ADDRESS_WORDS)
	expect('The virtual slot', slot, /^(0x)?[0-9a-f]{1,2}$/i, 'a number in hexadecimal')
}

function checkLabels({ positional }: ParsedArguments): void {
	for (const word of positional) expect('type', /^type=(.*)$/s.exec(word)?.[1], /^(dom|res|any)$/, 'dom, res or any')
}

const BLOCK: readonly RefusedRow[] = [
	['block-attach', BLOCK_ARGS, 'Add a block device to a domain.', [4, 5], { check: checkBlock }],
	['block-detach', '<Domain> <DevId> [-f|--force]', 'Remove a block device from a domain.', [2, 2], { options: [FORCE] }],
	['block-list', '<Domain> [--long]', "List a domain's block devices.", [1, 1], { options: [LONG] }],
	['block-configure', BLOCK_ARGS, 'Change a block device.', [4, 5], { check: checkBlock }],
]

const NETWORK: readonly RefusedRow[] = [
	[
		'network-attach',
		'<Domain> [type=<type>] [mac=<mac>] [bridge=<bridge>] [ip=<ip>] [script=<script>] [backend=<BackDomain>] [vifname=<name>] [rate=<rate>] [model=<model>] [accel=<accel>]',
		'Add a network device to a domain.',
		[1, 1 + VIF_SETTINGS.length],
		{ check: checkVif },
	],
	['network-detach', '<Domain> <DevId> [-f|--force]', 'Remove a network device from a domain.', [2, 2], { options: [FORCE] }],
	['network-list', '<Domain> [--long]', "List a domain's network devices.", [1, 1], { options: [LONG] }],
]

const MIGRATION: readonly RefusedRow[] = [
	[
		'migrate',
		'<Domain> <Host>',
		'Move a domain to another host.',
		[2, 2],
		{
			options: [
				option('l', 'live', '', 'Let it run on meanwhile.'),
				option('p', 'port', 'PORT', "The other daemon's port (default 8002)."),
				option('n', 'node', 'NODE', 'The node of memory to use there.'),
				option('s', 'ssl', '', 'Over an encrypted connection.'),
				option('r', 'resource', 'MBIT', 'How many megabits a second to use.'),
			],
			check({ options }) {
				expectNumber('--port', options.get('port'), 1, 65535)
				expectNumber('--node', options.get('node'), 0)
				expectNumber('--resource', options.get('resource'), 0)
			},
		},
	],
]

const SCHEDULER: readonly RefusedRow[] = [
	[
		'vcpu-pin',
		'<Domain> <VCPU|all> <CPUs|all>',
		'Set which CPUs a virtual processor may use.',
		[3, 3],
		{
			check({ positional: [, vcpu, cpus] }) {
				expect('VCPU', vcpu, /^(all|\d{1,5})$/, 'all or a number')
				expect('CPUs', cpus, CPU_LIST, CPU_LIST_WORDS)
			},
		},
	],
]

const SEDF: RefusedRow = [
	'sched-sedf',
	'<Domain> [options]',
	"Show or set the SEDF scheduler's parameters.",
	[1, 1],
	{
		options: [
			option('p', 'period', 'MS', 'How often it is given its slice.'),
			option('s', 'slice', 'MS', 'What it is given.'),
			option('l', 'latency', 'MS', 'How late it may be given it.'),
			option('e', 'extra', '0|1', 'Whether it may have more where nobody else wants it.'),
			option('w', 'weight', 'FLOAT', 'Its share, instead of period and slice.'),
		],
		check: checkSedf,
	},
]

const VCPU_SET: RefusedRow = [
	'vcpu-set',
	'<Domain> <vCPUs>',
	'Set how many virtual processors a domain uses.',
	[2, 2],
	{ check: ({ positional: [, count] }) => expectNumber('vCPUs', count, 1) },
]

const PCI: readonly RefusedRow[] = [
	[
		'pci-attach',
		'[-o|--options=<opt>] <Domain> <domain:bus:slot.func> [virtual slot]',
		'Pass a PCI device to a domain.',
		[2, 3],
		{ options: [option('o', 'options', 'OPTION', 'As name=value: msitranslate, power_mgmt.')], check: checkPci },
	],
	['pci-detach', '<Domain> <domain:bus:slot.func>', 'Take a PCI device from a domain.', [2, 2], { check: checkPci }],
	['pci-list', '<Domain>', "List a domain's PCI devices.", [1, 1]],
	['pci-list-assignable-devices', '', 'List the PCI devices that can be passed on.', [0, 0]],
]

const SCSI: readonly RefusedRow[] = [
	['scsi-attach', '<Domain> <PhysDevice> <VirtDevice> [BackDomain]', 'Pass a SCSI device to a domain.', [3, 4]],
	['scsi-detach', '<Domain> <VirtDevice>', 'Take a SCSI device from a domain.', [2, 2]],
	['scsi-list', '<Domain> [--long]', "List a domain's SCSI devices.", [1, 1], { options: [LONG] }],
]

const VNET: readonly RefusedRow[] = [
	['vnet-list', '[-l|--long]', 'List virtual networks.', [0, 0], { options: [LONG] }],
	['vnet-create', '<ConfigFile>', 'Make a virtual network.', [1, 1]],
	['vnet-delete', '<VnetId>', 'Remove a virtual network.', [1, 1]],
]

const LABELS: readonly RefusedRow[] = [
	['labels', '[policy] [type=dom|res|any]', "List a policy's labels.", [0, 2], { check: checkLabels }],
	[
		'addlabel',
		'<label> {dom <ConfigFile>|res <resource>|mgt <managed domain>|vif-idx <domain>} [<policy>]',
		'Label a domain or resource.',
		[3, 4],
		{ check: ({ positional: [, kind] }) => checkLabelled(kind) },
	],
	['rmlabel', LABELLED, 'Remove a label.', [2, 2], { check: ({ positional: [kind] }) => checkLabelled(kind) }],
	['getlabel', LABELLED, 'Show a label.', [2, 2], { check: ({ positional: [kind] }) => checkLabelled(kind) }],
	['dry-run', '<ConfigFile>', 'Check whether a domain may use its resources.', [1, 1]],
	['resources', '', 'List labelled resources.', [0, 0]],
	['dumppolicy', '', "Print the hypervisor's policy.", [0, 0]],
	[
		'setpolicy',
		'<policytype> <policyfile>',
		"Set the system's policy.",
		[2, 2],
		{ check: ({ positional: [type] }) => expect('The type of policy', type, /^ACM$/i, 'ACM') },
	],
	['resetpolicy', '', "Set the system's policy to its default.", [0, 0]],
	['getpolicy', '[--dumpxml]', "Show the system's policy.", [0, 0], { options: [option('', 'dumpxml', '', 'As it was written, in XML.')] }],
	['makepolicy', '<policy>', 'Compile a policy.', [1, 1]],
	['loadpolicy', '<policy.bin>', 'Load a compiled policy.', [1, 1]],
	['cfgbootpolicy', '<policy> [boot-title]', 'Load a policy when the host starts.', [1, 2]],
]

const VTPM_LIST: RefusedRow = ['vtpm-list', '<Domain> [--long]', "List a domain's virtual TPMs.", [1, 1], { options: [LONG] }]
const VNCVIEWER: RefusedRow = [
	'vncviewer',
	'[--[vncviewer-]autopass] <Domain>',
	"View a domain's graphical display.",
	[1, 1],
	{ options: AUTOPASS },
]

/** xm's other commands: known with all their options and arguments, and each says in one sentence why it can't act. */
export const UNBUILT_COMMANDS: readonly Command[] = [
	...refusedRows(NO_DISPLAY, [VNCVIEWER]),
	...refusedRows(NO_MIGRATION, MIGRATION),
	...refusedRows(NO_SCHEDULER, SCHEDULER),
	...refusedRows(ONE_VCPU, [VCPU_SET]),
	...refusedRows(OTHER_SCHEDULER, [SEDF]),
	...refusedRows(NO_DISKS, BLOCK),
	...refusedRows(NO_NETWORK, NETWORK),
	...refusedRows(NO_VTPM, [VTPM_LIST]),
	...refusedRows(NO_PCI, PCI),
	...refusedRows(NO_SCSI, SCSI),
	...refusedRows(NO_VNET, VNET),
	...refusedRows(NO_LABELS, LABELS),
].map((row) => refused('xm', row))
