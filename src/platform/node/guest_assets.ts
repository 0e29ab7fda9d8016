import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { UserError } from '../../base/errors.ts'
import { buildInitramfs } from '../../boot/initramfs.ts'
import { decompress, detectCompression } from '../../boot/kernel/decompress.ts'
import { cacheDirectory } from './cache_directory.ts'
import { compareVersions, type DebianPackage, DebianPackages, type Progress } from './debian_packages.ts'

export interface GuestAsset {
	/** Absolute path of the kernel image. */
	readonly kernel: string
	/** Absolute path of the initramfs; null for a guest that has none (GRUB). */
	readonly ramdisk: string | null
	/** Name and version of the kernel's package. */
	readonly version: string
}

interface GuestDefinition {
	/** Names of the package that holds the kernel, the most wanted first; of those that match one pattern the newest is taken. */
	readonly packages: readonly RegExp[]
	/** The kernel's place in the package, as tar matches it. */
	readonly kernel: string
	/** True when it boots into our initramfs. */
	readonly userSpace: boolean
}

const VMLINUZ = './boot/vmlinuz-*'
const linux = (...packages: RegExp[]): GuestDefinition => ({ packages, kernel: VMLINUZ, userSpace: true })

const GUESTS: Readonly<Record<string, GuestDefinition>> = {
	'cloud-6.1': linux(/^linux-image-6\.1\.0-\d+-cloud-amd64$/, /^linux-image-6\.1\.0-\d+-cloud-amd64-unsigned$/),
	'amd64-6.1': linux(/^linux-image-6\.1\.0-\d+-amd64$/, /^linux-image-6\.1\.0-\d+-amd64-unsigned$/),
	'cloud-6.12': linux(/^linux-image-6\.12\.[^-]*-cloud-amd64$/, /^linux-image-6\.12\.[^-]*-cloud-amd64-unsigned$/),
	/** Whatever this host's apt offers, for `npm start`. */
	cloud: linux(
		/^linux-image-6\.1\.0-\d+-cloud-amd64$/,
		/^linux-image-\d+\.\d+\.[^-]*(-\d+)?-cloud-amd64$/,
		/^linux-image-\d+\.\d+\.[^-]*(-\d+)?-amd64$/,
	),
	grub: { packages: [/^grub-xen-host$/], kernel: './usr/lib/grub-xen/grub-x86_64-xen.bin', userSpace: false },
}

export const GUEST_NAMES: readonly string[] = Object.keys(GUESTS)

/** Modules that a Xen guest's user space may want, in an order in which each follows those it depends on. Absent ones are built in, or unknown. */
const MODULES = ['xen-privcmd', 'xenfs', 'xen-evtchn', 'xen-gntdev', 'xen-gntalloc', 'xen-blkfront', 'xen-netfront']
const MODULE_GLOB = './*/kernel/drivers/*xen*.ko*'
const MODULE_MAX_BYTES = 64 << 20
const BUSYBOX: readonly RegExp[] = [/^busybox-static$/]
const BUSYBOX_GLOB = './*bin/busybox'
/** An initramfs that another version of this program made may be in use; it is removed when it was not asked for in so long. */
const INITRAMFS_KEEP_MS = 30 * 24 * 3600 * 1000

/**
 * Makes sure that the kernels and initramfs of the guests named are in the user's cache, and says where. What is there already is used as it
 * is, without a look at the network. Throws a UserError for an unknown name, on a host without apt, or when Debian's mirrors can't be had.
 */
export async function ensureGuestAssets(which: readonly string[], progress: Progress): Promise<Record<string, GuestAsset>> {
	for (const name of which) {
		if (!(name in GUESTS)) throw new UserError(`unknown guest '${name}'; known are ${GUEST_NAMES.join(', ')}`, { code: 'unknown-guest' })
	}
	const cache = new AssetCache(cacheDirectory(), progress)
	try {
		const assets: Record<string, GuestAsset> = {}
		for (const name of which) assets[name] = await cache.guest(name)
		return assets
	} finally {
		cache.close()
	}
}

/** The guest if its packages are in the cache already, else null; fetches nothing. */
export async function cachedGuestAsset(name: string): Promise<GuestAsset | null> {
	try {
		return await new AssetCache(cacheDirectory(), null).guest(name)
	} catch (error) {
		if (error instanceof NotCached) return null
		throw error
	}
}

/** Lets `use` fetch other packages, with the cache's lock held. Throws a UserError on a host without apt. */
export async function withDebianPackages<T>(progress: Progress, use: (debian: DebianPackages) => Promise<T>): Promise<T> {
	const cache = new AssetCache(cacheDirectory(), progress)
	try {
		return await use(await cache.prepareToFetch())
	} finally {
		cache.close()
	}
}

