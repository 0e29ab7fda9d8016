/** The commands that `xm` alone lists, in its order. */
export const COMMON_COMMANDS: readonly string[] =
	'console vncviewer create new delete destroy dump-core help list mem-set migrate pause reboot reset restore resume save shell shutdown start suspend top unpause uptime vcpu-set'.split(
		' ',
	)

/** Every command, in the order of the full help: domains, host, scheduler, devices, networks, security. */
export const ALL_COMMANDS: readonly string[] = [
	'console vncviewer create new delete destroy domid domname dump-core help list mem-max mem-set migrate pause reboot rename reset',
	'restore resume save shutdown start suspend sysrq trigger top unpause uptime vcpu-list vcpu-pin vcpu-set',
	'debug-keys dmesg info log serve sched-credit sched-sedf',
	'block-attach block-detach block-list block-configure network-attach network-detach network-list vtpm-list',
	'pci-attach pci-detach pci-list pci-list-assignable-devices scsi-attach scsi-detach scsi-list vnet-list vnet-create vnet-delete',
	'labels addlabel rmlabel getlabel dry-run resources dumppolicy setpolicy resetpolicy getpolicy makepolicy loadpolicy cfgbootpolicy',
	'shell',
].flatMap((line) => line.split(' '))

/** Old names: each still works and says which name to use. */
export const DEPRECATED_NAMES: ReadonlyMap<string, string> = new Map([
	['balloon', 'mem-set'],
	['set-vcpus', 'vcpu-set'],
	['vif-list', 'network-list'],
	['vbd-create', 'block-attach'],
	['vbd-destroy', 'block-detach'],
	['vbd-list', 'block-list'],
])
