/**
 * Every key that xend-config.sxp had in the lives of xm and xend. A key acts, or it is accepted and changes nothing here: then a value
 * other than the one that holds in any case is answered with a warning that says why.
 */
export type XendConfigKind = 'string' | 'integer' | 'boolean' | 'list'

export interface XendConfigKey {
	readonly kind: XendConfigKind
	/** Absent where the run directory decides. */
	readonly fallback?: string
	/** For one that acts: what it does. */
	readonly help?: string
	/** For one that does not: why. Completes "... has no effect: ". */
	readonly why?: string
	/** Nobody else's to read. */
	readonly secret?: boolean
}

const keys = new Map<string, XendConfigKey>()

function acts(name: string, kind: XendConfigKind, fallback: string | undefined, help: string): void {
	keys.set(name, fallback === undefined ? { kind, help } : { kind, fallback, help })
}

/** `fallback` is what holds here in any case. */
function ignored(why: string, kind: XendConfigKind, fallback: string, names: string): void {
	for (const name of names.split(' ')) keys.set(name, { kind, fallback, why })
}

const NO_HTTP = 'the API is served on a Unix socket alone: who may reach that file may use it'
const NO_RELOCATION = 'a domain cannot be moved to another host yet'
const NO_NETWORK = 'network devices are not supported yet'
const NO_DISPLAY = 'there is no graphical display'

acts('logfile', 'string', undefined, "The daemon's log. Without it, xend.log in the run directory.")
acts('loglevel', 'string', 'DEBUG', 'The lowest level that is written: DEBUG, INFO, WARNING, ERROR or CRITICAL.')
acts('xend-domains-path', 'string', undefined, "Where managed domains' records are kept. Without it, domains in the state directory.")
acts(
	'console-limit',
	'integer',
	'1024',
	'How many KiB of its output a console keeps, 1 to 65536. It holds for domains that are built from then on.',
)
acts('dom0-min-mem', 'integer', '196', 'How many MiB of free memory the host keeps: a domain that would leave it less is refused.')
acts('enable-dump', 'boolean', 'no', 'Write the core of every domain that crashes, whatever its on_crash.')

ignored(NO_HTTP, 'boolean', 'no', 'xend-http-server xend-tcp-xmlrpc-server xend-unix-xmlrpc-server')
ignored('the daemon always serves its Unix socket: xm is its client', 'boolean', 'yes', 'xend-unix-server')
ignored('clients look for the socket in the run directory: set XENOTYPE_RUNDIR', 'string', '', 'xend-unix-path')
ignored(NO_HTTP, 'list', '', 'xen-api-server')
ignored(NO_HTTP, 'integer', '', 'xend-port xend-tcp-xmlrpc-server-port')
ignored(
	NO_HTTP,
	'string',
	'',
	'xend-address xend-tcp-xmlrpc-server-address xend-tcp-xmlrpc-server-ssl-key-file xend-tcp-xmlrpc-server-ssl-cert-file',
)
ignored(NO_RELOCATION, 'boolean', 'no', 'xend-relocation-server xend-relocation-ssl-server xend-relocation-ssl xend-relocation-tls')
ignored(NO_RELOCATION, 'integer', '', 'xend-relocation-port xend-relocation-ssl-port')
ignored(NO_RELOCATION, 'string', '', 'xend-relocation-address xend-relocation-server-ssl-key-file xend-relocation-server-ssl-cert-file')
ignored(NO_RELOCATION, 'list', '', 'xend-relocation-hosts-allow')
ignored(NO_RELOCATION, 'string', '', 'external-migration-tool')
ignored('devices are not made known by the kernel here', 'boolean', 'no', 'xend-udev-event-server')
ignored(NO_NETWORK, 'string', '', 'network-script vif-script')
ignored("the host's own memory is not lent to domains page by page", 'boolean', 'no', 'enable-dom0-ballooning')
ignored("what this host has is its domains' to share", 'integer', '0', 'total_available_memory')
ignored("the host's own scheduler decides which processors xend uses", 'integer', '0', 'dom0-cpus')
ignored(NO_DISPLAY, 'string', '', 'vnc-listen vnc-x509-cert-dir keymap')
ignored(NO_DISPLAY, 'boolean', 'no', 'vnc-tls vnc-x509-verify')
keys.set('vncpasswd', { kind: 'string', fallback: '', why: NO_DISPLAY, secret: true })
ignored('paravirtual guests here have no device model', 'integer', '', 'qemu-dm-logrotate-count')
ignored('security labels are not supported yet', 'string', '', 'resource-label-change-script xsm_module_name xend-security-path')
ignored('no device is waited for', 'integer', '', 'device-create-timeout device-destroy-timeout')
ignored('there are no physical devices to pass through', 'boolean', 'yes', 'pci-passthrough-strict-check')
ignored('there are no physical devices to pass through', 'list', '', 'pscsi-device-mask')
ignored("the state directory is XENOTYPE_STATEDIR's to name", 'string', '', 'xend-state-path xend-storage-path')

export const XEND_CONFIG_KEYS: ReadonlyMap<string, XendConfigKey> = keys
