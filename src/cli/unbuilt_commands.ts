import { UserError } from '../base/errors.ts'
import type { Command } from './command.ts'
import { NO_LABELS, NO_PCI, NO_SAVE, NO_SCHEDULER, ONE_VCPU } from './refusals.ts'

const NO_DISKS = 'block devices are not supported yet'
const NO_NETWORK = 'network devices are not supported yet'
const NO_VNET = 'virtual networks across hosts are not supported'
const NO_SCSI = 'SCSI pass-through is not supported'

/** xm's other commands: known by name, and each says in one sentence why it can't act. */
const ROWS: readonly (readonly [name: string, args: string, help: string, why: string])[] = [
	['vncviewer', '[--[vncviewer-]autopass] <Domain>', "View a domain's graphical display.", 'there is no graphical display'],
	['migrate', '<Domain> <Host>', 'Move a domain to another host.', NO_SAVE],
	['restore', '<CheckpointFile> [-p]', 'Bring back a saved domain.', NO_SAVE],
	['save', '[-c] <Domain> <CheckpointFile>', 'Save a domain to a file.', NO_SAVE],
	['vcpu-pin', '<Domain> <VCPU|all> <CPUs|all>', 'Set which CPUs a virtual processor may use.', NO_SCHEDULER],
	['vcpu-set', '<Domain> <vCPUs>', 'Set how many virtual processors a domain uses.', ONE_VCPU],
	['sched-credit', '[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]]', "Show or set the credit scheduler's parameters.", NO_SCHEDULER],
	['sched-sedf', '<Domain> [options]', "Show or set the SEDF scheduler's parameters.", NO_SCHEDULER],
	['block-attach', '<Domain> <BackDev> <FrontDev> <Mode> [BackDomain]', 'Add a block device to a domain.', NO_DISKS],
	['block-detach', '<Domain> <DevId> [-f|--force]', 'Remove a block device from a domain.', NO_DISKS],
	['block-list', '<Domain> [--long]', "List a domain's block devices.", NO_DISKS],
	['block-configure', '<Domain> <BackDev> <FrontDev> <Mode> [BackDomain]', 'Change a block device.', NO_DISKS],
	[
		'network-attach',
		'<Domain> [type=<type>] [mac=<mac>] [bridge=<bridge>] [ip=<ip>] [script=<script>] [backend=<BackDomain>] [vifname=<name>] [rate=<rate>] [model=<model>] [accel=<accel>]',
		'Add a network device to a domain.',
		NO_NETWORK,
	],
	['network-detach', '<Domain> <DevId> [-f|--force]', 'Remove a network device from a domain.', NO_NETWORK],
	['network-list', '<Domain> [--long]', "List a domain's network devices.", NO_NETWORK],
	['vtpm-list', '<Domain> [--long]', "List a domain's virtual TPMs.", 'virtual TPMs are not supported yet'],
	['pci-attach', '[-o|--options=<opt>] <Domain> <domain:bus:slot.func> [virtual slot]', 'Pass a PCI device to a domain.', NO_PCI],
	['pci-detach', '<Domain> <domain:bus:slot.func>', 'Take a PCI device from a domain.', NO_PCI],
	['pci-list', '<Domain>', "List a domain's PCI devices.", NO_PCI],
	['pci-list-assignable-devices', '', 'List the PCI devices that can be passed on.', NO_PCI],
	['scsi-attach', '<Domain> <PhysDevice> <VirtDevice> [BackDomain]', 'Pass a SCSI device to a domain.', NO_SCSI],
	['scsi-detach', '<Domain> <VirtDevice>', 'Take a SCSI device from a domain.', NO_SCSI],
	['scsi-list', '<Domain> [--long]', "List a domain's SCSI devices.", NO_SCSI],
	['vnet-list', '[-l|--long]', 'List virtual networks.', NO_VNET],
	['vnet-create', '<ConfigFile>', 'Make a virtual network.', NO_VNET],
	['vnet-delete', '<VnetId>', 'Remove a virtual network.', NO_VNET],
	['labels', '[policy] [type=dom|res|any]', "List a policy's labels.", NO_LABELS],
	[
		'addlabel',
		'<label> {dom <ConfigFile>|res <resource>|mgt <managed domain>|vif-idx <domain>} [<policy>]',
		'Label a domain or resource.',
		NO_LABELS,
	],
	['rmlabel', '{dom <ConfigFile>|res <Resource>|mgt <domain>|vif-idx <domain>}', 'Remove a label.', NO_LABELS],
	['getlabel', '{dom <ConfigFile>|res <Resource>|mgt <domain>|vif-idx <domain>}', 'Show a label.', NO_LABELS],
	['dry-run', '<ConfigFile>', 'Check whether a domain may use its resources.', NO_LABELS],
	['resources', '', 'List labelled resources.', NO_LABELS],
	['dumppolicy', '', "Print the hypervisor's policy.", NO_LABELS],
	['setpolicy', '<policytype> <policyfile> [options]', "Set the system's policy.", NO_LABELS],
	['resetpolicy', '', "Set the system's policy to its default.", NO_LABELS],
	['getpolicy', '[options]', "Show the system's policy.", NO_LABELS],
	['makepolicy', '<policy>', 'Compile a policy.', NO_LABELS],
	['loadpolicy', '<policy.bin>', 'Load a compiled policy.', NO_LABELS],
	['cfgbootpolicy', '<policy> [boot-title]', 'Load a policy when the host starts.', NO_LABELS],
]

export const UNBUILT_COMMANDS: readonly Command[] = ROWS.map(([name, args, help, why]) => ({
	name,
	args,
	help,
	options: [],
	usageOnFault: false,
	raw: true,
	refusal: why,
	run: () => Promise.reject(new UserError(`'xm ${name}' cannot act: ${why}.`, { code: 'unbuilt' })),
}))
