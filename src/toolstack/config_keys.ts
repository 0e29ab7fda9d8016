/**
 * Every configuration variable of the book's time, of xl and of ours, and what it does here.
 *
 *  - acts: it has the effect it has in Xen;
 *  - refused: it is accepted only when empty, for its subsystem is not built;
 *  - ignored: it is accepted with a warning that it has no effect, and why.
 */
export type ConfigKind = 'string' | 'integer' | 'number' | 'list' | 'any'

export interface ConfigKey {
	/** Whose configuration files have it: xm's (and mostly xl's too), xl's alone, or ours alone. */
	readonly origin: 'xm' | 'xl' | 'xenotype'
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

function declare(effect: ConfigKey['effect'], why: string, kind: ConfigKind, names: string, origin: ConfigKey['origin'] = 'xm'): void {
	for (const name of names.trim().split(/\s+/)) keys.set(name, { origin, kind, effect, why })
}

function declareXl(effect: ConfigKey['effect'], why: string, kind: ConfigKind, names: string): void {
	declare(effect, why, kind, names, 'xl')
}

declare(
	'acts',
	'',
	'string',
	'name uuid builder kernel ramdisk root extra on_poweroff on_reboot on_crash restart on_xend_start on_xend_stop',
)
declare('acts', '', 'integer', 'memory maxmem vcpus')
declare('acts', '', 'integer', 'translation_cache', 'xenotype')
declareXl('acts', '', 'string', 'type cmdline')
declareXl('acts', '', 'integer', 'maxvcpus')

declare('refused', NO_DISKS, 'list', 'disk')
declare('refused', NO_NETWORK, 'list', 'vif')
declare('refused', NO_DISPLAY, 'list', 'vfb')
declare('refused', 'virtual TPMs are not supported yet', 'list', 'vtpm')
declare('refused', 'there are no physical devices to pass through', 'list', 'pci vscsi vusb usbport ioports irq')
declare('refused', 'boot loaders that read a disk are not supported yet: name the kernel with kernel = ...', 'string', 'bootloader')
declare('refused', 'security labels are not supported yet', 'list', 'access_control')

declare('ignored', NO_SCHEDULER, 'any', 'cpu cpus cpu_cap cpu_weight')
declare('ignored', 'a domain has one virtual processor for now, which is online', 'integer', 'vcpu_avail')
declare('ignored', 'there is no boot loader to pass it to', 'string', 'bootargs bootentry')
declare('ignored', "the kernel's own ELF notes decide", 'string', 'features')
declare('ignored', 'every backend runs in domain 0', 'any', 'blkif netif tpmif nics vkbd vbd_backend vif_backend')
declare('ignored', NO_KERNEL_NETWORK, 'any', 'ip ipaddr macaddr gateway netmask hostname interface dhcp nfs_server nfs_root')
declare(
	'ignored',
	NO_HVM,
	'any',
	'loader shadow_memory pae acpi apic hpet hap timer_mode vpt_align viridian rtc_timeoffset localtime guest_os_type',
)
declare('ignored', NO_HVM, 'any', 'cpuid cpuid_check s3_integrity xen_platform_pci vhpt lapic memmap memory_sharing')
declare(
	'ignored',
	NO_DEVICE_MODEL,
	'any',
	'device_model device_config boot fda fdb hda hdb hdc hdd cdrom serial parallel monitor monitor_path keymap usb usbdevice stdvga videoram isa ne2000 nographic audio soundhw snapshot',
)
declare('ignored', NO_DISPLAY, 'any', 'vnc vncdisplay vnclisten vncunused vncpasswd vncviewer vncconsole sdl opengl display xauthority')
declare('ignored', 'all memory here is addressable in any size', 'any', 'target machine_address_size suppress_spurious_page_faults')
declare('ignored', 'there are no physical devices to pass through', 'any', 'pci_msitranslate pci_power_mgmt')
declare('ignored', 'guests have pages of 4 KiB', 'any', 'superpages')
declare('ignored', 'the time stamp counter is emulated for every domain', 'any', 'tsc_native')
declare('ignored', 'security labels are not supported yet', 'any', 'ssidref')
declare('ignored', 'it is for those who read the file', 'string', 'description')
declare(
	'ignored',
	'newer variables say it: on_poweroff, on_reboot, on_crash, on_xend_start and on_xend_stop',
	'any',
	'autostart autostop autorestart',
)

export const CONFIG_KEYS: ReadonlyMap<string, ConfigKey> = keys

declareXl('refused', 'there are no physical devices to pass through', 'list', 'usbdev iomem irqs dtdev rdm')
declareXl('refused', 'shared file systems and paravirtual sockets are not supported yet', 'list', 'p9 pvcalls channel')
declareXl('refused', 'it is a device that is not supported yet', 'list', 'usbctrl vdispl vsnd vkb virtio')
declareXl('refused', 'a domain has one node of memory', 'list', 'vnuma')
declareXl('ignored', NO_SCHEDULER, 'any', 'pool cpus_soft cap period slice budget extratime latency')
declareXl('ignored', 'the watchdog and soft resets act as crashes and reboots do', 'string', 'on_watchdog on_soft_reset')
declareXl('ignored', 'there is no boot loader to pass it to', 'any', 'bootloader_args bootloader_restrict bootloader_user')
declareXl('ignored', 'security labels are not supported yet', 'any', 'seclabel init_seclabel device_model_stubdomain_seclabel')
declareXl(
	'ignored',
	"the limits are the hypervisor's own",
	'any',
	'max_grant_frames max_maptrack_frames max_grant_version max_event_channels',
)
declareXl('ignored', 'a domain cannot be moved to another host yet', 'any', 'nomigrate')
declareXl('ignored', 'every backend runs in domain 0', 'any', 'driver_domain')
declareXl('ignored', 'there are no physical devices to pass through', 'any', 'passthrough gfx_passthru rdm_mem_boundary e820_host')
declareXl('ignored', 'it belongs to ARM guests', 'any', 'arm_sci device_tree gic_version llc_colors nr_spis sve tee vuart')
declareXl('ignored', 'there are no hardware performance counters', 'any', 'vpmu')
declareXl('ignored', "XenStore's features and quotas are the same for all domains", 'any', 'xenstore_feature_mask xenstore_quota')
declareXl('ignored', 'the time stamp counter is emulated for every domain', 'any', 'tsc_mode')
declareXl(
	'ignored',
	NO_HVM,
	'any',
	'firmware bios hdtype acpi_s3 acpi_s4 acpi_laptop_slate nx altp2m altp2mhvm altp2m_count nestedhvm smbios smbios_firmware acpi_firmware ms_vm_genid mmio_hole vga mca_caps msr_relaxed pvshim pvshim_path pvshim_cmdline pvshim_extra assisted_xapic assisted_x2apic vendor_device hvm_pirq oos vkb_device vif2 vmtrace_buf_kb xen_platform_pci_bar_uc pci_permissive pci_seize bios_path_override firmware_override trap_unmapped_accesses dm_restrict xend_suspend_evtchn_compat',
)
declareXl(
	'ignored',
	NO_DEVICE_MODEL,
	'any',
	'device_model_version device_model_override device_model_stubdomain_override device_model_args device_model_args_pv device_model_args_hvm device_model_user stubdomain_kernel stubdomain_cmdline stubdomain_ramdisk stubdomain_memory spice spicehost spiceport spicetls_port spicepasswd spicedisable_ticketing spiceagent_mouse spicevdagent spice_clipboard_sharing spiceusbredirection spice_image_compression spice_streaming_video  usbversion',
)
