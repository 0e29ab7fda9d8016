/**
 * Every configuration variable of the book's time, and what it does here.
 *
 *  - acts: it has the effect it has in Xen;
 *  - refused: it is accepted only when empty, for its subsystem is not built;
 *  - ignored: it is accepted with a warning that it has no effect, and why.
 */
export type ConfigKind = 'string' | 'integer' | 'number' | 'list' | 'any'

export interface ConfigKey {
	readonly kind: ConfigKind
	readonly effect: 'acts' | 'refused' | 'ignored'
	/** Why it is refused or ignored: completes "because ...". */
	readonly why: string
}

const NO_HVM = 'it belongs to HVM guests, and only paravirtual guests run here'
const NO_DEVICE_MODEL = 'it configures the device model, and paravirtual guests here have none'
const NO_DISPLAY = 'there is no graphical display'
const NO_DISKS = 'block devices are not supported yet: boot from an initial RAM disk (ramdisk = ...)'
const NO_NETWORK = 'network devices are not supported yet'
const NO_SCHEDULER = 'domains are scheduled by the host'
const NO_KERNEL_NETWORK = 'network devices are not supported yet'

const keys = new Map<string, ConfigKey>()

function declare(effect: ConfigKey['effect'], why: string, kind: ConfigKind, names: string): void {
	for (const name of names.split(' ')) keys.set(name, { kind, effect, why })
}

declare('acts', '', 'string', 'name uuid builder kernel ramdisk root extra on_poweroff on_reboot on_crash')
declare('acts', '', 'integer', 'memory maxmem vcpus')

declare('refused', NO_DISKS, 'list', 'disk')
declare('refused', NO_NETWORK, 'list', 'vif')
declare('refused', NO_DISPLAY, 'list', 'vfb')
declare('refused', 'virtual TPMs are not supported yet', 'list', 'vtpm')
declare('refused', 'there are no physical devices to pass through', 'list', 'pci vscsi ioports irq')
declare('refused', 'boot loaders that read a disk are not supported yet: name the kernel with kernel = ...', 'string', 'bootloader')
declare('refused', 'security labels are not supported yet', 'list', 'access_control')

declare('ignored', NO_SCHEDULER, 'any', 'cpu cpus cpu_cap cpu_weight')
declare('ignored', 'a domain has one virtual processor for now, which is online', 'integer', 'vcpu_avail')
declare('ignored', 'there is no boot loader to pass it to', 'string', 'bootargs bootentry')
declare('ignored', "the kernel's own ELF notes decide", 'string', 'features')
declare('ignored', 'on_poweroff, on_reboot and on_crash replace it', 'string', 'restart')
declare('ignored', 'domains are not started or stopped with the daemon yet', 'string', 'on_xend_start on_xend_stop')
declare('ignored', 'every backend runs in domain 0', 'any', 'blkif netif tpmif nics')
declare('ignored', NO_KERNEL_NETWORK, 'any', 'ip gateway netmask hostname interface dhcp nfs_server nfs_root')
declare(
	'ignored',
	NO_HVM,
	'any',
	'loader shadow_memory pae acpi apic hpet hap timer_mode vpt_align viridian rtc_timeoffset localtime guest_os_type',
)
declare('ignored', NO_HVM, 'any', 'cpuid cpuid_check s3_integrity xen_platform_pci vhpt')
declare(
	'ignored',
	NO_DEVICE_MODEL,
	'any',
	'device_model boot fda fdb serial monitor keymap usb usbdevice stdvga videoram isa nographic soundhw snapshot',
)
declare('ignored', NO_DISPLAY, 'any', 'vnc vncdisplay vnclisten vncunused vncpasswd vncviewer vncconsole sdl opengl display xauthority')
declare('ignored', 'all memory here is addressable in any size', 'any', 'target machine_address_size suppress_spurious_page_faults')
declare('ignored', 'there are no physical devices to pass through', 'any', 'pci_msitranslate pci_power_mgmt')

export const CONFIG_KEYS: ReadonlyMap<string, ConfigKey> = keys

/** The known name nearest to `name` by edit distance. */
export function nearestKey(name: string, known: Iterable<string> = keys.keys()): string {
	let best = ''
	let bestDistance = Number.POSITIVE_INFINITY
	for (const candidate of known) {
		const distance = editDistance(name, candidate)
		if (distance < bestDistance) {
			best = candidate
			bestDistance = distance
		}
	}
	return best
}

function editDistance(a: string, b: string): number {
	let row = Array.from({ length: b.length + 1 }, (_, i) => i)
	for (let i = 1; i <= a.length; i++) {
		const next = [i]
		for (let j = 1; j <= b.length; j++) {
			const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
			next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
		}
		row = next
	}
	return row[b.length]!
}
