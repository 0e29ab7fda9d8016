import { UserError } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { NO_LABELS, NO_PCI, NO_SAVE, NO_SCHEDULER, ONE_VCPU } from '../refusals.ts'

const NO_DEVICE = 'it is a device that is not supported yet'
const NO_USB = 'there are no physical USB devices to pass through'
const NO_POOLS = 'all processors are in one pool, Pool-0'
const NO_PSR = "the host's caches are not shared out between domains"
const NO_HVM = 'it is for HVM guests, and only paravirtual guests run here'

/** What xl has beside xm, and is not served here: each says in one sentence why. Those that xm refuses too take xm's reason. */
const ROWS: readonly (readonly [name: string, args: string, help: string, why: string])[] = [
	[
		'config-update',
		'<Domain> <ConfigFile> [options] [vars]',
		"Replace a running domain's saved configuration.",
		'a running domain keeps the configuration that it was made with',
	],
	['pci-assignable-add', '[options] <BDF>', 'Make a PCI device one that can be passed on.', NO_PCI],
	['pci-assignable-remove', '[options] <BDF>|NAME', 'Give a PCI device back to its driver.', NO_PCI],
	['pci-assignable-list', '[options]', 'List the PCI devices that can be passed on.', NO_PCI],
	['migrate-receive', '', 'Receive a domain: for xl itself.', NO_SAVE],
	['suspend', '<Domain>', 'Suspend a domain, which keeps its memory.', 'a domain cannot be suspended to memory yet'],
	['resume', '<Domain>', 'Let a suspended domain go on.', 'a domain cannot be suspended to memory yet'],
	['cd-insert', '<Domain> <VirtualDevice> <path>', "Insert a CD into a guest's drive.", NO_HVM],
	['cd-eject', '<Domain> <VirtualDevice>', "Take the CD out of a guest's drive.", NO_HVM],
	['button-press', '<Domain> <Button>', 'Press an ACPI button of a domain.', NO_HVM],
	['sharing', '[Domain]', 'Show how much memory domains share.', 'domains share no pages of memory'],
	['sched-credit2', '[-d <Domain> [-w[=WEIGHT]]] [-p CPUPOOL]', "Show or set the credit2 scheduler's parameters.", NO_SCHEDULER],
	[
		'sched-rtds',
		'[-d <Domain> [-v[=VCPUID/all]] [-p[=PERIOD]] [-b[=BUDGET]] [-e[=Extratime]]]',
		"Show or set the rtds scheduler's parameters.",
		NO_SCHEDULER,
	],
	['set-parameters', '<Params>', "Set the hypervisor's parameters.", 'the hypervisor has no parameters that change while it runs'],
	['channel-list', '<Domain(s)>', "List a domain's channels.", NO_DEVICE],
	['vtpm-attach', '<Domain> [uuid=<uuid>] [backend=<BackDomain>]', 'Add a virtual TPM to a domain.', NO_DEVICE],
	['vtpm-detach', '<Domain> <DevId|uuid>', 'Remove a virtual TPM from a domain.', NO_DEVICE],
	['vkb-attach', '<Domain> <vkb-spec-component(s)>...', 'Add a virtual keyboard to a domain.', NO_DEVICE],
	['vkb-list', '<Domain(s)>', "List a domain's virtual keyboards.", NO_DEVICE],
	['vkb-detach', '<Domain> <DevId>', 'Remove a virtual keyboard from a domain.', NO_DEVICE],
	[
		'vdispl-attach',
		"<Domain> [backend=<BackDomain>] [be-alloc=<BackAlloc>] [connectors='<Connectors>']",
		'Add a virtual display to a domain.',
		NO_DEVICE,
	],
	['vdispl-list', '<Domain(s)>', "List a domain's virtual displays.", NO_DEVICE],
	['vdispl-detach', '<Domain> <DevId>', 'Remove a virtual display from a domain.', NO_DEVICE],
	['vsnd-attach', '<Domain> <vsnd-spec-component(s)>...', 'Add a virtual sound card to a domain.', NO_DEVICE],
	['vsnd-list', '<Domain(s)>', "List a domain's virtual sound cards.", NO_DEVICE],
	['vsnd-detach', '<Domain> <DevId>', 'Remove a virtual sound card from a domain.', NO_DEVICE],
	['cpupool-create', '[options] [<ConfigFile>] [Variable=value ...]', 'Make a pool of processors.', NO_POOLS],
	['cpupool-destroy', '<CPU Pool>', 'Remove a pool of processors.', NO_POOLS],
	['cpupool-rename', '<CPU Pool> <new name>', 'Give a pool of processors another name.', NO_POOLS],
	['cpupool-cpu-add', '<CPU Pool> <CPU nr>|node:<node nr>', 'Add a processor to a pool.', NO_POOLS],
	['cpupool-cpu-remove', '<CPU Pool> <CPU nr>|node:<node nr>', 'Remove a processor from a pool.', NO_POOLS],
	['cpupool-migrate', '<Domain> <CPU Pool>', 'Move a domain to another pool.', NO_POOLS],
	['cpupool-numa-split', '', 'Make a pool of each node of memory.', NO_POOLS],
	['getenforce', '', 'Show whether the security policy is enforced.', NO_LABELS],
	['setenforce', '<1|0|Enforcing|Permissive>', 'Set whether the security policy is enforced.', NO_LABELS],
	['loadpolicy', '<policy file>', 'Load a security policy.', NO_LABELS],
	['remus', '[options] <Domain> [<host>]', 'Keep a copy of a domain ready on another host.', NO_SAVE],
	['devd', '[options]', 'Serve devices from a domain of their own.', 'every backend runs in domain 0'],
	['psr-hwinfo', '[options]', 'Show what the processors can share out.', NO_PSR],
	['psr-cmt-attach', '<Domain>', "Watch a domain's use of the cache.", NO_PSR],
	['psr-cmt-detach', '<Domain>', "Watch a domain's use of the cache no more.", NO_PSR],
	['psr-cmt-show', '<PSR-CMT-Type> <Domain>', "Show a domain's use of the cache.", NO_PSR],
	['psr-cat-set', '[options] <Domain> <CBM>', "Set a domain's part of the cache.", NO_PSR],
	['psr-cat-show', '[options] <Domain>', "Show a domain's part of the cache.", NO_PSR],
	['psr-mba-set', '[options] <Domain> <THRTL>', "Set a domain's part of the way to memory.", NO_PSR],
	['psr-mba-show', '<Domain>', "Show a domain's part of the way to memory.", NO_PSR],
	['usbctrl-attach', '<Domain> [type=pv] [version=<version>] [ports=<number>]', 'Add a USB controller to a domain.', NO_USB],
	['usbctrl-detach', '<Domain> <DevId>', 'Remove a USB controller from a domain.', NO_USB],
	[
		'usbdev-attach',
		'<Domain> hostbus=<busnum> hostaddr=<devnum> [controller=<DevId> [port=<port>]]',
		'Pass a USB device to a domain.',
		NO_USB,
	],
	['usbdev-detach', '<Domain> <controller> <port>', 'Take a USB device from a domain.', NO_USB],
	['usb-list', '<Domain>', "List a domain's USB controllers and devices.", NO_USB],
	[
		'qemu-monitor-command',
		'<Domain> <Command>',
		"Send a command to a domain's device model.",
		'paravirtual guests here have no device model',
	],
	['dt-overlay', '<add|remove|attach> <.dtbo> [<Domain>]', 'Change the device tree.', 'it is for ARM hosts'],
	['xenstore-quota-get', '[options] [<Domain>]', "Show XenStore's quotas.", "XenStore's quotas are the same for all domains, and fixed"],
	[
		'xenstore-quota-set',
		'[options] [<Domain>] <Quota>=<Value>',
		"Set XenStore's quotas.",
		"XenStore's quotas are the same for all domains, and fixed",
	],
	[
		'vcpu-pin',
		'[option] <Domain> <VCPU|all> <Hard affinity|-|all> <Soft affinity|-|all>',
		'Set which CPUs a virtual processor may use.',
		NO_SCHEDULER,
	],
	['vcpu-set', '[option] <Domain> <vCPUs>', 'Set how many virtual processors a domain uses.', ONE_VCPU],
]

export const XL_UNBUILT: readonly Command[] = ROWS.map(([name, args, help, why]) => refusing({ name, args, help }, why))

/** A command that xl knows and does not carry out. */
export function refusing({ name, args, help }: Pick<Command, 'name' | 'args' | 'help'>, why: string): Command {
	return {
		name,
		args,
		help,
		options: [],
		usageOnFault: false,
		raw: true,
		refusal: why,
		run: () => Promise.reject(new UserError(`'xl ${name}' cannot act: ${why}.`, { code: 'unbuilt' })),
	}
}