interface Manifest {
	readonly name: string
	readonly version: string
	readonly files: readonly { readonly path: string; readonly sizeBytes: number }[]
}

/**
 * packages/NAME_VERSION/    kernel and modules/*.ko, or busybox; and manifest.json. Made elsewhere and renamed into place, so never half there
 * guests/GUEST/             initramfs-HASH.cpio, renamed into place
 * apt/                      apt's state
 * lock                      held (flock) by the process that fetches; readers need no lock
 */
class AssetCache {
	private readonly root: string
	private readonly packages: string
	/** Null for a cache that is only looked at. */
	private readonly progress: Progress | null
	private debian: DebianPackages | null = null
	private unlock: () => void = () => {}

	constructor(root: string, progress: Progress | null) {
		this.root = root
		this.packages = join(root, 'packages')
		this.progress = progress
	}

	close(): void {
		this.unlock()
	}

	async guest(name: string): Promise<GuestAsset> {
		const definition = GUESTS[name]!
		const { directory, manifest } = await this.package(definition.packages, kernelSelection(definition))
		const ramdisk = definition.userSpace ? await this.initramfs(name, join(directory, 'modules')) : null
		return { kernel: join(directory, 'kernel'), ramdisk, version: `${manifest.name} ${manifest.version}` }
	}

	private async initramfs(name: string, modulesDirectory: string): Promise<string> {
		const { directory } = await this.package(BUSYBOX, {
			globs: [BUSYBOX_GLOB],
			keep: async (tree, staging) => {
				for (const path of await filesUnder(tree)) await rename(path, join(staging, 'busybox'))
			},
		})
		const present = await readdir(modulesDirectory)
		const modules = MODULES.filter((module) => present.includes(`${module}.ko`))
		const image = buildInitramfs({
			busybox: await readFile(join(directory, 'busybox')),
			modules: await Promise.all(
				modules.map(async (module) => ({ name: module, data: await readFile(join(modulesDirectory, `${module}.ko`)) })),
			),
		})
		return writeInitramfs(join(this.root, 'guests', name), image)
	}

	/** The directory of the package in the cache; it is fetched when it is not there or not whole. */
	private async package(patterns: readonly RegExp[], selection: Selection): Promise<CachedPackage> {
		return (await this.cached(patterns)) ?? (await this.fetch(patterns, selection))
	}

	private async cached(patterns: readonly RegExp[]): Promise<CachedPackage | null> {
		const entries = (await readdir(this.packages).catch(() => [])).sort((a, b) => compareVersions(b, a))
		for (const pattern of patterns) {
			for (const entry of entries.filter((name) => pattern.test(name.split('_')[0]!))) {
				const found = await readCachedPackage(join(this.packages, entry))
				if (found !== null) return found
			}
		}
		return null
	}

	private async fetch(patterns: readonly RegExp[], selection: Selection): Promise<CachedPackage> {
		const debian = await this.prepareToFetch()
		const meanwhile = await this.cached(patterns)
		if (meanwhile !== null) return meanwhile
		const wanted = await debian.newest(patterns)
		if (wanted === null) throw noPackage(patterns)
		const staging = await mkdtemp(join(this.packages, STAGING))
		try {
			const tree = join(staging, 'tree')
			await mkdir(tree)
			await debian.unpack(wanted, selection.globs, tree)
			await selection.keep(tree, staging)
			await rm(tree, { recursive: true })
			return await this.install(staging, wanted)
		} finally {
			await rm(staging, { recursive: true, force: true })
		}
	}

	private async install(staging: string, wanted: DebianPackage): Promise<CachedPackage> {
		const manifest: Manifest = { name: wanted.name, version: wanted.version, files: await listFiles(staging) }
		await writeFile(join(staging, 'manifest.json'), `${JSON.stringify(manifest, null, '\t')}\n`)
		const directory = join(this.packages, `${wanted.name}_${encodeURIComponent(wanted.version)}`)
		await rm(directory, { recursive: true, force: true })
		await rename(staging, directory)
		return { directory, manifest }
	}

	/** Takes the lock, for as long as this cache is open, and clears away what a process that died in the middle left. */
	async prepareToFetch(): Promise<DebianPackages> {
		if (this.debian !== null) return this.debian
		const { progress } = this
		if (progress === null) throw new NotCached()
		if (!(await DebianPackages.usable())) throw noApt()
		const apt = join(this.root, 'apt')
		await mkdir(this.packages, { recursive: true })
		await mkdir(apt, { recursive: true })
		this.unlock = await lockFile(join(this.root, 'lock'), () => progress('waiting for another process that fetches the same'))
		for (const entry of await readdir(this.packages)) {
			if (entry.startsWith(STAGING)) await rm(join(this.packages, entry), { recursive: true, force: true })
		}
		this.debian = new DebianPackages(apt, progress)
		return this.debian
	}
}

