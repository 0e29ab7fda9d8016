/** The Debian packages that the real programs come from, and the directory of the user's cache in which they stand ready to run. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../src/base/errors.ts'
import { cacheDirectory } from '../src/platform/node/cache_directory.ts'
import type { DebianPackages, Progress } from '../src/platform/node/debian_packages.ts'
import { withDebianPackages } from '../src/platform/node/guest_assets.ts'
import { makeText } from './real_text.ts'

interface Source {
	/** Names of the package, the most wanted first. */
	readonly packages: readonly RegExp[]
	/** What of it goes into which directory of the tree. */
	readonly files: readonly string[]
	readonly into: 'bin' | 'lib' | 'data'
}

const named = (name: string): RegExp => new RegExp(`^${name}$`)
const programs = (name: string, ...files: string[]): Source => ({ packages: [named(name)], files, into: 'bin' })
/** Debian 13 gave some libraries another package name, with t64 at its end. */
const library = (name: string, ...files: string[]): Source => ({
	packages: [named(name), named(`${name}t64`)],
	files: files.map((file) => `./*/${file}.so.*`),
	into: 'lib',
})

const SOURCES: readonly Source[] = [
	programs('gzip', './*bin/gzip'),
	programs('xz-utils', './usr/bin/xz'),
	programs('coreutils', './*bin/sha256sum'),
	programs('sqlite3', './usr/bin/sqlite3'),
	programs('perl-base', './usr/bin/perl'),
	programs('openssl', './usr/bin/openssl'),
	{ packages: [/^cpp-\d+-x86-64-linux-gnu$/, /^cpp-\d+$/], files: ['./*/cc1'], into: 'bin' },
	{ packages: [named('libstb-dev')], files: ['./*/stb_sprintf.h'], into: 'data' },
	{ packages: [named('libc6')], files: ['./*/libc.so.6', './*/libm.so.6', './*/x86_64-linux-gnu/ld-linux-x86-64.so.2'], into: 'lib' },
	library('liblzma5', 'liblzma'),
	library('libsqlite3-0', 'libsqlite3'),
	library('libreadline8', 'libreadline'),
	library('libtinfo6', 'libtinfo'),
	library('zlib1g', 'libz'),
	library('libcrypt1', 'libcrypt'),
	library('libssl3', 'libssl', 'libcrypto'),
	library('libisl23', 'libisl'),
	library('libmpc3', 'libmpc'),
	library('libmpfr6', 'libmpfr'),
	library('libgmp10', 'libgmp'),
	library('libzstd1', 'libzstd'),
]

const committed = fileURLToPath(new URL('real', import.meta.url))

/**
 * bin/, lib/   programs, their libraries under the names that they ask for, and the dynamic linker
 * data/        what they work on: the files of bench/real, and text
 * versions     of the packages, one a line
 */
export interface RealTree {
	readonly directory: string
	/** Names and versions of the packages. */
	readonly versions: readonly string[]
}

/** The tree if it is in the cache; fetches nothing. */
export async function cachedRealTree(): Promise<RealTree | null> {
	const directory = await treeDirectory()
	if (!existsSync(directory)) return null
	return { directory, versions: (await readFile(join(directory, 'versions'), 'utf8')).trim().split('\n') }
}

/** Fetches the packages, unless the tree is there. Throws a UserError when the host has no apt, or a package cannot be had. */
export async function ensureRealTree(progress: Progress): Promise<RealTree> {
	const cached = await cachedRealTree()
	if (cached !== null) return cached
	const directory = await treeDirectory()
	await mkdir(dirname(directory), { recursive: true })
	const staging = await mkdtemp(`${directory}.`)
	try {
		const tree = join(staging, 'tree')
		for (const name of ['bin', 'lib', 'data']) await mkdir(join(tree, name), { recursive: true })
		const versions = await withDebianPackages(progress, (debian) => fetchSources(debian, staging, tree))
		await cp(committed, join(tree, 'data'), { recursive: true })
		for (const [name, text] of Object.entries(makeText())) await writeFile(join(tree, 'data', name), text)
		await writeFile(join(tree, 'versions'), versions.map((line) => `${line}\n`).join(''))
		await rename(tree, directory)
	} finally {
		await rm(staging, { recursive: true, force: true })
	}
	return (await cachedRealTree())!
}

async function fetchSources(debian: DebianPackages, staging: string, tree: string): Promise<string[]> {
	const versions: string[] = []
	for (const { packages, files, into } of SOURCES) {
		const found = await debian.newest(packages)
		if (found === null) {
			throw new UserError(`this host's apt sources have no package ${packages.map(({ source }) => source).join(' or ')}`, {
				code: 'no-package',
			})
		}
		const unpacked = await mkdtemp(join(staging, 'package-'))
		await debian.unpack(found, files, unpacked)
		await keep(unpacked, join(tree, into), into === 'lib')
		versions.push(`${found.name} ${found.version}`)
	}
	return versions
}

/** Of a library's names only the one that programs ask for is kept, with the contents of the file that it leads to. */
async function keep(unpacked: string, into: string, libraries: boolean): Promise<void> {
	for (const entry of await readdir(unpacked, { recursive: true, withFileTypes: true })) {
		if (entry.isDirectory() || (libraries && !/\.so\.\d+$/.test(entry.name))) continue
		await copyFile(await realpath(join(entry.parentPath, entry.name)), join(into, basename(entry.name)))
	}
}

/** Named by all that the tree is made from but the packages' versions, so that one that another version of the bench has made is left alone. */
async function treeDirectory(): Promise<string> {
	const hash = createHash('sha256').update(JSON.stringify(SOURCES, (_, value) => (value instanceof RegExp ? value.source : value)))
	for (const [name, text] of Object.entries(makeText())) hash.update(name).update(text)
	const entries = await readdir(committed, { recursive: true, withFileTypes: true })
	const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
	for (const file of files.sort()) hash.update(await readFile(file))
	return join(cacheDirectory(), 'bench', hash.digest('hex').slice(0, 16))
}
