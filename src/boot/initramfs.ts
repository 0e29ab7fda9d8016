import { type CpioEntry, writeCpio } from './cpio.ts'
import { INIT_SCRIPT, INITTAB, POWEROFF_SCRIPT, PROFILE, REBOOT_SCRIPT } from './guest_init.ts'

export interface InitramfsContents {
	/** A statically linked busybox for x86-64 with the applets of a small system (Debian's busybox-static has them). */
	readonly busybox: Uint8Array
	/** Uncompressed kernel modules, each after those it depends on. */
	readonly modules: readonly { readonly name: string; readonly data: Uint8Array }[]
	/** More of the guest's files: an absolute path, executable when asked. */
	readonly files?: readonly { readonly path: string; readonly data: Uint8Array; readonly executable?: boolean }[]
}

const DIRECTORIES = 'bin dev etc lib lib/modules mnt proc root run sbin sys tmp usr usr/bin usr/sbin var'.split(' ')
/** The applets that the init script needs before it has busybox install the rest. */
const EARLY_APPLETS = ['bin/sh', 'bin/cttyhack', 'sbin/init']

const utf8 = new TextEncoder()

/** An uncompressed initramfs (the guest's processor is slower at inflating it than ours at copying it). */
export function buildInitramfs(contents: InitramfsContents): Uint8Array<ArrayBuffer> {
	const entries: CpioEntry[] = DIRECTORIES.map((path) => ({ type: 'directory', path }))
	const script = (path: string, text: string) => entries.push({ type: 'file', path, data: utf8.encode(text), mode: 0o755 })
	const text = (path: string, content: string) => entries.push({ type: 'file', path, data: utf8.encode(content) })
	entries.push({ type: 'character', path: 'dev/console', major: 5, minor: 1 })
	entries.push({ type: 'character', path: 'dev/null', major: 1, minor: 3, mode: 0o666 })
	entries.push({ type: 'file', path: 'bin/busybox', data: contents.busybox, mode: 0o755 })
	for (const path of EARLY_APPLETS) entries.push({ type: 'symlink', path, target: '/bin/busybox' })
	script('init', INIT_SCRIPT)
	script('sbin/poweroff', POWEROFF_SCRIPT)
	script('sbin/reboot', REBOOT_SCRIPT)
	text('etc/inittab', INITTAB)
	text('etc/profile', PROFILE)
	text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n')
	text('etc/group', 'root:x:0:\n')
	text('lib/modules/xen.order', contents.modules.map((module) => `${module.name}\n`).join(''))
	for (const module of contents.modules) entries.push({ type: 'file', path: `lib/modules/${module.name}.ko`, data: module.data })
	pushFiles(entries, contents.files ?? [])
	return writeCpio(entries)
}

function pushFiles(entries: CpioEntry[], files: NonNullable<InitramfsContents['files']>): void {
	const present = new Set(entries.map((entry) => entry.path))
	for (const file of files) {
		const parts = file.path.replace(/^\/+/, '').split('/')
		for (let length = 1; length < parts.length; length++) {
			const path = parts.slice(0, length).join('/')
			if (!present.has(path)) entries.push({ type: 'directory', path })
			present.add(path)
		}
		entries.push({ type: 'file', path: parts.join('/'), data: file.data, mode: file.executable ? 0o755 : 0o644 })
	}
}