class NotCached extends Error {}

const STAGING = '.new-'

interface CachedPackage {
	readonly directory: string
	readonly manifest: Manifest
}

interface Manifest {
	/** Of the Debian package. */
	readonly name: string
	readonly version: string
	/** Every file of the directory but the manifest itself. */
	readonly files: readonly { readonly path: string; readonly sizeBytes: number }[]
}

/** Which files of a package to unpack, and how to move those that are kept from the unpacked tree to the directory that is cached. */
interface Selection {
	readonly globs: readonly string[]
	keep(tree: string, staging: string): Promise<void>
}

function kernelSelection(definition: GuestDefinition): Selection {
	return {
		globs: definition.userSpace ? [definition.kernel, MODULE_GLOB] : [definition.kernel],
		async keep(tree, staging) {
			await mkdir(join(staging, 'modules'))
			for (const path of await filesUnder(tree)) {
				const module = /([^/]+)\.ko(\.\w+)?$/.exec(path)?.[1]
				if (module === undefined) await rename(path, join(staging, 'kernel'))
				else if (MODULES.includes(module)) await writeFile(join(staging, 'modules', `${module}.ko`), unpackModule(await readFile(path)))
			}
		},
	}
}

/** A module as the guest's insmod takes it: Debian's are compressed from 6.12 on. */
function unpackModule(file: Uint8Array): Uint8Array {
	return detectCompression(file) === null ? file : decompress(file, { maxBytes: MODULE_MAX_BYTES })
}

/** Null when the directory holds no package, or not every file of it in full. */
async function readCachedPackage(directory: string): Promise<CachedPackage | null> {
	const text = await readFile(join(directory, 'manifest.json'), 'utf8').catch(() => null)
	if (text === null) return null
	const manifest = JSON.parse(text) as Manifest
	for (const file of manifest.files) {
		const found = await stat(join(directory, file.path)).catch(() => null)
		if (found?.size !== file.sizeBytes) return null
	}
	return { directory, manifest }
}

async function listFiles(directory: string): Promise<Manifest['files']> {
	const paths = await filesUnder(directory)
	return Promise.all(paths.map(async (path) => ({ path: relative(directory, path), sizeBytes: (await stat(path)).size })))
}

async function filesUnder(directory: string): Promise<string[]> {
	const entries = await readdir(directory, { recursive: true, withFileTypes: true })
	return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

/** Named by its contents, so that a guest that boots from one is not disturbed when this program's idea of it changes. */
async function writeInitramfs(directory: string, image: Uint8Array): Promise<string> {
	const hash = createHash('sha256').update(image).digest('hex').slice(0, 16)
	const path = join(directory, `initramfs-${hash}.cpio`)
	if ((await stat(path).catch(() => null))?.size === image.length) {
		await utimes(path, new Date(), new Date())
		return path
	}
	await mkdir(directory, { recursive: true })
	const scratch = await mkdtemp(join(directory, STAGING))
	await writeFile(join(scratch, 'image'), image)
	await rename(join(scratch, 'image'), path)
	await rm(scratch, { recursive: true, force: true })
	for (const entry of await readdir(directory)) {
		const old = await stat(join(directory, entry)).catch(() => null)
		if (old !== null && Date.now() - old.mtimeMs > INITRAMFS_KEEP_MS) await rm(join(directory, entry), { recursive: true, force: true })
	}
	return path
}

/**
 * Locks a file until the function returned is called or this process ends. flock(1) holds the lock for as long as its command lives, and
 * that is until its standard input closes; so a lock can't be left behind.
 */
async function lockFile(path: string, waiting: () => void): Promise<() => void> {
	const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo && exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] })
	const timer = setTimeout(waiting, 1000)
	const granted = await new Promise<boolean>((resolve) => {
		holder.on('error', () => resolve(false))
		holder.on('close', () => resolve(false))
		holder.stdout.once('data', () => resolve(true))
	})
	clearTimeout(timer)
	if (!granted) throw new UserError(`could not lock ${path}: flock (package util-linux) failed`, { code: 'lock-failed' })
	return () => holder.stdin.end()
}

const NAME_FILES =
	"name the two files yourself instead: kernel='/path/to/vmlinuz' and ramdisk='/path/to/initrd' in the domain's config file"

function noApt(): UserError {
	return new UserError(
		`a guest's kernel and busybox are fetched as Debian packages, and this host lacks apt-get, apt-cache, dpkg-deb or tar; ${NAME_FILES}`,
		{ code: 'no-apt' },
	)
}

function noPackage(patterns: readonly RegExp[]): UserError {
	return new UserError(
		`this host's apt sources have no package that matches ${patterns.map((p) => p.source).join(' or ')}; ${NAME_FILES}`,
		{
			code: 'no-package',
		},
	)
}
