import type { Command } from '../command.ts'
import { COMMANDS } from '../commands.ts'
import { XL_RESTORE, XL_RESUME, XL_SAVE, XL_SUSPEND } from '../save.ts'
import { XL_CREATE } from './create.ts'
import { XL_CONSOLE, XL_DESTROY, XL_DOMID, XL_DOMNAME } from './domain.ts'
import { XL_CPUPOOL_LIST, XL_INFO, XL_SCHED_CREDIT } from './host.ts'
import { XL_CLAIMS, XL_LIST, XL_VCPU_LIST, XL_VM_LIST } from './list.ts'
import { XL_REBOOT, XL_SHUTDOWN } from './shutdown.ts'
import { XL_UNBUILT } from './unbuilt.ts'

/** Every subcommand of xl, in the order of its help. */
const NAMES: readonly string[] = [
	'create config-update list destroy shutdown reboot pci-attach pci-detach pci-list pci-assignable-add pci-assignable-remove',
	'pci-assignable-list pause unpause console vncviewer save migrate restore migrate-receive suspend resume dump-core cd-insert cd-eject',
	'mem-max mem-set button-press vcpu-list vcpu-pin vcpu-set vm-list info sharing sched-credit sched-credit2 sched-rtds domid domname',
	'rename trigger sysrq debug-keys set-parameters dmesg top network-attach network-list network-detach channel-list block-attach block-list',
	'block-detach vtpm-attach vtpm-list vtpm-detach vkb-attach vkb-list vkb-detach vdispl-attach vdispl-list vdispl-detach vsnd-attach',
	'vsnd-list vsnd-detach uptime claims cpupool-create cpupool-list cpupool-destroy cpupool-rename cpupool-cpu-add cpupool-cpu-remove',
	'cpupool-migrate cpupool-numa-split getenforce setenforce loadpolicy remus devd psr-hwinfo psr-cmt-attach psr-cmt-detach psr-cmt-show',
	'psr-cat-set psr-cat-show psr-mba-set psr-mba-show usbctrl-attach usbctrl-detach usbdev-attach usbdev-detach usb-list',
	'qemu-monitor-command dt-overlay xenstore-quota-get xenstore-quota-set',
].flatMap((line) => line.split(' '))

const OWN: ReadonlyMap<string, Command> = new Map(
	[
		XL_CREATE,
		XL_LIST,
		XL_DESTROY,
		XL_SHUTDOWN,
		XL_REBOOT,
		XL_CONSOLE,
		XL_VCPU_LIST,
		XL_VM_LIST,
		XL_INFO,
		XL_DOMID,
		XL_DOMNAME,
		XL_CLAIMS,
		XL_CPUPOOL_LIST,
		XL_SCHED_CREDIT,
		XL_SAVE,
		XL_RESTORE,
		XL_SUSPEND,
		XL_RESUME,
		...XL_UNBUILT,
	].map((command) => [command.name, command] as const),
)

/** xl's own command of that name, else xm's. */
function commandOf(name: string): Command {
	const command = OWN.get(name) ?? COMMANDS.find((candidate) => candidate.name === name)
	if (command === undefined) throw new Error(`no handler for xl ${name}`)
	return OWN.has(name) ? command : { ...command, usageOnFault: false }
}

export const XL_COMMANDS: readonly Command[] = NAMES.map(commandOf)
